"""Horoscopes of our own, in the public domain: package data, and the rules that they keep."""

from importlib.resources import files
from pathlib import Path

CORPORA = ("plain", "stories", "witty")


def corpus_path(name: str) -> Path:
    """The JSONL file of a corpus, or `marks` (docs/corpus.md)."""
    return Path(str(files("horoscope.corpus") / f"{name}.jsonl"))
