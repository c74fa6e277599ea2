"""What a run optimizes: a loss of a model at a step, and a figure on what was held out."""

import math

import torch
import torch.nn.functional as F


class NextToken:
    """Predict the next symbol of a text."""

    figure = "validation_bits_per_byte"

    def __init__(self, corpora):
        self.corpora = corpora

    def loss(self, model, phase, phase_index, step):
        return model(*self.corpora[phase["text"]].batch(phase_index, step))

    def train_text(self, phase, loss):
        return f"train {loss / math.log(2):.4f} bits/{self.corpora[phase['text']].symbol}"

    def validate(self, model, phase):
        """The figure, and how the log tells it."""
        corpus = self.corpora[phase["text"]]
        bits = round(corpus.validation_bits(model), 4)
        unigram = corpus.record["validation_unigram_entropy_bits_per_byte"]
        return bits, f"validation {bits:.4f} bits/byte (unigram entropy {unigram:.4f})"


class Reinforce:
    """A policy gradient on a toy task: go on from a prompt with as many letters as possible.

    The reward of a sample is its share of letters. Samples of one prompt are compared with each other: the advantage is
    the reward less the mean of the group, over its deviation (REINFORCE, Williams 1992, with the baseline of a group).
    """

    figure = "validation_reward"
    N_VALIDATION_PROMPTS = 32

    def __init__(self, corpora, vocabulary, prompt_length, sample_length, prompts, samples_a_prompt):
        self.corpora = corpora
        self.is_letter = torch.tensor([float(chr(byte).isalpha()) for byte in vocabulary])
        self.prompt_length = prompt_length
        self.sample_length = sample_length
        self.n_prompts = prompts
        self.n_samples = samples_a_prompt
        self.reward = 0.0

    @torch.no_grad()
    def _continued(self, model, prompts, generator):
        tokens = prompts
        for _ in range(self.sample_length):
            odds = model.logits(tokens)[:, -1].softmax(dim=1)
            tokens = torch.cat([tokens, torch.multinomial(odds, 1, generator=generator)], dim=1)
        return tokens

    def _rewards(self, tokens):
        return self.is_letter[tokens[:, self.prompt_length:]].mean(dim=1)

    def loss(self, model, phase, phase_index, step):
        corpus = self.corpora[phase["text"]]
        generator = corpus.generator(phase_index, step)
        prompts = corpus.windows(corpus.training, self.n_prompts, self.prompt_length, generator)
        tokens = self._continued(model, prompts.repeat_interleave(self.n_samples, dim=0), generator)
        rewards = self._rewards(tokens).view(self.n_prompts, self.n_samples)
        self.reward = rewards.mean().item()
        centred = rewards - rewards.mean(dim=1, keepdim=True)
        advantages = (centred / (centred.square().mean(dim=1, keepdim=True).sqrt() + 1e-6)).flatten()
        logits = model.logits(tokens[:, :-1])[:, self.prompt_length - 1:]
        chosen = tokens[:, self.prompt_length:]
        costs = F.cross_entropy(logits.flatten(0, 1), chosen.flatten(), reduction="none").view(chosen.shape)
        return (advantages[:, None] * costs).mean()

    def train_text(self, phase, loss):
        return f"reward {self.reward:.4f}"

    def validate(self, model, phase):
        corpus = self.corpora[phase["text"]]
        generator = torch.Generator().manual_seed(corpus.seed)
        prompts = corpus.windows(corpus.validation, self.N_VALIDATION_PROMPTS, self.prompt_length, generator)
        reward = round(self._rewards(self._continued(model, prompts, generator)).mean().item(), 4)
        return reward, f"mean reward {reward:.4f} on held-out prompts"


class Recommend:
    """Tell what stands near a query from what is drawn at random: logistic loss on one against a few negatives."""

    figure = "validation_share_ranked_right"

    def __init__(self, corpora):
        self.corpora = corpora

    def loss(self, model, phase, phase_index, step):
        right, wrong = model(*self.corpora[phase["text"]].batch(phase_index, step))
        return F.softplus(-right).mean() + F.softplus(wrong).sum(dim=1).mean()

    def train_text(self, phase, loss):
        return f"train {loss:.4f} nats/pair"

    @torch.no_grad()
    def validate(self, model, phase):
        right, wrong = model(*self.corpora[phase["text"]].validation_pairs())
        share = round((right > wrong[:, 0]).float().mean().item(), 4)
        return share, f"{100 * share:.2f} % of held-out pairs rank above a random one"
