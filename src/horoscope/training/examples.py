"""From texts to padded batches of token ids."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from tokenizers import Tokenizer

from horoscope.dataset import Example
from horoscope.errors import InputError
from horoscope.generation.description import ModelDescription
from horoscope.training.themes import Themes

LONGEST = 1024  # tokens of a text with its prompt; keeps one odd text from filling the memory
IGNORED = -100  # torch's index for positions that do not count in the loss


@dataclass(frozen=True)
class TokenizedExample:
    """A prompt and a text in one list of ids, end mark included."""

    ids: list[int]
    prompt_length: int
    characters: int
    """Characters of the text as far as it is in `ids`, for bits per character."""
    cut: bool = False
    """Whether the text was too long and lacks its end."""

    @property
    def text_tokens(self) -> int:
        """How many tokens count in the loss."""
        return len(self.ids) - self.prompt_length


@dataclass(frozen=True)
class Batch:
    """Tensors [batch, length]; labels are IGNORED for prompt and padding."""

    ids: torch.Tensor
    mask: torch.Tensor
    labels: torch.Tensor


def tokenize(
    examples: Sequence[Example],
    tokenizer: Tokenizer,
    model: ModelDescription,
    longest: int,
    themes: Themes | None = None,
) -> list[TokenizedExample]:
    """Each example as ids, cut to `longest` tokens; with `themes` every second prompt names the
    theme of its text, so that the model can be asked with one and without.

    Raises InputError if a prompt has as many tokens.
    """
    texts = tokenizer.encode_batch([e.text for e in examples], add_special_tokens=False)
    tokenized = []
    for number, (example, text) in enumerate(zip(examples, texts, strict=True)):
        theme = themes.of(example.text) if themes and number % 2 == 0 else None
        asked = model.prompt(example.sign, example.topic, theme)
        prompt = [*model.begin_ids, *tokenizer.encode(asked, add_special_tokens=False).ids]
        room = longest - len(prompt)
        if room < 1:
            raise InputError(
                f"The model sees {longest} tokens at once, and the question alone takes "
                f"{len(prompt)}: choose a model with a longer context."
            )
        if len(text.ids) < room:
            ids = [*prompt, *text.ids, model.end_id]
            tokenized.append(TokenizedExample(ids, len(prompt), len(example.text)))
        else:
            ids = [*prompt, *text.ids[:room]]
            tokenized.append(TokenizedExample(ids, len(prompt), text.offsets[room - 1][1], True))
    return tokenized


def order(lengths: Sequence[int], batch_size: int, seed: int, epoch: int) -> list[list[int]]:
    """The batches of one epoch, as indices: a function of its arguments alone, so a resumed run
    sees what an uninterrupted one would. Texts of like length stand together to save padding."""
    random = torch.Generator().manual_seed(seed * 100_003 + epoch)
    shuffled = torch.randperm(len(lengths), generator=random).tolist()
    batches: list[list[int]] = []
    for start in range(0, len(shuffled), 32 * batch_size):
        pool = sorted(shuffled[start : start + 32 * batch_size], key=lengths.__getitem__)
        batches += [pool[i : i + batch_size] for i in range(0, len(pool), batch_size)]
    return [batches[i] for i in torch.randperm(len(batches), generator=random).tolist()]


def collate(examples: Sequence[TokenizedExample], device: torch.device | str = "cpu") -> Batch:
    """Pad on the right to the longest of the batch."""
    length = max((len(e.ids) for e in examples), default=1)
    ids = torch.zeros(len(examples), length, dtype=torch.long)
    mask = torch.zeros_like(ids)
    labels = torch.full_like(ids, IGNORED)
    for row, example in enumerate(examples):
        n = len(example.ids)
        ids[row, :n] = torch.tensor(example.ids)
        mask[row, :n] = 1
        labels[row, example.prompt_length : n] = ids[row, example.prompt_length : n]
    return Batch(ids.to(device), mask.to(device), labels.to(device))


def in_batches(
    examples: Sequence[TokenizedExample], batch_size: int
) -> Iterator[Sequence[TokenizedExample]]:
    """Consecutive batches, sorted by length, for scoring."""
    ordered = sorted(examples, key=lambda e: len(e.ids))
    for start in range(0, len(ordered), batch_size):
        yield ordered[start : start + batch_size]
