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


class Candidate:
    """One way for a text to go on by a sentence: a row of the batch, drawn token by token."""

    def __init__(self, seed: int) -> None:
        self._random = np.random.Generator(np.random.PCG64(seed))
        self.begin()

    def begin(self) -> None:
        """Start a sentence."""
        self.ids: list[int] = []
        self.tries = 0
        self.sentence: str | None = None
        """Once it is whole and the guard agrees."""
        self.given_up = False
        self.scores: NDArray[np.float32] = np.zeros(2, np.float32)
        """What the critic says of the tokens so far, added up: that they are good, and belong."""
        self.worth = 0.0
        """Of the whole sentence, from 0 to 1: its chance to be good, by the critic and the guard's
        doubts, less what it loses if it does not belong."""
        self.liking = 0.0
        """Its worth less what commonness takes off: the most liked one stands."""
        self.following: NDArray[np.float32] | None = None
        """The logits after the sentence; None until the engine has seen its end."""

    @property
    def writing(self) -> bool:
        """Whether its sentence still grows."""
        return self.sentence is None and not self.given_up

    def uniform(self) -> float:
        """The next of its own random numbers, in [0, 1)."""
        return self._random.random()


class Draft:
    """A text grows by sentences: of the candidates for each, the one that is liked best. If all are
    poor they are drawn once more. It ends where the model ends it, or as soon as it has enough.

    A sentence that the guard refuses is drawn again from the logits at its beginning, up to
    TRIES_A_SENTENCE times, or until another candidate stands. Without any the text ends there if
    it is long enough, else begins anew, TRIES_A_TEXT times in all.
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
        self.boundary: NDArray[np.float32] = np.empty(0, np.float32)
        """The logits at the beginning of the sentence."""
        self.candidates = [
            Candidate(_seed(model.name, wish, number)) for number in range(model.candidates)
        ]
        self._model = model
        self._ids: list[int] = []
        self._start: NDArray[np.float32] | None = None  # the logits at the beginning of the text
        self._begun = 1
        self._reconsidered = False

    @property
    def text(self) -> str:
        """The sentences that stand."""
        return " ".join(self.sentences)

    @property
    def horoscope(self) -> Horoscope:
        """The text as its reader gets it."""
        return Horoscope(None if self.failed else self.text, self.drawn, not self.stopped)

    def position(self, candidate: Candidate) -> int:
        """The position of the token that the candidate drew last."""
        return len(self.prompt) + len(self._ids) + max(0, len(candidate.ids) - 1)

    def may_end(self, candidate: Candidate) -> bool:
        """Whether the text may end instead of this sentence: the first candidate decides."""
        return (
            candidate is self.candidates[0]
            and not candidate.ids
            and len(self.text) >= self._model.shortest
        )

    def begin_sentence(self, logits: NDArray[np.float32]) -> None:
        """Go on from `logits` [vocabulary]."""
        self.boundary = logits
        self._reconsidered = False
        self._start = logits if self._start is None else self._start
        for candidate in self.candidates:
            candidate.begin()

    def stop(self) -> None:
        """End the text where it is."""
        self.done = self.stopped = True

    def take(
        self,
        candidate: Candidate,
        token: int,
        whole_sentence: Callable[[list[int]], str | None],
        guard: Callable[[str], str | None],
    ) -> int | None:
        """Take the token that a candidate drew; None if the engine shall see it.

        Otherwise the number of tokens that the engine shall forget; the next one is drawn from
        `boundary`, if the candidate still writes.
        """
        self.drawn += 1
        if token == self._model.end_id:
            self.done = True
            return 0
        candidate.ids.append(token)
        sentence = whole_sentence(candidate.ids)
        if sentence is None:
            length = len(self.prompt) + len(self._ids) + len(candidate.ids)
            return self._refuse(candidate) if length >= self._model.longest_tokens else None
        if guard(sentence):
            return self._refuse(candidate)
        if len(self.text) + 1 + len(sentence) > self._model.longest:
            # The text may do without it, if it is long enough.
            enough = len(self.text) >= self._model.shortest
            return self._refuse(candidate, TRIES_A_SENTENCE if enough else 1)
        candidate.sentence = sentence
        return None

    @property
    def chosen(self) -> Candidate | None:
        """The most liked of the candidates, once none is written any more and one stands."""
        whole = [c for c in self.candidates if c.sentence and c.following is not None]
        if not whole or any(c.writing or (c.sentence and c not in whole) for c in self.candidates):
            return None
        return max(whole, key=lambda candidate: candidate.liking)

    def reconsider(self, chosen: Candidate) -> list[Candidate]:
        """Where all candidates are poor, end the text, if it is long enough; else let the others be
        drawn once more beside the chosen one: these."""
        poor = max(each.worth for each in self.candidates) < self._model.least_worth
        if poor and len(self.text) >= self._model.shortest:
            self.done = True
        if not poor or self.done or self._reconsidered:
            return []
        self._reconsidered = True
        return [candidate for candidate in self.candidates if candidate is not chosen]

    def accept(self, candidate: Candidate) -> None:
        """Let a candidate's sentence stand, and begin the next one."""
        assert candidate.sentence is not None
        assert candidate.following is not None
        self.sentences.append(candidate.sentence)
        self._ids += candidate.ids
        self.begin_sentence(candidate.following)

    def end_if_enough(self) -> None:
        """End the text if it shall not be longer."""
        enough = self._model.enough
        if enough is not None and len(self.text) >= enough:
            self.done = True

    @property
    def stuck(self) -> bool:
        """Whether every candidate was given up."""
        return all(candidate.given_up for candidate in self.candidates)

    def begin_anew(self) -> int:
        """After every candidate was given up: end the text, or begin it anew. The number of tokens
        that the engine shall forget in each row."""
        if len(self.text) >= self._model.shortest:
            self.done = True
            return 0
        if self._begun == TRIES_A_TEXT:
            self.done = self.failed = True
            return 0
        self._begun += 1
        seen = len(self._ids)
        self.sentences, self._ids = [], []
        assert self._start is not None
        self.begin_sentence(self._start)
        return seen

    def _refuse(self, candidate: Candidate, tries: int = 1) -> int:
        """Take the sentence back; the number of its tokens that the engine has seen."""
        seen = len(candidate.ids) - 1
        candidate.ids.clear()
        candidate.scores[:] = 0
        candidate.tries += tries
        another_stands = any(other.sentence for other in self.candidates)
        candidate.given_up = another_stands or candidate.tries >= TRIES_A_SENTENCE
        return seen


def theme(wish: Wish, model: ModelDescription) -> str | None:
    """What the text shall be about, by the wish's own chance; None if the model knows no themes."""
    themes = model.themes.get(wish.topic)
    return themes[_seed(model.name, wish, "theme") % len(themes)] if themes else None


def _seed(model: str, wish: Wish, purpose: int | str) -> int:
    """The purpose is a candidate's number, or «theme»."""
    key = f"{model}/{wish.sign}/{wish.topic}/{wish.date}/{wish.seed}"
    if purpose:
        key += f"/{purpose}"
    return int.from_bytes(hashlib.blake2b(key.encode(), digest_size=16).digest(), "little")
