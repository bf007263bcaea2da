"""Models beside people: the same measures of what each wrote, in one table."""

import datetime
import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib

matplotlib.use("Agg")  # files only; there may be no screen

import torch
from matplotlib import pyplot
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from transformers.utils import logging

from horoscope.dataset import Example, load_examples
from horoscope.errors import HoroscopeError, InputError
from horoscope.generation import HoroscopeGenerator, Wish
from horoscope.generation.description import load_description
from horoscope.training.examples import tokenize
from horoscope.training.measures import MEASURES, Text, find_known, measure
from horoscope.training.models import load_pretrained
from horoscope.training.trainer import bits_per_character

PEOPLE = "people"
BATCH = 32
FIRST_DAY = datetime.date(2026, 1, 1)  # any day; each text has one of its own

Row = dict[str, float | None]


@dataclass(frozen=True)
class Evaluation:
    """The measures of people's texts and of each model's, and the texts of the models."""

    results: dict[str, Row]
    """By «people» or the model's name; bits_per_character is None where there are no weights."""
    texts: dict[str, list[Text]]
    asked: list[Example]
    """The held-out texts; each model wrote for the same signs and topics."""


def evaluate(models: Sequence[Path], data: Sequence[Path], count: int, seed: int) -> Evaluation:
    """Let each model write as many texts as `count` of people's and measure all alike.

    Raises InputError if a model or the data cannot be used.
    """
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    held_out = [example for directory in data for example in load_examples(directory, "test")]
    training = [example for directory in data for example in load_examples(directory, "train")]
    if not held_out:
        files = ", ".join(str(directory / "test.jsonl") for directory in data)
        raise InputError(f"There is no text in {files} to compare with.")
    random.Random(seed).shuffle(held_out)
    people = held_out[:count]
    asked = [held_out[i % len(held_out)] for i in range(count)]
    generators = {name: HoroscopeGenerator(path) for name, path in _names(models).items()}
    columns = (
        TextColumn("{task.description}"),
        MofNCompleteColumn(),
        BarColumn(),
        TimeRemainingColumn(),
    )
    texts: dict[str, list[Text]] = {}
    bits: dict[str, float | None] = {PEOPLE: None}
    with Progress(*columns) as progress:
        for name, generator in generators.items():
            task = progress.add_task(f"{name} writes", total=count)
            texts[name] = []
            for start in range(0, count, BATCH):
                part = asked[start : start + BATCH]
                texts[name] += _write(generator, part, start, seed)
                progress.update(task, completed=len(texts[name]))
        for name, path in _names(models).items():
            bits[name] = None
            if any(path.glob("*.safetensors")):
                task = progress.add_task(f"{name} reads", total=len(people))
                bits[name] = _read(path, people, _moves(progress, task, len(people)))
    columns_of_texts = {PEOPLE: [Text(e.sign, e.text) for e in people], **texts}
    others, own = find_known([t for ts in columns_of_texts.values() for t in ts], training)
    results: dict[str, Row] = {
        name: {"bits_per_character": bits[name], **measure(of, others, own)}
        for name, of in columns_of_texts.items()
    }
    return Evaluation(results, texts, asked)


def write_report(evaluation: Evaluation, data: Sequence[Path], seed: int, output: Path) -> None:
    """Write evaluation.md, .json and .png, and the models' texts, to `output`."""
    output.mkdir(parents=True, exist_ok=True)
    content = {
        "data": [str(directory) for directory in data],
        "texts": len(evaluation.asked),
        "seed": seed,
        "measures": {key: title for key, (title, _) in MEASURES.items()},
        "results": evaluation.results,
    }
    rows = [
        {"model": name, "sign": text.sign, "topic": asked.topic, "text": text.text}
        for name, texts in evaluation.texts.items()
        for text, asked in zip(texts, evaluation.asked, strict=True)
    ]
    lines = [json.dumps(row, ensure_ascii=False) for row in rows]
    _write_whole(output / "evaluation.md", table(evaluation.results))
    _write_whole(output / "evaluation.json", json.dumps(content, ensure_ascii=False, indent=2))
    _write_whole(output / "texts.jsonl", "\n".join(lines))
    _plot(output / "evaluation.png", evaluation.results)


def table(results: dict[str, Row]) -> str:
    """The Markdown table: a line for each measure, a column for people and for each model."""
    lines = [["", *results]]
    for key, (title, decimals) in MEASURES.items():
        values = [row[key] for row in results.values()]
        lines.append([title, *("–" if v is None else f"{v:,.{decimals}f}" for v in values)])
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    rows = [
        " | ".join(
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    ]
    rule = " | ".join(
        "-" * width if i == 0 else "-" * (width - 1) + ":" for i, width in enumerate(widths)
    )
    return "\n".join(f"| {row} |" for row in [rows[0], rule, *rows[1:]])


def _names(models: Sequence[Path]) -> dict[str, Path]:
    """What each model is called in the table: its name, or where names are alike, its path."""
    names = [load_description(path).name for path in models]
    chosen = {
        name if names.count(name) == 1 and name != PEOPLE else str(path): path
        for name, path in zip(names, models, strict=True)
    }
    if len(chosen) < len(models):
        raise InputError("The same model is named twice.")
    return chosen


def _write(
    generator: HoroscopeGenerator, asked: Sequence[Example], first: int, seed: int
) -> list[Text]:
    wishes = [
        Wish(example.sign, example.topic, FIRST_DAY + datetime.timedelta(first + i), seed)
        for i, example in enumerate(asked)
    ]
    written = generator.write(wishes)
    return [
        Text(wish.sign, horoscope.text or "")
        for wish, horoscope in zip(wishes, written, strict=True)
    ]


def _read(path: Path, people: Sequence[Example], on_batch: Callable[[float], object]) -> float:
    """Bits per character of people's texts, by the model's own weights."""
    model, tokenizer = load_pretrained(str(path))
    longest = getattr(model.config, "max_position_embeddings", None) or 1024
    tokenized = tokenize(people, tokenizer.backend_tokenizer, load_description(path), longest)
    model.to("cuda" if torch.cuda.is_available() else "cpu")
    return bits_per_character(model, tokenized, BATCH, on_batch)


def _moves(progress: Progress, task: TaskID, total: int) -> Callable[[float], object]:
    return lambda share: progress.update(task, completed=round(share * total))


def _plot(path: Path, results: dict[str, Row]) -> None:
    """A small chart for each measure; people are grey."""
    figure, charts = pyplot.subplots(
        5, 3, figsize=(12, 2.2 + 5 * (0.9 + 0.28 * len(results))), layout="constrained"
    )
    names = list(results)
    for chart, (key, (title, decimals)) in zip(charts.flat, MEASURES.items(), strict=False):
        values = [results[name][key] for name in names]
        colors = ["tab:gray" if name == PEOPLE else "tab:blue" for name in names]
        bars = chart.barh(names, [value or 0 for value in values], color=colors)
        labels = ["–" if value is None else f"{value:,.{decimals}f}" for value in values]
        chart.bar_label(bars, labels, padding=3)
        chart.set_title(title, fontsize=9)
        chart.invert_yaxis()
        chart.set_xlim(0, 1.3 * max(value or 0 for value in values) or 1)
        chart.spines[["top", "right"]].set_visible(False)
    for chart in charts.flat[len(MEASURES) :]:
        chart.set_visible(False)
    beside = path.with_name("part-" + path.name)
    try:
        figure.savefig(beside, dpi=110)
        beside.replace(path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise _cannot_write(path, error) from None
    finally:
        pyplot.close(figure)


def _write_whole(path: Path, text: str) -> None:
    beside = path.with_name("part-" + path.name)
    try:
        beside.write_text(text + "\n", encoding="utf-8")
        beside.replace(path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise _cannot_write(path, error) from None


def _cannot_write(path: Path, error: OSError) -> HoroscopeError:
    return HoroscopeError(f"Cannot write {path}: {error.strerror or error}.")
