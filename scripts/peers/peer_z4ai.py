"""z4ai: fields of floats, each by the best of rANS, zstd and others. https://github.com/z4ai/z4ai

With its defaults, or with effort="fast" (argument `fast`). It asks the system how many processors there are, and is told
as many as there are threads.
"""

import sys
from importlib.metadata import version

import peer

VERSION = version("z4ai")
EFFORT = sys.argv[1] if len(sys.argv) > 1 else None
DTYPES = {"BF16": "bf16", "F16": "fp16", "F32": "fp32", "F64": "fp64", "F8_E4M3": "fp8_e4m3", "F8_E5M2": "fp8_e5m2",
          "I8": "int8", "U8": "uint8"}


def load():
    import z4ai

    class Z4ai(peer.Adapter):
        def __init__(self, n_threads, dtype, element_bytes):
            if dtype not in DTYPES:
                raise peer.Unsupported(f"z4ai has nothing for {dtype}")
            self.n_threads = n_threads
            self.dtype = DTYPES[dtype]

        def compress(self, data):
            return z4ai.compress(data, dtype=self.dtype, threads=self.n_threads, effort=EFFORT)

        def decompress(self, data):
            return z4ai.decompress(data)

        def compress_pair(self, data, base):
            if EFFORT:
                raise peer.Unsupported("its delta has one effort")
            return z4ai.compress_delta(data, base, dtype=self.dtype, threads=self.n_threads)

        def decompress_pair(self, data, base):
            return z4ai.decompress_delta(data, base)

    return Z4ai


peer.serve(f"z4ai@{VERSION}:effort={EFFORT or 'default'}", load)
