"""What is written down of a run: its inputs, its files with their hashes, and whether two runs made the same ones."""

import hashlib
import itertools
import os
import platform
import sys

import numpy as np
import safetensors
import torch

import checkpoint_files as files
import checkpoint_stats as stats
import schedule
import word_corpus

SCRIPTS = ("train.py", "learner.py", "objectives.py", "adapters.py", "corpus.py", "word_corpus.py", "gpt.py",
           "two_tower.py", "schedule.py", "text_corpus.py", "checkpoint_files.py")


def scripts_digest():
    """Changes with the scripts that decide what a run computes."""
    digest = hashlib.sha256()
    folder = os.path.dirname(os.path.abspath(__file__))
    for name in SCRIPTS:
        with open(os.path.join(folder, name), "rb") as file:
            digest.update(file.read())
    return digest.hexdigest()


def file_sha256(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _model(run, vocabulary):
    model = dict(run["model"], n_symbols=len(vocabulary))
    if run.get("kind", "gpt") == "gpt":
        model.update(mlp_width=4 * model["width"], tied_embeddings=True, dropout=0.0, activation="gelu", init_std=0.02)
    return model


def _precision(run):
    """How weights, gradients and optimizer are held, and what a bf16 checkpoint is."""
    kinds = {phase.get("precision", "fp32") for phase in run["phases"]}
    if kinds == {"fp32"}:
        return ("fp32 weights, gradients and Adam state" if run["optimizer"]["name"] == "AdamW" else
                "fp32 weights, gradients and optimizer state"), "bf16, the fp32 weights rounded to nearest even"
    if kinds == {"mixed"}:
        return ("bf16 weights and gradients, fp32 masters and Adam state",
                "bf16, the fp32 masters rounded to nearest even")
    return "bf16-native: weights, gradients and Adam state in bf16", "the bf16 weights, which have no masters"


def inputs(name, run, corpora, vocabulary, environment, n_threads, source):
    """All that the result depends on besides these scripts, in the order in which settings.json shows it."""
    training_precision, checkpoint_precision = _precision(run)
    record = {
        "run": name, "provenance": "toy-trained", "seed": run["seed"],
        "model": _model(run, vocabulary),
        "vocabulary": vocabulary.decode("ascii") if isinstance(vocabulary, bytes) else
        {"words": len(vocabulary), "sha256": word_corpus.digest(vocabulary)},
        "optimizer": run["optimizer"], "batch_windows": run["batch_windows"],
        "training_precision": training_precision,
        "checkpoint_precision": checkpoint_precision,
        "phases": run["phases"],
        "texts": {text: corpus.record for text, corpus in corpora.items()},
        "environment": dict(environment),
        "threads": n_threads, "deterministic_algorithms": True,
        "python": platform.python_version(), "torch": torch.__version__, "numpy": np.__version__,
        "safetensors": safetensors.__version__, "machine": platform.machine(),
    }
    if not run["is_committed"]:
        record.update(validation_windows=run["validation_windows"], formats=run["formats"])
    if source is not None:
        record["starts_from"] = source
    return record


def formats_of(run, phase, step):
    """The formats in which a checkpoint is kept."""
    only = phase.get("only", {})
    return [name for name in run["formats"] if name not in only or step in only[name]]


def checkpoints(run, out):
    """One record a file; what is bf16 safetensors also says its exponents' entropy and bound."""
    records = []
    for phase in run["phases"]:
        for step in phase["checkpoints"]:
            for file_format in formats_of(run, phase, step):
                name = files.path_of(phase["name"], step, file_format)
                path = os.path.join(out, name)
                record = {"file": name, "phase": phase["name"], "step": step, "bytes": os.path.getsize(path),
                          "sha256": file_sha256(path)}
                if file_format in files.ROUNDED:
                    entropy, ratio = stats.exponent_bound(stats.load_bits(path))
                    record.update(exponent_entropy_bits=round(entropy, 4), exponent_bound_ratio=round(ratio, 4))
                records.append(record)
    return records


def pairs_of(run, phase):
    """(base step, step) of what is measured: what the phase says, or else neighbours and the first with the last."""
    if "pairs" in phase:
        return [pair for stage in phase["pairs"].values() for pair in stage]
    steps = phase["checkpoints"]
    return list(zip(steps, steps[1:])) + ([] if run["is_committed"] else [(steps[0], steps[-1])])


def pairs(run, out):
    """What changed in each pair of bf16 files."""
    records = []
    for phase in run["phases"]:
        rounded = [name for name in run["formats"] if name in files.ROUNDED]
        for (base_step, step), file_format in itertools.product(pairs_of(run, phase), rounded):
            names = [files.path_of(phase["name"], s, file_format) for s in (base_step, step)]
            base, bits = (stats.load_bits(os.path.join(out, name)) for name in names)
            n_changed = int(np.count_nonzero(base != bits))
            bound = stats.xor_bound(base, bits)
            records.append({"base": names[0], "target": names[1], "steps_apart": step - base_step,
                            "lr": schedule.rate_after(phase, base_step),
                            "n_elements": bits.size, "n_changed": n_changed,
                            "fraction_changed": round(n_changed / bits.size, 6),
                            "xor_bytes_order0_bound_ratio": bound and round(bound, 2)})
    return records


def report_differences(before, now):
    """Say, before minutes are spent, what differs from the run that is to be compared with."""
    for name in ("python", "torch", "numpy", "safetensors", "machine"):
        if before[name] != now[name]:
            print(f"note: {name} is {now[name]}, the run before had {before[name]}", file=sys.stderr)
    for name, text in before["texts"].items():
        if text["sha256"] != now["texts"][name]["sha256"]:
            sys.exit(f"text {name} differs from that of the run before; use Python {before['python']}")


def compare(before, rebuilt, out):
    """Exit status: 0 when the files there and the rebuilt ones both have the recorded hashes."""
    rebuilt_hashes = {r["file"]: r["sha256"] for r in rebuilt["checkpoints"]}
    n_bad = 0
    for record in before["checkpoints"]:
        path = os.path.join(out, record["file"])
        is_intact = os.path.exists(path) and file_sha256(path) == record["sha256"]
        is_equal = rebuilt_hashes.get(record["file"]) == record["sha256"]
        n_bad += not (is_intact and is_equal)
        print(f"{record['file']}: file there {'intact' if is_intact else 'CHANGED OR MISSING'}, "
              f"rebuilt file {'identical' if is_equal else 'DIFFERENT'}")
    print(f"verify: {len(before['checkpoints']) - n_bad} of {len(before['checkpoints'])} files identical")
    return 1 if n_bad else 0
