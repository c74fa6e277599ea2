#!/usr/bin/env python3
"""Does each preset of a published method reach what that method reaches? `make check-presets` runs it.

    check_presets.py [--markdown FILE] [ID ...]    entries of the manifest, or all below them; without: DEFAULT_IDS

For every preset named here a second calculation, from the paper or the original tool, on the same tensors; it shares no
line with mithril. Its bytes count what a decoder needs: streams, tables, sizes of streams, the file's header by zstd. The
preset's are those of the container that `mithril compress` writes and verifies, and without what the container alone takes
(index, digests, names): of a pair, what is written when nothing has changed. A preset is off when the ratio of its coding is
farther below than LIMITS says.

Ends with 1 when a preset is off, with 5 when there is nothing to measure.
"""

import argparse
import heapq
import json
import os
import subprocess
import sys
import tempfile

import numpy as np
import zstandard

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(ROOT, "datasets", "train"))
import pair_bound  # noqa: E402  reads safetensors

DEFAULT_IDS = ("tiny-gpt", "small-gpt", "small-gpt/fp32", "small-gpt/pretrain-1", "small-gpt/pretrain-10", "small-gpt/fp32-1",
               "gpt-finetune", "gpt-pretrain/late-1", "gpt-pretrain/late-10", "gpt-pretrain/middle-1",
               "gpt-frozen/backbone-1", "gpt-tied/pretrain-1")
PRESETS = ("seed", "lmc", "zipnn", "bitx", "sparse-sync")
LIMITS = {"zipnn": 1.0}  # percent, where the original tool was run
LIMIT = 3.0
WIDTHS = {"F32": 4, "BF16": 2, "F16": 2}
LMC_BLOCK = 1 << 16


def zstd(data, level=3):
    return zstandard.ZstdCompressor(level=level).compress(bytes(data))


def planes(bits):
    """Byte i of every element, for each i."""
    width = bits.dtype.itemsize
    return [np.ascontiguousarray(bits.view(np.uint8).reshape(-1, width)[:, i]) for i in range(width)]


class Checkpoint:
    """The tensors of a file, or their xor with those of a base, of one dtype."""

    def __init__(self, path, base_path):
        tensors = pair_bound.read_safetensors(path)
        base = pair_bound.read_safetensors(base_path) if base_path else {}
        dtypes = {dtype for dtype, _, _ in tensors.values()}
        if len(dtypes) != 1 or not dtypes <= set(WIDTHS):
            raise pair_bound.Unfit(f"{path}: dtypes {', '.join(sorted(dtypes))}: this calculation takes one of {', '.join(WIDTHS)}")
        if base and {name: t[:2] for name, t in tensors.items()} != {name: t[:2] for name, t in base.items()}:
            raise pair_bound.Unfit(f"{path}: its base has other tensors")
        self.dtype = dtypes.pop()
        self.raw_bytes = os.path.getsize(path)
        with open(path, "rb") as file:
            head = file.read(8)
            self.header = head + file.read(int.from_bytes(head, "little"))
        self.names = list(tensors)
        self.shapes = [tensors[name][1] for name in self.names]
        self.new = [np.array(tensors[name][2]) for name in self.names]
        self.base = [np.array(base[name][2]) for name in self.names] if base else None
        # What the methods but sparse-sync code.
        self.coded = [n ^ b for n, b in zip(self.new, self.base)] if base else self.new
        self.whole = np.concatenate(self.coded)

    def header_bytes(self):
        return len(zstd(self.header))


def seed(checkpoint):
    """Planes of the whole checkpoint by zstd -3, a size before each."""
    return sum(8 + len(zstd(plane)) for plane in planes(checkpoint.whole))


def huffman_bits(counts):
    """What Huffman's code takes for these counts, and how many symbols there are."""
    heap = [int(count) for count in counts if count]
    n_symbols, bits = len(heap), 0
    if n_symbols == 1:
        return heap[0], 1
    heapq.heapify(heap)
    while len(heap) > 1:
        both = heapq.heappop(heap) + heapq.heappop(heap)
        bits += both
        heapq.heappush(heap, both)
    return bits, n_symbols


def huffman_bytes(symbols):
    """A block by Huffman: a bit for each of 256 symbols and 4 for the length of each that occurs, or stored, if smaller."""
    if symbols.size == 0:
        return 1
    counts = np.bincount(symbols, minlength=256)
    if counts.max() == symbols.size:
        return 2
    bits, n_symbols = huffman_bits(counts)
    return 1 + min(symbols.size, (256 + 4 * n_symbols + bits + 7) // 8)


def run_length_bytes(block):
    """Runs of the block's commonest byte and the bytes between them: both by Huffman, runs by their bit length, as DEFLATE
    codes its distances, or byte by byte."""
    common = np.bincount(block, minlength=256).argmax()
    at = np.flatnonzero(block != common)
    if at.size == 0 or at.size > block.size // 2:
        return 1 << 62
    runs = np.diff(at, prepend=-1) - 1
    lengths = np.zeros(runs.size, np.uint8)
    lengths[runs > 0] = np.floor(np.log2(runs[runs > 0])).astype(np.uint8) + 1
    by_length = huffman_bytes(lengths) + (int(np.maximum(lengths.astype(np.int64) - 1, 0).sum()) + 7) // 8
    by_byte = huffman_bytes(np.concatenate([np.full(int((runs // 255).sum()), 255, np.uint8), (runs % 255).astype(np.uint8)]))
    return 2 + min(by_length, by_byte) + huffman_bytes(block[at])


def lmc(checkpoint):
    """Byte groups, blocks of 64 KiB, Huffman with or without run lengths, whichever is smaller; a size a block."""
    total = 0
    for plane in planes(checkpoint.whole):
        for begin in range(0, plane.size, LMC_BLOCK):
            block = plane[begin:begin + LMC_BLOCK]
            total += 2 + min(huffman_bytes(block), run_length_bytes(block))
    return total


def zipnn(checkpoint):
    """ZipNN itself: its C core as its Python class calls it, on the tensors behind one another."""
    import zipnn_core

    # Groups, whether bits are reordered, how bytes are: as for float32 and bfloat16 in the package; fp16 has no exponent apart.
    groups, bit_reorder, byte_reorder = {"BF16": (2, 1, 10), "F16": (2, 0, 10), "F32": (4, 1, 220)}[checkpoint.dtype]
    data = bytearray(checkpoint.whole.tobytes())
    core = zipnn_core.zipnn_core(bytearray(32), data, groups, bit_reorder, byte_reorder, 0, 256 << 10, 0.95, 10, 1)
    return len(core)


def bitx(checkpoint):
    """Tensor by tensor, exponents of the xor and the rest of it by zstd -3, and a size; alone ZipNN, as the paper has it."""
    if checkpoint.base is None:
        return zipnn(checkpoint)
    total = 0
    for xor in checkpoint.coded:
        if checkpoint.dtype == "BF16":
            streams = [(xor >> 7 & 0xff).astype(np.uint8), (xor >> 8 & 0x80 | xor & 0x7f).astype(np.uint8)]
        elif checkpoint.dtype == "F32":
            rest = (xor >> 8 & 0x800000 | xor & 0x7fffff).astype("<u4")
            streams = [(xor >> 23 & 0xff).astype(np.uint8), np.ascontiguousarray(rest.view(np.uint8).reshape(-1, 4)[:, :3])]
        else:
            raise pair_bound.Unfit("nothing is published for this dtype")
        total += 8 + sum(len(zstd(stream.tobytes())) for stream in streams)
    return total


def smallest(numbers):
    """The narrowest unsigned integers that hold them, as bytes."""
    top = int(numbers.max(initial=0))
    return numbers.astype(np.uint8 if top < 1 << 8 else "<u2" if top < 1 << 16 else "<u4").tobytes()


def leb128_bytes(numbers):
    pieces, left = [], numbers.astype(np.uint64)
    order = np.arange(left.size)
    keys, values = [], []
    step = 0
    while left.size:
        more = left >> np.uint64(7) > 0
        values.append(((left & np.uint64(0x7f)) | (more.astype(np.uint64) << np.uint64(7))).astype(np.uint8))
        keys.append(order * 10 + step)
        left, order, step = left[more] >> np.uint64(7), order[more], step + 1
    return np.concatenate(values)[np.argsort(np.concatenate(keys), kind="stable")].tobytes() if values else b""


def sparse_sync(checkpoint):
    """Indices and values of what changed, three ways that systems send them, and the smallest of those:
    rows and columns as differences in narrow integers, tensor by tensor, all of it by zstd -1 (PULSE, format 3.1);
    gaps in narrow integers, then values, by zstd -3 each; gaps in LEB128, likewise. A count a tensor."""
    pulse, gaps_all, leb_all, values_all = [], [], [], []
    for shape, new, base in zip(checkpoint.shapes, checkpoint.new, checkpoint.base):
        at = np.flatnonzero(new != base)
        n_columns = max(1, int(np.prod(shape[1:], dtype=np.int64)))
        rows, columns = at // n_columns, at % n_columns
        row_steps = np.diff(rows, prepend=0)
        same = np.concatenate(([False], row_steps[1:] == 0))[:at.size]
        column_steps = np.where(same, np.diff(columns, prepend=0), columns)
        values = new[at].tobytes()
        pulse += [smallest(row_steps), smallest(column_steps), values]
        gaps = np.diff(at, prepend=-1) - 1
        gaps_all.append(smallest(gaps))
        leb_all.append(leb128_bytes(gaps))
        values_all.append(values)
    counts = 4 * len(checkpoint.names)
    values = len(zstd(b"".join(values_all)))
    return {"PULSE": counts + len(zstd(b"".join(pulse), 1)),
            "narrow gaps": counts + len(zstd(b"".join(gaps_all))) + values,
            "LEB128 gaps": counts + len(zstd(b"".join(leb_all))) + values}


CALCULATIONS = {"seed": seed, "lmc": lmc, "zipnn": zipnn, "bitx": bitx, "sparse-sync": sparse_sync}


def stored_bytes(mithril, preset, path, base_path):
    """Of the container, which mithril has restored and compared."""
    with tempfile.TemporaryDirectory() as folder:
        command = [mithril, "compress", "-q", "-p", preset, "-o", os.path.join(folder, "out.mth"), "--json", "-", path]
        done = subprocess.run(command + (["--base", base_path] if base_path else []), check=True, capture_output=True, text=True)
    row = json.loads(done.stdout)
    assert row["verified"] is True
    return row["stored_bytes"]


def entries(manifest_path, wanted):
    """(id, path, base's path or None) of what is there."""
    with open(manifest_path, encoding="utf-8") as file:
        manifest = json.load(file)
    found = []
    for dataset in manifest["datasets"]:
        for entry in dataset.get("checkpoints", []):
            found.append((entry["id"], entry["file"], None))
        for entry in (entry for entry in dataset.get("pairs", []) if "older" not in entry):
            found.append((entry["id"], entry["file"], entry["base"]))
    for id_, path, base in found:
        if any(id_ == want or id_.startswith(want + "/") for want in wanted) and path.endswith(".safetensors"):
            paths = [os.path.join(ROOT, p) for p in (path, base) if p]
            if all(os.path.exists(p) for p in paths):
                yield id_, paths[0], paths[1] if base else None


def lines_of(mithril, id_, path, base_path):
    """(id, preset, its ratio, the other ratio, difference in percent, that of the coding alone, the other's name, verdict)."""
    checkpoint = Checkpoint(path, base_path)
    for preset in PRESETS:
        if preset == "sparse-sync" and base_path is None:
            continue
        other = CALCULATIONS[preset](checkpoint)
        how = "ZipNN" if preset == "zipnn" or preset == "bitx" and base_path is None else "calculated"
        if isinstance(other, dict):
            how, other = min(other.items(), key=lambda item: item[1])
        header = checkpoint.header_bytes()
        ours = stored_bytes(mithril, preset, path, base_path)
        # Of a file alone the container's own parts are below 0.1 %.
        container = stored_bytes(mithril, preset, base_path, base_path) if base_path else 0
        whole = 100.0 * ((other + header) / ours - 1.0)
        coding = 100.0 * (other / (ours - container) - 1.0) if base_path else whole
        limit = LIMITS["zipnn"] if how == "ZipNN" else LIMIT
        verdict = "off" if coding < -limit else "holds"
        yield (id_, preset, checkpoint.raw_bytes / ours, checkpoint.raw_bytes / (other + header), whole, coding, how, verdict)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("ids", nargs="*", metavar="ID")
    parser.add_argument("--mithril", default=os.path.join(ROOT, "build", "mithril"))
    parser.add_argument("--manifest", default=os.path.join(ROOT, "datasets", "manifest.json"))
    parser.add_argument("--markdown", metavar="FILE", help="also write the table there")
    arguments = parser.parse_args()
    rows, n_off = [], 0
    for id_, path, base_path in entries(arguments.manifest, arguments.ids or DEFAULT_IDS):
        try:
            for row in lines_of(arguments.mithril, id_, path, base_path):
                print("{:24} {:12} {:9.3f} {:9.3f} {:+7.2f} % {:+7.2f} %  {:12} {}".format(*row), flush=True)
                rows.append(row)
                n_off += row[-1] == "off"
        except pair_bound.Unfit as reason:
            print(f"check_presets.py: {id_}: passed over: {reason}", file=sys.stderr)
    if not rows:
        print("check_presets.py: none of these is here", file=sys.stderr)
        return 5
    if arguments.markdown:
        with open(arguments.markdown, "w", encoding="utf-8") as file:
            file.write("| data | preset | its ratio | the other | | coding alone | by | |\n|---|---|---:|---:|---:|---:|---|---|\n")
            for row in rows:
                file.write("| `{}` | `{}` | {:.3f} | {:.3f} | {:+.2f} % | {:+.2f} % | {} | {} |\n".format(*row))
    print(f"{len(rows)} lines, {n_off} off")
    return 1 if n_off else 0


if __name__ == "__main__":
    sys.exit(main())
