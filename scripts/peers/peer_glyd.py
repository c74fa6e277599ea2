"""glyd: a general compressor with a path for floats, and versions against a base. https://github.com/surya-koritala/Glyd

Level `max`, its default, or the argument. A base as its compress_with_base takes it; argument `ultra` searches longer.
"""

import sys
from importlib.metadata import version

import peer

LEVEL = sys.argv[1] if len(sys.argv) > 1 else "max"


def load():
    import glyd

    class Glyd(peer.Adapter):
        def __init__(self, n_threads, dtype, element_bytes):
            self.n_threads = n_threads

        def compress(self, data):
            return glyd.compress(data, level=LEVEL, threads=self.n_threads)

        def decompress(self, data):
            return glyd.decompress(data)

        def compress_pair(self, data, base):
            return glyd.compress_with_base(base, data, ultra=LEVEL == "ultra")

        def decompress_pair(self, data, base):
            return glyd.decompress_with_base(base, data)

    return Glyd


peer.serve(f"glyd@{version('glyd')}:level={LEVEL}", load)
