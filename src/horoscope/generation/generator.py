"""HoroscopeGenerator: wishes in, horoscopes out, a batch at a time."""

import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from horoscope.errors import HoroscopeError, InputError
from horoscope.generation.description import TOKENIZER_FILE, load_description
from horoscope.generation.draft import Candidate, Draft, Horoscope, Wish, theme
from horoscope.generation.engine import Engine
from horoscope.generation.guard import REASONS, SENTENCE_END, Guard
from horoscope.generation.learned import load_learned
from horoscope.generation.sampling import draw, surprise
from horoscope.zodiac import Sign, Topic

MODELS = {
    name: Path(__file__).parent.parent / "models" / name
    for name in ("best", "fast")  # the first writes unless another is asked for
}

MOST_ROWS = (
    32  # of a batch: each takes memory (`best`: 700 MB with 32, 1,050 with 64), no more time
)

DOUBT = 2.0  # a critic's logit: a doubtful sentence stands only where all others are poor
LOOSE = 0.1  # of its worth a sentence loses if it does not belong: more lets more faults through


class GenerationError(HoroscopeError):
    """The model wrote nothing that the guard would let pass."""


class HoroscopeGenerator:
    """A model that writes horoscopes: `best`, `fast` or the one in a directory.

    Calls block, and one goes at a time: use a thread. Raises InputError if the model directory
    cannot be used.
    """

    def __init__(self, model: Path | str | None = None) -> None:
        directory = model_directory(model)
        self._description = load_description(directory)
        self._engine = Engine(directory, self._description)
        self._learned = load_learned(directory)
        self._guard = Guard(self._learned)
        self._tokenizer = load_tokenizer(directory)
        # Most tokens end no sentence, and decoding all that stands so far for each would cost more
        # than drawing them.
        self._may_end = lru_cache(maxsize=None)(self._ends)
        self._prompt_width = self._longest_prompt()
        special = self._tokenizer.get_added_tokens_decoder().items()
        self._banned = [
            token for token, t in special if t.special and token != self._description.end_id
        ]
        # A rate of what is not there yet would be nothing rather than 0 to Prometheus.
        self.refusals: Counter[str] = Counter(dict.fromkeys(REASONS, 0))
        """How often the guard refused a sentence, by each of its reasons."""

    @property
    def name(self) -> str:
        """What the model calls itself."""
        return self._description.name

    def theme(self, wish: Wish) -> str | None:
        """What the text of `wish` is asked to be about, where the model knows themes."""
        return theme(wish, self._description)

    def write(
        self, wishes: Sequence[Wish], on_sentence: Callable[[int, str], bool] | None = None
    ) -> list[Horoscope]:
        """Write all `wishes` in one batch; the horoscopes in the same order.

        `on_sentence(index, text)` hears of each sentence that will stand, with the text so far,
        in the calling thread; False from it ends that text there.
        """
        horoscopes: list[Horoscope] = [Horoscope(None, 0)] * len(wishes)
        for draft in self._drafts(wishes):
            if not draft.done and on_sentence and not on_sentence(draft.index, draft.text):
                draft.stop()
            if draft.done:
                horoscopes[draft.index] = draft.horoscope
        return horoscopes

    def stream(self, wish: Wish) -> Iterator[str]:
        """The text of one wish, sentence by sentence, as it is written. Raises GenerationError."""
        shown = 0
        for draft in self._drafts([wish]):
            if draft.failed:
                raise GenerationError("The model found no words; try another seed.")
            for sentence in draft.sentences[shown:]:
                yield sentence if shown == 0 else " " + sentence
                shown += 1

    def _drafts(self, wishes: Sequence[Wish]) -> Iterator[Draft]:
        """Each draft whenever a sentence of it stands, and once more when it is done."""
        model = self._description
        drafts = [Draft(i, wish, self._prompt(wish), model) for i, wish in enumerate(wishes)]
        size = max(1, MOST_ROWS // model.candidates)
        for start in range(0, len(drafts), size):
            yield from self._batch(drafts[start : start + size])

    def _batch(self, drafts: Sequence[Draft]) -> Iterator[Draft]:
        model = self._description
        rows = [(draft, candidate) for draft in drafts for candidate in draft.candidates]
        prompts = [draft.prompt for draft, _ in rows]
        logits, _ = self._engine.start(prompts, self._prompt_width)
        for draft, first in zip(drafts, logits[:: len(drafts[0].candidates)], strict=True):
            draft.begin_sentence(first.copy())
        while True:
            tokens = self._draw(rows, logits)
            for draft in dict.fromkeys(draft for draft, _ in rows):
                if draft.done:
                    yield draft
            kept = [row for row, (draft, _) in enumerate(rows) if not draft.done]
            rows = [rows[row] for row in kept]
            if not rows:
                return
            self._engine.keep(np.array(kept, np.int32))
            positions = np.array([draft.position(candidate) for draft, candidate in rows])
            logits, scores = self._engine.step(tokens[kept], positions)
            for row, (draft, candidate) in enumerate(rows):
                if candidate.following is not None or candidate.given_up:
                    self._engine.forget(row, 1)  # it waits for the others
                    continue
                candidate.scores += scores[row]
                if candidate.sentence:
                    candidate.following = logits[row].copy()
                    if model.candidates > 1 or model.least_worth:
                        self._judge(candidate, draft.sentences)
            # The rows of a draft go on from the one that is chosen.
            places = {candidate: row for row, (_, candidate) in enumerate(rows)}
            order = np.arange(len(rows), dtype=np.int32)
            for draft in dict.fromkeys(draft for draft, _ in rows):
                chosen = draft.chosen
                if chosen is None:
                    continue
                again = draft.reconsider(chosen)
                for candidate in again:
                    self._engine.forget(places[candidate], len(candidate.ids))
                    candidate.begin()
                if again or draft.done:
                    continue
                order[[places[candidate] for candidate in draft.candidates]] = places[chosen]
                draft.accept(chosen)
                yield draft  # it is not done yet, so that its last sentence is heard of, too
                draft.end_if_enough()
            self._engine.keep(order)

    def _draw(
        self, rows: Sequence[tuple[Draft, Candidate]], logits: NDArray[np.float32]
    ) -> NDArray[np.int64]:
        """Draw a token for each row that writes, again where the guard refuses."""
        model = self._description
        logits[:, [*self._banned, model.end_id]] = -np.inf
        tokens = np.zeros(len(rows), np.int64)
        drawing = [row for row, (draft, c) in enumerate(rows) if c.writing and not draft.done]
        while drawing:
            for row in drawing:
                draft, candidate = rows[row]
                if not candidate.ids:
                    logits[row] = draft.boundary
                    logits[row, self._banned] = -np.inf
                    if not draft.may_end(candidate):
                        logits[row, model.end_id] = -np.inf
            uniforms = np.array([rows[row][1].uniform() for row in drawing])
            chosen = draw(logits[drawing], uniforms, model.temperature, model.min_p)
            nats = surprise(logits[drawing], chosen) if model.surprise else np.zeros(len(drawing))
            refused = []
            for row, token, surprised in zip(drawing, chosen, nats, strict=True):
                draft, candidate = rows[row]
                if draft.done:  # another of its candidates ended it
                    continue
                tokens[row] = token
                refusal = self._refusal(draft)
                forget = draft.take(candidate, int(token), self._whole_sentence, refusal)
                if forget is None:
                    candidate.scores[0] -= model.surprise * float(surprised)
                else:
                    self._engine.forget(row, forget)
                    refused.append(row)
            for draft in dict.fromkeys(rows[row][0] for row in refused):
                if draft.stuck:
                    forget = draft.begin_anew()
                    for row, (other, _) in enumerate(rows):
                        if other is draft:
                            self._engine.forget(row, forget)
                            refused.append(row)
            drawing = [
                row
                for row in dict.fromkeys(refused)
                if rows[row][1].writing and not rows[row][0].done
            ]
        return tokens

    def _judge(self, candidate: Candidate, before: Sequence[str]) -> None:
        """How good a whole sentence is, and how much it is liked."""
        assert candidate.sentence is not None
        model = self._description
        good, belongs = candidate.scores / len(candidate.ids)
        good -= model.novelty * self._learned.novelty(candidate.sentence)
        good -= DOUBT * self._guard.doubts(candidate.sentence, before)
        candidate.worth = _chance(good) * (1 - LOOSE * _chance(-belongs))
        commonness = model.commonness * self._learned.commonness(candidate.sentence)
        candidate.liking = candidate.worth - commonness

    def _refusal(self, draft: Draft) -> Callable[[str], str | None]:
        def refuse(sentence: str) -> str | None:
            reason = self._guard.refuse(sentence, draft.sentences, draft.wish.sign)
            if reason:
                self.refusals[reason] += 1
            return reason

        return refuse

    def _whole_sentence(self, ids: list[int]) -> str | None:
        """The sentence that `ids` make, or None while it has not ended."""
        if not self._may_end(ids[-1]):
            return None
        text = self._tokenizer.decode(ids, skip_special_tokens=False).strip()
        return text if SENTENCE_END.search(text) else None

    def _ends(self, token: int) -> bool:
        """Whether a sentence may end in this token; part of a character (�) may be part of «…»."""
        piece = self._tokenizer.decode([token], skip_special_tokens=False)
        return not piece.strip() or any(mark in piece for mark in '.!?…»")�')

    def _prompt(self, wish: Wish) -> list[int]:
        model = self._description
        text = model.prompt(wish.sign, wish.topic, self.theme(wish))
        return [*model.begin_ids, *self._tokenizer.encode(text, add_special_tokens=False).ids]

    def _longest_prompt(self) -> int:
        """How many tokens the longest prompt has that the model may be asked."""
        model = self._description
        prompts = [
            model.prompt(sign, topic, theme)
            for sign in Sign
            for topic in Topic
            for theme in (None, *model.themes.get(topic, ()))
        ]
        tokens = self._tokenizer.encode_batch_fast(prompts, add_special_tokens=False)
        return len(model.begin_ids) + max(len(each.ids) for each in tokens)


def _chance(logit: float) -> float:
    return (1 + math.tanh(logit / 2)) / 2  # exp(-logit) may be too large a number


def model_directory(model: Path | str | None) -> Path:
    """Where a model of ours is, by its name (none: the best), or the directory given."""
    model = model or next(iter(MODELS))
    return MODELS.get(str(model)) or Path(model)


def load_tokenizer(directory: Path) -> Tokenizer:
    """Read `tokenizer.json`. Raises InputError if it is missing or damaged."""
    path = directory / TOKENIZER_FILE
    if not path.is_file():
        raise InputError(f"{path} is missing; copy the model again.")
    try:
        return Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises plain Exception
        raise InputError(f"{path} is damaged ({error}); copy the model again.") from None
