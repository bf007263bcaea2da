"""One text while it is written: what stands, what is being tried, when it ends."""

import datetime
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from horoscope.generation.description import ModelDescription
from horoscope.zodiac import Sign, Topic

TRIES_A_SENTENCE = 8
TRIES_A_TEXT = 3


@dataclass(frozen=True)
class Wish:
    """What one horoscope shall be about. The same wish always gives the same text."""

    sign: Sign
    topic: Topic = Topic.GENERAL
    date: datetime.date = field(default_factory=datetime.date.today)
    seed: int | None = None
    """Without a seed it is the horoscope of the day, one for everybody."""


@dataclass(frozen=True)
class Horoscope:
    """A text, or None where the model wrote nothing that may be shown."""

    text: str | None
    tokens: int
    """Tokens drawn for it, refused ones included."""
    finished: bool = True
    """False where it was stopped; the text is what there was, in whole sentences."""


class Draft:
    """A text grows by sentences: each is drawn token by token and stands once the guard agrees.

    A refused sentence is drawn again from the logits at its beginning; after TRIES_A_SENTENCE
    the text ends before it if it is long enough, else begins anew, TRIES_A_TEXT times in all.
    """

    def __init__(self, index: int, wish: Wish, prompt: list[int], model: ModelDescription) -> None:
        self.index = index
        self.wish = wish
        self.prompt = prompt
        self.sentences: list[str] = []
        self.drawn = 0
        self.done = False
        self.stopped = False
        self.failed = False
        self._model = model
        self._random = np.random.Generator(np.random.PCG64(_seed(model.name, wish)))
        self._ids: list[int] = []
        self._sentence_start = 0
        self._boundaries: list[NDArray[np.float32]] = []  # of the text, and of this sentence
        self._tries = 0
        self._restarts = 0

    @property
    def text(self) -> str:
        """The sentences that stand."""
        return " ".join(self.sentences)

    @property
    def horoscope(self) -> Horoscope:
        """The text as its reader gets it."""
        return Horoscope(None if self.failed else self.text, self.drawn, not self.stopped)

    @property
    def position(self) -> int:
        """The position of the token drawn last."""
        return len(self.prompt) + len(self._ids) - 1

    @property
    def at_boundary(self) -> bool:
        """Whether the next token begins a sentence."""
        return len(self._ids) == self._sentence_start

    @property
    def may_end(self) -> bool:
        """Whether the text may end here: at a whole sentence, not too short."""
        return self.at_boundary and len(self.text) >= self._model.shortest

    @property
    def boundary(self) -> NDArray[np.float32]:
        """The logits at the beginning of the sentence."""
        return self._boundaries[-1]

    @boundary.setter
    def boundary(self, logits: NDArray[np.float32]) -> None:
        self._boundaries = [*self._boundaries[:1], logits]

    def uniform(self) -> float:
        """The next of the text's own random numbers, in [0, 1)."""
        return self._random.random()

    def stop(self) -> None:
        """End the text where it is."""
        self.done = self.stopped = True

    def take(
        self,
        token: int,
        whole_sentence: Callable[[list[int]], str | None],
        guard: Callable[[str], str | None],
    ) -> int | None:
        """Take the token drawn; None if the engine shall see it.

        Otherwise the number of tokens that the engine shall forget, before the next one is drawn
        from `boundary` (or the draft is done).
        """
        self.drawn += 1
        if token == self._model.end_id:
            self.done = True
            return 0
        self._ids.append(token)
        sentence = whole_sentence(self._ids[self._sentence_start :])
        if sentence is None:
            full = len(self.prompt) + len(self._ids) >= self._model.longest_tokens
            return self._refuse() if full else None
        if guard(sentence):
            return self._refuse()
        if len(self.text) + 1 + len(sentence) > self._model.longest:
            if len(self.text) < self._model.shortest:
                return self._refuse()
            self.done = True
            return 0
        self.sentences.append(sentence)
        self._sentence_start = len(self._ids)
        self._tries = 0
        return None

    def _refuse(self) -> int:
        """Take the sentence back; the number of its tokens that the engine has seen."""
        seen = len(self._ids) - self._sentence_start - 1
        del self._ids[self._sentence_start :]
        self._tries += 1
        if self._tries < TRIES_A_SENTENCE:
            return seen
        if len(self.text) >= self._model.shortest:
            self.done = True
            return seen
        self._restarts += 1
        if self._restarts == TRIES_A_TEXT:
            self.done = self.failed = True
            return seen
        seen += len(self._ids)
        self.sentences, self._ids, self._sentence_start, self._tries = [], [], 0, 0
        self._boundaries = self._boundaries[:1]
        return seen


def _seed(model: str, wish: Wish) -> int:
    key = f"{model}/{wish.sign}/{wish.topic}/{wish.date}/{wish.seed}"
    return int.from_bytes(hashlib.blake2b(key.encode(), digest_size=16).digest(), "little")
