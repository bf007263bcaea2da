"""Prepared texts, as training and evaluation read them."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date as Date
from pathlib import Path

from horoscope.errors import InputError
from horoscope.zodiac import Sign, Topic

SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class Example:
    """One clean text and what it is about."""

    sign: Sign
    topic: Topic
    text: str
    date: Date | None
    source: str


def load_examples(directory: Path, split: str) -> list[Example]:
    """The examples of a split in a directory made by `horoscope data prepare`.

    Raises InputError if the directory is not one, or a file in it is damaged.
    """
    path = directory / f"{split}.jsonl"
    if not path.is_file():
        raise InputError(f"{directory} has no {path.name}: make it with `horoscope data prepare`.")
    examples = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            row = json.loads(line)
            examples.append(
                Example(
                    Sign(row["sign"]),
                    Topic(row["topic"]),
                    row["text"],
                    Date.fromisoformat(row["date"]) if row["date"] else None,
                    row["source"],
                )
            )
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(
                f"{path}, line {number} is damaged ({error}); prepare the data again."
            ) from None
    return examples


def write_examples(path: Path, examples: Iterable[Example]) -> None:
    """Write examples as JSON lines."""
    with path.open("w", encoding="utf-8") as file:
        for example in examples:
            row = {
                "sign": example.sign.value,
                "topic": example.topic.value,
                "date": example.date.isoformat() if example.date else None,
                "text": example.text,
                "source": example.source,
            }
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
