"""What stands in the texts that a model learned from: it shall not repeat it whole, nor say what is
like nothing in it, nor always the same."""

import re
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from horoscope.errors import InputError
from horoscope.generation.grammar import WORD

LEARNED_FILE = "learned.npy"
RUN = 3  # words, or the sentence's begin and end
NOTE = np.dtype([("checksum", np.uint32), ("count", np.uint8)])  # counts end at 255
_BETWEEN_SENTENCES = re.compile(r"(?<=[.!?…])[»\")]*\s+")


class Learned:
    """The sentences of some texts and the runs of three words in them, as 32-bit checksums, and how
    often each stands there: of 11,000 texts 370,000 (1.9 MB), so that one in 12,000 is taken for
    one of them by mistake."""

    def __init__(self, notes: NDArray[np.void] | None = None) -> None:
        """`notes` are of the type NOTE and sorted."""
        self._notes = np.zeros(1, NOTE) if notes is None else notes

    @classmethod
    def of(cls, texts: Iterable[str]) -> "Learned":
        """What stands in `texts`."""
        counts: Counter[int] = Counter()
        for text in texts:
            for sentence in _BETWEEN_SENTENCES.split(text):
                counts.update((_whole(sentence), *_runs(sentence)))
        most = np.iinfo(np.uint8).max
        rows = [(each, min(count, most)) for each, count in sorted(counts.items())]
        return cls(np.array(rows, NOTE)) if rows else cls()

    def save(self, path: Path) -> None:
        """Write `learned.npy`."""
        np.save(path, self._notes)

    def __contains__(self, sentence: str) -> bool:
        return bool(self._counts([_whole(sentence)])[0])

    def novelty(self, sentence: str) -> float:
        """The share of the sentence's runs of three words that stand nowhere in the texts."""
        return float((self._counts([*_runs(sentence)]) == 0).mean())

    def commonness(self, sentence: str) -> float:
        """How often its runs of three words stand in the texts: the mean of log(1 + times)."""
        return float(np.log1p(self._counts([*_runs(sentence)]).astype(float)).mean())

    def _counts(self, checksums: Sequence[int]) -> NDArray[np.uint8]:
        sought = np.array(checksums, np.uint32)
        known = self._notes["checksum"]
        places = np.minimum(np.searchsorted(known, sought), len(known) - 1)
        counts: NDArray[np.uint8] = self._notes["count"][places]
        return np.where(known[places] == sought, counts, 0)


def load_learned(directory: Path) -> Learned:
    """What `horoscope export --data` noted beside a model; nothing if it was not told the texts.

    Raises InputError if the file is damaged.
    """
    path = directory / LEARNED_FILE
    if not path.is_file():
        return Learned()
    try:
        notes = np.load(path)
    except (ValueError, EOFError):
        raise InputError(f"{path} is damaged; copy the model again.") from None
    if notes.dtype != NOTE or not len(notes):
        raise InputError(f"{path} is of another version; run `horoscope export --data` again.")
    return Learned(notes)


def _words(sentence: str) -> list[str]:
    return ["^", *WORD.findall(sentence.lower()), "$"]


def _whole(sentence: str) -> int:
    return _checksum(_words(sentence))


def _runs(sentence: str) -> Iterator[int]:
    words = _words(sentence)
    for start in range(max(1, len(words) - RUN + 1)):
        yield _checksum(words[start : start + RUN])


def _checksum(words: Sequence[str]) -> int:
    return zlib.crc32(" ".join(words).encode())
