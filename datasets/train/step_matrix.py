"""What one step of AdamW takes, over how its gradients were made: a table, in Markdown.

    build/venv-train/bin/python datasets/train/step_matrix.py --mithril build/mithril [--only TEXT] [--variants]

From one GPT of 2.4 M parameters, warmed up in fp32 for 60 steps (once for each beta2), each cell goes on for six steps with gradients of its
own; the states of the last two are a pair, written as torch archives without and with a bf16 copy of the weights, compressed (which
restores and compares them) and deleted. The same file runs on torch 1.12 and later, to see whether the arithmetic of another
release is found as well; nothing here pins bits.
"""

import argparse
import copy
import itertools
import os
import subprocess
import sys
import tempfile

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import torch  # noqa: E402
import torch.nn.functional as F  # noqa: E402

import text_corpus  # noqa: E402
from corpus import Corpus  # noqa: E402
from gpt import Gpt  # noqa: E402

MODEL = {"context": 64, "width": 256, "n_layers": 3, "n_heads": 4}
WARM_STEPS, CELL_STEPS, LOSS_SCALE = 60, 6, 1024.0
BETA2S = (0.95, 0.999)


def plain_attention(query, key, value, is_causal):
    """The same in every release."""
    length = query.shape[-2]
    scores = query @ key.transpose(-2, -1) / query.shape[-1] ** 0.5
    mask = torch.ones(length, length, dtype=torch.bool).tril()
    return torch.softmax(scores.masked_fill(~mask, float("-inf")), dim=-1).to(value.dtype) @ value


F.scaled_dot_product_attention = plain_attention


def make_optimizer(model, beta2, lr, variant):
    groups = [{"params": [p for p in model.parameters() if p.dim() >= 2], "weight_decay": 0.1},
              {"params": [p for p in model.parameters() if p.dim() < 2], "weight_decay": 0.0}]
    chosen = {"single": {"foreach": False}, "foreach": {"foreach": True}, "fused": {"fused": True}}[variant]
    return torch.optim.AdamW(groups, lr=lr, betas=(0.9, beta2), eps=1e-8, **chosen)


def step(model, optimizer, corpus, number, gradients, clips, n_batches):
    optimizer.zero_grad(set_to_none=True)
    for i in range(n_batches):
        inputs, targets = corpus.batch(0, number * 8 + i)
        with torch.autocast("cpu", torch.bfloat16, enabled=gradients == "bf16"):
            loss = F.cross_entropy(model.logits(inputs).float().flatten(0, 1), targets.flatten()) / n_batches
        if gradients == "fp16":
            # As of an fp16 model: what one batch gives is rounded under a loss scale, and added up in fp32.
            new = torch.autograd.grad(loss * LOSS_SCALE, list(model.parameters()))
            for p, g in zip(model.parameters(), new):
                g = g.half().float()
                p.grad = g if p.grad is None else p.grad + g
        else:
            loss.backward()
    if gradients == "fp16":
        for p in model.parameters():
            p.grad.mul_(1 / LOSS_SCALE)
    if clips:
        torch.nn.utils.clip_grad_norm_(model.parameters(), 0.5)
    optimizer.step()


def write(path, model, optimizer, number, has_copy):
    state = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "step": number}
    if has_copy:
        state["masters"] = state["model"]
        state["model"] = {name: p.bfloat16() for name, p in state["masters"].items()}
    torch.save(state, path)


def ratio(mithril, base, path):
    out = path + ".mth"
    subprocess.run([mithril, "compress", "-q", "-f", "-t", "1", "-b", base, path, "-o", out], check=True,
                   stdout=subprocess.DEVNULL)
    result = os.path.getsize(path) / os.path.getsize(out)
    os.remove(out)
    return result


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--mithril", default="build/mithril")
    parser.add_argument("--only", default="", help="cells whose line holds this")
    parser.add_argument("--variants", action="store_true", help="single, foreach and fused steps in few settings instead of all settings")
    chosen = parser.parse_args()
    text = text_corpus.TEXTS["library"]()
    vocabulary = text_corpus.vocabulary(text)
    run = {"seed": 20240401, "model": MODEL, "batch_windows": 2, "validation_windows": 1}
    corpus = Corpus(text, vocabulary, run)
    torch.manual_seed(run["seed"])
    warm = {}
    for beta2 in BETA2S:
        torch.manual_seed(run["seed"])
        model = Gpt(len(vocabulary), **MODEL)
        optimizer = make_optimizer(model, beta2, 1e-3, "single")
        for number in range(WARM_STEPS):
            step(model, optimizer, corpus, number, "fp32", True, 1)
        warm[beta2] = ({n: p.clone() for n, p in model.state_dict().items()}, optimizer.state_dict())

    variants = ["single"]
    cells = itertools.product(("fp32", "bf16", "fp16"), (True, False), (1, 4), BETA2S, (3e-5, 3e-4), variants)
    if chosen.variants:
        variants = ["single", "foreach"] + (["fused"] if "fused" in torch.optim.AdamW.__init__.__code__.co_varnames else [])
        cells = itertools.product(("fp32", "bf16"), (True,), (1,), (0.999,), (3e-4,), variants)
    print(f"torch {torch.__version__}", file=sys.stderr)
    print("| gradients | clipped | batches | beta2 | rate | step | w, m, v | and a bf16 copy |")
    print("|---|---|---:|---:|---:|---|---:|---:|")
    with tempfile.TemporaryDirectory() as folder:
        for gradients, clips, n_batches, beta2, lr, variant in cells:
            line = f"| {gradients} | {'yes' if clips else 'no'} | {n_batches} | {beta2} | {lr:.0e} | {variant} |"
            if chosen.only not in line:
                continue
            model = Gpt(len(vocabulary), **MODEL)
            model.load_state_dict(warm[beta2][0])
            optimizer = make_optimizer(model, beta2, lr, variant)
            saved = {"state": copy.deepcopy(warm[beta2][1]["state"]), "param_groups": optimizer.state_dict()["param_groups"]}
            optimizer.load_state_dict(saved)
            for number in range(CELL_STEPS):
                step(model, optimizer, corpus, WARM_STEPS + number, gradients, clips, n_batches)
                if number >= CELL_STEPS - 2:
                    for has_copy in (False, True):
                        write(os.path.join(folder, f"{number}-{has_copy}.pt"), model, optimizer, number, has_copy)
            names = [[os.path.join(folder, f"{number}-{has_copy}.pt") for number in range(CELL_STEPS - 2, CELL_STEPS)]
                     for has_copy in (False, True)]
            print(line, " | ".join(f"{ratio(chosen.mithril, *pair):.2f}x" for pair in names), "|", flush=True)


if __name__ == "__main__":
    main()
