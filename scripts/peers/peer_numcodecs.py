"""numcodecs: the filters and codecs of zarr; here its byte shuffle, then zstd. https://github.com/zarr-developers/numcodecs

Level 1 alone and 9 for pairs, which are the best of 1, 3 and 9 there; pairs are given as their xor.
"""

from importlib.metadata import version

import peer

VERSION = version("numcodecs")
LEVEL, PAIR_LEVEL = 1, 9


def load():
    from numcodecs import Shuffle, Zstd

    class NumCodecs(peer.XorOfPairs, peer.Adapter):
        def __init__(self, n_threads, dtype, element_bytes):
            self.shuffle = Shuffle(element_bytes)
            self.alone, self.pairs = Zstd(level=LEVEL), Zstd(level=PAIR_LEVEL)

        def compress(self, data):
            return self.alone.encode(self.shuffle.encode(data))

        def decompress(self, data):
            return self.shuffle.decode(self.alone.decode(data))

        def compress_xor(self, xor):
            return self.pairs.encode(self.shuffle.encode(xor))

    return NumCodecs


peer.serve(f"numcodecs@{VERSION}:codec=shuffle+zstd,level={LEVEL},pairs=xor,pair-level={PAIR_LEVEL}", load)
