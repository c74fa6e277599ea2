"""zstd: alone, or with the checkpoint before it as a prefix, as its command line does with --patch-from.

Its level is the argument. https://github.com/facebook/zstd, by way of the package zstandard.
"""

import sys
from importlib.metadata import version

import peer

LEVEL = int(sys.argv[1]) if len(sys.argv) > 1 else 19


def load():
    import zstandard

    class Zstd(peer.Adapter):
        def __init__(self, n_threads, dtype, element_bytes):
            self.n_threads = n_threads

        def parameters(self, n_bytes, pair):
            """What the command line sets: a window over both files, and long matches with a base."""
            window = {"window_log": min(max((2 * n_bytes - 1).bit_length(), 10), 31),
                      "enable_ldm": True} if pair else {}
            return zstandard.ZstdCompressionParameters.from_level(LEVEL, source_size=n_bytes, write_checksum=True,
                                                                  threads=self.n_threads if self.n_threads > 1 else 0,
                                                                  **window)

        def compress(self, data):
            return zstandard.ZstdCompressor(compression_params=self.parameters(len(data), False)).compress(data)

        def decompress(self, data):
            return zstandard.ZstdDecompressor().decompress(data)

        def compress_pair(self, data, base):
            prefix = zstandard.ZstdCompressionDict(base, dict_type=zstandard.DICT_TYPE_RAWCONTENT)
            parameters = self.parameters(max(len(data), len(base)), True)
            return zstandard.ZstdCompressor(dict_data=prefix, compression_params=parameters).compress(data)

        def decompress_pair(self, data, base):
            prefix = zstandard.ZstdCompressionDict(base, dict_type=zstandard.DICT_TYPE_RAWCONTENT)
            return zstandard.ZstdDecompressor(dict_data=prefix, max_window_size=1 << 31).decompress(data)

    return Zstd


peer.serve(f"zstd@{version('zstandard')}:level={LEVEL}", load)
