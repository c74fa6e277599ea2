"""pcodec: numbers into bins, and offsets within them. https://github.com/pcodec/pcodec

Its highest level, 12. It knows no bfloat16: such are given as the unsigned integers of their bits, better than as signed ones
and no worse than as integers in the order of values. It has nothing for pairs; it gets what suits it best, the difference of
the values as integers in their order (as our delta-ulp; the difference of the bits comes within 0.1 % of that, the xor
behind it).
"""

from importlib.metadata import version

import peer

VERSION = version("pcodec")
LEVEL = 12
NUMBERS = {"BF16": "<u2", "F16": "<f2", "F32": "<f4", "F64": "<f8"}


def load():
    import numpy
    from pcodec import ChunkConfig, standalone

    def in_order(bits):
        top = 1 << (8 * bits.dtype.itemsize - 1)
        return bits ^ numpy.where(bits & bits.dtype.type(top), 2 * top - 1, top).astype(bits.dtype)

    class Pcodec(peer.Adapter):
        def __init__(self, n_threads, dtype, element_bytes):
            if dtype not in NUMBERS:
                raise peer.Unsupported(f"pcodec has nothing for {dtype}")
            self.number = NUMBERS[dtype]
            self.width = element_bytes
            self.config = ChunkConfig(compression_level=LEVEL)

        def cut(self, data):
            return len(data) // self.width * self.width

        def compress(self, data):
            n = self.cut(data)
            return standalone.simple_compress(numpy.frombuffer(data[:n], self.number), self.config), data[n:]

        def stored(self, output):
            return peer.with_tail(*output)

        def loaded(self, data):
            return peer.without_tail(data)

        def decompress(self, data):
            coded, tail = data
            return standalone.simple_decompress(coded), tail

        def restored(self, output):
            numbers, tail = output
            return numpy.asarray(numbers).tobytes() + tail

        def compress_pair(self, data, base):
            if len(data) != len(base):
                raise peer.Unsupported("the difference is of two files of one length")
            n, bits = self.cut(data), f"<u{self.width}"
            step = in_order(numpy.frombuffer(data[:n], bits)) - in_order(numpy.frombuffer(base[:n], bits))
            return standalone.simple_compress(step.view(f"<i{self.width}"), self.config), data[n:]

        def decompress_pair(self, data, base):
            coded, tail = data
            bits = f"<u{self.width}"
            step = numpy.asarray(standalone.simple_decompress(coded)).view(bits)
            ordered = step + in_order(numpy.frombuffer(base[:step.size * self.width], bits))
            top = 1 << (8 * self.width - 1)
            # In order again: what has the top bit was positive.
            return ordered ^ numpy.where(ordered & ordered.dtype.type(top), top, 2 * top - 1).astype(bits), tail

    return Pcodec


peer.serve(f"pcodec@{VERSION}:level={LEVEL},pairs=ordered-difference", load)
