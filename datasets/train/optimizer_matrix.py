"""What one step of each optimizer takes that the library redoes, with one group of parameters and with more: a table, in Markdown.

    build/venv-train/bin/python datasets/train/optimizer_matrix.py --mithril build/mithril [--only TEXT] [--before PROGRAM]

Each row trains the GPT of step_matrix.py from a random start for 24 steps, clipped; the states of the last two are a pair of torch archives,
compressed, restored, compared and deleted. One group decays all parameters; of two, the second is of biases and norms, which do not
decay; of three, tables have a rate (and shares of averages) of their own besides. Runs on torch 1.12 and later: what a release does not
know is left out.
"""

import argparse
import filecmp
import os
import subprocess
import sys
import tempfile

import step_matrix
import torch
import text_corpus
from corpus import Corpus
from gpt import Gpt

N_STEPS = 24
WITHOUT = "ulp-rans,exponent-split+rans/store"


def groups_of(model, n_groups, decay, of_tables):
    """The param groups of a model: all parameters; vectors apart; tables apart as well, with what they have of their own."""
    tables = [p for name, p in model.named_parameters() if n_groups == 3 and p.dim() >= 2 and name in model.table_names]
    matrices = [p for p in model.parameters() if (p.dim() >= 2 or n_groups == 1) and not any(p is t for t in tables)]
    vectors = [p for p in model.parameters() if p.dim() < 2 and n_groups > 1]
    groups = [{"params": matrices, "weight_decay": decay}]
    if vectors:
        groups.append({"params": vectors, "weight_decay": 0.0})
    if tables:
        groups.append({"params": tables, "weight_decay": decay / 2, **of_tables})
    return groups


def adam(kind, **settings):
    of_tables = {"lr": 1e-3, "betas": (0.8, 0.99), "eps": 1e-7}
    return lambda model, n, decay: kind(groups_of(model, n, decay, of_tables), lr=3e-4, betas=(0.9, 0.999), **settings)


def sgd(**settings):
    of_tables = {"lr": 3e-2, "momentum": 0.8}
    return lambda model, n, decay: torch.optim.SGD(groups_of(model, n, decay, of_tables),
                                                   **{"lr": 1e-2, "momentum": 0.9, **settings})


def rmsprop(**settings):
    return lambda model, n, decay: torch.optim.RMSprop(groups_of(model, n, decay, {"lr": 3e-4, "alpha": 0.95}), lr=1e-4, **settings)


def adagrad(**settings):
    return lambda model, n, decay: torch.optim.Adagrad(groups_of(model, n, decay, {"lr": 3e-3}), lr=1e-3, **settings)


# Optimizer, how it is made, decay, gradients, batches, what the file holds, numbers of groups.
ROWS = [
    ("AdamW", adam(torch.optim.AdamW, foreach=False), 0.1, "bf16", 1, "w, m, v", (1, 2, 3)),
    ("AdamW, foreach", adam(torch.optim.AdamW, foreach=True), 0.1, "bf16", 1, "w, m, v", (1, 2)),
    ("AdamW", adam(torch.optim.AdamW, foreach=False), 0.1, "bf16", 4, "w, m, v", (1, 2)),
    ("AdamW, amsgrad", adam(torch.optim.AdamW, amsgrad=True), 0.1, "bf16", 1, "w, m, v, largest v", (1, 2, 3)),
    ("Adam with L2 decay", adam(torch.optim.Adam), 0.1, "bf16", 1, "w, m, v", (1, 2, 3)),
    ("Adam with L2 decay", adam(torch.optim.Adam), 0.1, "bf16", 4, "w, m, v", (1, 2)),
    ("SGD, momentum 0.9", sgd(), 0.1, "bf16", 1, "w, momentum", (1, 2, 3)),
    ("the same, fused", sgd(fused=True), 0.1, "bf16", 1, "w, momentum", (1, 2)),
    ("and Nesterov's", sgd(nesterov=True), 0.1, "bf16", 1, "w, momentum", (1, 2)),
    ("SGD, momentum 0.95, dampening 0.1", sgd(momentum=0.95, dampening=0.1), 0.1, "fp16", 1, "w, momentum", (1, 2)),
    ("SGD, momentum 0.9", sgd(), 0.1, "bf16", 4, "w, momentum", (1, 2)),
    ("RMSprop", rmsprop(), 0.1, "bf16", 1, "w, squares", (1, 2, 3)),
    ("RMSprop, momentum 0.9", rmsprop(momentum=0.9), 0.1, "bf16", 1, "w, squares, momentum", (1, 2)),
    ("RMSprop, centered", rmsprop(centered=True), 0.0, "bf16", 1, "w, squares, average", (1, 2)),
    ("Adagrad", adagrad(), 0.1, "bf16", 1, "w, squares", (1, 2, 3)),
]


def compressed_bytes(mithril, base, path, spec):
    """What a file takes against its base, restored and compared."""
    packed, restored = path + ".mth", path + ".back"
    for arguments in (["compress", "-p", spec, path, "-o", packed], ["decompress", packed, "-o", restored]):
        subprocess.run([mithril, arguments[0], "-q", "-f", "-t", "1", "-b", base, *arguments[1:]], check=True,
                       stdout=subprocess.DEVNULL)
    if not filecmp.cmp(path, restored, shallow=False):
        sys.exit(f"{path}: what was restored differs")
    n_bytes = os.path.getsize(packed)
    os.remove(packed)
    os.remove(restored)
    return n_bytes


def train_pair(folder, corpus, vocabulary, seed, make, decay, gradients, n_batches, n_groups):
    torch.manual_seed(seed)
    model = Gpt(len(vocabulary), **step_matrix.MODEL)
    model.table_names = {name + ".weight" for name, module in model.named_modules() if isinstance(module, torch.nn.Embedding)}
    optimizer = make(model, n_groups, decay)
    paths = []
    for number in range(N_STEPS):
        step_matrix.step(model, optimizer, corpus, number, gradients, True, n_batches)
        if number >= N_STEPS - 2:
            paths.append(os.path.join(folder, f"{number}.pt"))
            step_matrix.write(paths[-1], model, optimizer, number, False)
    return paths


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--mithril", default="build/mithril")
    parser.add_argument("--before", help="another build, whose ratios stand beside")
    parser.add_argument("--only", default="", help="rows whose line holds this")
    chosen = parser.parse_args()
    text = text_corpus.TEXTS["library"]()
    vocabulary = text_corpus.vocabulary(text)
    run = {"seed": 20240401, "model": step_matrix.MODEL, "batch_windows": 2, "validation_windows": 1}
    corpus = Corpus(text, vocabulary, run)
    print(f"torch {torch.__version__}", file=sys.stderr)
    names = ["without the optimizer"] + (["before"] if chosen.before else []) + ["`balanced`"]
    print("| optimizer | gradients | file | groups |", " | ".join(names), "|")
    print("|---|---|---|---:|" + "---:|" * len(names))
    for name, make, decay, gradients, n_batches, kept, all_groups in ROWS:
        for n_groups in all_groups:
            how = gradients if n_batches == 1 else f"sums of {n_batches} {gradients}"
            line = f"| {name} | {how} | {kept} | {n_groups} |"
            if chosen.only not in line:
                continue
            with tempfile.TemporaryDirectory() as folder:
                try:
                    base, path = train_pair(folder, corpus, vocabulary, run["seed"], make, decay, gradients, n_batches, n_groups)
                except TypeError as error:
                    print(f"{name}: {error}", file=sys.stderr)
                    continue
                programs = [(chosen.mithril, WITHOUT)] + ([(chosen.before, "balanced")] if chosen.before else []) + \
                    [(chosen.mithril, "balanced")]
                size = os.path.getsize(path)
                ratios = [f"{size / compressed_bytes(*program[:1], base, path, program[1]):.3f}x" for program in programs]
                print(line, " | ".join(ratios), "|", flush=True)


if __name__ == "__main__":
    main()
