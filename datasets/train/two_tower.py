"""A recommender of two towers, a table each: the score of a pair is the product of its two rows.

Gradients are sparse: a step moves the rows that it has seen, all others keep their bits.
"""

import math

import torch.nn as nn


class TwoTower(nn.Module):
    def __init__(self, n_symbols, width):
        super().__init__()
        self.query = nn.Embedding(n_symbols, width, sparse=True)
        self.item = nn.Embedding(n_symbols, width, sparse=True)
        for table in (self.query, self.item):
            nn.init.normal_(table.weight, 0.0, 1 / math.sqrt(width))

    def forward(self, queries, items, negatives):
        """Scores of (query, item), and of each query with its negatives."""
        rows = self.query(queries)
        return (rows * self.item(items)).sum(dim=1), (self.item(negatives) @ rows[:, :, None])[:, :, 0]
