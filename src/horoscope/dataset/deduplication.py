"""Finds texts that say the same in nearly the same words, and texts that share long passages.

Resemblance is the Jaccard similarity of two texts' sets of word pairs, estimated from MinHash
signatures in an LSH index; containment is the share of the shorter text's runs of four words
that stand in the other, looked for among a fixed sample of all runs. Both are from A. Broder,
«On the resemblance and containment of documents» (1997).
"""

import re
import zlib
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
SAMPLED = 4  # one run in so many is in the index
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
        for key in passages.shared_with(words):
            groups.join(key, place)
        passages.add(place, words)
    return Duplicates(repeats, [groups.first_of(place) for place in range(len(texts))])


class _Passages:
    """An index of the texts by a sample of their runs of words."""

    def __init__(self) -> None:
        self._places: dict[int, list[int]] = defaultdict(list)
        self._words: dict[int, Sequence[str]] = {}

    def add(self, place: int, words: Sequence[str]) -> None:
        self._words[place] = words
        for checksum in _checksums(words):
            if checksum % SAMPLED == 0:
                self._places[checksum].append(place)

    def shared_with(self, words: Sequence[str]) -> list[int]:
        """The texts that contain RELATED of this one, or of which this one contains as much."""
        runs = _checksums(words)
        shared: Counter[int] = Counter()
        for checksum in runs:
            if len(places := self._places.get(checksum, ())) <= COMMON:
                shared.update(places)
        found = []
        for place, count in shared.items():
            # The sample says whom to look at; half the share allows for its chance.
            shorter = min(len(words), len(self._words[place]))
            if count < max(2, RELATED / 2 * shorter / SAMPLED):
                continue
            others = _checksums(self._words[place])
            if len(runs & others) >= RELATED * min(len(runs), len(others)):
                found.append(place)
        return found


def _checksums(words: Sequence[str]) -> set[int]:
    """The runs of words, each as a checksum: the same wherever it stands."""
    return {zlib.crc32(" ".join(words[k : k + RUN]).encode()) for k in range(len(words) - RUN + 1)}


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
