"""The pipeline: texts of all sources → cleaned → without duplicates → split → a directory."""

import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date as Date
from pathlib import Path

from horoscope.dataset.cleaning import clean
from horoscope.dataset.deduplication import find_duplicates
from horoscope.dataset.examples import SPLITS, Example, write_examples
from horoscope.dataset.split import split
from horoscope.dataset.texts import Text, Unusable
from horoscope.errors import HoroscopeError, InputError

DUPLICATE = "exact duplicate"
NEAR_DUPLICATE = "near-duplicate"
ANOTHER_DAY = "says «завтра»"


Advance = Callable[[], None]
"""Marks one more text as done."""


@dataclass(frozen=True)
class Dropped:
    """A text that is left out, and why."""

    source: str
    line: int
    reason: str
    text: str
    twin: str | None = None
    """The text that stands in its place."""


@dataclass
class Prepared:
    """What came of the sources."""

    examples: dict[str, list[Example]]
    """By split."""
    dropped: list[Dropped]
    read: Counter[str] = field(default_factory=Counter)
    """Rows by source."""
    mended: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Texts by source and rule."""


def prepare(
    texts: Sequence[Text | Unusable],
    held_out: float,
    track: Callable[[str, int], Advance] = lambda step, total: lambda: None,
) -> Prepared:
    """Clean, deduplicate and split; `track` starts a step and returns what marks its progress."""
    prepared = Prepared({name: [] for name in SPLITS}, [], Counter(t.source for t in texts))
    cleaned = _clean(texts, prepared, track("Cleaning", len(texts)))
    # Of texts that say the same, the one that says «сегодня» of its day stands, then the earliest.
    cleaned.sort(key=lambda text: (text.day_ahead, text.date or Date.max))
    found = find_duplicates(
        [text.text for text in cleaned], track("Finding duplicates", len(cleaned))
    )
    kept, groups = [], []
    for place, text in enumerate(cleaned):
        if place in found.repeats:
            twin, similarity = found.repeats[place]
            reason = DUPLICATE if similarity == 1.0 else NEAR_DUPLICATE
            prepared.dropped.append(
                Dropped(text.source, text.line, reason, text.text, cleaned[twin].text)
            )
        elif text.day_ahead:
            prepared.dropped.append(Dropped(text.source, text.line, ANOTHER_DAY, text.text))
        else:
            kept.append(text)
            groups.append(found.groups[place])
    for text, name in zip(kept, split(kept, groups, held_out), strict=True):
        prepared.examples[name].append(
            Example(text.sign, text.topic, text.text, text.date, text.source)
        )
    return prepared


def _clean(texts: Iterable[Text | Unusable], prepared: Prepared, advance: Advance) -> list[Text]:
    cleaned = []
    for text in texts:
        advance()
        if isinstance(text, Unusable):
            prepared.dropped.append(Dropped(text.source, text.line, text.reason, text.text))
            continue
        result = clean(text.text, text.sign)
        if result.dropped:
            prepared.dropped.append(Dropped(text.source, text.line, result.dropped, text.text))
            continue
        prepared.mended.update((text.source, rule) for rule in result.mended)
        cleaned.append(replace(text, text=result.text))
    return cleaned


def write_prepared(
    prepared: Prepared, output: Path, write_report: Callable[[Prepared, Path], None]
) -> None:
    """Write the directory as a whole, in place of one that an earlier call wrote.

    Raises InputError if `output` is something else, HoroscopeError if it cannot be written;
    what was there before is then untouched.
    """
    check_output(output)
    beside = None
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        beside = Path(tempfile.mkdtemp(prefix=f".{output.name}-", dir=output.parent))
        fresh, old = beside / "new", beside / "old"
        fresh.mkdir()
        for name, examples in prepared.examples.items():
            write_examples(fresh / f"{name}.jsonl", examples)
        write_report(prepared, fresh)
        if output.exists():
            output.rename(old)
        try:
            fresh.rename(output)
        except OSError:
            if old.exists():
                old.rename(output)
            raise
    except OSError as error:
        raise HoroscopeError(
            f"Cannot write {output} ({error.strerror or error}); nothing was changed there."
        ) from None
    finally:
        if beside:
            shutil.rmtree(beside, ignore_errors=True)


def check_output(output: Path) -> None:
    """Raises InputError if `output` holds something that `prepare` did not write."""
    if output.exists() and not output.is_dir():
        raise InputError(f"{output} is a file; name a directory for --output.")
    if output.is_dir() and any(output.iterdir()) and not (output / "train.jsonl").exists():
        raise InputError(f"{output} holds something else; name a new directory for --output.")
