"""BigSmall: tensors by the codec that suits each, of pairs their xor. https://github.com/wpferrell/Bigsmall

It works from file to file: files are in memory (/dev/shm), and reading and writing them is in its time. The tensors come back bit
for bit, the file with another header: the original one is kept beside, counted, and put back. Defaults, one worker a thread.
"""

import os
from importlib.metadata import version

import file_pieces
import peer

VERSION = version("bigsmall")


def load():
    # It looks for a newer version of itself otherwise.
    for name in ("BIGSMALL_NO_UPDATE_CHECK", "BIGSMALL_NO_VERSION_CHECK", "HF_HUB_OFFLINE", "TQDM_DISABLE"):
        os.environ[name] = "1"
    import bigsmall

    class BigSmall(peer.Adapter):
        def __init__(self, n_threads, dtype, element_bytes):
            self.n_threads = n_threads

        def coded(self, data, code):
            header, _ = file_pieces.split(data)
            with file_pieces.folder() as folder:
                code(file_pieces.written(folder + "/new.safetensors", data), folder)
                return len(header).to_bytes(4, "little") + header + file_pieces.read(folder + "/new.bs")

        def decoded(self, data, decode):
            n = 4 + int.from_bytes(data[:4], "little")
            with file_pieces.folder() as folder:
                decode(file_pieces.written(folder + "/new.bs", data[n:]), folder)
                _, tensors = file_pieces.split(file_pieces.read(folder + "/out.safetensors"))
            return file_pieces.joined(data[4:n], {name: content for name, _, _, content in tensors})

        def compress(self, data):
            return self.coded(data, lambda path, folder: bigsmall.compress(path, folder + "/new.bs", workers=self.n_threads,
                                                                           progress=False))

        def decompress(self, data):
            return self.decoded(data, lambda path, folder: bigsmall.decompress(path, folder + "/out.safetensors"))

        def compress_pair(self, data, base):
            def code(path, folder):
                before = file_pieces.written(folder + "/base.safetensors", base)
                bigsmall.compress_delta(path, before, folder + "/new.bs", workers=self.n_threads, progress=False)

            return self.coded(data, code)

        def decompress_pair(self, data, base):
            def decode(path, folder):
                before = file_pieces.written(folder + "/base.safetensors", base)
                bigsmall.decompress_delta(path, before, folder + "/out.safetensors")

            return self.decoded(data, decode)

    return BigSmall


peer.serve(f"bigsmall@{VERSION}:mode=balanced", load)
