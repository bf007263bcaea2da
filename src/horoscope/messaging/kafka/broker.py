"""KafkaBroker: the Broker on Apache Kafka, for any number of bots and workers."""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from typing import Generic, TypeVar

from confluent_kafka import KafkaError, KafkaException

from horoscope.errors import InputError
from horoscope.messaging.broker import (
    BrokerUnavailableError,
    DeadLetter,
    PassingDelivery,
    Subscription,
)
from horoscope.messaging.kafka import dead_letters
from horoscope.messaging.kafka.connection import client_config, in_one_line
from horoscope.messaging.kafka.consumer import KafkaConsumer, Record
from horoscope.messaging.kafka.listener import KafkaListener
from horoscope.messaging.kafka.producer import BEST_EFFORT, DURABLE, Headers, KafkaProducer
from horoscope.messaging.kafka.topics import DEAD_LETTER, TOPICS, make_missing_topics
from horoscope.messaging.messages import Message, UnreadableError, read
from horoscope.observability import metrics, tracing
from horoscope.patience import insist
from horoscope.settings import Settings

M = TypeVar("M", bound=Message)

# So long a start, and who publishes before Kafka was reached, waits for it.
START_S = 5.0
WATCH_S = 5.0
RETRY_S = 1.0

logger = logging.getLogger(__name__)


class KafkaBroker:
    """A Broker for many processes. What it promises beyond that is in docs/protocol.md.

    It may be started while Kafka is away, and works as soon as Kafka does.
    """

    def __init__(self, settings: Settings) -> None:
        """Raises InputError without the address of Kafka."""
        if not settings.kafka_bootstrap_servers:
            raise InputError(
                "Set HOROSCOPE_KAFKA_BOOTSTRAP_SERVERS to Kafka's address (host:port);"
                " `horoscope run` needs no Kafka."
            )
        self._settings = settings
        self._config = client_config(settings)
        self._durable: KafkaProducer | None = None
        self._best_effort: KafkaProducer | None = None
        self._partitions: dict[str, int] = {}
        self._ready = asyncio.Event()
        self._watching: asyncio.Task[None] | None = None
        self._said = ""
        self._last_error = ""

    @property
    def reachable(self) -> bool:
        """Whether Kafka answered when it was last asked."""
        return self._ready.is_set() and not self._said

    async def start(self) -> None:
        """Connect; if Kafka is away for START_S, go on without it until it comes.

        Raises InputError if a setting cannot be used.
        """
        try:
            self._durable = KafkaProducer(self._config | DURABLE, self._note_error)
            self._best_effort = KafkaProducer(self._config | BEST_EFFORT, self._note_error)
        except KafkaException as error:
            await self.close()
            raise InputError(
                f"The settings HOROSCOPE_KAFKA_... cannot be used: {in_one_line(error.args[0])}."
            ) from None
        self._watching = asyncio.create_task(self._watch(self._durable))
        with suppress(TimeoutError):
            await asyncio.wait_for(self._ready.wait(), START_S)

    async def close(self) -> None:
        """Send what is under way, and let go."""
        if self._watching:
            self._watching.cancel()
        producers = (self._durable, self._best_effort)
        self._durable = self._best_effort = None
        await asyncio.gather(*(producer.close() for producer in producers if producer))

    async def publish(self, message: Message) -> None:
        """Return once a durable message is safe. Raises BrokerUnavailableError if it may not be."""
        topic = self._topic(TOPICS[type(message)].name)
        headers: Headers = {
            "schema": message.SCHEMA,
            "version": str(message.VERSION),
            **tracing.headers(),
        }
        body = message.model_dump_json().encode()
        if message.DURABLE:
            await self.send(topic, message.key, body, headers)
        elif self._best_effort and self._ready.is_set():
            self._best_effort.throw(topic, message.key, body, headers)

    def subscribe(self, kind: type[M], max_batch: int) -> Subscription[M]:
        """Subscribe to the messages of one kind, in batches of `max_batch` at most."""
        topic = TOPICS[kind]
        name = self._topic(topic.name)

        async def partitions() -> int:
            await self._ready.wait()
            return self._partitions[name]

        if topic.group is None:
            listener = KafkaListener(self._config, name, self._note_error, partitions)
            return _PassingSubscription(listener, kind, max_batch)
        group = self._settings.kafka_group_prefix + topic.group
        consumer = KafkaConsumer(self._config, group, name, max_batch, self._note_error, partitions)
        return _DurableSubscription(self, consumer, kind, max_batch)

    async def dead_letters(self, limit: int) -> Sequence[DeadLetter]:
        """The oldest of the messages that were rejected or could not be read."""
        await self._reached()
        topic = self._topic(DEAD_LETTER)
        letters = await dead_letters.read_all(self._config, topic, self._partitions[topic])
        return letters[:limit]

    async def replay(self, letter: DeadLetter, body: str) -> None:
        """Publish `body` where a dead letter came from, and take that from the dead letters."""
        headers: Headers = {"schema": letter.schema, "version": letter.version}
        topic = dead_letters.topic_of(letter)
        await self.send(topic, letter.key, body.encode(errors="surrogateescape"), headers)
        await self.send(self._topic(DEAD_LETTER), letter.origin, None, {})

    async def send(self, topic: str, key: str, value: bytes | None, headers: Headers) -> None:
        """Put a durable record into a topic. Raises BrokerUnavailableError."""
        await self._reached()
        if self._durable is None:
            raise BrokerUnavailableError("The broker is not started, or closed already.")
        await self._durable.send(topic, key, value, headers)

    async def bury(self, record: Record, reason: str) -> None:
        """Put a record among the dead letters."""
        await self.send(self._topic(DEAD_LETTER), record.origin, *dead_letters.of(record, reason))

    async def _reached(self) -> None:
        try:
            async with asyncio.timeout(START_S):
                await self._ready.wait()
        except TimeoutError:
            raise BrokerUnavailableError(
                f"Kafka cannot be used at {self._settings.kafka_bootstrap_servers}:"
                f" {self._last_error or self._said or 'no answer yet'}."
            ) from None

    async def _watch(self, producer: KafkaProducer) -> None:
        """Make the topics once Kafka is there, then look now and then whether it still is."""
        while True:
            try:
                if self._ready.is_set():
                    await producer.reach()
                else:
                    self._partitions = await asyncio.to_thread(
                        make_missing_topics, self._config, self._settings
                    )
                    self._ready.set()
            except BrokerUnavailableError as error:
                self._note_trouble(str(error))
                await asyncio.sleep(RETRY_S)
            else:
                self._note_trouble("")
                await asyncio.sleep(WATCH_S)

    def _note_error(self, error: KafkaError) -> None:
        """Keep what a client says of itself: it knows more than whoever waits for it."""
        if error.code() != KafkaError._ALL_BROKERS_DOWN:
            self._last_error = in_one_line(error)

    def _note_trouble(self, trouble: str) -> None:
        if trouble and not self._said:
            logger.warning(
                "Kafka cannot be used at %s: %s. Trying again.",
                *(self._settings.kafka_bootstrap_servers, self._last_error or trouble),
            )
        elif self._said and not trouble:
            logger.warning("Kafka can be used again.")
            self._last_error = ""
        self._said = trouble

    def _topic(self, name: str) -> str:
        return self._settings.kafka_topic_prefix + name


class _KafkaDelivery(Generic[M]):
    def __init__(
        self, broker: KafkaBroker, consumer: KafkaConsumer, record: Record, message: M
    ) -> None:
        self.message = message
        self.headers = record.texts
        self._broker = broker
        self._consumer = consumer
        self._record = record

    async def done(self) -> None:
        self._consumer.done(self._record)

    async def reject(self, reason: str) -> None:
        await self._broker.bury(self._record, reason)
        self._consumer.done(self._record)


class _DurableSubscription(Generic[M]):
    def __init__(
        self, broker: KafkaBroker, consumer: KafkaConsumer, kind: type[M], max_batch: int
    ) -> None:
        self._broker = broker
        self._consumer = consumer
        self._kind = kind
        self._max_batch = max_batch
        self._burying: set[asyncio.Task[None]] = set()

    @property
    def share(self) -> float:
        return self._consumer.share

    async def take(self) -> list[_KafkaDelivery[M]]:
        while True:
            batch = []
            for record in await self._consumer.take(self._max_batch):
                try:
                    message = _message(self._kind, record)
                except UnreadableError as error:
                    self._bury(record, str(error))
                else:
                    batch.append(_KafkaDelivery(self._broker, self._consumer, record, message))
            if batch:
                return batch

    async def close(self) -> None:
        for burying in self._burying:
            burying.cancel()  # then the record comes again
        await self._consumer.close()

    def _bury(self, record: Record, reason: str) -> None:
        metrics.FAILURES.labels("unreadable").inc()
        logger.warning("%s goes to the dead letters: %s", record.origin, reason)

        async def bury() -> None:
            await insist(lambda: self._broker.bury(record, reason))
            self._consumer.done(record)

        burying = asyncio.create_task(bury())
        self._burying.add(burying)
        burying.add_done_callback(self._burying.discard)


class _PassingSubscription(Generic[M]):
    share = 1.0

    def __init__(self, listener: KafkaListener, kind: type[M], max_batch: int) -> None:
        self._listener = listener
        self._kind = kind
        self._max_batch = max_batch

    async def take(self) -> list[PassingDelivery[M]]:
        while True:
            batch = []
            for record in await self._listener.take(self._max_batch):
                with suppress(UnreadableError):
                    batch.append(PassingDelivery(_message(self._kind, record), record.texts))
            if batch:
                return batch

    async def close(self) -> None:
        await self._listener.close()


def _message(kind: type[M], record: Record) -> M:
    """What a record says. Raises UnreadableError."""
    schema, version = (
        record.headers.get(name, b"").decode(errors="replace") for name in ("schema", "version")
    )
    return read(kind, schema, version, record.value or b"")
