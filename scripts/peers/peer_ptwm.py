"""ptwm: the sign moved away from the exponent, byte planes, for each the smallest of Huffman, rANS and zstd. https://github.com/khwstolle/ptwm

The library wants torch for its types of tensors alone; the adapter calls the same functions of its core without it, with the arguments
that its Compressor passes: all tensors of a file in one container, with hashes and checksums, of pairs each tensor's xor with the one
of its name. The file's header is one more tensor.
"""

import importlib
import importlib.util
import os
import sys
import types
from importlib.metadata import version

import file_pieces
import peer

VERSION = version("ptwm")
# Wire numbers of its types, of its DType and Format.
CODES = {"F32": (1, "float32"), "F64": (3, "float64"), "F16": (4, "float16"), "BF16": (6, "bfloat16"), "U8": (13, "uint8"),
         "I8": (17, "int8"), "I16": (18, "int16"), "I32": (20, "int32"), "I64": (22, "int64"), "BOOL": (24, "bool")}
NAMES = {"FLOAT8_E4M3FN": (29, "float8_e4m3fn"), "FLOAT8_E5M2": (30, "float8_e5m2"), "FLOAT4_E2M1FN_X2": (31, "float4_e2m1fn_x2")}
BYTE, AUTO = 1, 1
HEADER = "header of the file"


def core_without_torch():
    """Its extension and the chains that its Compressor picks from, whose only need of torch is the table of types."""
    root = list(importlib.util.find_spec("ptwm").submodule_search_locations)[0]
    for name, folder in (("ptwm", root), ("ptwm.preprocessing", os.path.join(root, "preprocessing"))):
        sys.modules[name] = types.ModuleType(name)
        sys.modules[name].__path__ = [folder]
    utils = types.ModuleType("ptwm.utils")
    known = {name.upper(): (code, name) for code, name in CODES.values()} | NAMES
    utils.DType = type("DType", (), {name: types.SimpleNamespace(code=code) for name, (code, _) in known.items()})
    sys.modules["ptwm.utils"] = utils
    return importlib.import_module("ptwm._rust"), importlib.import_module("ptwm.preprocessing._chains")


def load():
    core, chains = core_without_torch()

    def chains_of(code, shape):
        builders = list(chains.chains_for(code, chains.ClassifierRole.STANDARD)) or [chains.CHAIN_BYTE_PASSTHROUGH_VALUE]
        return [chain.to_bytes() for builder in builders if (chain := builder(shape)) is not None]

    def tensors_of(data, dtype):
        try:
            header, tensors = file_pieces.split(data)
        except ValueError:
            # Another format's file is one tensor, as its Compressor takes bytes.
            n = len(data) - len(data) % core.dtype_element_size(CODES[dtype][0])
            header, tensors = b"", [("all", dtype, [n], data[:n]), ("tail", "U8", [len(data) - n], data[n:])]
        return [(HEADER, "U8", [len(header)], header)] + [(name, dtype, list(shape), bytes(content))
                                                          for name, dtype, shape, content in tensors]

    class Ptwm(peer.Adapter):
        def __init__(self, n_threads, dtype, element_bytes):
            if dtype not in CODES:
                raise peer.Unsupported(f"it is told of no {dtype} here")
            self.dtype = dtype

        def coded(self, tensors, hashes):
            entries, ways = [], []
            for name, dtype, shape, content in tensors:
                code, word = CODES.get(dtype, CODES["U8"])
                entries.append((name, code, BYTE, content, shape, word, hashes.get(name)))
                ways.append(chains_of(code, shape))
            return core.compress_model(entries, ways, True, True, AUTO, None, None)

        def compress(self, data):
            return self.coded(tensors_of(data, self.dtype), {})

        def decompress(self, data):
            return self.joined({name: core.decode_tensor(data, name, False) for name in core.list_tensor_names(data)})

        @staticmethod
        def joined(by_name):
            if not by_name[HEADER]:
                return by_name["all"] + by_name["tail"]
            return file_pieces.joined(by_name[HEADER], by_name)

        def compress_pair(self, data, base):
            before = {name: content for name, _, _, content in tensors_of(base, self.dtype)}
            tensors, hashes = [], {}
            for name, dtype, shape, content in tensors_of(data, self.dtype):
                reference = before.get(name)
                if reference is not None and len(reference) == len(content):
                    hashes[name] = core.blake3_hash(reference)
                    content = core.delta_xor_encode(content, reference)
                tensors.append((name, dtype, shape, content))
            return self.coded(tensors, hashes)

        def decompress_pair(self, data, base):
            before = {name: content for name, _, _, content in tensors_of(base, self.dtype)}
            by_name = {}
            for name in core.list_tensor_names(data):
                content = core.decode_tensor(data, name, False)
                expected = core.decode_tensor_delta_hash(data, name, False)
                if expected is not None:
                    if core.blake3_hash(before[name]) != expected:
                        raise ValueError(f"{name}: another reference")
                    content = core.delta_xor_decode(content, before[name])
                by_name[name] = content
            return self.joined(by_name)

    return Ptwm


peer.serve(f"ptwm@{VERSION}:method=auto,tensors", load)
