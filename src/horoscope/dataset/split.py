"""Decides which texts a model learns from and which it is tested on."""

import hashlib
from collections.abc import Sequence

from horoscope.dataset.examples import SPLITS
from horoscope.dataset.texts import Text


def split(texts: Sequence[Text], groups: Sequence[int], held_out: float) -> list[str]:
    """The split of each text; `held_out` is the share of validation, and that of test.

    The last days of each source are for the test and those before them for validation, as a
    model is used on days that it has not seen. Texts without a date are drawn by their
    checksums, so that a text stays where it is when others come and go. A group of related
    texts (the same number in `groups`) goes where its member closest to training goes.
    """
    days: dict[str, list[int]] = {}
    for text in texts:
        if text.date:
            days.setdefault(text.source, []).append(text.date.toordinal())
    first_held_out = {source: _first_held_out(found, held_out) for source, found in days.items()}
    chosen: dict[int, int] = {}
    for text, group in zip(texts, groups, strict=True):
        if text.date and (limits := first_held_out[text.source]):
            place = sum(text.date.toordinal() >= limit for limit in limits)
        else:
            digest = hashlib.sha256(text.text.encode()).digest()
            drawn = int.from_bytes(digest[:8], "big") / 2**64
            place = sum(drawn >= limit for limit in (1 - 2 * held_out, 1 - held_out))
        chosen[group] = min(place, chosen.get(group, place))
    return [SPLITS[chosen[group]] for group in groups]


def _first_held_out(ordinals: list[int], share: float) -> tuple[int, int] | None:
    """The first day of validation and that of the test; None if there are fewer than 3 days."""
    days = sorted(set(ordinals))
    if len(days) < 3:
        return None
    each = max(1, round(share * len(days)))
    return days[-2 * each], days[-each]
