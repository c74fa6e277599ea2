"""Train one of the runs that runs.py names: a byte-level GPT, pre-trained on text that comes with Python.

Everything random is drawn from a seed and the step number, so a run resumed from its saved state gives the files
that it would have given uninterrupted. Run it through run.sh.
"""

import argparse
import hashlib
import json
import math
import os
import shutil
import sys
import time

N_THREADS = 2
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
import run_record  # noqa: E402
import text_corpus  # noqa: E402
from corpus import Corpus  # noqa: E402
from gpt import Gpt  # noqa: E402
from runs import RUNS  # noqa: E402


def learning_rate(phase, step):
    """The rate of update `step`, counted from 1: the one that turns the weights of step - 1 into those of step."""
    if phase["schedule"] == "constant":
        return phase["peak_lr"]
    if step <= phase["warmup_steps"]:
        return phase["peak_lr"] * step / phase["warmup_steps"]
    progress = (step - phase["warmup_steps"]) / (phase["steps"] - phase["warmup_steps"])
    return phase["final_lr"] + (phase["peak_lr"] - phase["final_lr"]) * 0.5 * (1 + math.cos(math.pi * progress))


class Run:
    """A training run in a work folder: its state file, its checkpoints so far, its log."""

    def __init__(self, name, work, corpora, vocabulary, inputs):
        self.name = name
        self.settings = RUNS[name]
        self.phases = self.settings["phases"]
        self.corpora = corpora
        self.inputs = inputs
        self.out = os.path.join(work, "out")
        self.state_path = os.path.join(work, "state.pt")
        # Names the settings together with the scripts, so that neither changes under a half-done run.
        self.fingerprint = hashlib.sha256(
            (json.dumps(inputs, sort_keys=True) + run_record.scripts_digest()).encode()).hexdigest()
        torch.manual_seed(self.settings["seed"])
        self.model = Gpt(len(vocabulary), **self.settings["model"])
        self.optimizer = self.make_optimizer()
        self.phase_index = 0
        self.step = 0
        self.pretrained = None
        self.lines = []
        self.losses = []

    def make_optimizer(self):
        adam = self.settings["optimizer"]
        matrices = [p for p in self.model.parameters() if p.dim() >= 2]
        vectors = [p for p in self.model.parameters() if p.dim() < 2]
        return torch.optim.AdamW(
            [{"params": matrices, "weight_decay": adam["weight_decay_matrices"]},
             {"params": vectors, "weight_decay": adam["weight_decay_vectors"]}],
            betas=(adam["beta1"], adam["beta2"]), eps=adam["eps"], foreach=False, fused=False)

    def log(self, line):
        self.lines.append(line)
        print(line, flush=True)

    def save_state(self):
        state = {"fingerprint": self.fingerprint, "phase_index": self.phase_index, "step": self.step,
                 "model": self.model.state_dict(), "optimizer": self.optimizer.state_dict(),
                 "pretrained": self.pretrained, "lines": self.lines, "losses": self.losses}
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
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        for name in ("phase_index", "step", "pretrained", "lines", "losses"):
            setattr(self, name, state[name])
        print(f"resuming {self.phases[self.phase_index]['name']} after step {self.step}", file=sys.stderr)
        return True

    def start_phase(self):
        phase = self.phases[self.phase_index]
        if self.phase_index > 0:
            # Each fine-tuning begins from the fp32 masters that pre-training ended with, and with an empty Adam.
            self.model.load_state_dict(self.pretrained)
            self.optimizer = self.make_optimizer()
        self.log(f"{phase['name']}: {phase['steps']} steps on {phase['text']}, {phase['schedule']} "
                 f"lr {phase['peak_lr']:g}")
        self.validate()

    def validate(self):
        phase = self.phases[self.phase_index]
        corpus = self.corpora[phase["text"]]
        bits = round(corpus.validation_bits(self.model), 4)
        unigram = corpus.record["validation_unigram_entropy_bits_per_byte"]
        self.losses.append({"phase": phase["name"], "step": self.step, "validation_bits_per_byte": bits})
        self.log(f"{phase['name']} step {self.step}: validation {bits:.4f} bits/byte (unigram entropy {unigram:.4f})")

    def update(self):
        """One optimizer step, then its log line and its checkpoint where they are due."""
        phase = self.phases[self.phase_index]
        self.step += 1
        lr = learning_rate(phase, self.step)
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        loss = self.model(*self.corpora[phase["text"]].batch(self.phase_index, self.step))
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.settings["optimizer"]["grad_clip_norm"],
                                              foreach=False)
        self.optimizer.step()
        is_checkpoint = self.step in phase["checkpoints"]
        if is_checkpoint or self.step % phase["log_every"] == 0:
            self.log(f"{phase['name']} step {self.step}: train {loss.item() / math.log(2):.4f} bits/byte, "
                     f"lr {lr:.3e}, gradient norm {norm.item():.3f}")
        if is_checkpoint:
            for file_format in self.settings["formats"]:
                files.write(self.out, phase["name"], self.step, file_format, self.model, self.optimizer, self.name)
        if self.step % self.settings["validate_every"] == 0 or self.step == phase["steps"]:
            self.validate()

    def train(self):
        if not self.resume():
            for name, corpus in self.corpora.items():
                self.log(f"text {name}: {corpus.record['bytes']} bytes, sha256 {corpus.record['sha256']}, "
                         f"unigram entropy {corpus.record['unigram_entropy_bits_per_byte']:.4f} bits/byte")
            n_parameters = sum(p.numel() for p in self.model.parameters())
            self.log(f"model: {n_parameters} parameters, torch {torch.__version__}, {N_THREADS} threads, "
                     f"seed {self.settings['seed']}")
            self.start_phase()
        while True:
            while self.step < self.phases[self.phase_index]["steps"]:
                self.update()
                if self.step % self.settings["save_state_every"] == 0:
                    self.save_state()
            if self.phase_index == 0:
                self.pretrained = {name: t.clone() for name, t in self.model.state_dict().items()}
            if self.phase_index + 1 == len(self.phases):
                return
            self.phase_index += 1
            self.step = 0
            self.start_phase()
            self.save_state()

    def finish(self):
        """Measure the checkpoints, write settings.json and train.log beside them."""
        checkpoints = run_record.checkpoints(self.settings, self.out)
        pairs = run_record.pairs(self.settings, self.out, learning_rate)
        for record in checkpoints:
            bound = f", exponent bound {record['exponent_bound_ratio']:.4f}" if "exponent_bound_ratio" in record else ""
            self.log(f"{record['file']}: {record['bytes']} bytes, sha256 {record['sha256']}{bound}")
        for record in pairs:
            self.log(f"{record['base']} -> {record['target']}: {record['steps_apart']} step(s), lr {record['lr']:.3e}, "
                     f"{100 * record['fraction_changed']:.2f} % changed, "
                     f"xor bytes order-0 bound {record['xor_bytes_order0_bound_ratio']}")
        settings = dict(self.inputs, n_parameters=sum(p.numel() for p in self.model.parameters()),
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


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", choices=sorted(RUNS))
    parser.add_argument("--root", required=True, help="the repository: files go to datasets/RUN or build/datasets/RUN")
    parser.add_argument("--verify", action="store_true", help="train again and compare with the files that are there")
    arguments = parser.parse_args()
    settings = RUNS[arguments.run]
    out = os.path.join(arguments.root, "" if settings["is_committed"] else "build", "datasets", arguments.run)

    torch.set_num_threads(N_THREADS)
    torch.use_deterministic_algorithms(True)
    # Every buffer is written before it is read; filling it first would be time spent on nothing.
    torch.utils.deterministic.fill_uninitialized_memory = False
    texts = {phase["text"]: text_corpus.TEXTS[phase["text"]]() for phase in settings["phases"]}
    vocabulary = text_corpus.vocabulary(*texts.values())
    corpora = {name: Corpus(text, vocabulary, settings) for name, text in texts.items()}
    inputs = run_record.inputs(arguments.run, settings, corpora, vocabulary, PINNED_ENVIRONMENT, N_THREADS)

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

    started = time.monotonic()
    run = Run(arguments.run, work, corpora, vocabulary, inputs)
    run.train()
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
