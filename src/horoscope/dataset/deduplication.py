"""Finds texts that say the same in nearly the same words, and texts that share long passages.

Resemblance is the Jaccard similarity of two texts' sets of word pairs, estimated from MinHash
signatures in an LSH index; containment is the share of the shorter text's runs of four words
that stand in the other, looked for among a fixed sample of all runs. Both are from A. Broder,
«On the resemblance and containment of documents» (1997).
"""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from rensa import RMinHash, RMinHashLSH

SAME = 0.5
"""From this resemblance on, the later text is dropped. The same text for another day or another
sign has 0.5 to 1.0; two texts by one author on like days have 0.0 to 0.2."""
RELATED = 0.3
"""From this resemblance or containment on, two texts stay on the same side of the split."""
BANDS = 85
PERMUTATIONS = 3 * BANDS  # 3 rows a band: finds 99.99 % of pairs at 0.5, 90 % at 0.3
RUN = 4  # words
SAMPLED = 2  # one run in so many is in the index
COMMON = 50  # a run that stands in more texts is a turn of speech and says nothing
_WORD = re.compile(r"\w+")


@dataclass(frozen=True)
class Duplicates:
    """What stands and what does not, by the texts' places in the list given."""

    repeats: dict[int, tuple[int, float]]
    """For each text that repeats an earlier one: that one's place, and their resemblance."""
    groups: list[int]
    """For each text the number of its group: related texts have the same."""


def find_duplicates(texts: Sequence[str], advance: Callable[[], None] = lambda: None) -> Duplicates:
    """Compare every text with those before it; `advance` is called once a text."""
    index = RMinHashLSH(SAME, PERMUTATIONS, BANDS)
    signatures: dict[int, RMinHash] = {}
    passages = _Passages()
    first_with: dict[tuple[str, ...], int] = {}
    repeats: dict[int, tuple[int, float]] = {}
    groups = _Groups(len(texts))
    for place, text in enumerate(texts):
        advance()
        words = tuple(_WORD.findall(text.lower().replace("ё", "е")))
        earlier = first_with.setdefault(words, place)
        if earlier != place:
            repeats[place] = earlier, 1.0
            groups.join(earlier, place)
            continue
        signature = RMinHash(PERMUTATIONS, 1)
        signature.update([" ".join(pair) for pair in pairwise(words)] or list(words))
        similar = [(signature.jaccard(signatures[key]), -key) for key in index.query(signature)]
        for similarity, key in similar:
            if similarity >= RELATED:
                groups.join(-key, place)
        if similar and (best := max(similar))[0] >= SAME:
            repeats[place] = -best[1], best[0]
            continue
        signatures[place] = signature
        index.insert(place, signature)
        for key in passages.add(place, words):
            groups.join(key, place)
    return Duplicates(repeats, [groups.first_of(place) for place in range(len(texts))])


class _Passages:
    """An index of the texts by a sample of their runs of words."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}  # of the words; Python hashes these alike every time
        self._texts: dict[int, list[int]] = {}
        self._places: dict[int, list[int]] = defaultdict(list)

    def add(self, place: int, words: Sequence[str]) -> list[int]:
        """The earlier texts that hold RELATED of this one, or of which this one holds as much."""
        numbers = [self._numbers.setdefault(word, len(self._numbers)) for word in words]
        runs = _runs(numbers)
        sampled = [run for run in runs if run % SAMPLED == 0]
        shared: Counter[int] = Counter()
        for run in sampled:
            if len(places := self._places[run]) <= COMMON:
                shared.update(places)
        found = []
        for earlier, count in shared.items():
            # The sample says whom to look at; half the share allows for its chance.
            shorter = min(len(numbers), len(self._texts[earlier]))
            if count < max(2, RELATED / 2 * shorter / SAMPLED):
                continue
            others = _runs(self._texts[earlier])
            if len(runs & others) >= RELATED * min(len(runs), len(others)):
                found.append(earlier)
        self._texts[place] = numbers
        for run in sampled:
            self._places[run].append(place)
        return found


def _runs(numbers: list[int]) -> set[int]:
    """A checksum of each run of words."""
    return set(map(hash, zip(*(numbers[k:] for k in range(RUN)), strict=False)))


class _Groups:
    """Disjoint sets of places, each known by its first member."""

    def __init__(self, count: int) -> None:
        self._parents = list(range(count))

    def first_of(self, place: int) -> int:
        while self._parents[place] != place:
            self._parents[place] = self._parents[self._parents[place]]
            place = self._parents[place]
        return place

    def join(self, one: int, other: int) -> None:
        first, second = sorted((self.first_of(one), self.first_of(other)))
        self._parents[second] = first
