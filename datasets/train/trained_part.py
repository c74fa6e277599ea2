#!/usr/bin/env python3
"""What frozen tensors cost: a whole checkpoint against its base, beside the tensors alone that were trained.

    trained_part.py MITHRIL [ID ...]     pairs of datasets/manifest.json (default: those of gpt-frozen) that are here

The trained tensors are those of which any bit differs between the two files. They are written to files of their own, and both pairs are
measured by `mithril bench` with `balanced`. What a container has beyond payload is framing: header, base, index and its names.
The law: stored whole <= 1.02 x stored alone + what the index of the frozen ones adds. Exit status 1 where it does not hold.
"""

import json
import os
import subprocess
import sys
import tempfile

import pair_bound

SLACK = 1.02


def read_raw(path):
    """(names in the order of their bytes, {name: (entry, bytes)})"""
    with open(path, "rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        body = file.read()
    header.pop("__metadata__", None)
    names = sorted(header, key=lambda name: header[name]["data_offsets"])
    return names, {name: (header[name], body[slice(*header[name]["data_offsets"])]) for name in names}


def write_raw(path, names, tensors):
    header, n_bytes = {}, 0
    for name in names:
        entry, data = tensors[name]
        header[name] = {**entry, "data_offsets": [n_bytes, n_bytes + len(data)]}
        n_bytes += len(data)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.writelines(tensors[name][1] for name in names)


def measure(mithril, base, file):
    done = subprocess.run([mithril, "bench", "-q", "-p", "balanced", "--rounds", "1", "--seconds", "0.1", "--cache", "1MiB",
                           "--json", "-", "-b", base, file], capture_output=True, text=True, check=True)
    for row in map(json.loads, done.stdout.splitlines()):
        if row["kind"] == "cell" and row["phase"] == "compress":
            assert row["verified"] is True
            return row["stored_bytes"], row["stored_bytes"] - row["payload_bytes"]
    raise pair_bound.Unfit(f"{file}: no cell")


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    mithril, ids = sys.argv[1], sys.argv[2:] or ["gpt-frozen"]
    manifest = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "manifest.json")
    print("| pair | tensors trained | their elements | whole, bytes | framing of it | trained alone | framing of it | "
          "payload over payload | whole over 1.02 x alone and what framing adds |\n|---|---:|---:|---:|---:|---:|---:|---:|---:|")
    holds = True
    with tempfile.TemporaryDirectory() as folder:
        for id_, _, base, file in pair_bound.manifest_pairs(manifest, ids):
            (_, before), (names, after) = read_raw(base), read_raw(file)
            trained = [name for name in names if before[name][1] != after[name][1]]
            parts = [os.path.join(folder, f"{which}.safetensors") for which in ("base", "file")]
            write_raw(parts[0], trained, before)
            write_raw(parts[1], trained, after)
            whole, whole_framing = measure(mithril, base, file)
            alone, alone_framing = measure(mithril, *parts)
            limit = SLACK * alone + whole_framing - alone_framing
            holds &= whole <= limit
            n_elements = sum(len(after[name][1]) for name in trained) // 2
            print(f"| `{id_}` | {len(trained)} of {len(names)} | {n_elements:,} | {whole:,} | {whole_framing:,} | {alone:,} | "
                  f"{alone_framing:,} | {(whole - whole_framing) / (alone - alone_framing):.4f} | {whole / limit:.4f} |", flush=True)
    return 0 if holds else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (pair_bound.Unfit, OSError, subprocess.CalledProcessError) as fault:
        sys.exit(f"trained_part.py: {fault}")
