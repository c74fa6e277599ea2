"""A text as batches to train on, and the entropy that a model must beat."""

import math

import numpy as np
import torch

import checkpoint_stats as stats
import text_corpus


class Corpus:
    symbol = "byte"

    def __init__(self, text, vocabulary, run):
        training, validation = text_corpus.split(text)
        self.training = self.encode(training, vocabulary)
        self.validation = self.encode(validation, vocabulary)
        self.bytes_per_symbol = len(validation) / len(self.validation)
        self.seed = run["seed"]
        self.length = run["model"].get("context")
        self.batch_windows = run["batch_windows"]
        self.validation_windows = run["validation_windows"]
        self.record = {
            "bytes": len(text), "sha256": text_corpus.sha256(text),
            "training_bytes": len(training), "validation_bytes": len(validation),
            "unigram_entropy_bits_per_byte": round(stats.entropy_bits(np.frombuffer(text, np.uint8)), 4),
            "validation_unigram_entropy_bits_per_byte":
                round(stats.entropy_bits(np.frombuffer(validation, np.uint8)), 4),
        }

    def encode(self, text, vocabulary):
        index = np.zeros(256, dtype=np.int64)
        index[list(vocabulary)] = np.arange(len(vocabulary))
        return torch.from_numpy(index[np.frombuffer(text, np.uint8)])

    def generator(self, phase_index, step):
        """What a step draws depends on the seed, the phase and the step alone."""
        return torch.Generator().manual_seed(self.seed + 1_000_000 * (phase_index + 1) + step)

    @staticmethod
    def windows(symbols, n_windows, length, generator):
        starts = torch.randint(len(symbols) - length + 1, (n_windows, 1), generator=generator)
        return symbols[starts + torch.arange(length)]

    def batch(self, phase_index, step):
        """Inputs and targets of a step."""
        generator = self.generator(phase_index, step)
        windows = self.windows(self.training, self.batch_windows, self.length + 1, generator)
        return windows[:, :-1], windows[:, 1:]

    @torch.no_grad()
    def validation_bits(self, model):
        """Bits a byte over windows of the validation text that do not overlap: all of them, or some spread evenly."""
        n_windows = (len(self.validation) - 1) // self.length
        inputs = self.validation[:n_windows * self.length].view(n_windows, self.length)
        targets = self.validation[1:n_windows * self.length + 1].view(n_windows, self.length)
        if self.validation_windows is not None and self.validation_windows < n_windows:
            chosen = torch.arange(self.validation_windows) * n_windows // self.validation_windows
            inputs, targets, n_windows = inputs[chosen], targets[chosen], self.validation_windows
        total = 0.0
        for i in range(0, n_windows, self.batch_windows):
            chunk = slice(i, i + self.batch_windows)
            total += model(inputs[chunk], targets[chunk]).item() * inputs[chunk].shape[0]
        return total / n_windows / math.log(2) / self.bytes_per_symbol
