"""The rules of the plain corpus: a small model learns only what is plain and regular.

What the writers were asked for is in brief.md; these are the rules that a program can hold a
text to. `lemmas.json` has the commonest lemmas of newspaper horoscopes, and everyday words.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache, lru_cache
from importlib.resources import files
from itertools import pairwise
from pathlib import Path
from typing import Any

from horoscope.errors import InputError
from horoscope.generation.grammar import Grammar, is_known, morphology, tokenize
from horoscope.zodiac import SIGN_OF_FORM, Sign, Topic

LENGTHS = range(200, 521)  # characters
SENTENCES = range(4, 9)
LONGEST_SENTENCE = 16  # words
RARE_WORDS = 2  # in one text
SENTENCE_REPEATS = 0.003  # of the texts, but at least 2, may share a whole sentence
OPENING_REPEATS = 0.03  # of the texts, but at least 5, may begin with the same three words
DISTINCT_WORDS = 20_000  # the words over which distinct-2 is measured

_SENTENCE_BREAK = re.compile(r"(?<=[.!?…])\s+")
_WORD = re.compile(r"[а-яё]+(?:-[а-яё]+)*", re.IGNORECASE)
_ODD = re.compile(r"[^А-Яа-я0-9 ,.:;!?…«»—-]")


@dataclass(frozen=True)
class Fault:
    """What breaks a rule, and where."""

    file: Path
    line: int
    rule: str

    def __str__(self) -> str:
        """As a line for the writer."""
        return f"{self.file}, line {self.line}: {self.rule}"


@dataclass
class CheckReport:
    """The faults of some files, and figures of all their texts together."""

    faults: list[Fault] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)

    @property
    def summary(self) -> str:
        """The figures in one line."""
        return (
            f"{len(self.texts):,} texts, {len(self.faults)} faults; distinct-2 "
            f"{distinct_pairs(self.texts):.3f}, shared 8-grams {shared_runs(self.texts):.2%}, "
            f"rare words {rare_share(self.texts):.2%}"
        )


def check_files(paths: Iterable[Path]) -> CheckReport:
    """Hold every text of some JSONL files to the rules. Raises InputError if one is not UTF-8."""
    report = CheckReport()
    places: list[tuple[Path, int]] = []
    for path in paths:
        try:
            lines = path.read_text(encoding="utf-8").split("\n")
        except UnicodeDecodeError:
            raise InputError(f"{path} is not UTF-8.") from None
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            row = _row(line)
            if isinstance(row, str):
                report.faults.append(Fault(path, number, row))
                continue
            report.texts.append(row["text"])
            places.append((path, number))
            report.faults += [
                Fault(path, number, rule) for rule in faults(row["text"], Sign(row["sign"]))
            ]
    report.faults += [Fault(*places[place], rule) for place, rule in _repeated(report.texts)]
    return report


def _row(line: str) -> dict[str, Any] | str:
    """The row, or what is wrong with it."""
    try:
        row = json.loads(line)
    except ValueError as error:
        return f"no JSON: {error}"
    if not isinstance(row, dict) or set(row) != {"sign", "topic", "text"}:
        return "needs exactly sign, topic and text"
    if row["sign"] not in set(Sign) or row["topic"] not in set(Topic):
        return "unknown sign or topic"
    return row if isinstance(row["text"], str) else "the text is no text"


def faults(text: str, sign: Sign) -> list[str]:
    """The rules that one text breaks."""
    found = []
    if len(text) not in LENGTHS:
        found.append(f"{len(text)} characters")
    if text != text.strip() or "  " in text:
        found.append("stray spaces")
    sentences = _SENTENCE_BREAK.split(text)
    if len(sentences) not in SENTENCES:
        found.append(f"{len(sentences)} sentences")
    if not re.search(r"[.!?…]$", text):
        found.append("no end mark")
    found += [
        f"long sentence: {sentence[:60]}"
        for sentence in sentences
        if len(_WORD.findall(sentence)) > LONGEST_SENTENCE
    ]
    found += [f"lower-case beginning: {s[:60]}" for s in sentences if s[:1].islower()]
    words = _words(text)
    if len(rare := [word for word in words if not is_common(word)]) > RARE_WORDS:
        found.append(f"rare words: {', '.join(rare)}")
    if unknown := [word for word in words if not is_known(word)]:
        found.append(f"unknown words: {', '.join(unknown)}")
    if odd := _ODD.findall(text):
        found.append(f"odd characters: {' '.join(odd)}")
    if doubled := [word for word, after in pairwise(words) if word == after]:
        found.append(f"doubled words: {', '.join(doubled)}")
    capitalised = re.findall(r"\b[А-Я][а-я]+", text)
    if others := [w for w in capitalised if SIGN_OF_FORM.get(w.lower(), sign) is not sign]:
        found.append(f"another sign: {', '.join(others)}")
    return found + _grammar_faults(sentences)


def _grammar_faults(sentences: Sequence[str]) -> list[str]:
    """What the guard would say of the grammar. It is stricter to a model about repeated words and
    pronouns: a writer may know better."""
    found = []
    before: list[str] = []
    for sentence in sentences:
        tokens = tokenize(sentence)
        fault = _grammar().fault(tokens, before)
        if fault not in {None, "pronoun", "tautology"}:
            found.append(f"{fault}: {sentence[:80]}")
        before = tokens
    return found


def distinct_pairs(texts: Sequence[str]) -> float:
    """distinct-2: the share of different word pairs among the first 20,000 (Li et al., 2016)."""
    words = [word for text in texts for word in _words(text)][: DISTINCT_WORDS + 1]
    pairs = list(pairwise(words))
    return len(set(pairs)) / max(1, len(pairs))


def shared_runs(texts: Sequence[str], length: int = 8) -> float:
    """The share of runs of `length` words that also stand in another text."""
    runs = [set(_runs(text, length)) for text in texts]
    counts = Counter(run for found in runs for run in found)
    total = sum(map(len, runs))
    return sum(counts[run] > 1 for found in runs for run in found) / max(1, total)


def rare_share(texts: Sequence[str]) -> float:
    """The share of words outside the vocabulary of lemmas.json."""
    words = [word for text in texts for word in _words(text)]
    return sum(not is_common(word) for word in words) / max(1, len(words))


@lru_cache(100_000)
def is_common(word: str) -> bool:
    """Whether a lemma of `word` is in the vocabulary."""
    return any(p.normal_form.replace("ё", "е") in _lemmas() for p in morphology().parse(word))


def _repeated(texts: Sequence[str]) -> list[tuple[int, str]]:
    """Sentences and openings that stand too often, at the text that is one too many."""
    found = []
    sentences: Counter[str] = Counter()
    openings: Counter[tuple[str, ...]] = Counter()
    most_sentences = max(2, int(SENTENCE_REPEATS * len(texts)))
    most_openings = max(5, int(OPENING_REPEATS * len(texts)))
    for place, text in enumerate(texts):
        for sentence in _SENTENCE_BREAK.split(text):
            sentences[sentence] += 1
            if sentences[sentence] == most_sentences + 1:
                found.append((place, f"stands more than {most_sentences} times: {sentence}"))
        opening = tuple(_words(text)[:3])
        openings[opening] += 1
        if openings[opening] == most_openings + 1:
            found.append((place, f"too many texts begin so: {' '.join(opening)}"))
    return found


def _words(text: str) -> list[str]:
    return [word.lower() for word in _WORD.findall(text)]


def _runs(text: str, length: int) -> Iterable[tuple[str, ...]]:
    words = _words(text)
    return zip(*(words[k:] for k in range(length)), strict=False)


@cache
def _grammar() -> Grammar:
    return Grammar()


@cache
def _lemmas() -> frozenset[str]:
    text = (files("horoscope.corpus") / "lemmas.json").read_text(encoding="utf-8")
    return frozenset(json.loads(text))
