"""A critic: one more output of a model, which says how good a sentence is after those before it.

It is a line through the model's own hidden states at the ends of sentences, so that judging costs
nothing while a text is written: the state is there anyway. It learns from marks: texts that the
model wrote, in which an editor changed the sentences not worth printing.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors.torch import load_file, save_file

from horoscope.corpus import corpus_path
from horoscope.errors import InputError
from horoscope.generation.description import ModelDescription, load_description
from horoscope.training.models import load_pretrained
from horoscope.zodiac import Sign, Topic

CRITIC_FILE = "critic.safetensors"
MARKS = corpus_path("marks")
FOLDS = 5
PENALTIES = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0)  # on the weights, tried by cross-validation
NEWTON_STEPS = 15


Critic = tuple[torch.Tensor, torch.Tensor]
"""Weight [width] and bias []."""


class MarkedText(BaseModel):
    """A text that a model wrote, by sentences, and an editor's changes by their index."""

    model_config = ConfigDict(extra="forbid")

    sign: Sign
    topic: Topic
    theme: str | None = None
    """What the model was asked to write about, if it knows themes."""
    sentences: list[str] = Field(min_length=1)
    publish: int = Field(ge=1, le=5)
    """Would it be printed as it is: 5 gladly, 1 never."""
    edits: dict[int, str]
    """What should stand instead of a faulty sentence; empty where it should be left out."""


@dataclass(frozen=True)
class Verdict:
    """How well a critic tells faulty sentences from good ones."""

    sentences: int
    faulty: int
    area: float
    """Area under the ROC curve on texts it did not learn from: how often a good sentence has a
    higher score than a faulty one; 0.5 is chance."""


@dataclass
class _Sentences:
    """Every marked sentence: the model's state at its end, whether it is good, its text."""

    states: list[NDArray[np.float32]] = field(default_factory=list)
    good: list[bool] = field(default_factory=list)
    text: list[int] = field(default_factory=list)


def train_critic(directory: Path, marks: Path, candidates: int) -> Verdict:
    """Give the model in `directory` a critic, and let it choose among `candidates` from now on.

    Raises InputError if the model or the marks cannot be used.
    """
    description = load_description(directory)
    texts = load_marks(marks)
    model, tokenizer = load_pretrained(str(directory))
    sentences = _read(model.eval(), tokenizer.backend_tokenizer, description, texts)
    states = torch.tensor(np.array(sentences.states))
    good = torch.tensor(sentences.good, dtype=torch.float32)
    if not 0 < int(good.sum()) < len(good):
        raise InputError(f"{marks} needs both good and faulty sentences to learn from.")
    folds = torch.tensor(sentences.text) % FOLDS
    areas = {p: _cross_validated(states, good, folds, p) for p in PENALTIES}
    penalty = max(areas, key=areas.__getitem__)
    weight, bias = _fit(states, good, penalty)
    save_file({"weight": weight, "bias": bias}, directory / CRITIC_FILE)
    verdict = Verdict(len(good), int((good == 0).sum()), areas[penalty])
    record = description.training | {
        "critic": {"marks": len(texts), "sentences": verdict.sentences, "faulty": verdict.faulty}
        | {"area_under_curve": round(verdict.area, 4), "penalty": penalty}
    }
    description.model_copy(update={"candidates": candidates, "training": record}).save(directory)
    return verdict


def load_critic(directory: Path) -> Critic | None:
    """The critic in a model directory, if it has one."""
    path = directory / CRITIC_FILE
    if not path.is_file():
        return None
    critic = load_file(path)
    return critic["weight"], critic["bias"]


def load_marks(path: Path) -> list[MarkedText]:
    """Read marks, a JSON object a line. Raises InputError with the line that cannot be used."""
    if not path.is_file():
        raise InputError(f"There is no file {path}.")
    texts = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            texts.append(MarkedText.model_validate_json(line))
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"]))
            raise InputError(f"{path}, line {number}: {where} {first['msg']}.") from None
    if not texts:
        raise InputError(f"{path} is empty.")
    return texts


@torch.no_grad()
def _read(
    model: Any, tokenizer: Any, description: ModelDescription, texts: Sequence[MarkedText]
) -> _Sentences:
    """Let the model read each text as it wrote it."""
    read = _Sentences()
    for number, marked in enumerate(texts):
        asked = description.prompt(marked.sign, marked.topic, marked.theme)
        prompt = tokenizer.encode(asked, add_special_tokens=False).ids
        text = tokenizer.encode(" ".join(marked.sentences), add_special_tokens=False)
        ids = [*description.begin_ids, *prompt, *text.ids]
        states = hidden_states(model, torch.tensor([ids]))[0]
        first = len(ids) - len(text.ids)
        end = -1
        for index, sentence in enumerate(marked.sentences):
            end += len(sentence) + 1
            at = next(k for k, (_, stop) in enumerate(text.offsets) if stop >= end)
            read.states.append(states[first + at].float().numpy())
            read.good.append(index not in marked.edits)
            read.text.append(number)
    return read


def hidden_states(model: Any, ids: torch.Tensor) -> torch.Tensor:
    """The last layer's states [batch, length, width], from which the model guesses what follows."""
    states: torch.Tensor = model(input_ids=ids, output_hidden_states=True).hidden_states[-1]
    return states


def _fit(states: torch.Tensor, good: torch.Tensor, penalty: float) -> Critic:
    """Logistic regression with a quadratic penalty, by Newton's method, on states [n, width] that
    are brought to one scale."""
    mean, scale = states.mean(0), states.std(0) + 1e-6
    inputs = torch.cat([(states - mean) / scale, torch.ones(len(states), 1)], dim=1).double()
    penalties = torch.full((inputs.shape[1],), penalty, dtype=torch.double)
    penalties[-1] = 1e-6  # the bias is free
    found = torch.zeros(inputs.shape[1], dtype=torch.double)
    for _ in range(NEWTON_STEPS):
        guessed = torch.sigmoid(inputs @ found)
        gradient = inputs.T @ (guessed - good) / len(good) + penalties * found
        curvature = inputs.T @ (inputs * (guessed * (1 - guessed))[:, None]) / len(good)
        found -= torch.linalg.solve(curvature + torch.diag(penalties), gradient)
    weight = found[:-1].float() / scale
    return weight, found[-1].float() - weight @ mean


def _cross_validated(
    states: torch.Tensor, good: torch.Tensor, folds: torch.Tensor, penalty: float
) -> float:
    """The mean area under the curve, on each part of the texts when the others were learned."""
    areas = []
    for fold in range(FOLDS):
        learned, held_out = folds != fold, folds == fold
        weight, bias = _fit(states[learned], good[learned], penalty)
        areas.append(_area(states[held_out] @ weight + bias, good[held_out]))
    return float(np.nanmean(areas))


def _area(scores: torch.Tensor, good: torch.Tensor) -> float:
    higher = (scores[good == 1][:, None] > scores[good == 0][None]).float()
    return float(higher.mean())
