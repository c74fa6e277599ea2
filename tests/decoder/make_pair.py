#!/usr/bin/env python3
"""Writes two safetensors files, a base and what became of it, with tensors of every width: steps of every size, odd values, changed rows.

usage: make_pair.py BASE NEXT
"""
import json
import random
import sys

WIDTHS = {"BF16": 2, "F16": 2, "F32": 4, "F64": 8, "F8_E4M3": 1, "F8_E5M2": 1, "I8": 1, "U8": 1, "I16": 2, "U16": 2, "I32": 4,
          "U32": 4, "I64": 8, "U64": 8}
MANTISSA = {"BF16": 7, "F16": 10, "F32": 23, "F64": 52, "F8_E4M3": 3, "F8_E5M2": 2}
EXPONENT = {"BF16": 8, "F16": 5, "F32": 8, "F64": 11, "F8_E4M3": 4, "F8_E5M2": 5}

TABLES, ROW = ("table", "table32"), 72


def draw(dtype, bits):
    """An element as trained weights have them; now and then any bits at all."""
    if dtype not in MANTISSA:
        return random.getrandbits(random.randrange(1, bits + 1))
    if random.random() < 0.01:
        return random.getrandbits(bits)
    below = 0
    while random.random() < 0.5 and below < 20:
        below += 1
    exponent = max((1 << EXPONENT[dtype] - 1) - 3 - below, 0)
    return random.getrandbits(1) << bits - 1 | exponent << MANTISSA[dtype] | random.getrandbits(MANTISSA[dtype])


def change(x, bits, row):
    """Most rows stay; in others one element of three moves, by steps of any length."""
    if row % 7 > 2 or random.random() < 0.67:
        return x
    step = random.getrandbits(random.choice([1, 2, 3, 5, 7, 8, 9, bits - 1, bits])) + 1
    return x + random.choice((-step, step)) & (1 << bits) - 1


def write(path, tensors):
    header, at = {}, 0
    for name, (dtype, data) in tensors.items():
        n = len(data) // WIDTHS[dtype]
        shape = [n // ROW, ROW] if name in TABLES else [n]
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [at, at + len(data)]}
        at += len(data)
    text = json.dumps(header).encode()
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text + b"".join(data for _, data in tensors.values()))


def main(base_path, next_path):
    random.seed(1)
    base, after = {}, {}
    for dtype, n_bytes in WIDTHS.items():
        numbers = [draw(dtype, 8 * n_bytes) for _ in range(20011)]
        moved = [change(x, 8 * n_bytes, i // 100) for i, x in enumerate(numbers)]
        for tensors, values in ((base, numbers), (after, moved)):
            tensors[dtype] = dtype, b"".join(x.to_bytes(n_bytes, "little") for x in values)
    # Rows that are no whole number of groups; of those that change, most elements do, mostly towards zero.
    for name, dtype in zip(TABLES, ("BF16", "F32")):
        numbers, bits = [draw(dtype, 8 * WIDTHS[dtype]) for _ in range(400 * ROW)], 8 * WIDTHS[dtype]
        moved = [x - random.choice((1, 1, 1, 2, -1)) & (1 << bits) - 1 if i // ROW % 11 < 3 and random.random() < 0.8 else x
                 for i, x in enumerate(numbers)]
        for tensors, values in ((base, numbers), (after, moved)):
            tensors[name] = dtype, b"".join(x.to_bytes(WIDTHS[dtype], "little") for x in values)
    # More than a block, of which two rows changed, and nothing in the first block.
    numbers = [draw("BF16", 16) for _ in range(4096)]
    large = b"".join(x.to_bytes(2, "little") for x in numbers) * 132
    base["large"] = "BF16", large
    at = len(large) - 5000
    after["large"] = "BF16", large[:at] + bytes(b ^ 1 for b in large[at:at + 200]) + large[at + 200:]
    write(base_path, base)
    write(next_path, after)


if __name__ == "__main__":
    main(*sys.argv[1:])
