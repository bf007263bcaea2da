"""The mediator between bot and generator, as both see it."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, Protocol, TypeVar

from horoscope.messaging.messages import Message
from horoscope.patience import UnavailableError, insist

M = TypeVar("M", bound=Message)
M_co = TypeVar("M_co", bound=Message, covariant=True)


class BrokerUnavailableError(UnavailableError):
    """The broker cannot do it now; what was to be published is not durable."""


class Delivery(Protocol, Generic[M_co]):
    """One message on its way to one subscriber, who says when it is dealt with."""

    @property
    def message(self) -> M_co:
        """The message itself."""

    @property
    def headers(self) -> Mapping[str, str]:
        """What travelled beside the message."""

    async def done(self) -> None:
        """The message is dealt with and never comes again. Calling it twice is harmless."""

    async def reject(self, reason: str) -> None:
        """Nothing can be done with the message; it goes to the dead letters for a person to see."""


class PassingDelivery(Generic[M]):
    """The delivery of a message that is not durable: nobody waits to hear of it."""

    def __init__(self, message: M, headers: Mapping[str, str] | None = None) -> None:
        self.message = message
        self.headers = headers or {}

    async def done(self) -> None:
        """Nothing is left to do."""

    async def reject(self, reason: str) -> None:
        """Nothing is kept of it."""


class Subscription(Protocol[M_co]):
    """One subscriber's share of the messages of one kind."""

    @property
    def share(self) -> float:
        """The part of all messages of the kind that comes here, from 0 to 1."""

    async def take(self) -> Sequence[Delivery[M_co]]:
        """Wait for messages, then take those that wait together: one at least.

        May be called before the last batch is done, and cancelled without losing a message.
        Raises BrokerUnavailableError; calling again is all that is needed then.
        """

    async def close(self) -> None:
        """Hand back what is not done, for others or for a later subscription of ours."""


async def batches(subscription: Subscription[M]) -> AsyncIterator[Sequence[Delivery[M]]]:
    """Batch after batch for ever, however often the broker is away meanwhile."""
    while True:
        yield await insist(subscription.take)


@dataclass(frozen=True)
class DeadLetter:
    """A message that nobody could deal with."""

    origin: str
    """Where it came from, as one word; also its name."""
    schema: str
    version: str
    key: str
    body: str
    """As it came, valid or not; bytes that are no UTF-8 are surrogates (surrogateescape)."""
    reason: str
    at: datetime
    """When it was put here."""


class Broker(Protocol):
    """Carries messages between programs that do not know each other.

    A durable message is delivered at least once: a delivery that its subscriber left without
    `done` or `reject` (it crashed, or closed its subscription) goes to another, or to the same
    one when it comes back. Subscribers to one kind of durable message share the work, and the
    messages of one key go to one of them at a time, in the order of their publishing. Messages
    that are not durable go to every subscriber there is at the moment, or to nobody.
    """

    async def start(self) -> None:
        """Connect. Raises BrokerUnavailableError."""

    async def close(self) -> None:
        """Let go of everything; what was published stays."""

    async def publish(self, message: Message) -> None:
        """Return once a durable message is safe. Raises BrokerUnavailableError if it is not."""

    def subscribe(self, kind: type[M], max_batch: int) -> Subscription[M]:
        """Subscribe to the messages of one kind, in batches of `max_batch` at most."""

    async def dead_letters(self, limit: int) -> Sequence[DeadLetter]:
        """The oldest of the messages that were rejected or could not be read."""

    async def replay(self, letter: DeadLetter, body: str) -> None:
        """Publish `body` where a dead letter came from, and take that from the dead letters.

        Raises BrokerUnavailableError.
        """
