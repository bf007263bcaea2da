"""What stands in the texts that a model learned from: it shall neither repeat it whole nor say what
is like nothing in it."""

import re
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from horoscope.errors import InputError
from horoscope.generation.grammar import WORD

LEARNED_FILE = "learned.npy"
RUN = 3  # words, or the sentence's begin and end
_BETWEEN_SENTENCES = re.compile(r"(?<=[.!?…])[»\")]*\s+")


class Learned:
    """The sentences of some texts and the runs of three words in them, as 32-bit checksums: of
    11,000 texts 370,000 (1.5 MB), so that one in 12,000 is taken for one of them by mistake."""

    def __init__(self, checksums: NDArray[np.uint32] | None = None) -> None:
        """`checksums` are sorted."""
        self._checksums = np.empty(0, np.uint32) if checksums is None else checksums

    @classmethod
    def of(cls, texts: Iterable[str]) -> "Learned":
        """What stands in `texts`."""
        noted = {
            checksum
            for text in texts
            for sentence in _BETWEEN_SENTENCES.split(text)
            for checksum in (_whole(sentence), *_runs(sentence))
        }
        return cls(np.array(sorted(noted), np.uint32))

    def save(self, path: Path) -> None:
        """Write `learned.npy`."""
        np.save(path, self._checksums)

    def __contains__(self, sentence: str) -> bool:
        return bool(self._has([_whole(sentence)])[0])

    def novelty(self, sentence: str) -> float:
        """The share of the sentence's runs of three words that stand nowhere in the texts."""
        return 1 - float(self._has([*_runs(sentence)]).mean())

    def _has(self, checksums: Sequence[int]) -> NDArray[np.bool_]:
        sought = np.array(checksums, np.uint32)
        if not len(self._checksums):
            return np.zeros(len(sought), bool)
        places = np.searchsorted(self._checksums, sought)  # np.isin would sort them all each time
        return np.asarray(self._checksums.take(places, mode="clip") == sought)


def load_learned(directory: Path) -> Learned:
    """What `horoscope export --data` noted beside a model; nothing if it was not told the texts.

    Raises InputError if the file is damaged.
    """
    path = directory / LEARNED_FILE
    if not path.is_file():
        return Learned()
    try:
        return Learned(np.load(path))
    except (ValueError, EOFError):
        raise InputError(f"{path} is damaged; copy the model again.") from None


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
