"""The mediator between bot and generator, as both see it."""

from collections.abc import AsyncGenerator
from typing import Generic, Protocol, TypeVar

from horoscope.errors import HoroscopeError
from horoscope.messaging.messages import Message

M = TypeVar("M", bound=Message)
M_co = TypeVar("M_co", bound=Message, covariant=True)


class BrokerUnavailableError(HoroscopeError):
    """The broker did not take a message; what was to be published is not durable."""


class Delivery(Protocol, Generic[M_co]):
    """One message on its way to one subscriber, who says when it is dealt with."""

    @property
    def message(self) -> M_co:
        """The message itself."""

    async def done(self) -> None:
        """The message is dealt with and never comes again. Calling it twice is harmless."""

    async def reject(self, reason: str) -> None:
        """Nothing can be done with the message; it goes to the dead letters for a person to see."""


class Broker(Protocol):
    """Carries messages between programs that do not know each other.

    A durable message is delivered at least once: a delivery that its subscriber left without
    `done` or `reject` (it crashed, or closed its subscription) goes to another, or to the same
    one when it comes back. Subscribers to one kind of durable message share the work; messages
    that are not durable go to every subscriber there is at the moment, or to nobody.
    """

    async def start(self) -> None:
        """Connect. Raises BrokerUnavailableError."""

    async def close(self) -> None:
        """Let go of everything; what was published stays."""

    async def publish(self, message: Message) -> None:
        """Return once a durable message is safe. Raises BrokerUnavailableError if it is not."""

    def subscribe(self, kind: type[M], max_batch: int) -> AsyncGenerator[list[Delivery[M]]]:
        """Batches of the messages that wait together: one message at least, `max_batch` at most.

        The next batch comes as soon as it is asked for, done with the last one or not; close
        the generator to hand back what is not done.
        """
