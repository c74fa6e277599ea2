"""OpenZL: a graph of transforms and entropy coders. https://github.com/facebook/openzl

The graph is the one for floats of its PyTorch profile, given numbers of the right width instead of guessing it: exponents
apart from signs and fractions, the exponents by Huffman or (argument `fse`) FSE, the rest stored. It has no threads.
"""

import sys
from importlib.metadata import version

import peer

VERSION = version("openzl")
CODER = sys.argv[1] if len(sys.argv) > 1 else "huffman"


def load():
    from openzl import ext
    from openzl.ext import graphs, nodes

    # How its numbers are told to memoryview, and the node that takes them apart.
    split = {"BF16": ("H", nodes.BFloat16Deconstruct), "F16": ("H", nodes.Float16Deconstruct),
             "F32": ("I", nodes.Float32Deconstruct)}
    coder = {"huffman": graphs.Huffman, "fse": graphs.Fse}[CODER]

    class OpenZl(peer.Adapter):
        def __init__(self, n_threads, dtype, element_bytes):
            if dtype not in split:
                raise peer.Unsupported(f"OpenZL takes no {dtype} apart")
            self.code, deconstruct = split[dtype]
            self.element_bytes = element_bytes
            self.compressor = ext.Compressor()
            self.compressor.set_parameter(ext.CParam.FormatVersion, ext.MAX_FORMAT_VERSION)
            self.compressor.select_starting_graph(deconstruct()(self.compressor, graphs.Store(), coder()))
            self.encoder = ext.CCtx()
            self.encoder.set_parameter(ext.CParam.StickyParameters, 1)
            self.encoder.ref_compressor(self.compressor)
            self.decoder = ext.DCtx()

        def compress(self, data):
            n_tail = len(data) % self.element_bytes
            numbers = memoryview(data)[:len(data) - n_tail].cast(self.code)
            return self.encoder.compress([ext.Input(ext.Type.Numeric, numbers)]), data[len(data) - n_tail:]

        def stored(self, output):
            return peer.with_tail(*output)

        def loaded(self, data):
            return peer.without_tail(data)

        def decompress(self, data):
            frame, tail = data
            return self.decoder.decompress(frame), tail

        def restored(self, output):
            frames, tail = output
            return frames[0].content.as_bytes() + tail

    return OpenZl


peer.serve(f"openzl@{VERSION}:deconstruct=yes,exponent={CODER}", load)
