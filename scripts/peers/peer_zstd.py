"""zstd: alone, or with the checkpoint before it as a prefix, as its command line does with --patch-from.

The system's library, by ctypes: what the package on PyPI offers as a dictionary is no prefix, and misses most matches of a
large base. Its level is the argument. https://github.com/facebook/zstd
"""

import ctypes
import ctypes.util
import sys

import peer

LEVEL = int(sys.argv[1]) if len(sys.argv) > 1 else 19
# Numbers of zstd.h.
LEVEL_PARAMETER, WINDOW_LOG, LONG_MATCHES, CHECKSUM, N_WORKERS, MAX_WINDOW_LOG = 100, 101, 160, 201, 400, 100
LARGEST_WINDOW_LOG = 31


def library():
    zstd = ctypes.CDLL(ctypes.util.find_library("zstd") or "libzstd.so.1")
    for name in ("createCCtx", "createDCtx"):
        getattr(zstd, f"ZSTD_{name}").restype = ctypes.c_void_p
    for name, arguments in (("compress2", 5), ("decompressDCtx", 5), ("CCtx_refPrefix", 3), ("DCtx_refPrefix", 3)):
        function = getattr(zstd, f"ZSTD_{name}")
        function.restype = ctypes.c_size_t
        function.argtypes = {5: [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_char_p, ctypes.c_size_t],
                             3: [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t]}[arguments]
    zstd.ZSTD_compressBound.restype = ctypes.c_size_t
    zstd.ZSTD_compressBound.argtypes = [ctypes.c_size_t]
    zstd.ZSTD_getFrameContentSize.restype = ctypes.c_ulonglong
    zstd.ZSTD_getFrameContentSize.argtypes = [ctypes.c_char_p, ctypes.c_size_t]
    zstd.ZSTD_CCtx_setParameter.argtypes = zstd.ZSTD_DCtx_setParameter.argtypes = [ctypes.c_void_p, ctypes.c_int,
                                                                                    ctypes.c_int]
    zstd.ZSTD_isError.argtypes = [ctypes.c_size_t]
    return zstd


def load():
    zstd = library()

    def checked(n):
        if zstd.ZSTD_isError(n):
            raise ValueError("zstd reports an error")
        return n

    class Zstd(peer.Adapter):
        def __init__(self, n_threads, dtype, element_bytes):
            self.compressor = zstd.ZSTD_createCCtx()
            self.decompressor = zstd.ZSTD_createDCtx()
            zstd.ZSTD_CCtx_setParameter(self.compressor, LEVEL_PARAMETER, LEVEL)
            zstd.ZSTD_CCtx_setParameter(self.compressor, CHECKSUM, 1)
            zstd.ZSTD_CCtx_setParameter(self.compressor, N_WORKERS, n_threads if n_threads > 1 else 0)
            zstd.ZSTD_DCtx_setParameter(self.decompressor, MAX_WINDOW_LOG, LARGEST_WINDOW_LOG)

        def compress(self, data):
            room = ctypes.create_string_buffer(zstd.ZSTD_compressBound(len(data)))
            return room, checked(zstd.ZSTD_compress2(self.compressor, room, len(room), data, len(data)))

        def stored(self, output):
            room, n = output
            return room[:n]

        def decompress(self, data):
            n = zstd.ZSTD_getFrameContentSize(data, len(data))
            room = ctypes.create_string_buffer(max(n, 1))
            return room, checked(zstd.ZSTD_decompressDCtx(self.decompressor, room, n, data, len(data)))

        def restored(self, output):
            return self.stored(output)

        def compress_pair(self, data, base):
            # A window over both, and long matches, as the command line sets them.
            window_log = min((len(data) + len(base)).bit_length(), LARGEST_WINDOW_LOG)
            zstd.ZSTD_CCtx_setParameter(self.compressor, WINDOW_LOG, window_log)
            zstd.ZSTD_CCtx_setParameter(self.compressor, LONG_MATCHES, 1)
            checked(zstd.ZSTD_CCtx_refPrefix(self.compressor, base, len(base)))
            return self.compress(data)

        def decompress_pair(self, data, base):
            checked(zstd.ZSTD_DCtx_refPrefix(self.decompressor, base, len(base)))
            return self.decompress(data)

    return Zstd


peer.serve(f"zstd@{library().ZSTD_versionNumber()}:level={LEVEL}", load)
