"""Faults of Russian grammar that neighbouring words give away.

Each rule speaks only where every reading of the words breaks it: a guard that refuses what people
write would refuse good texts. docs/decisions.md has the share of people's sentences each refuses.
"""

import re
from collections.abc import Sequence
from functools import cache, lru_cache
from typing import Any, Literal

from pymorphy3 import MorphAnalyzer

WORD = re.compile(r"[а-яё]+(?:-[а-яё]+)*", re.IGNORECASE)
_TOKEN = re.compile(rf"{WORD.pattern}|[^\w\s]", re.IGNORECASE)

# The cases that a preposition governs (pymorphy3's names; «2» marks second forms: в лесу).
_GENITIVE = frozenset({"gent", "gen2"})
_DATIVE = frozenset({"datv"})
_ACCUSATIVE = frozenset({"accs", "acc2"})
_INSTRUMENTAL = frozenset({"ablt"})
_PREPOSITIONAL = frozenset({"loct", "loc2"})
_GOVERNMENT = {
    preposition: cases
    for prepositions, cases in {
        "без для до из из-за из-под от около кроме против у возле среди вместо насчет": _GENITIVE,
        # An adverb, too («после друзья пригласят вас»), but nowhere so in our data.
        "после": _GENITIVE,
        "к ко благодаря вопреки": _DATIVE,
        "через про": _ACCUSATIVE,
        "над перед": _INSTRUMENTAL,
        "при": _PREPOSITIONAL,
        "между": _INSTRUMENTAL | _GENITIVE,
        "за под": _INSTRUMENTAL | _ACCUSATIVE,
        "в во на о об": _ACCUSATIVE | _PREPOSITIONAL,
        "по": _DATIVE | _ACCUSATIVE | _PREPOSITIONAL,
        "с со": _INSTRUMENTAL | _GENITIVE | _ACCUSATIVE,
    }.items()
    for preposition in prepositions.split()
}
Fault = Literal[
    "agreement",
    "government",
    "verb form",
    "subject and verb",
    "relative clause",
    "pronoun",
    "tautology",
]
_ADJECTIVES = {"ADJF", "PRTF"}
_THINGS = {"NOUN", *_ADJECTIVES}
_ACTIONS = {"VERB", "INFN", "ADVB"}
_PRONOUNS = {
    pronoun: stands_for
    for pronouns, stands_for in {
        "он его ему него нему нем": {"masc", "neut"},
        "она ее ей ею нее ней нею": {"femn"},
        "они их им ими них ним ними": {"plur"},
    }.items()
    for pronoun in pronouns.split()
}
_RELATIVES = {
    **dict.fromkeys(("который", "которого", "которому", "котором"), "masc neut"),
    **dict.fromkeys(("которая", "которой", "которую", "которою"), "femn"),
    **dict.fromkeys(("которые", "которых", "которыми"), "plur"),
}


@cache
def morphology() -> MorphAnalyzer:
    """The dictionary of pymorphy3, read once, as that takes a moment."""
    return MorphAnalyzer()


@lru_cache(200_000)
def is_known(word: str) -> bool:
    """Whether the dictionary has the word."""
    return bool(morphology().word_is_known(word))


class Grammar:
    """Looks words up once and keeps what it found: a batch uses few different words."""

    def __init__(self) -> None:
        self._parse = lru_cache(50_000)(morphology().parse)

    def fault(self, tokens: Sequence[str], before: Sequence[str]) -> Fault | None:
        """What is wrong with a sentence, given in tokens; `before` is the sentence before it, empty
        for the first."""
        for earlier, first, second in zip(["", *tokens], tokens, tokens[1:], strict=False):
            if self._disagrees(first, second):
                return "agreement"
            if first in _GOVERNMENT and not self._governed(_GOVERNMENT[first], second):
                return "government"
            if first == "о" and second[0] in "аиоуэ":  # «о ответе»
                return "government"
            if first == "вы" and earlier != "," and self._wrong_for_you(second):
                return "verb form"
        if self._subject_disagrees(tokens):
            return "subject and verb"
        if self._relative_disagrees(tokens):
            return "relative clause"
        if self._dangles(tokens, before):
            return "pronoun"
        if self._repeats_a_word(tokens, _THINGS):
            return "tautology"
        return None

    def _disagrees(self, adjective: str, noun: str) -> bool:
        """«важный задача»: no reading of the two agrees in case, number and gender."""
        left, right = self._tags(adjective), self._tags(noun)
        if not all(tag.POS == "ADJF" for tag in left) or not all(
            tag.POS == "NOUN" for tag in right
        ):
            return False
        possessive = self._parse(adjective)[0].normal_form in {"ваш", "наш", "свой"}
        if not possessive and any("Apro" in t or "Subx" in t or "Anum" in t for t in left):
            return False  # «все», «знакомый», «первое» stand for a noun as well
        if any(tag.case == "ablt" for tag in left) and not all(tag.case == "ablt" for tag in right):
            return False  # «особенно важной поддержка будет»
        if adjective in {"лучшему", "полный"} or noun == "полгода":
            return False  # «меняются к лучшему отношения», «день, полный забот», «первые полгода»
        return not any(_agree(a, b) for a in left for b in right)

    def _governed(self, cases: frozenset[str], word: str) -> bool:
        tags = self._tags(word)
        if not all(tag.POS in {"NPRO", *_THINGS} for tag in tags):
            return True
        # «взять в помощники», «пойти в гости» have the old accusative of the living.
        living = "loct" in cases and "accs" in cases
        return any(
            tag.case in cases
            or "Fixd" in tag
            or (living and tag.case == "nomn" and tag.number == "plur" and tag.animacy == "anim")
            for tag in tags
        )

    def _wrong_for_you(self, verb: str) -> bool:
        """«вы сможет»."""
        tags = self._tags(verb)
        return all(tag.POS == "VERB" for tag in tags) and not any(
            tag.number == "plur" and tag.person in {None, "2per"} for tag in tags
        )

    def _subject_disagrees(self, tokens: Sequence[str]) -> bool:
        """«Важная встреча пройдут»: a sentence that opens with its subject and the verb."""
        start = 1 if tokens and all(tag.POS == "ADJF" for tag in self._tags(tokens[0])) else 0
        if len(tokens) < start + 2:
            return False
        subjects, verbs = self._tags(tokens[start]), self._tags(tokens[start + 1])
        if not all(tag.POS == "NOUN" and tag.case == "nomn" for tag in subjects):
            return False
        if not all(tag.POS == "VERB" and tag.mood == "indc" for tag in verbs):
            return False
        return not any(
            noun.number == verb.number
            and verb.person in {None, "3per"}
            and (verb.gender is None or "ms-f" in noun or verb.gender == noun.gender)
            for noun in subjects
            for verb in verbs
        )

    def _dangles(self, words: Sequence[str], before: Sequence[str]) -> bool:
        """A pronoun of the third person with no noun that it could stand for, here or in the
        sentence before."""
        nouns = list(before)
        for word in words:
            wanted = _PRONOUNS.get(word)
            if wanted and not any(self._may_be(noun, wanted) for noun in nouns):
                return True
            nouns.append(word)
        return False

    def _relative_disagrees(self, words: Sequence[str]) -> bool:
        """«у коллег, который»: no noun before it that it could stand for."""
        for place, word in enumerate(words):
            wanted = _RELATIVES.get(word)
            if wanted == "plur" and "и" in words[:place]:
                continue  # «сон и отдых, которые»
            if wanted and not any(self._may_be(noun, {*wanted.split()}) for noun in words[:place]):
                return True
        return False

    def _may_be(self, word: str, wanted: set[str]) -> bool:
        return any(
            tag.POS in {"NPRO", *_THINGS}
            and (
                tag.number == "plur"
                if "plur" in wanted
                else tag.number == "sing" and (tag.gender in wanted or "ms-f" in tag)
            )
            for tag in self._tags(word)
        )

    def repeats_an_action(self, words: Sequence[str]) -> bool:
        """«Обсудите расходы и обсудите сроки»: a verb or an adverb twice in a sentence."""
        return self._repeats_a_word(words, _ACTIONS)

    def _repeats_a_word(self, words: Sequence[str], parts: set[str]) -> bool:
        """«с уборкой и другими уборками»: a word of these parts of speech twice in a sentence."""
        seen: set[str] = set()
        for word in words:
            parse = self._parse(word)[0]
            if parse.tag.POS not in parts or "Apro" in parse.tag:
                continue
            # «друг друга», «день за днем», «снова и снова», «будет …, и будет …»
            if parse.normal_form in {"друг", "день", "раз", "быть", "снова"}:
                continue
            if parse.normal_form in seen:
                return True
            seen.add(parse.normal_form)
        return False

    def repeats_a_root(self, words: Sequence[str], letters: int) -> bool:
        """Whether a verb and a noun begin with the same `letters`."""
        parts: dict[str, set[str | None]] = {}
        for word in words:
            if len(word) > letters:
                parts.setdefault(word[:letters], set()).add(self._parse(word)[0].tag.POS)
        return any("NOUN" in found and found & {"VERB", "INFN"} for found in parts.values())

    def _tags(self, word: str) -> list[Any]:
        return [parse.tag for parse in self._parse(word)]


def tokenize(sentence: str) -> list[str]:
    """The words of a sentence, lower-case, and its punctuation marks."""
    return [token.lower() for token in _TOKEN.findall(sentence)]


def _agree(adjective: Any, noun: Any) -> bool:
    if adjective.case[:2] != noun.case[:2]:
        return False
    if adjective.number != noun.number:
        # «два важных дела»
        return bool(adjective.number == "plur" and adjective.case == "gent")
    # An accusative form may be right for the living only, or for things only.
    if adjective.animacy and noun.animacy and adjective.animacy != noun.animacy:
        return False
    return adjective.number == "plur" or "ms-f" in noun or adjective.gender == noun.gender
