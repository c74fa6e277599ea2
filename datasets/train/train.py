"""Train one of the runs that runs.py names, on text that comes with Python.

Everything random is drawn from a seed and the step number, so a run resumed from its saved state gives the files
that it would have given uninterrupted. Run it through run.sh.
"""

import argparse
import hashlib
import json
import math
import os
import shutil
import subprocess
import sys
import time

N_THREADS = 2
EXIT_UNFINISHED = 75
# Sums come out differently with another thread count or vector width; both are fixed before torch is loaded.
PINNED_ENVIRONMENT = {
    "ATEN_CPU_CAPABILITY": "avx2",
    "MKL_CBWR": "AVX2",
    "MKL_DYNAMIC": "FALSE",
    "OMP_DYNAMIC": "FALSE",
    "OMP_NUM_THREADS": str(N_THREADS),
}
os.environ.update(PINNED_ENVIRONMENT)
# Where others use the processors too, threads that spin while they wait take the time of those they wait for.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import torch  # noqa: E402

import checkpoint_files as files  # noqa: E402
import objectives  # noqa: E402
import run_record  # noqa: E402
import text_corpus  # noqa: E402
import word_corpus  # noqa: E402
from corpus import Corpus  # noqa: E402
from gpt import Gpt  # noqa: E402
from learner import Learner  # noqa: E402
from runs import RUNS  # noqa: E402
from schedule import learning_rate  # noqa: E402
from two_tower import TwoTower  # noqa: E402


MODELS = {"gpt": Gpt, "two-tower": TwoTower}


def read_texts(settings):
    """(corpora by name, vocabulary): bytes for most, words for what needs long tables."""
    texts = {phase["text"]: text_corpus.TEXTS[phase["text"]]() for phase in settings["phases"]}
    symbols = settings.get("symbols", "bytes")
    if symbols == "pieces":
        vocabulary = word_corpus.vocabulary_of_pieces(settings["n_symbols"], *texts.values())
        kind = word_corpus.PieceCorpus
    elif symbols == "names":
        vocabulary, kind = word_corpus.vocabulary_of_names(*texts.values()), word_corpus.NameCorpus
    else:
        # A run that goes on from another reads its symbols: the head has a row for each.
        earlier = RUNS[settings["starts_from"]["run"]]["phases"] if "starts_from" in settings else ()
        vocabulary = text_corpus.vocabulary(*texts.values(), *(text_corpus.TEXTS[p["text"]]() for p in earlier))
        kind = Corpus
    return {name: kind(text, vocabulary, settings) for name, text in texts.items()}, vocabulary


def source_path(settings):
    """Where the checkpoint lies that a run goes on from, relative to the repository; None: it starts afresh."""
    if "starts_from" not in settings:
        return None
    source = settings["starts_from"]
    name = files.path_of(source["phase"], source["step"], "training-pt")
    return os.path.join("build", "datasets", source["run"], name)


class Run:
    """A training run in a work folder: its state file, its checkpoints so far, its log."""

    def __init__(self, name, work, corpora, vocabulary, inputs, initial):
        self.name = name
        self.settings = RUNS[name]
        self.phases = self.settings["phases"]
        self.corpora = corpora
        self.vocabulary = vocabulary
        self.inputs = inputs
        self.out = os.path.join(work, "out")
        self.state_path = os.path.join(work, "state.pt")
        # Names the settings together with the scripts, so that neither changes under a half-done run.
        self.fingerprint = hashlib.sha256(
            (json.dumps(inputs, sort_keys=True) + run_record.scripts_digest()).encode()).hexdigest()
        self.phase_index = 0
        self.step = 0
        # What each phase begins from: another run's weights, or (but for the first) those that the first ended with.
        self.initial = initial
        self.lines = []
        self.losses = []
        self.learner = None
        self.objective = None

    @property
    def phase(self):
        return self.phases[self.phase_index]

    def make_phase(self):
        """The model of the phase as it begins, with a fresh optimizer, and what it is trained for."""
        torch.manual_seed(self.settings["seed"])
        model = MODELS[self.settings.get("kind", "gpt")](len(self.vocabulary), **self.settings["model"])
        if self.initial is not None:
            model.load_state_dict(self.initial)
        self.learner = Learner(self.settings, self.phase, model)
        if "reinforce" in self.phase:
            self.objective = objectives.Reinforce(self.corpora, self.vocabulary, **self.phase["reinforce"])
        elif self.settings.get("kind") == "two-tower":
            self.objective = objectives.Recommend(self.corpora)
        else:
            self.objective = objectives.NextToken(self.corpora)

    def log(self, line):
        self.lines.append(line)
        print(line, flush=True)

    def save_state(self):
        state = {"fingerprint": self.fingerprint, "phase_index": self.phase_index, "step": self.step,
                 "learner": self.learner.state(), "initial": self.initial, "lines": self.lines, "losses": self.losses}
        torch.save(state, self.state_path + ".part")
        os.replace(self.state_path + ".part", self.state_path)

    def resume(self):
        """Go on from the state file if there is one; refuse one that other settings have made."""
        if not os.path.exists(self.state_path):
            shutil.rmtree(self.out, ignore_errors=True)
            return False
        state = torch.load(self.state_path, weights_only=True)
        if state["fingerprint"] != self.fingerprint:
            sys.exit(f"{self.state_path}: made with other settings, texts, versions or scripts; "
                     "delete it to start afresh")
        for name in ("phase_index", "step", "initial", "lines", "losses"):
            setattr(self, name, state[name])
        self.make_phase()
        self.learner.load(state["learner"])
        print(f"resuming {self.phase['name']} after step {self.step}", file=sys.stderr)
        return True

    def start_phase(self):
        phase = self.phase
        self.make_phase()
        self.log(f"{phase['name']}: {phase['steps']} steps on {phase['text']}, {phase['schedule']} "
                 f"lr {phase['peak_lr']:g}")
        self.validate()

    def validate(self):
        figure, text = self.objective.validate(self.learner.call, self.phase)
        self.losses.append({"phase": self.phase["name"], "step": self.step, self.objective.figure: figure})
        self.log(f"{self.phase['name']} step {self.step}: {text}")

    def update(self):
        """One optimizer step, then its log line and its checkpoint where they are due."""
        phase = self.phase
        self.step += 1
        lr = learning_rate(phase, self.step)
        loss, norm = self.learner.update(
            lr, lambda model: self.objective.loss(model, phase, self.phase_index, self.step))
        is_checkpoint = self.step in phase["checkpoints"]
        if is_checkpoint or self.step % phase["log_every"] == 0:
            norm_text = "" if norm is None else f", gradient norm {norm:.3f}"
            self.log(f"{phase['name']} step {self.step}: {self.objective.train_text(phase, loss)}, "
                     f"lr {lr:.3e}{norm_text}")
        if is_checkpoint:
            for file_format in run_record.formats_of(self.settings, phase, self.step):
                files.write(self.out, phase["name"], self.step, file_format, self.learner, self.name)
        if self.step % self.settings["validate_every"] == 0 or self.step == phase["steps"]:
            self.validate()

    def train(self, deadline):
        """Whether the run came to its end before the deadline; if not, the next call goes on."""
        if not self.resume():
            for name, corpus in self.corpora.items():
                self.log(f"text {name}: {corpus.record['bytes']} bytes, sha256 {corpus.record['sha256']}, "
                         f"unigram entropy {corpus.record['unigram_entropy_bits_per_byte']:.4f} bits/byte")
            self.make_phase()
            self.log(f"model: {self.n_parameters()} parameters, torch {torch.__version__}, {N_THREADS} threads, "
                     f"seed {self.settings['seed']}")
            self.start_phase()
        while True:
            while self.step < self.phase["steps"]:
                self.update()
                # Looked at after a step, so that each call makes one, however short its time.
                is_late = time.monotonic() > deadline
                if is_late or self.step % self.settings["save_state_every"] == 0:
                    self.save_state()
                if is_late:
                    return False
            if self.initial is None:
                self.initial = {name: t.clone() for name, t in self.learner.model.state_dict().items()}
            if self.phase_index + 1 == len(self.phases):
                return True
            self.phase_index += 1
            self.step = 0
            self.start_phase()
            self.save_state()

    def n_parameters(self):
        return sum(p.numel() for p in self.learner.model.parameters())

    def finish(self):
        """Measure the checkpoints, write settings.json and train.log beside them."""
        checkpoints = run_record.checkpoints(self.settings, self.out)
        pairs = run_record.pairs(self.settings, self.out)
        for record in checkpoints:
            bound = f", exponent bound {record['exponent_bound_ratio']:.4f}" if "exponent_bound_ratio" in record else ""
            self.log(f"{record['file']}: {record['bytes']} bytes, sha256 {record['sha256']}{bound}")
        for record in pairs:
            self.log(f"{record['base']} -> {record['target']}: {record['steps_apart']} step(s), lr {record['lr']:.3e}, "
                     f"{100 * record['fraction_changed']:.2f} % changed, "
                     f"xor bytes order-0 bound {record['xor_bytes_order0_bound_ratio']}")
        settings = dict(self.inputs, n_parameters=self.n_parameters(),
                        total_checkpoint_bytes=sum(r["bytes"] for r in checkpoints),
                        losses=self.losses, checkpoints=checkpoints, pairs=pairs)
        files.write_atomic(os.path.join(self.out, "settings.json"), (json.dumps(settings, indent=2) + "\n").encode())
        files.write_atomic(os.path.join(self.out, "train.log"), ("\n".join(self.lines) + "\n").encode())
        return settings

    def discard_state(self):
        """The next call of the same command trains from the beginning."""
        os.remove(self.state_path)


def publish(run, settings, out):
    """Move the finished files to their place, the record last: where it is, all that it tells of is there."""
    for name in [r["file"] for r in settings["checkpoints"]] + ["train.log", "settings.json"]:
        path = os.path.join(out, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(os.path.join(run.out, name), "rb") as file:
            files.write_atomic(path, file.read())


def train_source(run_name, root, seconds):
    """Train the run that another goes on from; the exit status."""
    print(f"{run_name} goes first: its end is what this run starts from", file=sys.stderr)
    command = [sys.executable, os.path.abspath(__file__), run_name, "--root", root, "--seconds", str(seconds)]
    return subprocess.run(command, check=False).returncode


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", choices=sorted(RUNS))
    parser.add_argument("--root", required=True, help="the repository: files go to datasets/RUN or build/datasets/RUN")
    parser.add_argument("--verify", action="store_true", help="train again and compare with the files that are there")
    parser.add_argument("--seconds", type=float, default=math.inf,
                        help=f"stop after so long, with exit status {EXIT_UNFINISHED}; the same command goes on")
    arguments = parser.parse_args()
    settings = RUNS[arguments.run]
    out = os.path.join(arguments.root, "" if settings["is_committed"] else "build", "datasets", arguments.run)

    torch.set_num_threads(N_THREADS)
    torch.use_deterministic_algorithms(True)
    # Every buffer is written before it is read; filling it first would be time spent on nothing.
    torch.utils.deterministic.fill_uninitialized_memory = False
    started = time.monotonic()
    source, initial = source_path(settings), None
    if source is not None:
        path = os.path.join(arguments.root, source)
        if not os.path.exists(path):
            status = train_source(settings["starts_from"]["run"], arguments.root, arguments.seconds)
            if status != 0:
                return status
        initial = torch.load(path, weights_only=True)["model"]
        source = {"file": source, "sha256": run_record.file_sha256(path)}
    corpora, vocabulary = read_texts(settings)
    inputs = run_record.inputs(arguments.run, settings, corpora, vocabulary, PINNED_ENVIRONMENT, N_THREADS, source)

    before = None
    if arguments.verify:
        path = os.path.join(out, "settings.json")
        if not os.path.exists(path):
            sys.exit(f"{path}: not there, so there is nothing to verify; train without --verify first")
        with open(path, encoding="utf-8") as file:
            before = json.load(file)
        run_record.report_differences(before, inputs)
    work = os.path.join(arguments.root, "build", "train", arguments.run, "verify" if arguments.verify else "run")
    os.makedirs(work, exist_ok=True)

    run = Run(arguments.run, work, corpora, vocabulary, inputs, initial)
    if not run.train(started + arguments.seconds):
        print(f"stopped after step {run.step} of {run.phases[run.phase_index]['name']}; the same command goes on",
              file=sys.stderr)
        return EXIT_UNFINISHED
    made = run.finish()
    print(f"trained in {time.monotonic() - started:.0f} s (since the last resume)", file=sys.stderr)
    if not arguments.verify:
        publish(run, made, out)
    run.discard_state()
    status = run_record.compare(before, made, out) if arguments.verify else 0
    shutil.rmtree(run.out)
    return status


if __name__ == "__main__":
    sys.exit(main())
