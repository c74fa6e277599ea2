"""deltatensors: differences of weights, sparse or quantized. https://github.com/AaravGaurdev/deltatensors

For pairs only. Of its ways one can be lossless, `sparse` (an index of 64 bits and a difference of 32 for every element kept), if
as many elements are kept in each tensor as changed in the one that changed most: so its sparsity is set. What comes back is
rounded to bfloat16. The file's header is kept beside and counted.
"""

from importlib.metadata import version

import file_pieces
import peer

VERSION = version("deltatensors")


def load():
    import contextlib
    import os

    import deltatensors
    import numpy

    def floats(data):
        header, tensors = file_pieces.split(data)
        return header, {name: (numpy.frombuffer(content, "<u2").astype("<u4") << 16).view("<f4").reshape(shape)
                        for name, _, shape, content in tensors}

    class DeltaTensors(peer.Adapter):
        def __init__(self, n_threads, dtype, element_bytes):
            if dtype != "BF16":
                raise peer.Unsupported(f"not tried for {dtype}")

        def compress(self, data):
            raise peer.Unsupported("it has nothing for a checkpoint alone")

        def compress_pair(self, data, base):
            header, new = floats(data)
            _, old = floats(base)
            changed = max(float(numpy.mean(new[name] != old[name])) for name in new)
            with file_pieces.folder() as folder, contextlib.redirect_stdout(None):
                path = folder + "/new.wdelta"
                # A hair more than changed: it cuts the count to an integer.
                deltatensors.save_delta(path, new, old, strategy="sparse", sparsity=max(0.0, 1.0 - changed * 1.001))
                return len(header).to_bytes(4, "little") + header + file_pieces.read(path)

        def decompress_pair(self, data, base):
            n = 4 + int.from_bytes(data[:4], "little")
            _, old = floats(base)
            with file_pieces.folder() as folder, contextlib.redirect_stdout(open(os.devnull, "w")):
                new = deltatensors.load_delta(file_pieces.written(folder + "/new.wdelta", data[n:]), old)
            bits = {}
            for name, values in new.items():
                wide = numpy.ascontiguousarray(values, "<f4").view("<u4")
                bits[name] = ((wide + 0x7fff + (wide >> 16 & 1)) >> 16).astype("<u2").tobytes()
            return file_pieces.joined(data[4:n], bits)

    return DeltaTensors


peer.serve(f"deltatensors@{VERSION}:strategy=sparse,sparsity=as-changed", load)
