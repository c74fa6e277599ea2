"""reminis: models in a database, and delta packs of two of them, tensor by tensor the smallest of three ways.
https://github.com/ronxldwilson/reminis

Of pairs alone: a model in its database is not compressed. It works from database to database, in memory here (/dev/shm). The base's
is made once, before anything is timed; turning the new file into a database, and the rebuilt database into the file, is in its time.
What its export writes is another file with the same tensors: the original header is kept beside, counted, and put back. Defaults,
without `lossy_tolerance`: the xor, the planes of the xor, or the tensor itself, each by zstd level 1.
"""

import sqlite3
from importlib.metadata import version

import file_pieces
import peer

VERSION = version("reminis")


def load():
    from reminis.diff import apply_delta, diff_models
    from reminis.safetensors_io import safetensors_to_sqlite

    def database(path, data):
        safetensors_to_sqlite(file_pieces.written(path + ".safetensors", data), path, verbose=False)
        return path

    def tensors_of(path):
        connection = sqlite3.connect(path)
        by_name = dict(connection.execute("SELECT name, data FROM tensors"))
        connection.close()
        return by_name

    class Reminis(peer.Adapter):
        def __init__(self, n_threads, dtype, element_bytes):
            self.bases = {}

        def compress(self, data):
            raise peer.Unsupported("a database of a model is not compressed")

        def decompress(self, data):
            raise peer.Unsupported("a database of a model is not compressed")

        def base_database(self, base):
            """The bytes of the base's database. Made the first time a base is seen, which is before the first sample."""
            if id(base) not in self.bases:
                with file_pieces.folder() as folder:
                    self.bases[id(base)] = file_pieces.read(database(folder + "/base.db", base))
            return self.bases[id(base)]

        def compress_pair(self, data, base):
            header, _ = file_pieces.split(data)
            with file_pieces.folder() as folder:
                before = file_pieces.written(folder + "/base.db", self.base_database(base))
                after = database(folder + "/new.db", data)
                diff_models(before, after, folder + "/pack.db", verbose=False)
                return len(header).to_bytes(4, "little") + header + file_pieces.read(folder + "/pack.db")

        def decompress_pair(self, data, base):
            n = 4 + int.from_bytes(data[:4], "little")
            with file_pieces.folder() as folder:
                before = file_pieces.written(folder + "/base.db", self.base_database(base))
                pack = file_pieces.written(folder + "/pack.db", data[n:])
                rebuilt = apply_delta(before, pack, folder + "/out.db", verbose=False)
                return file_pieces.joined(data[4:n], tensors_of(rebuilt))

    return Reminis


peer.serve(f"reminis@{VERSION}:lossless", load)
