"""The training runs by name: everything that makes one differ from another.

A run is a model, a seed, and phases; `formats` names what is kept of each checkpoint (see checkpoint_files.py).
"""

OPTIMIZER = {"name": "AdamW", "beta1": 0.9, "beta2": 0.95, "eps": 1e-8, "weight_decay_matrices": 0.1,
             "weight_decay_vectors": 0.0, "grad_clip_norm": 1.0}

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
}
