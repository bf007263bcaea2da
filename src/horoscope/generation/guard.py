"""Reads every sentence before anyone else does; what it refuses is drawn again."""

import itertools
import re
from collections.abc import Iterable, Sequence
from typing import Literal, get_args

from horoscope.generation.grammar import WORD, Fault, Grammar, is_known, tokenize
from horoscope.generation.learned import Learned
from horoscope.zodiac import SIGN_OF_FORM, Sign

SENTENCE_END = re.compile(r"[.!?…][»\")]?$")
_FOREIGN_CHARACTER = re.compile(r"[^А-Яа-яЁё0-9 ,.:;!?…«»\"()–—-]")
_MISPLACED = re.compile(r" [,.:;!?…»)]|[«(] |[,:;][,.:;!?…]|[,.:;!?…][А-Яа-яЁё]|\(|\)|\d{3}|--")
_HOURS = (
    re.compile(r"Утр|С утра"),
    re.compile(r"Днем |В середине дня|После обеда|Во второй половине"),
    re.compile(r"Вечер|К вечеру|К концу дня"),
    re.compile(r"Перед сном"),
    re.compile(r"Завтра\b"),
)
_READERS = (re.compile(r"[Оо]динок"), re.compile(r"[Пп]артнер|[Лл]юбим\w+ человек"))
ROOT = 6  # letters that a verb and a noun of one root share: fewer may be chance
STEM = 5  # letters that a word has in common with its other forms
SHORTEST_SENTENCE = 3  # words
LONGEST_SENTENCE = 24  # words; people's texts have fewer in 95 sentences of 100

Reason = Literal[
    "unfinished",
    "length",
    "characters",
    "another sign",
    "repetition",
    "unknown word",
    Fault,
]
REASONS: tuple[Reason, ...] = get_args(Reason)


class Guard:
    """The rules that a text keeps, sentence by sentence; `learned` are the model's texts."""

    def __init__(self, learned: Learned | None = None) -> None:
        self._grammar = Grammar()
        self._learned = learned or Learned()

    def refuse(self, sentence: str, before: Sequence[str], sign: Sign) -> Reason | None:
        """The reason why `sentence` may not follow the sentences `before`, or None if it may."""
        words = _words(sentence)
        if not SENTENCE_END.search(sentence):
            return "unfinished"
        if not SHORTEST_SENTENCE <= len(words) <= LONGEST_SENTENCE:
            return "length"
        if _FOREIGN_CHARACTER.search(sentence) or _MISPLACED.search(sentence):
            return "characters"
        if not (sentence[0].isupper() or sentence[0] in "«–—") or sentence.count("«") != (
            sentence.count("»")
        ):
            return "characters"
        if any(SIGN_OF_FORM.get(word, sign) is not sign for word in words):
            return "another sign"
        if any(word == following for word, following in itertools.pairwise(words)):
            return "repetition"
        if _repeats(words, [_words(earlier) for earlier in before], 4):
            return "repetition"
        if not all(is_known(word) for word in words):
            return "unknown word"
        return self._grammar.fault(tokenize(sentence), tokenize(before[-1]) if before else [])

    def doubts(self, sentence: str, before: Sequence[str]) -> int:
        """How many things about `sentence` are better avoided where another one is to be had."""
        hour = _hour(sentence)
        past = [_hour(earlier) for earlier in before]
        words, *earlier = map(_words, (sentence, *before))
        return (
            # «Вечером … Утром», «Вечером … Вечером»
            (hour is not None and any(hour <= other for other in past if other is not None))
            # «поддержат вас, если вы попросите о поддержке»
            + self._grammar.repeats_a_root(words, ROOT)
            # «Одиноким Тельцам захочется тепла. Партнер предложит …»
            + (
                any(reader.search(sentence) for reader in _READERS)
                and all(reader.search(" ".join([*before, sentence])) for reader in _READERS)
            )
            + self._grammar.repeats_an_action(words)
            + any(words[:1] == other[:1] for other in earlier)
            # «Спросите опытного коллегу. Опытный человек …»: each counts, «которые» as well
            + len(_stems(words) & _stems(itertools.chain.from_iterable(earlier)))
            + _repeats(words, earlier, 3)
            + (sentence in self._learned)
        )


def _hour(sentence: str) -> int | None:
    """Which part of the day a sentence opens with, from 0 (morning) to 4 (tomorrow)."""
    return next((i for i, hour in enumerate(_HOURS) if hour.match(sentence)), None)


def _words(sentence: str) -> list[str]:
    return [word.lower() for word in WORD.findall(sentence)]


def _stems(words: Iterable[str]) -> set[str]:
    return {word[:STEM] for word in words if len(word) >= STEM}


def _repeats(words: list[str], earlier: Sequence[list[str]], length: int) -> bool:
    """Whether a run of `length` words stands twice in the text, or the whole sentence does."""
    runs = _runs(words, length)
    seen = {run for sentence in earlier for run in _runs(sentence, length)}
    return words in earlier or len(set(runs)) < len(runs) or not seen.isdisjoint(runs)


def _runs(words: list[str], length: int) -> list[tuple[str, ...]]:
    return list(zip(*(words[k:] for k in range(length)), strict=False))
