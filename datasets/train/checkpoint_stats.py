"""Order-0 statistics of a bf16 checkpoint, or of a pair."""

import numpy as np
import safetensors.torch
import torch


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
