"""ZipNN: splits floats into byte groups, Huffman codes the exponent's. https://github.com/zipnn/zipnn

Its C core is called as zipnn.ZipNN(input_format="byte").compress and decompress call it, with the same header in front;
what the class does around it is left out: it copies the input once more, and imports torch.
"""

from importlib.metadata import version

import peer

VERSION = version("zipnn")
HEADER_BYTES = 32
CHUNK_BYTES = 256 << 10
THRESHOLD, CHECK_AFTER_PERCENT = 0.95, 10
METHOD_AUTO, FORMAT_BYTE = 0, 1
# dtype: byte groups, whether bits are reordered, how bytes are, and the dtype's code in the header.
LAYOUTS = {"BF16": (2, 1, 10, 6), "F16": (2, 0, 10, 4), "F32": (4, 1, 220, 1)}


def load():
    import numpy
    import zipnn_core

    class ZipNn(peer.Adapter):
        SPOILS_INPUT = True

        def __init__(self, n_threads, dtype, element_bytes):
            if dtype not in LAYOUTS:
                raise peer.Unsupported(f"ZipNN has nothing for {dtype}")
            self.n_threads = n_threads
            self.n_groups, self.bit_reorder, self.byte_reorder, self.dtype_code = LAYOUTS[dtype]

        def header(self, n_bytes):
            header = bytearray(HEADER_BYTES)
            header[0:2] = b"ZN"
            header[2:5] = bytes(int(part) for part in VERSION.split("."))
            header[5:9] = bytes((self.byte_reorder, self.bit_reorder, METHOD_AUTO, FORMAT_BYTE))
            header[14] = CHUNK_BYTES.bit_length() - 1
            header[15] = self.dtype_code
            header[16:24] = n_bytes.to_bytes(8, "little")
            return header

        def compress(self, data):
            # Its core crashes on a group that is not whole: such bytes go behind, as they are.
            n_tail = len(data) % self.n_groups
            tail = data[len(data) - n_tail:]
            if n_tail:
                del data[len(data) - n_tail:]
            core = zipnn_core.zipnn_core(self.header(len(data)), data, self.n_groups, self.bit_reorder,
                                         self.byte_reorder, 0, CHUNK_BYTES, THRESHOLD, CHECK_AFTER_PERCENT,
                                         self.n_threads)
            return core, tail

        def compress_pair(self, data, base):
            # As its delta mode does: the xor of two files of one length, then as a file.
            if len(data) != len(base):
                raise peer.Unsupported("its delta is of two files of one length")
            delta = bytearray(numpy.bitwise_xor(numpy.frombuffer(data, numpy.uint8),
                                                numpy.frombuffer(base, numpy.uint8)).tobytes())
            return self.compress(delta)

        def decompress_pair(self, data, base):
            delta, tail = self.decompress(data)
            n = len(delta)
            restored = numpy.bitwise_xor(numpy.frombuffer(delta, numpy.uint8), numpy.frombuffer(base, numpy.uint8)[:n])
            return restored.data, bytes(a ^ b for a, b in zip(tail, base[n:]))

        def stored(self, output):
            return peer.with_tail(*output)

        def loaded(self, data):
            return peer.without_tail(data)

        def decompress(self, data):
            core, tail = data
            n_bytes = int.from_bytes(core[16:24], "little")
            return zipnn_core.combine_dtype(memoryview(core)[HEADER_BYTES:], self.n_groups, self.bit_reorder,
                                            self.byte_reorder, CHUNK_BYTES, n_bytes, self.n_threads), tail

        def restored(self, output):
            return b"".join(output)

    return ZipNn


peer.serve(f"zipnn@{VERSION}:core=yes,chunk={CHUNK_BYTES}", load)
