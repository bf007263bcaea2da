"""Working with a broker that may be away for a while."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import TypeVar

from horoscope.messaging.broker import BrokerUnavailableError, Delivery, Subscription
from horoscope.messaging.messages import Message

M = TypeVar("M", bound=Message)
T = TypeVar("T")

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 10.0

logger = logging.getLogger(__name__)


async def insist(step: Callable[[], Awaitable[T]]) -> T:
    """Take a step, again and again until the broker is there."""
    pause = FIRST_PAUSE_S
    while True:
        try:
            return await step()
        except BrokerUnavailableError as error:
            logger.warning("%s Trying again in %.1f s.", error, pause)
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE_S)


async def batches(subscription: Subscription[M]) -> AsyncIterator[Sequence[Delivery[M]]]:
    """Take batch after batch for ever; the subscription stays its owner's to close."""
    while True:
        yield await insist(subscription.take)
