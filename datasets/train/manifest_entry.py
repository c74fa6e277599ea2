"""Write a finished run into datasets/manifest.json, and its settings and log into datasets/RUN/.

    manifest_entry.py RUN ...

Files, hashes, pairs and what changed in each come from build/datasets/RUN; an entry that is there is replaced. Needs
the packages of requirements.txt and xxhash.
"""

import argparse
import json
import os
import shutil
import sys

import xxhash

import checkpoint_files as files
import pair_bound
import run_record
import schedule
from runs import OLDER, RUNS

ROOT = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
LICENCE = "Apache-2.0; trained on text that ships with Python (PSF-2.0)"
ABOUT = ("datasets/train/README.md tells how. "
         "Its bits depend on the processor: docs/datasets.md tells what check accepts.")
# Where runs.py names no pairs, other distances are a by-product of the checkpoints that these need.
DISTANCES = (1, 10)
# format -> (what it adds to an id, what a title says of it)
WORDS = {"bf16": ("", "bf16"), "bf16-two-names": ("", "bf16, the table stored twice"),
         "bf16-ema": ("-ema", "bf16 with its moving average"), "fp32": ("-fp32", "fp32"),
         "training-pt": ("-training", "training state")}


def steps_text(n_steps):
    return "1 step apart" if n_steps == 1 else f"{n_steps} steps apart"


def stages(run):
    """(phase, what its ids begin with, pairs of steps) in the order of runs.py."""
    for phase in run["phases"]:
        if "pairs" not in phase:
            pairs = run_record.pairs_of(run, phase)
            yield phase, phase["name"], [(base, step) for base, step in pairs if step - base in DISTANCES]
        for stage, pairs in phase.get("pairs", {}).items():
            yield phase, stage or phase["name"], pairs


def file_record(path):
    with open(os.path.join(ROOT, path), "rb") as file:
        data = file.read()
    return {"path": path, "bytes": len(data), "xxh3": xxhash.xxh3_128_hexdigest(data),
            "sha256": run_record.file_sha256(os.path.join(ROOT, path))}


def changed(base, path):
    """What a pair says of the elements that differ; nothing of a torch archive."""
    if not path.endswith(".safetensors"):
        return {}
    record = pair_bound.pair_bound(*(pair_bound.read_safetensors(os.path.join(ROOT, name)) for name in (base, path)))
    return {"fraction_changed": round(record["fraction_changed"], 6), "n_elements": record["n_elements"]}


def older_pairs(name, stage, phase, pairs, paths, run_id, words):
    """Pairs with an older checkpoint, each behind the same pair without one, which is added where it is not there."""
    for of_stage, older, base, step in OLDER.get(name, []):
        if of_stage != stage or not all(number in paths for number in (older, base, step)):
            continue
        id_ = f"{run_id}-{step - base}"
        known = [pair for pair in pairs if pair["base"] == paths[base] and pair["file"] == paths[step]]
        pair = known[0] if known else pair_entry(id_, stage, words, base, step, phase, paths, run_id)
        if not known:
            yield pair
        title = f"{pair['title']}, since {older}"
        yield {**pair, "id": f"{id_}-since-{older}", "title": title, "base": pair["base"], "older": paths[older]}


def pair_entry(id_, stage, words, base, step, phase, paths, run_id):
    return {"id": id_, "title": f"{stage}, {words}, {steps_text(step - base)}", "base": paths[base], "file": paths[step],
            "steps_apart": step - base, "lr": schedule.rate_after(phase, base), **changed(paths[base], paths[step]),
            "run": run_id}


def pairs_and_runs(name, run):
    pairs, runs = [], []
    for phase, stage, wanted in stages(run):
        for file_format in run["formats"]:
            kept = [step for step in sorted({step for pair in wanted for step in pair})
                    if file_format in run_record.formats_of(run, phase, step)]
            if len(kept) < 2:
                continue
            suffix, words = WORDS[file_format]
            run_id = f"{name}/{stage}{suffix}"
            paths = {step: f"build/datasets/{name}/{files.path_of(phase['name'], step, file_format)}" for step in kept}
            runs.append({"id": run_id, "checkpoints": list(paths.values())})
            for base, step in wanted:
                if base not in paths or step not in paths:
                    continue
                pairs.append(pair_entry(f"{run_id}-{step - base}", stage, words, base, step, phase, paths, run_id))
            if file_format.startswith("bf16"):
                pairs.extend(list(older_pairs(name, stage, phase, pairs, paths, run_id, words)))
    return pairs, runs


def entry(name, settings):
    run = RUNS[name]
    pairs, runs = pairs_and_runs(name, run)
    checkpoints = [{"id": name, "title": f"{run['title']}, its last checkpoint", "file": pairs[-1]["file"]}]
    for record in reversed(settings["checkpoints"]):
        if record["file"].endswith(".safetensors") and "-fp32/" not in record["file"]:
            checkpoints[0]["file"] = f"build/datasets/{name}/{record['file']}"
            break
    # A state with masters is worth a look alone: its bf16 weights follow from them.
    if any(phase.get("precision") == "mixed" for phase in run["phases"]):
        states = [record["file"] for record in settings["checkpoints"] if "-training/" in record["file"]]
        checkpoints.append({"id": f"{name}/state", "title": f"{run['title']}, its last training state",
                            "file": f"build/datasets/{name}/{states[-1]}"})
    return {"id": name, "class": "toy-trained", "title": run["title"], "licence": LICENCE,
            "source": {"kind": "trained", "rebuild": f"datasets/train/run.sh {name}", "about": ABOUT},
            "files": [file_record(f"build/datasets/{name}/{r['file']}") for r in settings["checkpoints"]],
            "checkpoints": checkpoints, "pairs": pairs, "runs": runs}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="+", choices=sorted(name for name, run in RUNS.items() if "title" in run))
    arguments = parser.parse_args()
    path = os.path.join(ROOT, "datasets", "manifest.json")
    with open(path, encoding="utf-8") as file:
        manifest = json.load(file)
    ids = [dataset["id"] for dataset in manifest["datasets"]]
    for name in arguments.runs:
        made = os.path.join(ROOT, "build", "datasets", name)
        with open(os.path.join(made, "settings.json"), encoding="utf-8") as file:
            settings = json.load(file)
        record = entry(name, settings)
        if name in ids:
            manifest["datasets"][ids.index(name)] = record
        else:
            # Trained runs stand together, before the published models.
            at = 1 + max(i for i, d in enumerate(manifest["datasets"]) if d["class"] == "toy-trained")
            manifest["datasets"].insert(at, record)
            ids.insert(at, name)
        os.makedirs(os.path.join(ROOT, "datasets", name), exist_ok=True)
        for kept in ("settings.json", "train.log"):
            shutil.copyfile(os.path.join(made, kept), os.path.join(ROOT, "datasets", name, kept))
        print(f"{name}: {len(record['files'])} files, {len(record['pairs'])} pairs")
    files.write_atomic(path, (json.dumps(manifest, indent=2) + "\n").encode())
    return 0


if __name__ == "__main__":
    sys.exit(main())
