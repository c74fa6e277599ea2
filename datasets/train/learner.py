"""A model with what trains it: the tensors that move, their optimizer, their precision, their average.

Precision is one of
    fp32         the parameters are the masters
    autocast     the same, but products are computed in bf16: gradients of matrices are bf16 values
    mixed        the model is bf16; gradients are bf16; fp32 masters take the step and are rounded into the model
    bf16-native  the model is bf16 and the optimizer steps in bf16: what is below half a ULP is lost for good
"""

from contextlib import nullcontext

import torch
import torch.nn as nn
from torch.func import functional_call
from torch.nn.attention import SDPBackend, sdpa_kernel

import adapters

# What a bf16 machine rounds: the result of each of these. Sums inside a product stay in fp32, as in its units.
ROUNDED_MODULES = (nn.Linear, nn.LayerNorm, nn.Embedding)


def _plain_attention():
    """Attention of plain products: the fused one in bf16 refuses to run at a pinned vector width where a processor has AMX."""
    return sdpa_kernel(SDPBackend.MATH)


class _Widened:
    """A bf16 model computed in fp32, its results rounded to bf16 where a bf16 machine would round them.

    Products of bf16 values added up in fp32 and rounded once: what matrix units do, on processors that have none. The
    cast of each weight rounds its gradient to bf16 on the way back.
    """

    def __init__(self, model):
        self.model = model
        for module in model.modules():
            if isinstance(module, ROUNDED_MODULES):
                module.register_forward_hook(lambda module, inputs, result: result.bfloat16().float())

    def __call__(self, *inputs):
        wide = {name: p.float() for name, p in self.model.named_parameters()}
        return functional_call(self.model, wide, inputs)


class Learner:
    def __init__(self, settings, phase, model):
        self.clip_norm = settings["optimizer"]["grad_clip_norm"]
        self.model = model
        self.precision = phase.get("precision", "fp32")
        if "train_only" in phase:
            adapters.train_only(model, phase["train_only"])
        if "lora" in phase:
            adapters.add_lora(model, **phase["lora"])
        is_wide = self.precision in ("fp32", "autocast")
        if not is_wide:
            model.to(torch.bfloat16)
        self.call = model if is_wide else _Widened(model)
        self.masters = None
        if self.precision == "mixed":
            self.masters = {name: p.detach().float() for name, p in model.named_parameters()}
        self.optimizer = self._make_optimizer(settings["optimizer"])
        self.ema_decay = phase.get("ema_decay")
        self.ema = None
        if self.ema_decay is not None:
            self.ema = {name: p.detach().clone() for name, p in model.named_parameters()}

    def _stepped(self):
        """The tensors that the optimizer changes."""
        if self.masters is not None:
            return list(self.masters.values())
        return [p for p in self.model.parameters() if p.requires_grad]

    def _make_optimizer(self, chosen):
        stepped = self._stepped()
        if chosen["name"] == "SparseAdam":
            return torch.optim.SparseAdam(stepped, betas=(chosen["beta1"], chosen["beta2"]), eps=chosen["eps"])
        groups = [{"params": [p for p in stepped if p.dim() >= 2], "weight_decay": chosen["weight_decay_matrices"]},
                  {"params": [p for p in stepped if p.dim() < 2], "weight_decay": chosen["weight_decay_vectors"]}]
        if chosen["name"] == "SGD":
            return torch.optim.SGD(groups, lr=0.0, momentum=chosen["momentum"], foreach=False, fused=False)
        return torch.optim.AdamW(groups, betas=(chosen["beta1"], chosen["beta2"]), eps=chosen["eps"],
                                 foreach=False, fused=False)

    def update(self, lr, loss_of):
        """One step down the gradient of loss_of(model); the loss, and the norm before clipping (None: not clipped)."""
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        is_autocast = self.precision == "autocast"
        with torch.autocast("cpu", torch.bfloat16, enabled=is_autocast), _plain_attention() if is_autocast else nullcontext():
            loss = loss_of(self.call)
        self.model.zero_grad(set_to_none=True)
        loss.backward()
        if self.masters is not None:
            for name, p in self.model.named_parameters():
                self.masters[name].grad = p.grad.float()
        norm = None
        if self.clip_norm is not None:
            norm = torch.nn.utils.clip_grad_norm_(self._stepped(), self.clip_norm, foreach=False).item()
        self.optimizer.step()
        with torch.no_grad():
            if self.masters is not None:
                for name, p in self.model.named_parameters():
                    p.copy_(self.masters[name])
            if self.ema is not None:
                for name, p in self.model.named_parameters():
                    self.ema[name].lerp_(p, 1 - self.ema_decay)
        return loss.item(), norm

    def state(self):
        return {"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict(), "masters": self.masters,
                "ema": self.ema}

    def load(self, state):
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        for mine, saved in ((self.masters, state["masters"]), (self.ema, state["ema"])):
            for name in mine or ():
                mine[name].copy_(saved[name])
