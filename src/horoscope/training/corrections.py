"""Learning from an editor's corrections of what the model itself wrote.

For each sentence that was changed the model is shown both, after the same corrected beginning, and
moved towards the editor's and away from its own: direct preference optimisation (DPO,
arXiv:2305.18290), a pair for each sentence instead of one for each text. The corrected texts are
learned as texts, too, with a small weight, which keeps the model from drifting.
"""

import hashlib
import math
import random
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from tokenizers import Tokenizer
from transformers.utils import logging

from horoscope.errors import InputError
from horoscope.generation.description import (
    DESCRIPTION_FILE,
    ModelDescription,
    load_description,
)
from horoscope.training.card import write_card
from horoscope.training.critic import MarkedText, load_marks
from horoscope.training.models import load_pretrained
from horoscope.training.trainer import devices

HELD_OUT = 10  # of so many texts one is held out
TEXTS_A_STEP = 8
BETA = 0.1  # how far the model may move from itself for a preference; the paper's value
TEXT_WEIGHT = 0.2  # of the corrected texts' own loss


@dataclass(frozen=True)
class Pair:
    """A sentence of the editor's, from `start` to `end` in the corrected text's ids, and the ids of
    a row with the model's own sentence in its place, which begins there as well."""

    start: int
    end: int
    refused: list[int]


@dataclass
class CorrectedText:
    """The ids of a text as the editor left it, with its prompt and end mark, and what changed."""

    ids: list[int]
    prompt_length: int
    pairs: list[Pair] = field(default_factory=list)


def learn_corrections(
    directory: Path, marks: Path, output: Path, learning_rate: float, epochs: int, seed: int
) -> float:
    """Train the model in `directory` on marks and write it to `output`.

    Returns the share of held-out pairs in which the model moved towards the editor's sentence; the
    model that it began as stands at 0.5. Raises InputError if model or marks cannot be used.
    """
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    if (output / DESCRIPTION_FILE).exists():
        raise InputError(f"{output} holds a finished model; choose another --output.")
    description = load_description(directory)
    model, tokenizer = load_pretrained(str(directory))
    original, _ = load_pretrained(str(directory))
    texts = [
        corrected(each, tokenizer.backend_tokenizer, description) for each in load_marks(marks)
    ]
    held_out = [text for text in texts[::HELD_OUT] if text.pairs]
    learned = [text for i, text in enumerate(texts) if i % HELD_OUT]
    if not held_out or not any(text.pairs for text in learned):
        raise InputError(f"{marks} has too few corrected sentences to learn from.")
    accelerator = devices()
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=learning_rate, betas=(0.9, 0.95), weight_decay=0.0
    )
    model, optimizer, original = accelerator.prepare(model, optimizer, original)
    model.eval()  # no dropout: both models must differ by what is learned alone
    original.eval()
    steps = epochs * math.ceil(len(learned) / TEXTS_A_STEP)
    shuffle = random.Random(seed)
    history = [{"step": 0.0, "preferred": 0.5}]
    with Progress(
        TextColumn("step"),
        MofNCompleteColumn(),
        BarColumn(),
        TimeRemainingColumn(),
        TextColumn("loss {task.fields[loss]:.3f}"),
    ) as progress:
        task = progress.add_task("", total=steps, loss=math.log(2))
        for epoch in range(epochs):
            shuffle.shuffle(learned)
            for start in range(0, len(learned), TEXTS_A_STEP):
                step = epoch * math.ceil(len(learned) / TEXTS_A_STEP) + start // TEXTS_A_STEP
                for group in optimizer.param_groups:
                    group["lr"] = _learning_rate(learning_rate, step, steps)
                loss = _loss(model, original, learned[start : start + TEXTS_A_STEP])
                accelerator.backward(loss)
                accelerator.clip_grad_norm_(model.parameters(), 1.0)
                optimizer.step()
                optimizer.zero_grad()
                progress.update(task, completed=step + 1, loss=float(loss.detach()))
            preferred = _preferred(model, original, held_out)
            history.append({"step": step + 1.0, "preferred": preferred})
    record = description.training | {
        "command": shlex.join(["horoscope", *sys.argv[1:]]),
        "start": str(directory),
        "earlier": [*description.training["earlier"], description.training["command"]],
        "corrections": {
            "texts": len(texts),
            "sentences": sum(len(text.pairs) for text in texts),
            "sha256": hashlib.sha256(marks.read_bytes()).hexdigest(),
            "learning_rate": learning_rate,
            "epochs": epochs,
            "seed": seed,
            "history": history,
        },
    }
    plain = accelerator.unwrap_model(model)
    plain.save_pretrained(output)
    tokenizer.save_pretrained(output)
    write_card(output, description.name, record)
    description.model_copy(update={"training": record, "engine": []}).save(output)
    return preferred


def corrected(marked: MarkedText, tokenizer: Tokenizer, model: ModelDescription) -> CorrectedText:
    """What a marked text teaches."""

    def ids_of(text: str) -> list[int]:
        ids: list[int] = tokenizer.encode(text, add_special_tokens=False).ids
        return ids

    ids = [*model.begin_ids, *ids_of(model.prompt(marked.sign, marked.topic))]
    text = CorrectedText(ids, len(ids))
    for index, sentence in enumerate(marked.sentences):
        space = " " if len(text.ids) > text.prompt_length else ""
        instead = marked.edits.get(index, sentence)
        if not instead:
            continue
        start = len(text.ids)
        refused = [*text.ids, *ids_of(space + sentence)]
        text.ids += ids_of(space + instead)
        if instead != sentence:
            text.pairs.append(Pair(start, len(text.ids), refused))
    text.ids.append(model.end_id)
    return text


def _loss(model: Any, original: Any, texts: Sequence[CorrectedText]) -> torch.Tensor:
    rows = [row for text in texts for row in (text.ids, *(pair.refused for pair in text.pairs))]
    likely = _log_probabilities(model, rows)
    with torch.no_grad():
        before = _log_probabilities(original, rows)
    nats, tokens, preferences, row = torch.zeros(()), 0, [], 0
    for text in texts:
        nats = nats - likely[row][text.prompt_length - 1 : len(text.ids) - 1].sum()
        tokens += len(text.ids) - text.prompt_length
        preferences += _preferences(likely, before, text, row)
        row += 1 + len(text.pairs)
    loss = TEXT_WEIGHT * nats / tokens
    if preferences:
        loss = loss - torch.nn.functional.logsigmoid(BETA * torch.stack(preferences)).mean()
    return loss


def _preferences(
    likely: torch.Tensor, before: torch.Tensor, text: CorrectedText, row: int
) -> list[torch.Tensor]:
    """For each pair, by how many nats the model moved towards the editor's sentence."""
    moved = likely - before
    found = []
    for number, pair in enumerate(text.pairs, 1):
        preferred = moved[row][pair.start - 1 : pair.end - 1].sum()
        refused = moved[row + number][pair.start - 1 : len(pair.refused) - 1].sum()
        found.append(preferred - refused)
    return found


@torch.no_grad()
def _preferred(model: Any, original: Any, texts: Sequence[CorrectedText]) -> float:
    """The share of pairs in which the model moved towards the editor's sentence."""
    found = []
    for text in texts:
        rows = [text.ids, *(pair.refused for pair in text.pairs)]
        likely, before = _log_probabilities(model, rows), _log_probabilities(original, rows)
        found += _preferences(likely, before, text, 0)
    return float((torch.stack(found) > 0).float().mean())


def _log_probabilities(model: Any, rows: Sequence[list[int]]) -> torch.Tensor:
    """Of each token but the first, given those before it: [rows, longest - 1]."""
    device = next(model.parameters()).device
    ids = torch.zeros(len(rows), max(map(len, rows)), dtype=torch.long)
    mask = torch.zeros_like(ids)
    for number, row in enumerate(rows):
        ids[number, : len(row)] = torch.tensor(row)
        mask[number, : len(row)] = 1
    logits = model(input_ids=ids.to(device), attention_mask=mask.to(device)).logits[:, :-1]
    nats = torch.nn.functional.cross_entropy(
        logits.flatten(0, 1).float(), ids[:, 1:].flatten().to(device), reduction="none"
    )
    return -nats.view(len(rows), -1).cpu()


def _learning_rate(highest: float, step: int, steps: int) -> float:
    """A short rise, then a cosine down to a tenth."""
    rise = min(1.0, (step + 1) / max(1, steps / 20))
    return highest * rise * (0.55 + 0.45 * math.cos(math.pi * step / steps))
