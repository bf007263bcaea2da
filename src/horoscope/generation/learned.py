"""Which sentences a model learned from: where it has a choice it shall say something of its own."""

import re
import zlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from horoscope.errors import InputError
from horoscope.generation.grammar import WORD

LEARNED_FILE = "learned.npy"
_BETWEEN_SENTENCES = re.compile(r"(?<=[.!?…])[»\")]*\s+")


class Learned:
    """The sentences of some texts, each as a 32-bit checksum of its words: 70,000 sentences take
    270 KB, and one in 60,000 is taken for one of them by mistake."""

    def __init__(self, checksums: NDArray[np.uint32] | None = None) -> None:
        self._checksums = set() if checksums is None else set(checksums.tolist())

    def __contains__(self, sentence: str) -> bool:
        return _checksum(sentence) in self._checksums


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


def save_learned(path: Path, texts: Iterable[str]) -> None:
    """Note the sentences of `texts`."""
    sentences = {part for text in texts for part in _BETWEEN_SENTENCES.split(text)}
    np.save(path, np.unique(np.array([_checksum(each) for each in sentences], np.uint32)))


def _checksum(sentence: str) -> int:
    return zlib.crc32(" ".join(WORD.findall(sentence.lower())).encode())
