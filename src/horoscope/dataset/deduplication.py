"""Finds texts that say the same in nearly the same words: MinHash signatures in an LSH index.

Near-duplicates are what the Jaccard similarity of two texts' sets of word pairs says
(A. Broder, «On the resemblance and containment of documents», 1997), estimated from signatures
of PERMUTATIONS values with a standard error of at most 0.03.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from rensa import RMinHash, RMinHashLSH

SAME = 0.5
"""From this similarity on, the later text is dropped. The same text for another day or another
sign has 0.5 to 1.0; two texts by one author on like days have 0.0 to 0.2."""
RELATED = 0.3
"""From this similarity on, two texts stay on the same side of the split."""
BANDS = 85
PERMUTATIONS = 3 * BANDS  # 3 rows a band: finds 99.99 % of pairs at 0.5, 90 % at 0.3
_WORD = re.compile(r"\w+")


@dataclass(frozen=True)
class Duplicates:
    """What stands and what does not, by the texts' places in the list given."""

    repeats: dict[int, tuple[int, float]]
    """For each text that repeats an earlier one: that one's place, and how similar they are."""
    groups: list[int]
    """For each text the number of its group: related texts have the same."""


def find_duplicates(texts: Sequence[str], advance: Callable[[], None] = lambda: None) -> Duplicates:
    """Compare every text with those before it; `advance` is called once a text."""
    index = RMinHashLSH(SAME, PERMUTATIONS, BANDS)
    signatures: dict[int, RMinHash] = {}
    first_with: dict[tuple[str, ...], int] = {}
    repeats: dict[int, tuple[int, float]] = {}
    groups = list(range(len(texts)))

    def group(place: int) -> int:
        while groups[place] != place:
            groups[place] = groups[groups[place]]
            place = groups[place]
        return place

    for place, text in enumerate(texts):
        advance()
        words = tuple(_WORD.findall(text.lower().replace("ё", "е")))
        if words in first_with:
            earlier = first_with[words]
            repeats[place] = earlier, 1.0
            groups[place] = group(earlier)
            continue
        first_with[words] = place
        signature = RMinHash(PERMUTATIONS, 1)
        signature.update([*map(" ".join, pairwise(words))] or list(words))
        similar = [(signature.jaccard(signatures[key]), -key) for key in index.query(signature)]
        for similarity, key in similar:
            if similarity >= RELATED:
                # The earliest member stands for its group.
                one, other = sorted((group(-key), group(place)))
                groups[other] = one
        if similar and (best := max(similar))[0] >= SAME:
            repeats[place] = -best[1], best[0]
        else:
            signatures[place] = signature
            index.insert(place, signature)
    return Duplicates(repeats, [group(place) for place in range(len(texts))])
