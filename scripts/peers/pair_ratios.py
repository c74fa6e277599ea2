#!/usr/bin/env python3
"""How small peers, general compressors and our presets make each pair of checkpoints: sizes alone, no times.

    pair_ratios.py run ROWS.jsonl [--peer NAME=COMMAND ...] [--own SPEC ...] [ID ...]     adds what is not there yet
    pair_ratios.py table ROWS.jsonl                                                       Markdown of it

A peer speaks the protocol of docs/peers.md; it compresses once and, in another process, decompresses once, and what comes back
is compared here, bit for bit. Our specs run through `mithril compress`, which restores and compares. A row has the dataset, who,
the identity with version and settings, raw_bytes and stored_bytes, or why there are none. The bound is pair_bound.py's.
"""

import argparse
import hashlib
import json
import os
import pathlib
import subprocess
import sys
import threading

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(ROOT, "datasets", "train"))
import pair_bound  # noqa: E402  bounds, and the pairs of the manifest


class Failure(Exception):
    """What a peer did wrong, or has nothing for, in one line."""


class Peer:
    def __init__(self, command, limit_s):
        self.process = subprocess.Popen(command.split(), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.DEVNULL, cwd=ROOT)
        self.timer = threading.Timer(limit_s, self.process.kill)
        self.timer.start()

    def ask(self, line, payload=b""):
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.write(payload)
        self.process.stdin.flush()
        words = self.process.stdout.readline().decode().split(None, 1)
        if not words:
            raise Failure("error it ended, or had not answered in time")
        if words[0] != "ok":
            raise Failure(" ".join(words).strip())
        return words[1].strip() if len(words) > 1 else ""

    def fetch(self):
        return self.process.stdout.read(int(self.ask("output 0")))

    def close(self):
        self.timer.cancel()
        self.process.kill()
        self.process.wait()


def through(command, role, base, data, limit_s):
    """(identity, what it made of data)."""
    peer = Peer(command, limit_s)
    try:
        identity = peer.ask("hello 1")
        peer.ask(f"setup {role} 1 1 0 BF16 2")
        peer.ask(f"base {len(base)}", base)
        peer.ask(f"data {len(data)}", data)
        return identity, peer.fetch()
    except BrokenPipeError:
        raise Failure("error it ended") from None
    finally:
        peer.close()


def measure_peer(command, base, new, limit_s):
    row = {}
    try:
        row["identity"], stored = through(command, "compress", base, new, limit_s)
        _, restored = through(command, "decompress", base, stored, limit_s)
        if restored != new:
            raise Failure("error what it restored is not the original")
        row["stored_bytes"] = len(stored)
    except Failure as failure:
        word, _, reason = str(failure).partition(" ")
        row["unsupported" if word == "unsupported" else "disqualified"] = reason
    return row


def measure_own(mithril, spec, base_path, path, folder):
    out = os.path.join(folder, "pair_ratios.mth")
    done = subprocess.run([mithril, "compress", "-q", "-f", "-t", "1", "-p", spec, "-b", base_path, "-o", out, "--json", "-",
                           path], capture_output=True, text=True, check=True)
    os.unlink(out)
    told = json.loads(done.stdout)
    assert told["verified"] is True
    return {"identity": told["spec_resolved"], "stored_bytes": told["stored_bytes"]}


def measure_bound(base_path, path):
    record = pair_bound.pair_bound(pair_bound.read_safetensors(base_path), pair_bound.read_safetensors(path))
    return {"fraction_changed": record["fraction_changed"], "n_elements": record["n_elements"],
            "ratio": record["bound_ratio"]["tensor+exponent"]}


def rows_of(path):
    if not os.path.exists(path):
        return []
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def run(arguments):
    known = {(row["dataset"], row["who"]) for row in rows_of(arguments.rows)}
    folder = os.path.dirname(os.path.abspath(arguments.rows))
    os.makedirs(folder, exist_ok=True)
    for id_, steps, base_path, path in pair_bound.manifest_pairs(arguments.manifest, arguments.ids):
        base, new = (pathlib.Path(p).read_bytes() for p in (base_path, path))
        tasks = {"bound": lambda: measure_bound(base_path, path)}
        for spec in arguments.own:
            # The peer is called zipnn too.
            tasks["zipnn-preset" if spec == "zipnn" else spec] = lambda spec=spec: measure_own(arguments.mithril, spec, base_path, path, folder)
        for peer in arguments.peer:
            name, _, command = peer.partition("=")
            tasks[name] = lambda command=command: measure_peer(command, base, new, arguments.limit)
        for who, measure in tasks.items():
            if (id_, who) in known:
                continue
            row = {"kind": "ratio", "schema": 1, "dataset": id_, "steps_apart": steps, "who": who, "raw_bytes": len(new),
                   "sha256": hashlib.sha256(new).hexdigest(), **measure()}
            if "stored_bytes" in row:
                row["ratio"] = row["raw_bytes"] / row["stored_bytes"]
            with open(arguments.rows, "a", encoding="utf-8") as file:
                file.write(json.dumps(row, separators=(",", ":")) + "\n")
            print(id_, who, row.get("ratio") or row.get("unsupported") or row.get("disqualified"), flush=True)


# Who, and by how much `balanced` must be smaller up to a fraction of elements changed.
FLOORS = {**dict.fromkeys(("zipnn", "z4ai", "zstd-19"), ((0.20, 2.0), (0.60, 1.6))),
          **dict.fromkeys(("delta-xor+byte-group+zstd:level=19", "delta-xor+byte-group+xz", "delta-xor+byte-group+bzip2"),
                          ((1.0, 1.4),)),
          # Named as a peer as well as a preset: the harder floors.
          "seed": ((0.20, 2.0), (0.60, 1.6), (1.0, 1.35)),
          **dict.fromkeys(("lmc", "zipnn-preset", "bitx", "sparse-sync"), ((1.0, 1.35),))}
SHORT = {"delta-xor+byte-group+zstd:level=19": "xor, zstd -19", "delta-xor+byte-group+xz": "xor, xz -6",
         "delta-xor+byte-group+bzip2": "xor, bzip2", "zstd-19": "zstd -19, base as prefix", "zstd-3": "zstd -3, base as prefix",
         "seed": "`seed`", "lmc": "`lmc`", "zipnn-preset": "`zipnn`", "bitx": "`bitx`", "sparse-sync": "`sparse-sync`",
         "zipnn": "ZipNN"}
LEAST_ELEMENTS, LEAST_CHANGED = 10_000_000, 0.005


def print_ratios(by_change, columns):
    print("| pair | changed | bound | `balanced` | " + " | ".join(SHORT.get(who, who) for who in columns) + " |")
    print("|---|---:|---:|---:|" + "---:|" * len(columns))
    for id_, of in by_change:
        cells = []
        for who in columns:
            row = of.get(who, {})
            cells.append(f"{row['ratio']:.2f}" if "ratio" in row else "none" if "unsupported" in row else
                         "disqualified" if "disqualified" in row else "-")
        print(f"| `{id_}` | {100 * of['bound']['fraction_changed']:.1f} % | {of['bound']['ratio']:.2f} | "
              f"**{of['balanced']['ratio']:.2f}** | " + " | ".join(cells) + " |")


def print_floors(by_change):
    print("| `balanced` against | floor | | least factor | of the bound there | fails on (factor of the bound) |\n"
          "|---|---|---|---|---:|---|")
    for who, floors in FLOORS.items():
        least_changed = LEAST_CHANGED
        for most_changed, floor in floors:
            factors = [(of["balanced"]["ratio"] / of[who]["ratio"], of["bound"]["ratio"] / of[who]["ratio"], id_)
                       for id_, of in by_change
                       if least_changed <= of["bound"]["fraction_changed"] < most_changed and "ratio" in of.get(who, {})]
            if factors:
                n_holding = sum(factor >= floor for factor, _, _ in factors)
                failing = ", ".join(f"`{id_}` {factor:.2f} ({of_bound:.2f})" for factor, of_bound, id_ in factors if factor < floor)
                factor, of_bound, id_ = min(factors)
                verdict = "holds" if n_holding == len(factors) else "fails"
                print(f"| {SHORT.get(who, who)} | {floor:g}x, {100 * least_changed:g} to {100 * most_changed:g} % changed | "
                      f"{verdict}: {n_holding} of {len(factors)} pairs | {factor:.2f}, `{id_}` | {of_bound:.2f} | {failing or '-'} |")
            least_changed = most_changed


def table(arguments):
    pairs, order = {}, []
    for row in rows_of(arguments.rows):
        pairs.setdefault(row["dataset"], {})[row["who"]] = row
        if row["who"] not in order:
            order.append(row["who"])
    wanted = [item for item in pairs.items() if {"bound", "balanced"} <= set(item[1]) and
              item[1]["bound"]["n_elements"] >= LEAST_ELEMENTS]
    by_change = sorted(wanted, key=lambda item: item[1]["bound"]["fraction_changed"])
    print_ratios(by_change, [who for who in order if who in FLOORS])
    print()
    print_ratios(by_change, [who for who in order if who not in FLOORS and who not in ("bound", "balanced")])
    print()
    print_floors(by_change)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(required=True)
    measure = commands.add_parser("run")
    measure.add_argument("rows")
    measure.add_argument("ids", nargs="*", metavar="ID")
    measure.add_argument("--peer", action="append", default=[], metavar="NAME=COMMAND")
    measure.add_argument("--own", action="append", default=[], metavar="SPEC")
    measure.add_argument("--limit", type=float, default=300, metavar="S", help="that a process of a peer may take")
    measure.add_argument("--mithril", default=os.path.join(ROOT, "build", "mithril"))
    measure.add_argument("--manifest", default=os.path.join(ROOT, "datasets", "manifest.json"))
    measure.set_defaults(go=run)
    show = commands.add_parser("table")
    show.add_argument("rows")
    show.set_defaults(go=table)
    arguments = parser.parse_args()
    arguments.go(arguments)


if __name__ == "__main__":
    main()
