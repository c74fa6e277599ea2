"""What a step of training takes as one file and as the directories that trainers write: a table, in Markdown.

    build/venv-train/bin/python datasets/train/step_directories.py --mithril build/mithril [--keep DIR]

The GPT of step_matrix.py goes on for eleven steps with gradients of either kind. Steps 1 and 10 apart are written

    torch      one .pt of weights and optimizer
    trainer    as the Trainer of transformers does: model.safetensors beside optimizer.pt, whose parameters have numbers and two
               groups, and the small files that go with them
    deepspeed  as its ZeRO does on one rank: bf16 weights in one file, flat fp32 masters and moments in another, which
               counts steps in its groups
    megatron   as its distributed optimizer does: bf16 weights in one file, in another one flat buffer of masters and two of moments, in
               which parameters stand in reverse, those that decay among those that do not

Each pair goes to a chain, whose second step is what is told; it is restored and compared. The second table is of the directories, compressed against
the earlier ones.
"""

import argparse
import copy
import filecmp
import json
import os
import shutil
import subprocess
import sys
import tempfile

import torch
from safetensors.torch import save_file

import text_corpus
from corpus import Corpus
from gpt import Gpt
from step_matrix import MODEL, make_optimizer, step

WARM_STEPS, LAST = 60, 11
KEPT_STEPS = (1, 10, 11)  # 10 and 11 are one apart, 1 and 11 ten


def write_small_files(folder, number):
    schedule = torch.optim.lr_scheduler.LambdaLR(torch.optim.SGD([torch.zeros(1)], lr=0.1), lambda _: 1.0)
    torch.save(schedule.state_dict(), os.path.join(folder, "scheduler.pt"))
    torch.save({"cpu": torch.get_rng_state()}, os.path.join(folder, "rng_state.pth"))
    with open(os.path.join(folder, "trainer_state.json"), "w") as out:
        json.dump({"global_step": number, "log_history": []}, out, indent=2)


def write_trainer(folder, model, optimizer, number):
    os.makedirs(folder)
    save_file({n: p.detach().clone() for n, p in model.state_dict().items()}, os.path.join(folder, "model.safetensors"),
              metadata={"format": "pt"})
    torch.save(optimizer.state_dict(), os.path.join(folder, "optimizer.pt"))
    write_small_files(folder, number)


def flat(tensors):
    return torch.cat([t.detach().flatten() for t in tensors])


def write_deepspeed(folder, model, optimizer, number):
    os.makedirs(folder)
    names = {p: n for n, p in model.named_parameters()}
    groups = [group["params"] for group in optimizer.param_groups]
    state = {i: {"exp_avg": flat(optimizer.state[p]["exp_avg"] for p in params),
                 "exp_avg_sq": flat(optimizer.state[p]["exp_avg_sq"] for p in params)} for i, params in enumerate(groups)}
    numbered = [{**{k: v for k, v in group.items() if k != "params"}, "params": [i],
                 "step": int(optimizer.state[group["params"][0]]["step"])} for i, group in enumerate(optimizer.param_groups)]
    torch.save({"module": {n: p.detach().bfloat16() for n, p in model.state_dict().items()}, "global_steps": number,
                "param_shapes": [{names[p]: p.shape for p in params} for params in groups]},
               os.path.join(folder, "mp_rank_00_model_states.pt"))
    torch.save({"optimizer_state_dict": {"base_optimizer_state": {"state": state, "param_groups": numbered},
                                         "single_partition_of_fp32_groups": [flat(params) for params in groups],
                                         "zero_stage": 1, "partition_count": [1, 1]}, "ds_version": "0.16.0"},
               os.path.join(folder, "bf16_zero_pp_rank_0_mp_rank_00_optim_states.pt"))


def write_megatron(folder, model, optimizer, number):
    folder = os.path.join(folder, "mp_rank_00")
    os.makedirs(folder)
    params = list(model.parameters())[::-1]
    groups = [{**{k: v for k, v in group.items() if k != "params"}, "step": number, "params": []}
              for group in optimizer.param_groups]
    torch.save({"model": {n: p.detach().bfloat16() for n, p in model.state_dict().items()}, "iteration": number,
                "optimizer": {"optimizer": {"param_groups": groups}}}, os.path.join(folder, "model_optim_rng.pt"))
    buffers = {"param": flat(params), **{key: flat(optimizer.state[p][key] for p in params) for key in ("exp_avg", "exp_avg_sq")}}
    torch.save({"buckets_coalesced": True,
                0: {(torch.bfloat16, torch.float32): {**buffers, "numel_unpadded": buffers["param"].numel()}}},
               os.path.join(folder, "distrib_optim.pt"))


def write_all(root, model, optimizer, number):
    os.makedirs(os.path.join(root, "torch"), exist_ok=True)
    torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict(), "step": number},
               os.path.join(root, "torch", f"step-{number}.pt"))
    write_trainer(os.path.join(root, "trainer", f"checkpoint-{number}"), model, optimizer, number)
    write_deepspeed(os.path.join(root, "deepspeed", f"global_step{number}"), model, optimizer, number)
    write_megatron(os.path.join(root, "megatron", f"iter_{number:07}"), model, optimizer, number)


def same(a, b):
    if os.path.isfile(a):
        return filecmp.cmp(a, b, shallow=False)
    names = sorted(os.listdir(a))
    return names == sorted(os.listdir(b)) and all(same(os.path.join(a, name), os.path.join(b, name)) for name in names)


def ratio(mithril, base, path):
    with tempfile.TemporaryDirectory() as folder:
        chain, back = os.path.join(folder, "chain"), os.path.join(folder, "back")
        subprocess.run([mithril, "chain", "add", "-q", "-t", "1", chain, base, path, "--policy", "consecutive"], check=True,
                       stdout=subprocess.DEVNULL)
        listed = json.loads(subprocess.run([mithril, "chain", "list", chain, "--json", "-"], check=True,
                                           capture_output=True).stdout)
        last = listed["steps"][-1]
        subprocess.run([mithril, "chain", "restore", "-q", chain, "--step", str(last["step"]), "-o", back], check=True,
                       stdout=subprocess.DEVNULL)
        if not same(path, back):
            sys.exit(f"{path}: did not come back")
        return last["raw_bytes"] / last["stored_bytes"]


def raw_bytes(path):
    return sum(os.path.getsize(os.path.join(folder, name)) for folder, _, names in os.walk(path) for name in names)


def directory_ratio(mithril, base, path):
    with tempfile.TemporaryDirectory() as folder:
        packed, back = os.path.join(folder, "packed"), os.path.join(folder, "back")
        for command in (["compress", path, "-o", packed], ["decompress", packed, "-o", back]):
            subprocess.run([mithril, *command, "-q", "-t", "1", "-b", base], check=True, stderr=subprocess.DEVNULL)
        if not same(path, back):
            sys.exit(f"{path}: did not come back")
        return raw_bytes(path) / raw_bytes(packed)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--mithril", default="build/mithril")
    parser.add_argument("--keep", help="where the steps go, and stay; used again when they are there")
    chosen = parser.parse_args()
    root = chosen.keep or tempfile.mkdtemp()
    if not os.path.isdir(os.path.join(root, "fp32")):
        text = text_corpus.TEXTS["library"]()
        vocabulary = text_corpus.vocabulary(text)
        corpus = Corpus(text, vocabulary, {"seed": 20240401, "model": MODEL, "batch_windows": 2, "validation_windows": 1})
        torch.manual_seed(20240401)
        warm = Gpt(len(vocabulary), **MODEL)
        warm_optimizer = make_optimizer(warm, 0.999, 1e-3, "foreach")
        for number in range(WARM_STEPS):
            step(warm, warm_optimizer, corpus, number, "fp32", True, 1)
        for gradients in ("bf16", "fp32"):
            model = Gpt(len(vocabulary), **MODEL)
            model.load_state_dict(warm.state_dict())
            optimizer = make_optimizer(model, 0.999, 3e-4, "foreach")
            optimizer.load_state_dict({"state": copy.deepcopy(warm_optimizer.state_dict()["state"]),
                                       "param_groups": optimizer.state_dict()["param_groups"]})
            for number in range(1, LAST + 1):
                step(model, optimizer, corpus, WARM_STEPS + number, gradients, True, 1)
                if number in KEPT_STEPS:
                    write_all(os.path.join(root, gradients), model, optimizer, WARM_STEPS + number)
    layouts = (("torch", "step-%d.pt"), ("trainer", "checkpoint-%d"), ("deepspeed", "global_step%d"), ("megatron", "iter_%07d"))
    for measure, first_layout in ((ratio, 0), (directory_ratio, 1)):
        print(f"| gradients | steps apart | {' | '.join(layout for layout, _ in layouts[first_layout:])} |")
        print(f"|---|---:|{'---:|' * len(layouts[first_layout:])}")
        for gradients in ("bf16", "fp32"):
            for first in (10, 1):
                cells = []
                for layout, name in layouts[first_layout:]:
                    paths = [os.path.join(root, gradients, layout, name % (WARM_STEPS + n)) for n in (first, LAST)]
                    cells.append(f"{measure(chosen.mithril, *paths):.3f}x")
                print(f"| {gradients} | {LAST - first} | {' | '.join(cells)} |", flush=True)
        print()
    if not chosen.keep:
        shutil.rmtree(root)


if __name__ == "__main__":
    main()
