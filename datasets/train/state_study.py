#!/usr/bin/env python3
"""What of a training state follows from an earlier one, k steps before: bits a value of w, m and v, over contexts.

    state_study.py BASE.pt STATE.pt...      each of these against the first
    state_study.py --tsv BASE.pt STATE.pt...

A value is coded as a residual in steps of the last place from what is predicted of it: the symbol is its sign and its size in half
octaves, which costs the empirical entropy of its context; the bits below are raw. A context is a class of each element and its tensor;
tables cost nothing. So these are bounds of models, not sizes of files. docs/states.md has what came out.
"""

import sys

import numpy as np
import torch

EPS = 1e-8
MIN_ELEMS = 4096


def load(path):
    """Per parameter w, m, v as fp32, and the step, the betas, rate and decay of its group."""
    state = torch.load(path, map_location="cpu", weights_only=True)
    weights = list(state["masters"].values() if state.get("masters") else state["model"].values())
    optimizer, by_shape, parameters = state["optimizer"], {}, []
    for group in optimizer["param_groups"]:
        for i in group["params"]:
            of = optimizer["state"][i]
            parameters.append((of["exp_avg"].numpy(), of["exp_avg_sq"].numpy(), float(of["step"]), group))
    for w in weights:
        by_shape.setdefault(tuple(w.shape), []).append(w.numpy())
    out = []
    for m, v, step, group in parameters:
        w = by_shape[m.shape].pop(0)
        if m.size >= MIN_ELEMS:
            out.append((w.ravel(), m.ravel(), v.ravel(), step, group))
    return out


def ordered(x):
    """Bits of fp32 values as integers in the order of the values."""
    bits = np.ascontiguousarray(x, np.float32).view(np.int32).astype(np.int64)
    return np.where(bits < 0, -(bits & 0x7fffffff), bits)


def half_octave(x):
    """Of a magnitude: floor(2 * log2), clipped."""
    with np.errstate(divide="ignore"):
        return np.clip(np.floor(2 * np.log2(np.maximum(np.abs(x), 1e-45))), -320, 320).astype(np.int64)


def entropy(symbols, contexts):
    """Bits in all of symbols given their contexts."""
    symbols, contexts = np.unique(symbols, return_inverse=True)[1], np.unique(contexts, return_inverse=True)[1]
    joint = np.bincount(contexts * (symbols.max() + 1) + symbols)
    total = np.bincount(contexts)
    joint = joint[joint > 0]
    return float((total * np.log2(np.maximum(total, 1))).sum() - (joint * np.log2(joint)).sum())


def residual_bits(actual, predicted, contexts, folds=True):
    """Steps from a prediction: sign and half octave of the count given a context, the rest raw."""
    d = ordered(actual) - ordered(predicted)
    size = np.abs(d)
    octave = np.where(size > 0, np.floor(np.log2(np.maximum(size, 1))), -1).astype(np.int64)
    half = np.where(octave > 0, size >> np.maximum(octave - 1, 0) & 1, 0)
    symbol = (octave + 1) * 4 + half * 2 + (d < 0)
    return entropy(symbol, contexts) + float(np.maximum(octave - 1, 0).sum())


def relative_bits(actual, anchor, sign, contexts):
    """Sign and half octave of a value relative to those of an anchor, given a context; 22 bits raw."""
    bits = np.ascontiguousarray(actual, np.float32).view(np.uint32).astype(np.int64)
    symbol = ((bits >> 22 & 0x1ff) - anchor) * 2 + (bits >> 31 ^ sign)
    return entropy(symbol, contexts) + 22.0 * actual.size


def field(x):
    """Exponent and first bit of the mantissa, as the transforms of moments see them."""
    return np.ascontiguousarray(x, np.float32).view(np.uint32).astype(np.int64) >> 22 & 0x1ff


def exponent(x):
    return np.ascontiguousarray(x, np.float32).view(np.uint32).astype(np.int64) >> 23 & 0xff


def sign(x):
    return np.ascontiguousarray(x, np.float32).view(np.uint32).astype(np.int64) >> 31


def xor_bytes(actual, base):
    x = np.ascontiguousarray(actual, np.float32).view(np.uint32) ^ np.ascontiguousarray(base, np.float32).view(np.uint32)
    return sum(entropy((x >> shift & 0xff).astype(np.int64), np.zeros(x.size, np.int64)) for shift in (0, 8, 16, 24))


def ratio(m, v):
    return m / (np.sqrt(v) + EPS)


def study(base, state):
    """name -> bits in all, and how many values of each kind there are."""
    bits, n = {}, 0

    def add(name, value):
        bits[name] = bits.get(name, 0.0) + value

    for (w0, m0, v0, t0, _), (w1, m1, v1, t1, group) in zip(base, state):
        k, n = t1 - t0, n + w0.size
        beta1, beta2 = group["betas"]
        none = np.zeros(w0.size, np.int64)
        f = np.float32
        with np.errstate(all="ignore"):
            # Weights.
            bias0, bias1 = [np.sqrt(1 - beta2 ** t) / (1 - beta1 ** t) for t in (t0, t1)]
            before, after = ratio(m0, v0) * bias0, ratio(m1, v1) * bias1
            shrunk = (w0 * f(1 - group["lr"] * group["weight_decay"]) ** f(k)).astype(f)
            change = (w1 - shrunk).astype(np.float64)
            both = np.stack([before, after], 1).astype(np.float64)
            coefficients = np.linalg.lstsq(both, change, rcond=None)[0]
            fitted = (shrunk + (both @ coefficients)).astype(f)
            alone = (after.astype(np.float64) @ change) / max(after.astype(np.float64) @ after, 1e-300)
            fitted1 = (shrunk + after * f(alone)).astype(f)
            add("w: xor, bytes", xor_bytes(w1, w0))
            add("w: steps from w0, given its exponent", residual_bits(w1, w0, exponent(w0)))
            add("w: steps from w0 - a u1, given its exponent", residual_bits(w1, fitted1, exponent(fitted1)))
            add("w: steps from w0 - a u0 - b u1, given its exponent", residual_bits(w1, fitted, exponent(fitted)))
            apart = np.clip(half_octave(after - before) + 4, 0, 7)
            add("w: the same, and how far u1 is from u0", residual_bits(w1, fitted, exponent(fitted) * 8 + apart))
            add("w: the same, and the second exponent bits", residual_bits(w1, fitted, field(fitted) * 8 + apart))
            add("R2 of the change of w", (1 - (change - both @ coefficients).var() / change.var()) * w0.size)
            # First moments.
            stays = f(beta1 ** k)
            p = (stays * m0).astype(f)
            root = field(v0) + 254 >> 1
            spread = np.sqrt((1 - beta1) / (1 + beta1) * (1 - beta1 ** (2 * k)))
            scale = root + int(half_octave(np.float64(spread)))
            kind = np.clip(field(p) - scale + 5, 0, 12)
            anchor = np.where(kind == 0, scale, field(p))
            add("m: xor, bytes", xor_bytes(m1, m0))
            add("m: steps from m0, given its exponent", residual_bits(m1, m0, exponent(m0)))
            add("m: sign and size given those of root of v0", relative_bits(m1, root, none, none))
            add("m: sign and size relative to beta1^k m0, by class", relative_bits(m1, anchor, sign(p), kind))
            add("m: steps from beta1^k m0, by class and exponent", residual_bits(m1, p, kind * 512 + field(p)))
            expected = field(np.sqrt(p.astype(np.float64) ** 2 + spread ** 2 * v0))
            add("m: sign and size relative to what is expected, by class", relative_bits(m1, expected, sign(p), kind))
            # Second moments.
            left = (f(beta2 ** k) * v0).astype(f)
            new = np.abs(m1 - p) / (np.sqrt(v0) * spread + 1e-30)
            told = np.clip(half_octave(new) + 8, 0, 15)
            add("v: xor, bytes", xor_bytes(v1, v0))
            add("v: steps from v0, given its exponent", residual_bits(v1, v0, exponent(v0)))
            add("v: steps from beta2^k v0", residual_bits(v1, left, none))
            add("v: steps from beta2^k v0, given its exponent", residual_bits(v1, left, exponent(left)))
            add("v: steps from beta2^k v0, given what m tells", residual_bits(v1, left, told))
            add("v: given what m tells and first bits of v0", residual_bits(v1, left, told * 8 + (field(left) & 1) * 4))
            m_share = ((1 - beta2) / (1 - beta1)) * (m1 - p) ** 2 / (1 - beta1)
            guess = (left + f(1) * np.minimum(m_share, v0)).astype(f)
            add("v: steps from that and what m tells of g^2, by class", residual_bits(v1, guess, told))
            add("v: sign and size given those of beta2^k v0", relative_bits(v1, field(left), none, told))
    return bits, n


def main():
    arguments = sys.argv[1:]
    as_tsv = arguments[:1] == ["--tsv"]
    base, *states = arguments[as_tsv:]
    base = load(base)
    columns = []
    for path in states:
        state = load(path)
        bits, n = study(base, state)
        columns.append((int(state[0][3] - base[0][3]), {name: value / n for name, value in bits.items()}))
    print("\t".join(["context"] + [f"k={k}" for k, _ in columns]))
    for name in columns[0][1]:
        print("\t".join([name] + [f"{of[name]:.3f}" for _, of in columns]) if as_tsv else
              f"{name:58}" + "".join(f"{of[name]:9.3f}" for _, of in columns))


if __name__ == "__main__":
    main()
