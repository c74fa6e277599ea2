"""A GPT-2 shaped decoder: pre-LayerNorm, GELU MLP, learned positions, tied embeddings, biases, no dropout.

Tensor names and initialisation follow GPT-2: normal(0, 0.02), the projections into the residual stream scaled down
by sqrt(2 * layers), biases zero, LayerNorm gains one.
"""

import math

import torch
import torch.nn as nn
import torch.nn.functional as F


class Attention(nn.Module):
    def __init__(self, width, n_heads):
        super().__init__()
        self.n_heads = n_heads
        self.c_attn = nn.Linear(width, 3 * width)
        self.c_proj = nn.Linear(width, width)

    def forward(self, x):
        batch, length, width = x.shape
        query, key, value = (t.view(batch, length, self.n_heads, width // self.n_heads).transpose(1, 2)
                             for t in self.c_attn(x).split(width, dim=2))
        y = F.scaled_dot_product_attention(query, key, value, is_causal=True)
        return self.c_proj(y.transpose(1, 2).reshape(batch, length, width))


class Mlp(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.c_fc = nn.Linear(width, 4 * width)
        self.c_proj = nn.Linear(4 * width, width)

    def forward(self, x):
        return self.c_proj(F.gelu(self.c_fc(x)))


class Block(nn.Module):
    def __init__(self, width, n_heads):
        super().__init__()
        self.ln_1 = nn.LayerNorm(width)
        self.attn = Attention(width, n_heads)
        self.ln_2 = nn.LayerNorm(width)
        self.mlp = Mlp(width)

    def forward(self, x):
        x = x + self.attn(self.ln_1(x))
        return x + self.mlp(self.ln_2(x))


class Gpt(nn.Module):
    def __init__(self, n_symbols, context, width, n_layers, n_heads):
        super().__init__()
        self.transformer = nn.ModuleDict({
            "wte": nn.Embedding(n_symbols, width),
            "wpe": nn.Embedding(context, width),
            "h": nn.ModuleList(Block(width, n_heads) for _ in range(n_layers)),
            "ln_f": nn.LayerNorm(width),
        })
        for name, parameter in self.named_parameters():
            if name.endswith("c_proj.weight"):
                nn.init.normal_(parameter, 0.0, 0.02 / math.sqrt(2 * n_layers))
            elif parameter.dim() == 2:
                nn.init.normal_(parameter, 0.0, 0.02)
            elif name.endswith("bias"):
                nn.init.zeros_(parameter)

    def logits(self, tokens):
        parts = self.transformer
        x = parts.wte(tokens) + parts.wpe.weight[:tokens.shape[1]]
        for block in parts.h:
            x = block(x)
        return F.linear(parts.ln_f(x), parts.wte.weight)

    def forward(self, tokens, targets):
        """Mean cross entropy of the targets, in nats a token."""
        logits = self.logits(tokens)
        return F.cross_entropy(logits.flatten(0, 1), targets.flatten())
