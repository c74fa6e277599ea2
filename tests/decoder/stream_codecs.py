"""Codecs: streams of bytes back from fewer. zstd comes from libzstd through ctypes, rans, tiers and ulp-rans are in files of their own."""
import bz2
import ctypes
import ctypes.util
import lzma
import zlib

import chance_rans
import rans
import tiers
import ulp_rans
from cursor import require


class Stream:
    """What a codec is told of a stream: its options, its bytes, how many come out, and what both sides know."""

    def __init__(self, options, coded, n, elements=None, reference=None, model=None):
        self.options, self.coded, self.n = options, coded, n
        self.elements, self.reference, self.model = elements, reference, model


def references_of(reference):
    """The base of a stream, and an older one; None where there is none."""
    return reference[:2] if isinstance(reference, list) else (reference, None)


def halves_of(elements):
    """Bits of the exponent of floats of 16 bits, and below it; None for anything else."""
    return (elements.exponent_bits, elements.mantissa_bits) if elements and elements.bits == 16 and elements.exponent_bits else None


def libzstd():
    library = ctypes.CDLL(ctypes.util.find_library("zstd") or "libzstd.so.1")
    library.ZSTD_createDCtx.restype = ctypes.c_void_p
    library.ZSTD_decompressDCtx.restype = library.ZSTD_DCtx_refPrefix.restype = ctypes.c_size_t
    library.ZSTD_decompressDCtx.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_char_p, ctypes.c_size_t]
    library.ZSTD_DCtx_refPrefix.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t]
    library.ZSTD_freeDCtx.argtypes = [ctypes.c_void_p]
    return library


def decode_zstd(stream):
    library = libzstd()
    context, out = library.ZSTD_createDCtx(), ctypes.create_string_buffer(max(stream.n, 1))
    if stream.options["prefix"] == "yes" and stream.reference is not None:
        library.ZSTD_DCtx_refPrefix(context, stream.reference, len(stream.reference))
    got = library.ZSTD_decompressDCtx(context, out, stream.n, stream.coded, len(stream.coded))
    library.ZSTD_freeDCtx(context)
    require(got == stream.n, "a zstd frame is damaged")
    return out.raw[:stream.n]


CODECS = {
    "zstd": decode_zstd,
    "zlib": lambda stream: zlib.decompress(stream.coded),
    "bzip2": lambda stream: bz2.decompress(stream.coded),
    "xz": lambda stream: lzma.decompress(stream.coded, lzma.FORMAT_XZ),
    "rans": lambda stream: rans.decode(stream.coded, stream.n, stream.model),
    "tiers": lambda stream: tiers.decode(stream.coded, stream.n),
    "chance-rans": lambda stream: chance_rans.decode(stream.coded, stream.n, halves_of(stream.elements), references_of(stream.reference)[0]),
    "ulp-rans": lambda stream: ulp_rans.decode(stream.coded, stream.n, stream.elements, *references_of(stream.reference)),
}

# How a codec's models are read.
MODELS = {"rans": rans.read_model}
