"""What a text is about, in one noun.

A model that is told the theme of each text it learns from can be asked for another one each time:
its texts then differ in what they say, which a higher temperature would buy with sense.
"""

import math
import re
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache

from horoscope.generation.grammar import morphology
from horoscope.zodiac import SIGN_OF_FORM

FEWEST_TEXTS = 15  # that name a theme: of fewer a model learns little
MOST_TEXTS = 0.06  # of all: what more of them name is in every text, whatever it is about
SURE = 0.9  # probability that a form is one of a noun
FIRST_SENTENCE = 1.5  # a noun there weighs so much more
_WORD = re.compile(r"[а-яё]+(?:-[а-яё]+)*")
_SENTENCE_END = re.compile(r"[.!?…]")
_NAMES = {"Name", "Surn", "Patr", "Geox"}


class Themes:
    """Tells the theme of a text by how often it names a noun that few of `texts` name (tf-idf)."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._noun = lru_cache(100_000)(self._lemma_of_noun)
        self._texts = len(texts)
        self._naming = Counter(noun for text in texts for noun in set(self._nouns(text)))

    def of(self, text: str) -> str | None:
        """A noun of the first sentence, or one that is named again; None where none is telling."""
        first = set(self._nouns(_SENTENCE_END.split(text, maxsplit=1)[0]))
        named = Counter(self._nouns(text))
        weights = {
            noun: times
            * math.log(self._texts / self._naming[noun])
            * (FIRST_SENTENCE if noun in first else 1)
            for noun, times in named.items()
            if (noun in first or times > 1)
            and FEWEST_TEXTS <= self._naming[noun] <= MOST_TEXTS * self._texts
        }
        return max(weights, key=weights.__getitem__, default=None)

    def _nouns(self, text: str) -> list[str]:
        return [noun for word in _WORD.findall(text.lower()) if (noun := self._noun(word))]

    def _lemma_of_noun(self, word: str) -> str | None:
        parses = morphology().parse(word)
        nouns = [p for p in parses if p.tag.POS == "NOUN" and not _NAMES & p.tag.grammemes]
        if word in SIGN_OF_FORM or sum(p.score for p in nouns) < SURE:
            return None
        return str(nouns[0].normal_form).replace("ё", "е")
