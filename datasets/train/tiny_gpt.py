"""Train `tiny-gpt`: pre-train a byte-level GPT on Python's documentation, fine-tune it twice on Python's source code.

Everything random is drawn from a seed and the step number, so a run resumed from its saved state gives the files
that it would have given uninterrupted. Run it through run.sh.
"""

import argparse
import hashlib
import json
import math
import os
import platform
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

import numpy as np  # noqa: E402
import safetensors  # noqa: E402
import torch  # noqa: E402

import checkpoint_stats as stats  # noqa: E402
import text_corpus  # noqa: E402
from gpt import Gpt  # noqa: E402

MODEL = {"context": 128, "width": 128, "n_layers": 2, "n_heads": 4}
OPTIMIZER = {"name": "AdamW", "beta1": 0.9, "beta2": 0.95, "eps": 1e-8, "weight_decay_matrices": 0.1,
             "weight_decay_vectors": 0.0, "grad_clip_norm": 1.0}
SEED = 20240229
BATCH_WINDOWS = 32
EVAL_EVERY = 200
SAVE_STATE_EVERY = 100

# 2130 steps put the cosine at 3.0e-5 on step 2001, the rate at which much late pre-training is done.
PHASES = [
    {"name": "pretrain", "text": "documentation", "steps": 2130, "schedule": "warmup-cosine", "warmup_steps": 100,
     "peak_lr": 2e-3, "final_lr": 1e-5, "checkpoints": [2000, 2001, 2010], "log_every": 50},
    {"name": "finetune-1e-5", "text": "source_code", "steps": 102, "schedule": "constant", "peak_lr": 1e-5,
     "checkpoints": [100, 101, 102], "log_every": 10},
    {"name": "finetune-1e-6", "text": "source_code", "steps": 102, "schedule": "constant", "peak_lr": 1e-6,
     "checkpoints": [100, 101, 102], "log_every": 10},
]


def learning_rate(phase, step):
    """The rate of update `step`, counted from 1: the one that turns the weights of step - 1 into those of step."""
    if phase["schedule"] == "constant":
        return phase["peak_lr"]
    if step <= phase["warmup_steps"]:
        return phase["peak_lr"] * step / phase["warmup_steps"]
    progress = (step - phase["warmup_steps"]) / (phase["steps"] - phase["warmup_steps"])
    return phase["final_lr"] + (phase["peak_lr"] - phase["final_lr"]) * 0.5 * (1 + math.cos(math.pi * progress))


def checkpoint_path(phase, step):
    return f"{phase['name']}/{phase['name']}-step-{step:06d}.safetensors"


def file_sha256(path):
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


class Corpus:
    """One text as token arrays, with the entropy that a model must beat."""

    def __init__(self, text, vocabulary):
        index = np.zeros(256, dtype=np.int64)
        index[list(vocabulary)] = np.arange(len(vocabulary))
        training, validation = text_corpus.split(text)
        self.training = torch.from_numpy(index[np.frombuffer(training, np.uint8)])
        self.validation = torch.from_numpy(index[np.frombuffer(validation, np.uint8)])
        self.record = {
            "bytes": len(text), "sha256": text_corpus.sha256(text),
            "training_bytes": len(training), "validation_bytes": len(validation),
            "unigram_entropy_bits_per_byte": round(stats.entropy_bits(np.frombuffer(text, np.uint8)), 4),
            "validation_unigram_entropy_bits_per_byte":
                round(stats.entropy_bits(np.frombuffer(validation, np.uint8)), 4),
        }

    def batch(self, phase_index, step):
        generator = torch.Generator().manual_seed(SEED + 1_000_000 * (phase_index + 1) + step)
        length = MODEL["context"]
        starts = torch.randint(len(self.training) - length, (BATCH_WINDOWS, 1), generator=generator)
        windows = self.training[starts + torch.arange(length + 1)]
        return windows[:, :-1], windows[:, 1:]

    @torch.no_grad()
    def validation_bits(self, model):
        """Bits a byte over the whole validation text, in windows that do not overlap."""
        length = MODEL["context"]
        n_windows = (len(self.validation) - 1) // length
        inputs = self.validation[:n_windows * length].view(n_windows, length)
        targets = self.validation[1:n_windows * length + 1].view(n_windows, length)
        total = 0.0
        for i in range(0, n_windows, BATCH_WINDOWS):
            chunk = slice(i, i + BATCH_WINDOWS)
            total += model(inputs[chunk], targets[chunk]).item() * inputs[chunk].shape[0]
        return total / n_windows / math.log(2)


def make_optimizer(model):
    matrices = [p for p in model.parameters() if p.dim() >= 2]
    vectors = [p for p in model.parameters() if p.dim() < 2]
    return torch.optim.AdamW(
        [{"params": matrices, "weight_decay": OPTIMIZER["weight_decay_matrices"]},
         {"params": vectors, "weight_decay": OPTIMIZER["weight_decay_vectors"]}],
        betas=(OPTIMIZER["beta1"], OPTIMIZER["beta2"]), eps=OPTIMIZER["eps"], foreach=False, fused=False)


def fingerprint(inputs):
    """Names the settings together with the scripts, so that neither changes under a half-done run."""
    digest = hashlib.sha256(json.dumps(inputs, sort_keys=True).encode())
    folder = os.path.dirname(os.path.abspath(__file__))
    for name in ("tiny_gpt.py", "gpt.py", "text_corpus.py", "checkpoint_stats.py"):
        with open(os.path.join(folder, name), "rb") as file:
            digest.update(file.read())
    return digest.hexdigest()


class Run:
    """A training run in a work folder: its state file, its checkpoints so far, its log."""

    def __init__(self, work, corpora, vocabulary, inputs):
        self.corpora = corpora
        self.inputs = inputs
        self.out = os.path.join(work, "out")
        self.state_path = os.path.join(work, "state.pt")
        self.fingerprint = fingerprint(inputs)
        torch.manual_seed(SEED)
        self.model = Gpt(len(vocabulary), **MODEL)
        self.optimizer = make_optimizer(self.model)
        self.phase_index = 0
        self.step = 0
        self.pretrained = None
        self.lines = []
        self.losses = []

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
        print(f"resuming {PHASES[self.phase_index]['name']} after step {self.step}", file=sys.stderr)
        return True

    def start_phase(self):
        phase = PHASES[self.phase_index]
        if self.phase_index > 0:
            # Each fine-tuning begins from the fp32 masters that pre-training ended with, and with an empty Adam.
            self.model.load_state_dict(self.pretrained)
            self.optimizer = make_optimizer(self.model)
        self.log(f"{phase['name']}: {phase['steps']} steps on {phase['text']}, {phase['schedule']} "
                 f"lr {phase['peak_lr']:g}")
        self.validate()

    def validate(self):
        phase = PHASES[self.phase_index]
        corpus = self.corpora[phase["text"]]
        bits = round(corpus.validation_bits(self.model), 4)
        unigram = corpus.record["validation_unigram_entropy_bits_per_byte"]
        self.losses.append({"phase": phase["name"], "step": self.step, "validation_bits_per_byte": bits})
        self.log(f"{phase['name']} step {self.step}: validation {bits:.4f} bits/byte (unigram entropy {unigram:.4f})")

    def update(self):
        """One optimizer step, then its log line and its checkpoint where they are due."""
        phase = PHASES[self.phase_index]
        self.step += 1
        lr = learning_rate(phase, self.step)
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        loss = self.model(*self.corpora[phase["text"]].batch(self.phase_index, self.step))
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), OPTIMIZER["grad_clip_norm"], foreach=False)
        self.optimizer.step()
        is_checkpoint = self.step in phase["checkpoints"]
        if is_checkpoint or self.step % phase["log_every"] == 0:
            self.log(f"{phase['name']} step {self.step}: train {loss.item() / math.log(2):.4f} bits/byte, "
                     f"lr {lr:.3e}, gradient norm {norm.item():.3f}")
        if is_checkpoint:
            path = os.path.join(self.out, checkpoint_path(phase, self.step))
            os.makedirs(os.path.dirname(path), exist_ok=True)
            metadata = {"format": "pt", "run": "tiny-gpt", "phase": phase["name"], "step": str(self.step)}
            stats.write_atomic(path, stats.encode_bf16(self.model.named_parameters(), metadata))
        if self.step % EVAL_EVERY == 0 or self.step == phase["steps"]:
            self.validate()

    def train(self):
        if not self.resume():
            for name, corpus in self.corpora.items():
                self.log(f"text {name}: {corpus.record['bytes']} bytes, sha256 {corpus.record['sha256']}, "
                         f"unigram entropy {corpus.record['unigram_entropy_bits_per_byte']:.4f} bits/byte")
            n_parameters = sum(p.numel() for p in self.model.parameters())
            self.log(f"model: {n_parameters} parameters, torch {torch.__version__}, {N_THREADS} threads, seed {SEED}")
            self.start_phase()
        while True:
            while self.step < PHASES[self.phase_index]["steps"]:
                self.update()
                if self.step % SAVE_STATE_EVERY == 0:
                    self.save_state()
            if self.phase_index == 0:
                self.pretrained = {name: t.clone() for name, t in self.model.state_dict().items()}
            if self.phase_index + 1 == len(PHASES):
                return
            self.phase_index += 1
            self.step = 0
            self.start_phase()
            self.save_state()

    def checkpoint_records(self):
        records = []
        for phase in PHASES:
            for step in phase["checkpoints"]:
                name = checkpoint_path(phase, step)
                path = os.path.join(self.out, name)
                entropy, ratio = stats.exponent_bound(stats.load_bits(path))
                records.append({"file": name, "phase": phase["name"], "step": step,
                                "bytes": os.path.getsize(path), "sha256": file_sha256(path),
                                "exponent_entropy_bits": round(entropy, 4), "exponent_bound_ratio": round(ratio, 4)})
        return records

    def pair_records(self):
        records = []
        for phase in PHASES:
            steps = phase["checkpoints"]
            for base_step, step in zip(steps, steps[1:]):
                names = [checkpoint_path(phase, s) for s in (base_step, step)]
                base, bits = (stats.load_bits(os.path.join(self.out, name)) for name in names)
                n_changed = int(np.count_nonzero(base != bits))
                bound = stats.xor_bound(base, bits)
                records.append({"base": names[0], "target": names[1], "steps_apart": step - base_step,
                                "lr": float(f"{learning_rate(phase, base_step + 1):.4g}"),
                                "n_elements": bits.size, "n_changed": n_changed,
                                "fraction_changed": round(n_changed / bits.size, 6),
                                "xor_bytes_order0_bound_ratio": bound and round(bound, 2)})
        return records

    def finish(self):
        """Measure the checkpoints, write settings.json and train.log beside them."""
        checkpoints, pairs = self.checkpoint_records(), self.pair_records()
        for record in checkpoints:
            self.log(f"{record['file']}: {record['bytes']} bytes, sha256 {record['sha256']}, "
                     f"exponent bound {record['exponent_bound_ratio']:.4f}")
        for record in pairs:
            self.log(f"{record['base']} -> {record['target']}: {record['steps_apart']} step(s), lr {record['lr']:.3e}, "
                     f"{100 * record['fraction_changed']:.2f} % changed, "
                     f"xor bytes order-0 bound {record['xor_bytes_order0_bound_ratio']}")
        settings = dict(self.inputs, n_parameters=sum(p.numel() for p in self.model.parameters()),
                        total_checkpoint_bytes=sum(r["bytes"] for r in checkpoints),
                        losses=self.losses, checkpoints=checkpoints, pairs=pairs)
        stats.write_atomic(os.path.join(self.out, "settings.json"), (json.dumps(settings, indent=2) + "\n").encode())
        stats.write_atomic(os.path.join(self.out, "train.log"), ("\n".join(self.lines) + "\n").encode())
        return settings

    def discard_state(self):
        """The next call of the same command trains from the beginning."""
        os.remove(self.state_path)


def run_inputs(corpora, vocabulary):
    """All that the result depends on besides these scripts, in the order in which settings.json shows it."""
    return {
        "run": "tiny-gpt", "provenance": "real-trained", "seed": SEED,
        "model": dict(MODEL, n_symbols=len(vocabulary), mlp_width=4 * MODEL["width"], tied_embeddings=True,
                      dropout=0.0, activation="gelu", init_std=0.02),
        "vocabulary": vocabulary.decode("ascii"),
        "optimizer": OPTIMIZER, "batch_windows": BATCH_WINDOWS,
        "training_precision": "fp32 weights, gradients and Adam state",
        "checkpoint_precision": "bf16, the fp32 weights rounded to nearest even",
        "phases": PHASES,
        "texts": {name: corpus.record for name, corpus in corpora.items()},
        "environment": dict(PINNED_ENVIRONMENT),
        "threads": N_THREADS, "deterministic_algorithms": True,
        "python": platform.python_version(), "torch": torch.__version__, "numpy": np.__version__,
        "safetensors": safetensors.__version__, "machine": platform.machine(),
    }


def report_differences(committed, inputs):
    """Say, before minutes are spent, what differs from the run that made the committed files."""
    for name in ("python", "torch", "numpy", "safetensors", "machine"):
        if committed[name] != inputs[name]:
            print(f"note: {name} is {inputs[name]}, the committed run had {committed[name]}", file=sys.stderr)
    for name, text in committed["texts"].items():
        if text["sha256"] != inputs["texts"][name]["sha256"]:
            sys.exit(f"text {name} differs from the committed run's; use Python {committed['python']}")


def compare(committed, rebuilt, out):
    """Exit status: 0 when committed files and rebuilt files both have the committed hashes."""
    rebuilt_hashes = {r["file"]: r["sha256"] for r in rebuilt["checkpoints"]}
    n_bad = 0
    for record in committed["checkpoints"]:
        path = os.path.join(out, record["file"])
        is_intact = os.path.exists(path) and file_sha256(path) == record["sha256"]
        is_equal = rebuilt_hashes.get(record["file"]) == record["sha256"]
        n_bad += not (is_intact and is_equal)
        print(f"{record['file']}: committed file {'intact' if is_intact else 'CHANGED OR MISSING'}, "
              f"rebuilt file {'identical' if is_equal else 'DIFFERENT'}")
    print(f"verify: {len(committed['checkpoints']) - n_bad} of {len(committed['checkpoints'])} checkpoints identical")
    return 1 if n_bad else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", required=True, help="where the finished run goes")
    parser.add_argument("--work", required=True, help="where state is kept while it trains")
    parser.add_argument("--verify", action="store_true", help="train again and compare with what --out holds")
    arguments = parser.parse_args()

    torch.set_num_threads(N_THREADS)
    torch.use_deterministic_algorithms(True)
    texts = {"documentation": text_corpus.documentation(), "source_code": text_corpus.source_code()}
    vocabulary = text_corpus.vocabulary(*texts.values())
    corpora = {name: Corpus(text, vocabulary) for name, text in texts.items()}
    inputs = run_inputs(corpora, vocabulary)

    committed = None
    if arguments.verify:
        path = os.path.join(arguments.out, "settings.json")
        if not os.path.exists(path):
            sys.exit(f"{path}: not there, so there is nothing to verify; train without --verify first")
        with open(path, encoding="utf-8") as file:
            committed = json.load(file)
        report_differences(committed, inputs)
    work = os.path.join(arguments.work, "verify" if arguments.verify else "run")
    os.makedirs(work, exist_ok=True)

    started = time.monotonic()
    run = Run(work, corpora, vocabulary, inputs)
    run.train()
    settings = run.finish()
    print(f"trained in {time.monotonic() - started:.0f} s (since the last resume)", file=sys.stderr)
    if arguments.verify:
        run.discard_state()
        return compare(committed, settings, arguments.out)

    for name in [r["file"] for r in settings["checkpoints"]] + ["settings.json", "train.log"]:
        path = os.path.join(arguments.out, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(os.path.join(run.out, name), "rb") as file:
            stats.write_atomic(path, file.read())
    run.discard_state()
    return 0


if __name__ == "__main__":
    sys.exit(main())
