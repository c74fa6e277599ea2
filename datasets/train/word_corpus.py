"""Texts as words: a vocabulary of thousands of rows, most of them rare, for a language model or a recommender."""

import collections
import hashlib
import re

import numpy as np
import torch

import text_corpus
from corpus import Corpus

PIECES = re.compile(rb" ?[A-Za-z_]+|[0-9]+|\n *| +|.", re.DOTALL)
NAMES = re.compile(rb"[A-Za-z_][A-Za-z0-9_]*")


def _by_frequency(words):
    """Distinct words, most frequent first, equal ones in byte order."""
    return sorted(collections.Counter(words).items(), key=lambda item: (-item[1], item[0]))


def digest(vocabulary):
    return hashlib.sha256(b"\0".join(vocabulary)).hexdigest()


def vocabulary_of_pieces(n_symbols, *texts):
    """Every single byte that occurs, then the most frequent pieces of more than one byte, n_symbols in all."""
    singles = [bytes([byte]) for byte in text_corpus.vocabulary(*texts)]
    pieces = (piece for text in texts for piece in PIECES.findall(text) if len(piece) > 1)
    return singles + [piece for piece, _ in _by_frequency(pieces)[:n_symbols - len(singles)]]


def vocabulary_of_names(*texts):
    """Every name, whatever its frequency: tables of a recommender are long."""
    return [name for name, _ in _by_frequency(name for text in texts for name in NAMES.findall(text))]


class PieceCorpus(Corpus):
    """A text as pieces of the vocabulary; what is not in it goes byte by byte."""

    symbol = "word"

    def encode(self, text, vocabulary):
        index = {piece: i for i, piece in enumerate(vocabulary)}
        tokens = []
        for piece in PIECES.findall(text):
            if piece in index:
                tokens.append(index[piece])
            else:
                tokens.extend(index[piece[i:i + 1]] for i in range(len(piece)))
        return torch.tensor(tokens)


class NameCorpus(Corpus):
    """Pairs of names that stand near each other in a text: the one is a query, the other what should be recommended."""

    symbol = "name"
    REACH = 5
    N_NEGATIVES = 4
    N_VALIDATION_PAIRS = 4096
    # A name above this share of the text is thinned out, by the rule of word2vec (Mikolov et al. 2013).
    FREQUENT = 1e-4

    def __init__(self, text, vocabulary, run):
        super().__init__(text, vocabulary, run)
        counts = torch.bincount(self.training, minlength=len(vocabulary)).double()
        self.odds = counts.pow(0.75)
        kept = (self.FREQUENT * len(self.training) / counts.clamp(min=1)).sqrt().clamp(max=1)
        generator = torch.Generator().manual_seed(self.seed)
        for name in ("training", "validation"):
            words = getattr(self, name)
            draws = torch.rand(len(words), generator=generator, dtype=torch.double)
            setattr(self, name, words[draws < kept[words]])
        self.record.update(names=len(vocabulary), training_names=len(self.training))

    def encode(self, text, vocabulary):
        index = {name: i for i, name in enumerate(vocabulary)}
        return torch.from_numpy(np.fromiter((index[name] for name in NAMES.findall(text) if name in index), np.int64))

    def _pairs(self, words, n_pairs, generator):
        at = torch.randint(self.REACH, len(words) - self.REACH, (n_pairs,), generator=generator)
        distance = torch.randint(1, self.REACH + 1, (n_pairs,), generator=generator)
        side = 1 - 2 * torch.randint(2, (n_pairs,), generator=generator)
        negatives = torch.multinomial(self.odds, n_pairs * self.N_NEGATIVES, replacement=True, generator=generator)
        return words[at], words[at + side * distance], negatives.view(n_pairs, self.N_NEGATIVES)

    def batch(self, phase_index, step):
        return self._pairs(self.training, self.batch_windows, self.generator(phase_index, step))

    def validation_pairs(self):
        return self._pairs(self.validation, self.N_VALIDATION_PAIRS, torch.Generator().manual_seed(self.seed))
