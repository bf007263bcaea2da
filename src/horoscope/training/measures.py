"""What can be counted about texts: variety, copying, language, form."""

import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from horoscope.corpus import CORPORA
from horoscope.dataset import Example
from horoscope.generation.grammar import is_known
from horoscope.generation.guard import SENTENCE_END
from horoscope.zodiac import SIGN_OF_FORM, Sign

OWN_SOURCES = frozenset(CORPORA)
"""The corpora that were written for this project; all other texts are other people's."""
MOST_NGRAMS = 20_000
"""Distinct-n falls as a sample grows, so it is taken of the same number of n-grams everywhere."""
_WORD = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*")
_BETWEEN_SENTENCES = re.compile(r"(?<=[.!?…])[»\")]*\s+")

Words = tuple[str, ...]


@dataclass(frozen=True)
class Text:
    """A horoscope, or an empty text where a model wrote none."""

    sign: Sign
    text: str


@dataclass
class Known:
    """Which 8-grams and sentences of some texts stand in the training texts."""

    ngrams: set[Words] = field(default_factory=set)
    sentences: set[Words] = field(default_factory=set)


def words(text: str) -> Words:
    """The words, lower-case: «Кое-кто ждёт!» → («кое-кто», «ждёт»)."""
    return tuple(word.lower() for word in _WORD.findall(text))


def sentences(text: str) -> list[Words]:
    """The sentences as words."""
    return [found for part in _BETWEEN_SENTENCES.split(text) if (found := words(part))]


def ngrams(of: Words, n: int) -> Iterator[Words]:
    """All runs of n words."""
    return (of[i : i + n] for i in range(len(of) - n + 1))


def find_known(texts: Sequence[Text], training: Iterable[Example]) -> tuple[Known, Known]:
    """What of `texts` stands in other people's texts, and in our own, word for word.

    It is looked up the way that needs little memory: the texts are few, the training texts many.
    """
    wanted_ngrams = {ngram for text in texts for ngram in ngrams(words(text.text), 8)}
    wanted_sentences = {sentence for text in texts for sentence in sentences(text.text)}
    others, own = Known(), Known()
    for example in training:
        known = own if example.source in OWN_SOURCES else others
        known.ngrams |= wanted_ngrams.intersection(ngrams(words(example.text), 8))
        known.sentences |= wanted_sentences.intersection(sentences(example.text))
    return others, own


def measure(texts: Sequence[Text], others: Known, own: Known) -> dict[str, float]:
    """All measures of some texts, by the keys of `MEASURES`: shares in percent, lengths in
    characters, distinct-n as a share of 1. Texts that are empty count as unfinished only."""
    written = [text for text in texts if text.text]
    by_text = [words(text.text) for text in written]
    all_words = list(itertools.chain.from_iterable(by_text))
    all_ngrams = [ngram for each in by_text for ngram in ngrams(each, 8)]
    all_sentences = [sentence for text in written for sentence in sentences(text.text)]
    return {
        "unknown_words": _percent(not is_known(word) for word in all_words),
        "copied_8grams_others": _percent(ngram in others.ngrams for ngram in all_ngrams),
        "copied_8grams_own": _percent(ngram in own.ngrams for ngram in all_ngrams),
        "copied_sentences_others": _percent(s in others.sentences for s in all_sentences),
        "copied_sentences_own": _percent(s in own.sentences for s in all_sentences),
        "distinct_2": distinct(by_text, 2),
        "distinct_3": distinct(by_text, 3),
        "different_sentences": 100 * len(set(all_sentences)) / max(1, len(all_sentences)),
        "repeated_4gram": _percent(_has_repeat(each, 4) for each in by_text),
        "unfinished": _percent(not SENTENCE_END.search(text.text.strip()) for text in texts),
        "another_sign": _percent(
            any(SIGN_OF_FORM.get(word, text.sign) is not text.sign for word in each)
            for text, each in zip(written, by_text, strict=True)
        ),
        "characters": sum(len(text.text) for text in written) / max(1, len(written)),
    }


def distinct(texts: Sequence[Words], n: int) -> float:
    """Different n-grams among the first 20,000 (distinct-n, arXiv:1510.03055)."""
    runs = itertools.islice((ngram for text in texts for ngram in ngrams(text, n)), MOST_NGRAMS)
    taken = list(runs)
    return len(set(taken)) / max(1, len(taken))


def _has_repeat(of: Words, n: int) -> bool:
    runs = list(ngrams(of, n))
    return len(set(runs)) < len(runs)


def _percent(of: Iterable[bool]) -> float:
    values = list(of)
    return 100 * sum(values) / max(1, len(values))


MEASURES = {
    "bits_per_character": ("Bits per character of people's texts", 3),
    "unknown_words": ("Words not in the dictionary, %", 2),
    "copied_8grams_others": ("8-grams copied from other people's texts, %", 2),
    "copied_8grams_own": ("8-grams copied from our own corpus, %", 2),
    "copied_sentences_others": ("Sentences copied from other people's texts, %", 2),
    "copied_sentences_own": ("Sentences copied from our own corpus, %", 2),
    "distinct_2": ("Distinct-2", 3),
    "distinct_3": ("Distinct-3", 3),
    "different_sentences": ("Different sentences among all, %", 1),
    "repeated_4gram": ("Texts with a repeated 4-gram, %", 1),
    "unfinished": ("Unfinished texts, %", 1),
    "another_sign": ("Texts that name another sign, %", 1),
    "characters": ("Length, characters", 0),
}
"""For each measure: its title, and how many decimals are worth printing."""
