"""KafkaProducer: sends, and returns once Kafka has it safe."""

import asyncio
import threading
from collections.abc import Callable
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Producer

from horoscope.messaging.broker import BrokerUnavailableError
from horoscope.messaging.kafka.connection import Config, in_one_line

# As the Java client does it, and so most others: a chat has one partition, whoever writes.
PARTITIONER: Config = {"partitioner": "murmur2_random"}
DURABLE: Config = PARTITIONER | {
    # Written once and in order although the client tries again, to every replica in sync.
    "enable.idempotence": True,
    "acks": "all",
    # After that it is not safe, and whoever asked must know: a person waits.
    "message.timeout.ms": 5000,
    "linger.ms": 2,
    "compression.type": "lz4",
}
BEST_EFFORT: Config = PARTITIONER | {
    "acks": 1,
    # What is late is worthless, and what piles up is in the way.
    "message.timeout.ms": 2000,
    "queue.buffering.max.messages": 10_000,
    "linger.ms": 2,
    "compression.type": "lz4",
}
POLL_S = 0.1
REACH_S = 2.0
FLUSH_S = 1.0
RENEWAL_PAUSE_S = 1.0


Headers = dict[str, str | bytes]


class KafkaProducer:
    """Sends records; one for each promise, as the promise is a setting of the client.

    The plain Producer of confluent-kafka on a thread of ours: its AIOProducer sends no headers.
    """

    def __init__(self, config: Config, on_error: Callable[[KafkaError], None]) -> None:
        self._config = config | {"error_cb": on_error}
        self._producer = Producer(self._config)
        self._loop = asyncio.get_running_loop()
        self._unsettled: set[asyncio.Future[None]] = set()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._report, name="kafka-producer", daemon=True)
        self._thread.start()

    async def send(self, topic: str, key: str, value: bytes | None, headers: Headers) -> None:
        """Return once the record is safe. Raises BrokerUnavailableError if it may not be."""
        sent: asyncio.Future[None] = self._loop.create_future()

        def on_delivery(error: KafkaError | None, _: Any) -> None:
            self._loop.call_soon_threadsafe(_settle, sent, error)

        try:
            self._producer.produce(
                topic, value, key, headers=list(headers.items()), on_delivery=on_delivery
            )
        except (BufferError, KafkaException) as error:
            raise BrokerUnavailableError(f"Kafka takes nothing now: {error}.") from None
        self._unsettled.add(sent)
        sent.add_done_callback(self._unsettled.discard)
        await sent

    def throw(self, topic: str, key: str, value: bytes, headers: Headers) -> None:
        """Send a record if that is possible now; nobody hears whether it was."""
        try:
            self._producer.produce(topic, value, key, headers=list(headers.items()))
        except (BufferError, KafkaException):
            return

    async def reach(self) -> None:
        """Return if a broker answers within REACH_S. Raises BrokerUnavailableError."""
        try:
            await asyncio.to_thread(self._producer.list_topics, timeout=REACH_S)
        except KafkaException as error:
            raise BrokerUnavailableError(in_one_line(error.args[0])) from None

    async def close(self) -> None:
        """Send what waits, for FLUSH_S at most, and disconnect."""
        await asyncio.to_thread(self._producer.flush, FLUSH_S)
        self._closing.set()
        await asyncio.to_thread(self._thread.join)

    def _report(self) -> None:
        while not self._closing.is_set():
            try:
                self._producer.poll(POLL_S)
            except KafkaException as error:  # a fatal one: this client will never send again
                self._loop.call_soon_threadsafe(self._begin_anew, error.args[0])
                self._closing.wait(RENEWAL_PAUSE_S)

    def _begin_anew(self, error: KafkaError) -> None:
        if not self._closing.is_set():
            self._producer = Producer(self._config)
        for sent in list(self._unsettled):
            _settle(sent, error)


def _settle(sent: "asyncio.Future[None]", error: KafkaError | None) -> None:
    if sent.done():
        return
    if error is None:
        sent.set_result(None)
    else:
        sent.set_exception(BrokerUnavailableError(f"Kafka did not take it: {in_one_line(error)}."))
