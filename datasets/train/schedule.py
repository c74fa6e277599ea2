"""The learning rate of a step."""

import math


def learning_rate(phase, step):
    """The rate of update `step`, counted from 1: the one that turns the weights of step - 1 into those of step."""
    if phase["schedule"] == "constant":
        return phase["peak_lr"]
    if step <= phase["warmup_steps"]:
        return phase["peak_lr"] * step / phase["warmup_steps"]
    progress = (step - phase["warmup_steps"]) / (phase["steps"] - phase["warmup_steps"])
    return phase["final_lr"] + (phase["peak_lr"] - phase["final_lr"]) * 0.5 * (1 + math.cos(math.pi * progress))


def rate_after(phase, step):
    """The rate of the first update after a checkpoint, as records say it."""
    return float(f"{learning_rate(phase, step + 1):.4g}")
