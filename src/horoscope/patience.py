"""Trying again what will heal by itself."""

import asyncio
import logging
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
            logger.warning("%s Trying again in %.1f s.", error, pause)
            await asyncio.sleep(pause)
    raise AssertionError("pauses have no end")
