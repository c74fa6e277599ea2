"""Training a part of a model: frozen tensors, and low-rank adapters beside frozen matrices (LoRA, Hu et al. 2021)."""

import torch
import torch.nn as nn
import torch.nn.functional as F


def train_only(model, prefixes):
    """Freeze all parameters but those whose names begin with one of the prefixes."""
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name.startswith(tuple(prefixes)))


class LoraLinear(nn.Linear):
    """y = W x + b + (alpha / rank) B A x, with W and b frozen; B begins at zero, and so does the difference."""

    def forward(self, x):
        return super().forward(x) + self.lora_scale * F.linear(F.linear(x, self.lora_a), self.lora_b)


def add_lora(model, rank, alpha, modules):
    """Freeze the model and put adapters beside the linear layers of these names; all other names stay as they are."""
    model.requires_grad_(False)
    for name, module in model.named_modules():
        if isinstance(module, nn.Linear) and name.endswith(tuple(modules)):
            module.__class__ = LoraLinear
            module.lora_scale = alpha / rank
            module.lora_a = nn.Parameter(torch.randn(rank, module.in_features) / rank)
            module.lora_b = nn.Parameter(torch.zeros(module.out_features, rank))
