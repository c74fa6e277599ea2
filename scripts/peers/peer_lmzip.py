"""lmzip (lmz): fields of floats by rANS, mantissas given exponents, later checkpoints against earlier ones in an archive.
https://github.com/FanxinSun/lmz

It works from file to file: files are in memory (/dev/shm), and reading and writing them is in its time. A pair is an archive of
the base to which the new checkpoint is appended; what is stored of it is the head, which tells where its table is, and all that
comes behind what is the same in both archives.
The decoder makes the base's archive again, before the clock starts.
"""

import os
from importlib.metadata import version

import file_pieces
import peer

VERSION = version("lmzip")
HEAD_BYTES = 64


def load():
    import lmz

    def same_start(a, b):
        low, high = HEAD_BYTES, min(len(a), len(b))
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if a[HEAD_BYTES:middle] == b[HEAD_BYTES:middle] else (low, middle - 1)
        return low

    class Lmzip(peer.Adapter):
        def __init__(self, n_threads, dtype, element_bytes):
            self.n_threads = n_threads
            self.archives = {}

        def archive_of(self, base):
            """Not timed where it can be helped: the first time a base is seen, which is before the first sample."""
            if id(base) not in self.archives:
                with file_pieces.folder() as folder:
                    lmz.compress(file_pieces.written(folder + "/base.safetensors", base), folder + "/all.lmz",
                                 workers=self.n_threads)
                    self.archives[id(base)] = file_pieces.read(folder + "/all.lmz")
            return self.archives[id(base)]

        def compress(self, data):
            with file_pieces.folder() as folder:
                lmz.compress(file_pieces.written(folder + "/new.safetensors", data), folder + "/all.lmz",
                             workers=self.n_threads)
                return file_pieces.read(folder + "/all.lmz")

        def decompress(self, data):
            with file_pieces.folder() as folder:
                lmz.decompress(file_pieces.written(folder + "/all.lmz", data), folder + "/out", workers=self.n_threads)
                out = folder + "/out"
                return file_pieces.read(out if os.path.isfile(out) else os.path.join(out, "new.safetensors"))

        def compress_pair(self, data, base):
            before = self.archive_of(base)
            with file_pieces.folder() as folder:
                path = file_pieces.written(folder + "/all.lmz", before)
                lmz.append(path, file_pieces.written(folder + "/new.safetensors", data), workers=self.n_threads)
                return before, file_pieces.read(path)

        def stored(self, output):
            if isinstance(output, bytes):
                return output
            n = same_start(*output)
            return n.to_bytes(8, "little") + output[1][:HEAD_BYTES] + output[1][n:]

        def decompress_pair(self, data, base):
            n, at = int.from_bytes(data[:8], "little"), 8 + HEAD_BYTES
            before = self.archive_of(base)
            with file_pieces.folder() as folder:
                path = file_pieces.written(folder + "/all.lmz", data[8:at] + before[HEAD_BYTES:n] + data[at:])
                lmz.extract(path, "new.safetensors", folder + "/out", workers=self.n_threads)
                return file_pieces.read(folder + "/out")

    return Lmzip


peer.serve(f"lmzip@{VERSION}:level=default,pairs=append", load)
