"""bf16 checkpoints: written so that equal weights give equal files, and the order-0 statistics of one or of a pair."""

import json
import os

import numpy as np
import safetensors.torch
import torch


def write_atomic(path, data):
    """The file appears whole or not at all, so an interrupted run leaves no torn file."""
    with open(path + ".part", "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(path + ".part", path)


def encode_bf16(parameters, metadata):
    """The safetensors file of the parameters rounded to bf16, to nearest, ties to even.

    The library writes metadata in the order of a hash map with a random seed. Sorting it changes no length, so the
    header is rewritten in place and the data section stays as the library laid it out.
    """
    tensors = {name: p.detach().to(torch.bfloat16).contiguous() for name, p in parameters}
    encoded = safetensors.torch.save(tensors, metadata)
    n_header_bytes = int.from_bytes(encoded[:8], "little")
    header = json.loads(encoded[8:8 + n_header_bytes])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":")).encode("ascii").ljust(n_header_bytes)
    assert len(text) == n_header_bytes
    return encoded[:8] + text + encoded[8 + n_header_bytes:]


def load_bits(path):
    """All elements of a checkpoint as one array of 16-bit patterns, tensors in name order."""
    tensors = safetensors.torch.load_file(path)
    return np.concatenate([tensors[name].view(torch.int16).numpy().ravel() for name in sorted(tensors)]).view(np.uint16)


def entropy_bits(symbols, n_symbols=256):
    """Order-0 entropy in bits a symbol."""
    counts = np.bincount(symbols, minlength=n_symbols)
    p = counts[counts > 0] / counts.sum()
    return float(-(p * np.log2(p)).sum()) + 0.0


def exponent_bound(bits):
    """(exponent entropy, ratio) of an ideal coder that codes exponents order 0, sign and mantissa (8 bits) raw."""
    entropy = entropy_bits((bits >> 7) & 0xff)
    return entropy, 16 / (entropy + 8)


def xor_bound(base, bits):
    """Ratio of an ideal coder that codes the two byte planes of base xor bits order 0."""
    difference = base ^ bits
    entropy = entropy_bits(difference & 0xff) + entropy_bits(difference >> 8)
    return 16 / entropy if entropy > 0 else None
