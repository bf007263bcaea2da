"""Trying again what will heal by itself."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import TypeVar

from horoscope.errors import HoroscopeError

T = TypeVar("T")

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 10.0

logger = logging.getLogger(__name__)


class UnavailableError(HoroscopeError):
    """Something that the programs need is away for now."""


def pauses() -> Iterator[float]:
    """How long to wait before each further attempt, in seconds: growing, without end."""
    pause = FIRST_PAUSE_S
    while True:
        yield pause
        pause = min(2 * pause, LONGEST_PAUSE_S)


async def insist(step: Callable[[], Awaitable[T]]) -> T:
    """Take a step, again and again until nothing it needs is unavailable."""
    for pause in pauses():
        try:
            return await step()
        except UnavailableError as error:
            _complaints.add(str(error))
            await asyncio.sleep(pause)
    raise AssertionError("pauses have no end")


class _Complaints:
    """What a thousand steps have to say of one trouble is said once in a while."""

    def __init__(self) -> None:
        self._last = ""
        self._at = 0.0

    def add(self, complaint: str) -> None:
        if complaint != self._last or time.monotonic() - self._at > LONGEST_PAUSE_S:
            self._last, self._at = complaint, time.monotonic()
            logger.warning("%s Trying again.", complaint)


_complaints = _Complaints()
