#!/usr/bin/env python3
"""How small a checkpoint can get against its base, if it is coded as ULP differences: the bound of a stated model.

    pair_bound.py BASE FILE              one pair of safetensors files
    pair_bound.py --older OLDER BASE FILE    the same, and what the step from OLDER to BASE tells
    pair_bound.py --manifest [ID ...]    pairs of datasets/manifest.json whose files are there: all, or those below ID
    pair_bound.py --rows FILE [ID ...]   the same pairs against the bounds in rows of `mithril bench`: exit status 1 where one is off by 0.1 %

Elements are mapped to integers in the order of their values and subtracted modulo 2^width, as in docs/transforms.md
(delta-ulp). In the model a symbol is a difference from -127 to 127 or an escape, which adds the whole element in raw
bits; an ideal coder spends the empirical entropy of the symbols of each context, and nothing on tables, headers or
states. Contexts, from the bound that counts to what it is worth to leave something out:

    tensor+exponent   the tensor and the exponent field of the base's element
    exponent          that exponent alone, all tensors of one dtype pooled
    tensor            the tensor alone
    none              the dtype alone

With an older checkpoint there is one more, tensor+exponent+direction: as the first, and by how many steps the base's element lies
above or below its counterpart there, -3 .. 3, farther ones as those. A tensor without such a counterpart counts as in the first.

Integers have no exponent. A tensor without a counterpart of equal name, dtype and shape counts in raw bits. Needs numpy
and nothing else: it shares no line with the harness, whose bound it is there to check.
"""

import argparse
import json
import os
import sys

import numpy as np

MAX_STEP = 127
ESCAPE = MAX_STEP + 1
N_SYMBOLS = 256  # -127 .. 127 and the escape
MOST_OFF_PERCENT = 0.1  # of the bound in a row
CONTEXTS = ("tensor+exponent", "exponent", "tensor", "none")
DIRECTED = "tensor+exponent+direction"  # with an older checkpoint
MAX_DISTANCE = 3

# dtype -> bits of an element, of its mantissa, of its exponent; integers have neither.
FLOATS = {"F64": (64, 52, 11), "F32": (32, 23, 8), "F16": (16, 10, 5), "BF16": (16, 7, 8),
          "F8_E4M3": (8, 3, 4), "F8_E5M2": (8, 2, 5)}
INTEGERS = {"I64": 64, "I32": 32, "I16": 16, "I8": 8, "U64": 64, "U32": 32, "U16": 16, "U8": 8, "BOOL": 8}


class Unfit(Exception):
    """A file that this script can not use, in one line."""


def read_safetensors(path):
    """{name: (dtype, shape, bits as unsigned integers)}; tensors stay on disk until they are used."""
    n_file_bytes = os.path.getsize(path)
    with open(path, "rb") as file:
        n_header_bytes = int.from_bytes(file.read(8), "little")
        if n_file_bytes < 8 or n_header_bytes > n_file_bytes - 8:
            raise Unfit(f"{path}: no safetensors file")
        header = json.loads(file.read(n_header_bytes))
    header.pop("__metadata__", None)
    tensors = {}
    for name, entry in header.items():
        dtype, (begin, end) = entry["dtype"], entry["data_offsets"]
        n_bits = FLOATS[dtype][0] if dtype in FLOATS else INTEGERS.get(dtype)
        if n_bits is None:
            raise Unfit(f"{path}: {name}: dtype {dtype} has no difference here")
        n_elems = int(np.prod(entry["shape"], dtype=np.int64))
        if end - begin != n_elems * n_bits // 8 or 8 + n_header_bytes + end > n_file_bytes:
            raise Unfit(f"{path}: {name}: offsets do not fit its shape or the file")
        bits = np.fromfile(path, f"<u{n_bits // 8}", n_elems, offset=8 + n_header_bytes + begin)
        tensors[name] = (dtype, tuple(entry["shape"]), bits)
    return tensors


def in_order(bits, n_bits):
    """Sign and magnitude to integers that grow with the value: flip all bits of negatives, the sign of the others."""
    sign = bits.dtype.type(1 << (n_bits - 1))
    return bits ^ np.where(bits & sign, ~bits.dtype.type(0), sign)


def symbols(dtype, base, bits):
    """0 .. 254 for the differences -127 .. 127, 255 for an escape."""
    n_bits = bits.dtype.itemsize * 8
    if dtype in FLOATS:
        base, bits = in_order(base, n_bits), in_order(bits, n_bits)
    difference = (bits - base).view(f"<i{n_bits // 8}")
    # -MAX_STEP - 1 is the smallest byte, so that clipping to it is safe in every width.
    clipped = np.clip(difference, -ESCAPE, MAX_STEP).astype(np.int16)
    is_escape = (difference > MAX_STEP) | (difference < -MAX_STEP)
    return np.where(is_escape, N_SYMBOLS - 1, clipped + MAX_STEP)


def exponents(dtype, base):
    if dtype not in FLOATS:
        return np.zeros(base.shape, np.int64)
    _, n_mantissa_bits, n_exponent_bits = FLOATS[dtype]
    return ((base >> base.dtype.type(n_mantissa_bits)) & base.dtype.type((1 << n_exponent_bits) - 1)).astype(np.int64)


def joint_counts(dtype, base, bits):
    """How often each symbol (column) meets each exponent of the base (row)."""
    n_exponents = 1 << FLOATS[dtype][2] if dtype in FLOATS else 1
    keys = exponents(dtype, base) * N_SYMBOLS + symbols(dtype, base, bits)
    return np.bincount(keys, minlength=n_exponents * N_SYMBOLS).reshape(n_exponents, N_SYMBOLS)


def directed_counts(dtype, older, base, bits):
    """The same by exponent and direction: how many steps, 3 at most either way, the base lies above the older element."""
    n_bits = bits.dtype.itemsize * 8
    of = (older, base) if dtype not in FLOATS else (in_order(older, n_bits), in_order(base, n_bits))
    distance = np.clip((of[1] - of[0]).view(f"<i{n_bits // 8}"), -MAX_DISTANCE, MAX_DISTANCE).astype(np.int64)
    n_exponents, n_directions = 1 << FLOATS[dtype][2] if dtype in FLOATS else 1, 2 * MAX_DISTANCE + 1
    keys = (exponents(dtype, base) * n_directions + distance + MAX_DISTANCE) * N_SYMBOLS + symbols(dtype, base, bits)
    n_rows = n_exponents * n_directions
    return np.bincount(keys, minlength=n_rows * N_SYMBOLS).reshape(n_rows, N_SYMBOLS)


def entropy_bits(counts):
    """Bits to code all symbols, each row by a code of its own."""
    totals = counts.sum(axis=1, keepdims=True)
    used = counts > 0
    p = np.divide(counts, totals, where=used, out=np.ones(counts.shape))
    return float(-(counts * np.log2(p)).sum()) + 0.0


def pair_bound(base_tensors, tensors, older_tensors=None):
    """A record of one pair: what changed, and the ratio that each context allows."""
    coded = dict.fromkeys(CONTEXTS if older_tensors is None else (*CONTEXTS, DIRECTED), 0.0)
    pooled = {}
    n_raw_bits = n_unmatched_bits = n_elems = n_changed = n_escapes = escape_bits = 0
    unmatched = []
    for name, (dtype, shape, bits) in tensors.items():
        n_raw_bits += bits.size * bits.dtype.itemsize * 8
        n_elems += bits.size
        base_dtype, base_shape, base = base_tensors.get(name, (None, None, None))
        if (base_dtype, base_shape) != (dtype, shape):
            unmatched.append(name)
            n_unmatched_bits += bits.size * bits.dtype.itemsize * 8
            n_changed += bits.size
            continue
        counts = joint_counts(dtype, base, bits)
        n_changed += int(np.count_nonzero(base != bits))
        tensor_escapes = int(counts[:, -1].sum())
        n_escapes += tensor_escapes
        escape_bits += tensor_escapes * bits.dtype.itemsize * 8
        coded["tensor+exponent"] += entropy_bits(counts)
        if older_tensors is not None:
            older_dtype, older_shape, older = older_tensors.get(name, (None, None, None))
            is_there = (older_dtype, older_shape) == (dtype, shape)
            coded[DIRECTED] += entropy_bits(directed_counts(dtype, older, base, bits) if is_there else counts)
        coded["tensor"] += entropy_bits(counts.sum(axis=0, keepdims=True))
        pooled[dtype] = pooled.get(dtype, 0) + counts
    for counts in pooled.values():
        coded["exponent"] += entropy_bits(counts)
        coded["none"] += entropy_bits(counts.sum(axis=0, keepdims=True))
    bounds = {}
    for context, n_bits in coded.items():
        total_bits = n_bits + escape_bits + n_unmatched_bits
        bounds[context] = n_raw_bits / total_bits if total_bits > 0 else None
    return {"n_tensors": len(tensors), "unmatched": unmatched, "n_elements": n_elems, "raw_bytes": n_raw_bits // 8,
            "n_changed": n_changed, "fraction_changed": n_changed / n_elems if n_elems else 0.0,
            "n_escapes": n_escapes, "bound_ratio": bounds}


def manifest_pairs(path, ids):
    """(id, steps apart, base, file) of the safetensors pairs of a manifest whose files are there; those with an older base are not among them."""
    for id_, steps_apart, base, file, older in manifest_entries(path, ids):
        if not older:
            yield id_, steps_apart, base, file


def manifest_entries(path, ids):
    """(id, steps apart, base, file, older or None) of all safetensors pairs of a manifest whose files are there."""
    root = os.path.dirname(os.path.dirname(os.path.abspath(path)))
    with open(path, encoding="utf-8") as file:
        datasets = json.load(file)["datasets"]
    for dataset in datasets:
        for pair in dataset.get("pairs") or []:
            names = [os.path.join(root, pair[key]) for key in ("base", "file", "older") if key in pair]
            is_wanted = not ids or any(pair["id"] == i or pair["id"].startswith(i + "/") for i in ids)
            if is_wanted and all(n.endswith(".safetensors") and os.path.exists(n) for n in names):
                yield pair["id"], pair.get("steps_apart"), names[0], names[1], names[2] if len(names) > 2 else None


def ratio_text(ratio):
    return f"{ratio:.3f}" if ratio else "-"


def print_text(name, steps_apart, record):
    first, *others = (ratio_text(record["bound_ratio"][c]) for c in CONTEXTS)
    print(f"{name:32} {steps_apart or '-':>5} {record['n_elements']:9} {100 * record['fraction_changed']:7.3f} % "
          f"{record['n_escapes']:8} {first:>15} {' '.join(f'{o:>10}' for o in others)}")
    if DIRECTED in record["bound_ratio"]:
        print(f"  {DIRECTED}: {ratio_text(record['bound_ratio'][DIRECTED])}")
    if record["unmatched"]:
        print(f"  without a counterpart, raw: {len(record['unmatched'])} tensors, first {record['unmatched'][0]}")


def print_markdown(name, steps_apart, record):
    first, *others = (ratio_text(record["bound_ratio"][c]) for c in CONTEXTS)
    print(f"| `{name}` | {steps_apart or '-'} | {record['n_elements']:,} | {100 * record['fraction_changed']:.2f} % | "
          f"{record['n_escapes']:,} | **{first}** | {' | '.join(others)} |")


def row_bits(path):
    """{id: (model, bits)} of rows: their ratio counts the header of the file among the raw bytes, the bits do not."""
    found = {}
    with open(path, encoding="utf-8") as file:
        for row in map(json.loads, file):
            if row["kind"] == "cell" and row.get("bound_ratio"):
                found[row["dataset"]] = (row["bound_model"], row["raw_bytes"] * 8 / row["bound_ratio"])
    return found


def compare_with_rows(pairs, rows):
    """Prints a line a pair; the number that is off."""
    n_off = n_compared = 0
    for name, _, base_path, path, older_path in pairs:
        model, theirs = rows.get(name, (None, 0))
        if model is None:
            continue
        older = read_safetensors(older_path) if older_path else None
        record = pair_bound(read_safetensors(base_path), read_safetensors(path), older)
        ours = record["raw_bytes"] * 8 / record["bound_ratio"][DIRECTED if older_path else "tensor+exponent"]
        off = 100 * (theirs / ours - 1)
        # Where another model charges less, the row has that one.
        is_ours = model == ("ulp-given-exponent-and-direction" if older_path else "ulp-given-exponent")
        is_right = abs(off) <= MOST_OFF_PERCENT if is_ours else off < 0
        n_compared += 1
        n_off += not is_right
        print(f"{name:32} {theirs:16.1f} {ours:16.1f} bits {off:+9.4f} % {'' if model == 'ulp-given-exponent' else model} "
              f"{'' if is_right else 'OFF'}".rstrip(), flush=True)
    if n_compared == 0:
        raise Unfit("no row is of a pair that is here")
    print(f"{n_compared - n_off} of {n_compared} pairs agree within {MOST_OFF_PERCENT} %")
    return n_off


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--manifest", action="store_true", help="the arguments are ids of pairs or datasets")
    parser.add_argument("--manifest-file", help="another manifest than datasets/manifest.json", metavar="FILE")
    parser.add_argument("--rows", help="compare with the bounds of these rows", metavar="FILE")
    parser.add_argument("--json", action="store_true", help="one JSON object a pair")
    parser.add_argument("--markdown", action="store_true", help="one line of a table a pair")
    parser.add_argument("--older", help="a checkpoint that BASE became out of", metavar="FILE")
    parser.add_argument("names", nargs="*", metavar="BASE FILE | ID", help="a pair of files, or with --manifest ids")
    arguments = parser.parse_args()
    if arguments.manifest or arguments.manifest_file or arguments.rows:
        here = os.path.dirname(os.path.abspath(__file__))
        manifest = arguments.manifest_file or os.path.join(here, "..", "manifest.json")
        pairs = list(manifest_entries(manifest, arguments.names))
        if not pairs:
            raise Unfit("no safetensors pair of the manifest that was asked for has both its files")
    elif len(arguments.names) == 2:
        pairs = [(os.path.basename(arguments.names[1]), None, *arguments.names, arguments.older)]
    else:
        parser.error("give BASE and FILE, or --manifest")
    if arguments.older and (arguments.manifest or arguments.manifest_file or arguments.rows or arguments.markdown):
        parser.error("--older goes with BASE and FILE, and without --markdown")
    if arguments.markdown:
        pairs = [pair for pair in pairs if not pair[4]]
    if arguments.rows:
        return 1 if compare_with_rows(pairs, row_bits(arguments.rows)) else 0
    if not arguments.json and not arguments.markdown:
        print(f"{'pair':32} {'steps':>5} {'elements':>9} {'changed':>9} {'escapes':>8} " +
              " ".join(f"{c:>15}" if c == CONTEXTS[0] else f"{c:>10}" for c in CONTEXTS))
    for name, steps_apart, base_path, path, older_path in pairs:
        older = read_safetensors(older_path) if older_path else None
        record = pair_bound(read_safetensors(base_path), read_safetensors(path), older)
        if arguments.json:
            print(json.dumps({"pair": name, "steps_apart": steps_apart, **record}))
        elif arguments.markdown:
            print_markdown(name, steps_apart, record)
        else:
            print_text(name, steps_apart, record)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (Unfit, OSError, ValueError) as fault:
        sys.exit(f"pair_bound.py: {fault}")
