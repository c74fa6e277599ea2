"""datasets/train/pair_bound.py against the same bound counted element by element, without numpy."""

import collections
import json
import math
import os
import random
import struct
import subprocess
import sys

# dtype -> bytes of an element, bits of its mantissa; None for integers.
LAYOUTS = {"F64": (8, 52), "F32": (4, 23), "F16": (2, 10), "BF16": (2, 7), "F8_E4M3": (1, 3), "F8_E5M2": (1, 2),
           "I32": (4, None), "U8": (1, None)}


def write_safetensors(path, tensors):
    header, data = {}, b""
    for name, (dtype, values) in tensors.items():
        n_bytes = LAYOUTS[dtype][0]
        part = b"".join(value.to_bytes(n_bytes, "little") for value in values)
        header[name] = {"dtype": dtype, "shape": [len(values)], "data_offsets": [len(data), len(data) + len(part)]}
        data += part
    text = json.dumps(header).encode()
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + data)


def rank(value, n_bits, is_float):
    """The place of a value among all: negatives run backwards from -0, positives forwards from +0."""
    if not is_float:
        return value
    magnitude = value & ((1 << (n_bits - 1)) - 1)
    return -1 - magnitude if value >> (n_bits - 1) else magnitude


def steps_between(old, new, n_bits, is_float):
    step = (rank(new, n_bits, is_float) - rank(old, n_bits, is_float)) % (1 << n_bits)
    return step - (1 << n_bits) if step >= 1 << (n_bits - 1) else step


def by_hand(older, base, tensors):
    names = ("tensor+exponent", "exponent", "tensor", "none", "tensor+exponent+direction")
    contexts = {name: collections.defaultdict(collections.Counter) for name in names}
    n_raw_bits = extra_bits = 0
    for name, (dtype, values) in tensors.items():
        n_bytes, n_mantissa_bits = LAYOUTS[dtype]
        n_bits = 8 * n_bytes
        n_raw_bits += n_bits * len(values)
        if name not in base or base[name][0] != dtype or len(base[name][1]) != len(values):
            extra_bits += n_bits * len(values)
            continue
        for i, (old, new) in enumerate(zip(base[name][1], values)):
            is_float = n_mantissa_bits is not None
            step = steps_between(old, new, n_bits, is_float)
            direction = "none"
            if name in older:
                direction = max(-3, min(3, steps_between(older[name][1][i], old, n_bits, is_float)))
            if abs(step) > 127:
                step = "escape"
                extra_bits += n_bits
            exponent = (old & ((1 << (n_bits - 1)) - 1)) >> n_mantissa_bits if is_float else 0
            for context, key in (("tensor+exponent", (name, exponent)), ("exponent", (dtype, exponent)),
                                 ("tensor", name), ("none", dtype),
                                 ("tensor+exponent+direction", (name, exponent, direction))):
                contexts[context][key][step] += 1
    ratios = {}
    for context, counters in contexts.items():
        coded = sum(n * math.log2(counter.total() / n) for counter in counters.values() for n in counter.values())
        ratios[context] = n_raw_bits / (coded + extra_bits)
    return ratios


def random_pair(seed):
    """Every kind of element and of move: none, near, far, across zero, any bit pattern."""
    draw = random.Random(seed)
    base, tensors = {}, {}
    for dtype, (n_bytes, _) in LAYOUTS.items():
        for part in range(2):
            n_bits = 8 * n_bytes
            old = [draw.getrandbits(n_bits) if draw.random() < 0.5 else draw.randrange(64) for _ in range(300)]
            new = []
            for value in old:
                move = draw.random()
                new.append(value if move < 0.5 else (value + draw.choice((-130, -129, -128, -127, -2, -1, 1, 127, 128)))
                           % (1 << n_bits) if move < 0.8 else value ^ (1 << (n_bits - 1)) if move < 0.9
                           else draw.getrandbits(n_bits))
            base[f"{dtype}.{part}"], tensors[f"{dtype}.{part}"] = (dtype, old), (dtype, new)
    tensors["grown"] = ("BF16", [1, 2, 3])
    base["grown"] = ("BF16", [1, 2])
    tensors["new"] = ("F32", [7])
    return base, tensors


def run(script, *arguments):
    return subprocess.run([sys.executable, script, *arguments], capture_output=True, text=True, check=False)


def main():
    script, folder = sys.argv[1:]
    paths = [os.path.join(folder, name) for name in ("base.safetensors", "new.safetensors")]
    older_path = os.path.join(folder, "older.safetensors")
    is_same = is_told = True
    for seed in range(8):
        base, tensors = random_pair(seed)
        # The older one is a step before too, and lacks a tensor.
        older = {name: (dtype, [(2 * b - x) % (1 << 8 * LAYOUTS[dtype][0]) for b, x in zip(values, tensors[name][1])])
                 for name, (dtype, values) in base.items() if name != "F32.1"}
        for path, content in zip((older_path, *paths), (older, base, tensors)):
            write_safetensors(path, content)
        record = json.loads(run(script, "--json", "--older", older_path, *paths).stdout)
        for context, ratio in by_hand(older, base, tensors).items():
            is_same &= abs(record["bound_ratio"][context] / ratio - 1) < 1e-9
        is_told &= record["unmatched"] == ["grown", "new"]
    print("ok" if is_same else "not ok", "bound_is_the_one_counted_by_hand_in_every_dtype")
    print("ok" if is_told else "not ok", "tensors_without_a_counterpart_are_told_and_count_raw")
    with open(paths[1], "r+b") as file:
        file.truncate(5)
    refusal = run(script, *paths)
    is_line = refusal.returncode == 1 and refusal.stderr.count("\n") == 1 and paths[1] in refusal.stderr
    print("ok" if is_line else "not ok", "a_file_that_is_none_is_refused_in_one_line")
    return 0 if is_same and is_told and is_line else 1


sys.exit(main())
