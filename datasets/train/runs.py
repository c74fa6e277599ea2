"""The training runs by name: everything that makes one differ from another.

A run is a model, a seed, and phases; `formats` names what is kept of each checkpoint (see checkpoint_files.py), and a
phase may keep one of them at some steps `only`. `pairs` are measured; where a phase names none, neighbours are.
"""

OPTIMIZER = {"name": "AdamW", "beta1": 0.9, "beta2": 0.95, "eps": 1e-8, "weight_decay_matrices": 0.1,
             "weight_decay_vectors": 0.0, "grad_clip_norm": 1.0}

SMALL_GPT = {"context": 128, "width": 384, "n_layers": 6, "n_heads": 6}

# Where the runs begin that go on from gpt-pretrain: its last weights, and a fresh optimizer.
PRETRAINED = {"run": "gpt-pretrain", "phase": "pretrain", "step": 1210}

# 1, 10 and 40 steps apart.
NEAR_TO_FAR = {"": [(60, 61), (60, 70), (60, 100)]}

# (what ids begin with, older, base, step): pairs whose base's own past is known too, as the runs have three checkpoints.
OLDER = {
    "gpt-pretrain": [("early", 100, 109, 110), ("middle", 800, 809, 810), ("late", 1200, 1209, 1210), ("late", 1110, 1200, 1209)],
    "gpt-finetune": [("1e-5", 60, 61, 70), ("1e-6", 60, 61, 70), ("1e-6", 61, 70, 100)],
    "gpt-reinforce": [("1e-6", 60, 61, 70)],
    "gpt-frozen": [("lora", 50, 51, 60)],
    "recommender": [("train", 2990, 2999, 3000)],
}

STATES_GPT = {"context": 128, "width": 256, "n_layers": 3, "n_heads": 4}
WARM = {"name": "warm", "text": "library", "steps": 300, "schedule": "warmup-cosine", "warmup_steps": 50,
        "peak_lr": 1e-3, "final_lr": 3e-4, "precision": "autocast", "checkpoints": [], "pairs": {"": []}, "log_every": 50}
STATES_PHASE = {"text": "library", "steps": 300, "schedule": "constant", "precision": "autocast", "log_every": 50,
                "checkpoints": [200, 201, 202, 205, 210, 300],
                "pairs": {"": [(200, 201), (200, 202), (200, 205), (200, 210), (200, 300)]}}

RUNS = {
    # Small enough to commit. 2130 steps put the cosine at 3.0e-5 on step 2001, the rate at which much late
    # pre-training is done.
    "tiny-gpt": {
        "model": {"context": 128, "width": 128, "n_layers": 2, "n_heads": 4},
        "optimizer": OPTIMIZER, "seed": 20240229, "batch_windows": 32,
        "validate_every": 200, "validation_windows": None, "save_state_every": 100,
        "is_committed": True, "formats": ["bf16"],
        "phases": [
            {"name": "pretrain", "text": "documentation", "steps": 2130, "schedule": "warmup-cosine",
             "warmup_steps": 100, "peak_lr": 2e-3, "final_lr": 1e-5, "checkpoints": [2000, 2001, 2010],
             "log_every": 50},
            {"name": "finetune-1e-5", "text": "source_code", "steps": 102, "schedule": "constant", "peak_lr": 1e-5,
             "checkpoints": [100, 101, 102], "log_every": 10},
            {"name": "finetune-1e-6", "text": "source_code", "steps": 102, "schedule": "constant", "peak_lr": 1e-6,
             "checkpoints": [100, 101, 102], "log_every": 10},
        ],
    },
    # Large enough to time: 21 MB of bf16, 43 MB of fp32, rebuilt on request. The rate is 2.9e-5 at step 551.
    "small-gpt": {
        "model": {"context": 128, "width": 384, "n_layers": 6, "n_heads": 6},
        "optimizer": OPTIMIZER, "seed": 20240301, "batch_windows": 8,
        "validate_every": 100, "validation_windows": 128, "save_state_every": 50,
        "is_committed": False, "formats": ["bf16", "fp32", "bf16-pt", "training-pt"],
        "phases": [
            {"name": "pretrain", "text": "library", "steps": 600, "schedule": "warmup-cosine", "warmup_steps": 60,
             "peak_lr": 1e-3, "final_lr": 1e-5, "checkpoints": [550, 551, 560], "log_every": 10},
        ],
    },
    # The same model, from the first steps to the last: what a base is worth early, in the middle and late, 1 to 400
    # steps apart. The other runs start from its end.
    "gpt-pretrain": {
        "title": "GPT of 10.7 M parameters, pre-training from early to late",
        "model": SMALL_GPT,
        "optimizer": OPTIMIZER, "seed": 20240302, "batch_windows": 4,
        "validate_every": 200, "validation_windows": 64, "save_state_every": 100,
        "is_committed": False, "formats": ["bf16", "training-pt"],
        "phases": [
            {"name": "pretrain", "text": "library", "steps": 1210, "schedule": "warmup-cosine", "warmup_steps": 150,
             "peak_lr": 8e-4, "final_lr": 8e-6, "log_every": 10,
             "checkpoints": [10, 100, 109, 110, 410, 710, 800, 809, 810, 1110, 1200, 1209, 1210],
             "only": {"training-pt": [1209, 1210]},
             "pairs": {"early": [(109, 110), (100, 110), (10, 110), (10, 410)],
                       "middle": [(809, 810), (800, 810), (710, 810), (410, 810)],
                       "late": [(1209, 1210), (1200, 1210), (1110, 1210), (810, 1210)]}},
        ],
    },
    # Fine-tuning on another text, at two rates; what a publisher of every tenth step would keep.
    "gpt-finetune": {
        "title": "GPT of 10.7 M parameters, fine-tuned at 1e-5 and at 1e-6",
        "model": SMALL_GPT, "optimizer": OPTIMIZER, "seed": 20240303, "batch_windows": 4, "starts_from": PRETRAINED,
        "validate_every": 100, "validation_windows": 64, "save_state_every": 50,
        "is_committed": False, "formats": ["bf16"],
        "phases": [
            {"name": "1e-5", "text": "documentation", "steps": 100, "schedule": "constant", "peak_lr": 1e-5,
             "checkpoints": [60, 61, 70, 100], "pairs": {"": [*NEAR_TO_FAR[""], (61, 70)]}, "log_every": 10},
            {"name": "1e-6", "text": "documentation", "steps": 100, "schedule": "constant", "peak_lr": 1e-6,
             "checkpoints": [60, 61, 70, 100], "pairs": NEAR_TO_FAR, "log_every": 10},
        ],
    },
    # A policy gradient at the rate that reinforcement learning uses.
    "gpt-reinforce": {
        "title": "GPT of 10.7 M parameters, a policy gradient at 1e-6",
        "model": SMALL_GPT, "optimizer": OPTIMIZER, "seed": 20240304, "batch_windows": 4, "starts_from": PRETRAINED,
        "validate_every": 50, "validation_windows": None, "save_state_every": 50,
        "is_committed": False, "formats": ["bf16"],
        "phases": [
            {"name": "1e-6", "text": "library", "steps": 100, "schedule": "constant", "peak_lr": 1e-6,
             "reinforce": {"prompt_length": 16, "sample_length": 12, "prompts": 4, "samples_a_prompt": 4},
             "checkpoints": [60, 61, 70, 100], "pairs": NEAR_TO_FAR, "log_every": 10},
        ],
    },
    # The whole model is saved, a part of it is trained.
    "gpt-frozen": {
        "title": "GPT of 10.7 M parameters, LoRA and a frozen backbone, saved whole",
        "model": SMALL_GPT, "optimizer": OPTIMIZER, "seed": 20240305, "batch_windows": 4, "starts_from": PRETRAINED,
        "validate_every": 100, "validation_windows": 64, "save_state_every": 50,
        "is_committed": False, "formats": ["bf16"],
        "phases": [
            {"name": "lora", "text": "documentation", "steps": 60, "schedule": "constant", "peak_lr": 2e-4,
             "lora": {"rank": 8, "alpha": 16, "modules": ["attn.c_attn", "mlp.c_fc"]},
             "checkpoints": [50, 51, 60], "log_every": 10},
            {"name": "backbone", "text": "documentation", "steps": 60, "schedule": "constant", "peak_lr": 2e-5,
             "train_only": ["transformer.h.5.", "transformer.ln_f."],
             "checkpoints": [50, 51, 60], "log_every": 10},
        ],
    },
    # A vocabulary of 8192 words, whose table is also the head: stored twice, as exporters do that know of no ties.
    # Beside each checkpoint lies one with the moving average of the weights.
    "gpt-tied": {
        "title": "GPT of 10.3 M parameters over 8192 words, tied table stored twice, moving average",
        "model": {"context": 64, "width": 384, "n_layers": 4, "n_heads": 6}, "symbols": "pieces", "n_symbols": 8192,
        "optimizer": OPTIMIZER, "seed": 20240306, "batch_windows": 6,
        "validate_every": 100, "validation_windows": 128, "save_state_every": 50,
        "is_committed": False, "formats": ["bf16-two-names", "bf16-ema"],
        "phases": [
            {"name": "pretrain", "text": "library", "steps": 260, "schedule": "warmup-cosine", "warmup_steps": 40,
             "peak_lr": 1e-3, "final_lr": 2e-5, "ema_decay": 0.98, "checkpoints": [250, 251, 260], "log_every": 10},
        ],
    },
    # Two tables of names that stand near each other in source code; a step sees some hundred rows of each.
    "recommender": {
        "title": "Two-tower recommender of 10.6 M parameters, sparse updates",
        "kind": "two-tower", "model": {"width": 136}, "symbols": "names",
        "optimizer": {"name": "SparseAdam", "beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "grad_clip_norm": None},
        "seed": 20240307, "batch_windows": 512,
        "validate_every": 500, "validation_windows": None, "save_state_every": 500,
        "is_committed": False, "formats": ["bf16", "fp32", "training-pt"],
        "phases": [
            {"name": "train", "text": "library", "steps": 3000, "schedule": "constant", "peak_lr": 1e-3,
             "checkpoints": [2600, 2900, 2990, 2999, 3000],
             "only": {"fp32": [2900, 2990, 2999, 3000], "training-pt": [2999, 3000]},
             "pairs": {"": [(2999, 3000), (2990, 3000), (2900, 3000), (2600, 3000)]}, "log_every": 100},
        ],
    },
    # The same for chains: what policies of checkpoints of embedding tables were made for, kept every ten steps.
    "recommender-chain": {
        "title": "Two-tower recommender of 10.6 M parameters, fp32, every ten steps",
        "kind": "two-tower", "model": {"width": 136}, "symbols": "names",
        "optimizer": {"name": "SparseAdam", "beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "grad_clip_norm": None},
        "seed": 20240307, "batch_windows": 512,
        "validate_every": 500, "validation_windows": None, "save_state_every": 500,
        "is_committed": False, "formats": ["fp32"],
        "phases": [
            {"name": "train", "text": "library", "steps": 3000, "schedule": "constant", "peak_lr": 1e-3,
             "checkpoints": [2880, 2890, 2900, 2910, 2920, 2930, 2940, 2950, 2960, 2970, 2980, 2990, 3000],
             "pairs": {"": [(2990, 3000), (2900, 3000)]}, "log_every": 100},
        ],
    },
    # Adam's rival, going on where pre-training ended.
    "gpt-sgd": {
        "title": "GPT of 10.7 M parameters, SGD with momentum",
        "model": SMALL_GPT, "seed": 20240308, "batch_windows": 4, "starts_from": PRETRAINED,
        "optimizer": {"name": "SGD", "momentum": 0.9, "weight_decay_matrices": 0.0, "weight_decay_vectors": 0.0,
                      "grad_clip_norm": 1.0},
        "validate_every": 100, "validation_windows": 64, "save_state_every": 50,
        "is_committed": False, "formats": ["bf16", "training-pt"],
        "phases": [
            {"name": "sgd", "text": "library", "steps": 100, "schedule": "constant", "peak_lr": 1e-2,
             "checkpoints": [60, 61, 70, 100], "only": {"training-pt": [60, 61]}, "pairs": NEAR_TO_FAR,
             "log_every": 10},
        ],
    },
    # A bf16 model, its gradients in bf16, fp32 masters and Adam's state: all of it in one torch archive.
    "gpt-mixed": {
        "title": "GPT of 10.7 M parameters, bf16 model with fp32 masters and Adam's state",
        "model": SMALL_GPT, "optimizer": OPTIMIZER, "seed": 20240309, "batch_windows": 4, "starts_from": PRETRAINED,
        "validate_every": 70, "validation_windows": 64, "save_state_every": 35,
        "is_committed": False, "formats": ["bf16", "training-pt"],
        "phases": [
            {"name": "mixed", "text": "library", "steps": 70, "schedule": "constant", "peak_lr": 3e-5,
             "precision": "mixed", "checkpoints": [60, 61, 70], "log_every": 10},
        ],
    },
    # bf16 products, fp32 weights: what most training does. Whole states, 1 and 10 steps apart, at two rates;
    # Adam's second moment is long.
    "gpt-autocast": {
        "title": "GPT of 10.7 M parameters, bf16 autocast, whole training states",
        "model": SMALL_GPT, "optimizer": {**OPTIMIZER, "beta2": 0.999}, "seed": 20240311, "batch_windows": 4,
        "starts_from": PRETRAINED, "validate_every": 70, "validation_windows": 64, "save_state_every": 35,
        "is_committed": False, "formats": ["bf16", "training-pt"],
        "phases": [
            {"name": "3e-5", "text": "library", "steps": 70, "schedule": "constant", "peak_lr": 3e-5,
             "precision": "autocast", "checkpoints": [60, 61, 70], "log_every": 10},
            {"name": "3e-4", "text": "library", "steps": 70, "schedule": "constant", "peak_lr": 3e-4,
             "precision": "autocast", "checkpoints": [60, 61, 70], "log_every": 10},
        ],
    },
    # Small ones with whole states 1, 2, 5, 10 and 100 steps apart: what of a state follows from an earlier one.
    "states-3e-5": {
        "title": "GPT of 2.4 M parameters, bf16 autocast, whole states 1 to 100 steps apart at 3e-5",
        "model": STATES_GPT, "optimizer": OPTIMIZER, "seed": 20240312, "batch_windows": 4,
        "validate_every": 300, "validation_windows": 64, "save_state_every": 100,
        "is_committed": False, "formats": ["training-pt"],
        "phases": [WARM, {"name": "3e-5", "peak_lr": 3e-5, **STATES_PHASE}],
    },
    "states-3e-4": {
        "title": "GPT of 2.4 M parameters, bf16 autocast, whole states 1 to 100 steps apart at 3e-4",
        "model": STATES_GPT, "optimizer": {**OPTIMIZER, "beta2": 0.999}, "seed": 20240313, "batch_windows": 4,
        "validate_every": 300, "validation_windows": 64, "save_state_every": 100,
        "is_committed": False, "formats": ["training-pt"],
        "phases": [WARM, {"name": "3e-4", "peak_lr": 3e-4, **STATES_PHASE}],
    },
    # No masters: most steps are below half a ULP and lost. Its pairs prove nothing, and say so by this name.
    "gpt-bf16-native": {
        "title": "GPT of 10.7 M parameters, bf16-native: no fp32 masters",
        "model": SMALL_GPT, "optimizer": OPTIMIZER, "seed": 20240310, "batch_windows": 4, "starts_from": PRETRAINED,
        "validate_every": 70, "validation_windows": 64, "save_state_every": 35,
        "is_committed": False, "formats": ["bf16"],
        "phases": [
            {"name": "bf16-native", "text": "documentation", "steps": 70, "schedule": "constant", "peak_lr": 1e-5,
             "precision": "bf16-native", "checkpoints": [60, 61, 70], "log_every": 10},
        ],
    },
}
