"""A critic: one more output of a model, which says how good a sentence is after those before it.

It is two lines through the model's own hidden states, in the middle of the model and averaged over
the sentence. One tells good sentences from faulty ones, and goes through how much the sentence
surprised the model and how many of its runs of three words stand nowhere in the texts that the
model learned from as well. The other tells sentences that belong where they stand from loose ones.
So judging costs nothing while a text is written: all of it is there anyway. Both learn from marks:
texts that the model wrote, of which an editor said which sentences are not worth printing and which
are loose.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError
from safetensors.torch import load_file, save_file
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from horoscope.corpus import corpus_path
from horoscope.dataset import load_examples
from horoscope.errors import InputError
from horoscope.generation.description import ModelDescription, load_description
from horoscope.generation.learned import Learned
from horoscope.training.models import load_pretrained
from horoscope.zodiac import Sign, Topic

CRITIC_FILE = "critic.safetensors"
MARKS = corpus_path("marks")
FOLDS = 3
PENALTIES = (0.03, 0.1, 0.3)  # on the weights, a sentence; tried by cross-validation
DEPTHS = (1 / 2, 5 / 8, 3 / 4, 1)  # of the layers, tried as well: what is said is known half-way
BELONGS = 9.0  # the logit of what belongs without a doubt
BATCH = 16  # texts that are read at once


class Critic(NamedTuple):
    """What `horoscope export` puts into the engine."""

    weight: torch.Tensor
    """Of the logits to be good and to belong: [2, width]."""
    bias: torch.Tensor
    """[2]"""
    layer: int
    """The states after so many layers are judged."""


class MarkedText(BaseModel):
    """A text that a model wrote, by sentences, and what an editor said of it."""

    model_config = ConfigDict(extra="forbid")

    sign: Sign
    topic: Topic
    theme: str | None = None
    """What the model was asked to write about, if it knows themes."""
    sentences: list[str] = Field(min_length=1)
    faulty: list[int]
    """The sentences that must be changed before the text is printed, from 0."""
    loose: list[int] | None = None
    """The others that say nothing wrong, but do not go on from those before them; None if nobody
    looked for them."""
    editor: str = ""
    """Who said so: some are stricter than others, which the critic shall not learn."""
    publish: int | None = Field(default=None, ge=1, le=5)
    """Would it be printed as it is: 5 gladly, 1 never."""

    @field_validator("faulty", "loose")
    @classmethod
    def _are_sentences(cls, marked: list[int] | None, info: ValidationInfo) -> list[int] | None:
        last = len(info.data.get("sentences", ())) - 1
        if any(not 0 <= number <= last for number in marked or ()):
            raise PydanticCustomError(
                "sentence", "must be numbers of sentences, from 0 to {last}", {"last": last}
            )
        return marked


@dataclass(frozen=True)
class Verdict:
    """How well a critic tells faulty sentences from good ones."""

    sentences: int
    faulty: int
    area: float
    """Area under the ROC curve on texts it did not learn from: how often a good sentence has a
    higher score than a faulty one; 0.5 is chance."""
    loose: int
    loose_area: float | None
    """The same of sentences that belong and loose ones; None if no loose ones were marked."""


@dataclass(frozen=True)
class _Sentences:
    """Every marked sentence."""

    states: dict[int, NDArray[np.float32]]
    """After so many layers, the mean of the sentence's tokens: [sentences, width]."""
    measures: NDArray[np.float32]
    """Surprise, in nats a token, and novelty, a share: [sentences, 2]."""
    good: NDArray[np.bool_]
    belongs: NDArray[np.bool_]
    compared: NDArray[np.bool_]
    """Of good sentences, whether somebody looked if they belong; False for faulty ones."""
    text: NDArray[np.int64]
    editors: NDArray[np.float32]
    """[sentences, editors]: 1 for the one who marked it."""


def train_critic(
    directory: Path,
    marks: Path,
    candidates: int,
    temperature: float,
    commonness: float,
    least_worth: float,
    enough: int | None,
    data: Path | None = None,
) -> Verdict:
    """Give the model in `directory` a critic, and let it choose among `candidates` from now on,
    drawn at `temperature`, each the less liked by `commonness` the more common it is, and once more
    where none is worth `least_worth`. Texts end with the sentence that gives them `enough`
    characters. The critic learns what counts that stands nowhere in the texts of the prepared
    directory `data`.

    Raises InputError if the model, the marks or `data` cannot be used.
    """
    description = load_description(directory)
    texts = load_marks(marks)
    _check(marks, texts)
    learned = Learned.of(each.text for each in (load_examples(data, "train") if data else ()))
    model, tokenizer = load_pretrained(str(directory))
    read = _read(model.eval(), tokenizer.backend_tokenizer, description, texts, learned)
    tried = {
        (layer, penalty): _area_of_good(read, layer, penalty)
        for layer in read.states
        for penalty in PENALTIES
    }
    layer, penalty = max(tried, key=tried.__getitem__)
    good = _fit_good(read, layer, penalty, np.arange(len(read.good)))
    belonging, loose_area = _fit_belonging(read, layer, penalty)
    *weight, surprise, novelty = good.weight
    critic = {
        "weight": torch.tensor(np.array([weight, belonging.weight]), dtype=torch.float32),
        "bias": torch.tensor([good.bias, belonging.bias], dtype=torch.float32),
        "layer": torch.tensor(layer),
    }
    save_file(critic, directory / CRITIC_FILE)
    verdict = Verdict(
        sentences=len(read.good),
        faulty=int((~read.good).sum()),
        area=round(tried[layer, penalty], 4),
        loose=int((read.compared & ~read.belongs).sum()),
        loose_area=loose_area and round(loose_area, 4),
    )
    record = {"marks": len(texts), "layer": layer, "penalty": penalty} | asdict(verdict)
    description.model_copy(
        update={
            "candidates": candidates,
            "temperature": temperature,
            "surprise": round(-float(surprise), 4),
            "novelty": round(-float(novelty), 4),
            "commonness": commonness,
            "least_worth": least_worth,
            "enough": enough,
            "engine": [],  # what was exported has no critic, or another one
            "training": description.training | {"critic": record},
        }
    ).save(directory)
    return verdict


def load_critic(directory: Path) -> Critic | None:
    """The critic in a model directory, if it has one. Raises InputError if it is of another
    version."""
    path = directory / CRITIC_FILE
    if not path.is_file():
        return None
    critic = load_file(path)
    if critic["weight"].dim() != 2:
        raise InputError(f"{path} is of another version; run `horoscope critic` again.")
    return Critic(critic["weight"], critic["bias"], int(critic["layer"]))


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


def _check(marks: Path, texts: Sequence[MarkedText]) -> None:
    """Each fold needs sentences of each kind, to learn from and to be tried on."""
    faulty = sum(bool(text.faulty) for text in texts)
    loose = sum(not {*(text.loose or ())} <= {*text.faulty} for text in texts)
    others = sum(len({*t.faulty, *(t.loose or ())}) < len(t.sentences) for t in texts)
    if min(faulty, others) < FOLDS or 0 < loose < FOLDS:
        raise InputError(
            f"{marks} needs both good and faulty sentences to learn from, and loose ones or none: "
            f"in {FOLDS} texts at least."
        )


def _read(
    model: Any,
    tokenizer: Any,
    description: ModelDescription,
    texts: Sequence[MarkedText],
    learned: Learned,
) -> _Sentences:
    """Let the model read each text as it wrote it."""
    layers = sorted({max(1, round(depth * model.config.num_hidden_layers)) for depth in DEPTHS})
    states: dict[int, list[NDArray[np.float32]]] = {layer: [] for layer in layers}
    measures, good, belongs, compared, text = [], [], [], [], []
    ids, spans = _tokenized(tokenizer, description, texts)
    for number, after, nats in _states(model, ids, layers):
        for index, (begin, end) in enumerate(spans[number]):
            for layer, state in zip(layers, after, strict=True):
                states[layer].append(state[begin:end].mean(0))
            novelty = learned.novelty(texts[number].sentences[index])
            measures.append((nats[begin:end].mean(), novelty))
            good.append(index not in texts[number].faulty)
            belongs.append(index not in (texts[number].loose or ()))
            compared.append(good[-1] and texts[number].loose is not None)
            text.append(number)
    return _Sentences(
        {layer: np.array(found) for layer, found in states.items()},
        np.array(measures, np.float32),
        np.array(good),
        np.array(belongs),
        np.array(compared),
        np.array(text),
        OneHotEncoder(sparse_output=False, dtype=np.float32).fit_transform(
            [[texts[number].editor] for number in text]
        ),
    )


def _tokenized(
    tokenizer: Any, description: ModelDescription, texts: Sequence[MarkedText]
) -> tuple[list[list[int]], list[list[tuple[int, int]]]]:
    """Each text with its prompt as ids, and where its sentences begin and end among them."""
    all_ids, all_spans = [], []
    for marked in texts:
        asked = description.prompt(marked.sign, marked.topic, marked.theme)
        prompt = tokenizer.encode(asked, add_special_tokens=False).ids
        text = tokenizer.encode(" ".join(marked.sentences), add_special_tokens=False)
        before = [*description.begin_ids, *prompt]
        stops = [stop for _, stop in text.offsets]
        begin, character, spans = len(before), -1, []
        for sentence in marked.sentences:
            character += len(sentence) + 1
            end = len(before) + int(np.searchsorted(stops, character)) + 1
            spans.append((begin, end))
            begin = end
        all_ids.append([*before, *text.ids])
        all_spans.append(spans)
    return all_ids, all_spans


@torch.no_grad()
def _states(
    model: Any, texts: list[list[int]], layers: Sequence[int]
) -> Iterator[tuple[int, NDArray[np.float32], NDArray[np.float32]]]:
    """For each text its index, the states [layers, length, width] and the nats [length] by which
    each token surprised the model."""
    by_length = sorted(range(len(texts)), key=lambda number: len(texts[number]))
    for start in range(0, len(by_length), BATCH):
        numbers = by_length[start : start + BATCH]
        ids = torch.zeros(len(numbers), len(texts[numbers[-1]]), dtype=torch.long)
        for row, number in enumerate(numbers):
            ids[row, : len(texts[number])] = torch.tensor(texts[number])
        # What pads a text stands behind it and is seen by none of its tokens: it needs no mask.
        made = model(input_ids=ids, output_hidden_states=True, use_cache=False)
        states = torch.stack([made.hidden_states[layer] for layer in layers], dim=1)
        likely = torch.log_softmax(made.logits[:, :-1].float(), dim=-1)
        nats = torch.nn.functional.pad(-likely.gather(2, ids[:, 1:, None])[..., 0], (1, 0))
        for row, number in enumerate(numbers):
            length = len(texts[number])
            yield number, states[row, :, :length].float().numpy(), nats[row, :length].numpy()


class _Line(NamedTuple):
    weight: NDArray[np.float64]
    """[inputs]"""
    bias: float


def _fit(
    inputs: NDArray[np.float32],
    editors: NDArray[np.float32],
    wanted: NDArray[np.bool_],
    penalty: float,
) -> _Line:
    """Logistic regression of `wanted` [sentences], each editor with a bias of their own."""
    scaler = StandardScaler()
    columns = np.column_stack([scaler.fit_transform(inputs), editors])
    model = LogisticRegression(C=1 / (penalty * len(wanted)), max_iter=200)
    found = model.fit(columns, wanted).coef_[0]
    weight = found[: inputs.shape[1]] / scaler.scale_
    return _Line(weight, float(model.intercept_[0] - weight @ scaler.mean_))


def _fit_good(read: _Sentences, layer: int, penalty: float, of: NDArray[np.int64]) -> _Line:
    """The line that tells good sentences from faulty ones, learned from the sentences `of`: its
    inputs are the states and the measures."""
    inputs = np.column_stack([read.states[layer][of], read.measures[of]])
    return _fit(inputs, read.editors[of], read.good[of], penalty)


def _area_of_good(read: _Sentences, layer: int, penalty: float) -> float:
    """The mean area under the curve, on each part of the texts when the others were learned."""
    areas = []
    for learned, held_out in _folds(read.good, read.text):
        line = _fit_good(read, layer, penalty, learned)
        inputs = np.column_stack([read.states[layer][held_out], read.measures[held_out]])
        areas.append(_area(read, inputs @ line.weight, held_out))
    return float(np.mean(areas or [0.5]))


def _folds(
    wanted: NDArray[np.bool_], text: NDArray[np.int64]
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Sentences to learn from and to try on, of different texts, each part with both kinds."""
    for parts in StratifiedGroupKFold(FOLDS).split(wanted, wanted, groups=text):
        if all(0 < wanted[part].sum() < len(part) for part in parts):  # few marks may lie together
            yield parts


def _area(read: _Sentences, scores: NDArray[np.float64], of: NDArray[np.int64]) -> float:
    """Among the sentences of one editor; the mean of the editors, by their sentences."""
    areas, weights = [], []
    for editor in read.editors[of].T.astype(bool):
        good = read.good[of][editor]
        if good.any() and not good.all():
            areas.append(roc_auc_score(good, scores[editor]))
            weights.append(len(good))
    return float(np.average(areas, weights=weights)) if areas else 0.5


def _fit_belonging(read: _Sentences, layer: int, penalty: float) -> tuple[_Line, float | None]:
    """The line that tells sentences that belong from loose ones, by their states, and the area
    under its curve; where no loose ones were marked, all belong."""
    of = np.flatnonzero(read.compared)
    states, belongs = read.states[layer][of], read.belongs[of]
    # Our marks do not tell who looked for loose ones, so nobody's strictness is taken out.
    nobody = np.zeros((len(of), 0), np.float32)
    if belongs.all():
        return _Line(np.zeros(read.states[layer].shape[1]), BELONGS), None
    areas = []
    for learned, held_out in _folds(belongs, read.text[of]):
        line = _fit(states[learned], nobody[learned], belongs[learned], penalty)
        areas.append(roc_auc_score(belongs[held_out], states[held_out] @ line.weight))
    return _fit(states, nobody, belongs, penalty), float(np.mean(areas or [0.5]))
