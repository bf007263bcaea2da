"""KafkaListener: hears all that is new in a topic, as everyone else who listens does."""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor

from confluent_kafka import KafkaError, KafkaException, TopicPartition
from confluent_kafka.aio import AIOConsumer

from horoscope.messaging.kafka.connection import Config
from horoscope.messaging.kafka.consumer import ASK_S, CLOSE_S, POLL_S, Record, record_of
from horoscope.patience import pauses

LISTENER: Config = {
    # The client wants a name; no group of that name comes to be, as nothing is committed.
    "group.id": "horoscope-listener",
    "auto.offset.reset": "latest",
    "enable.auto.commit": False,
    "fetch.wait.max.ms": 250,
    "queued.max.messages.kbytes": 4096,
}
# Who falls behind misses the oldest, as in any network.
BACKLOG = 1000


class KafkaListener:
    """Reads all partitions of a topic, from the moment of its making, without a group."""

    def __init__(
        self,
        config: Config,
        topic: str,
        on_error: Callable[[KafkaError], None],
        partitions: Callable[[], Awaitable[int]],
    ) -> None:
        """Listen once `partitions` says how many the topic has."""
        self._config = config | LISTENER
        self._topic = topic
        self._on_error = on_error
        self._partitions = partitions
        self._since = time.time()
        self._heard: deque[Record] = deque(maxlen=BACKLOG)
        self._news = asyncio.Event()
        self._closing = False
        self._begun = False
        self._pumping = asyncio.create_task(self._pump())

    async def take(self, limit: int) -> list[Record]:
        """Wait for records, then take those that are there."""
        while not self._heard:
            self._news.clear()
            await self._news.wait()
        return [self._heard.popleft() for _ in range(min(limit, len(self._heard)))]

    async def close(self) -> None:
        """Listen no more."""
        self._closing = True
        if not self._begun:
            self._pumping.cancel()
        await asyncio.wait([self._pumping], timeout=CLOSE_S)

    async def _pump(self) -> None:
        count = await self._partitions()
        self._begun = True

        async def on_error(error: KafkaError) -> None:
            self._on_error(error)

        threads = ThreadPoolExecutor(2, thread_name_prefix="kafka-listener")
        consumer = AIOConsumer(self._config | {"error_cb": on_error}, executor=threads)
        try:
            await self._begin(consumer, count)
            while not self._closing:
                await self._step(consumer)
        finally:
            try:
                await consumer.close()
            finally:
                threads.shutdown(wait=False)

    async def _begin(self, consumer: AIOConsumer, count: int) -> None:
        """Start where the topic stood when this listener was made."""
        for pause in pauses():
            if self._closing:
                return
            try:
                await consumer.assign(await self._starts(consumer, count))
                return
            except KafkaException:
                await asyncio.sleep(min(pause, 1.0))

    async def _starts(self, consumer: AIOConsumer, count: int) -> list[TopicPartition]:
        numbers = range(count)
        ends = [
            (await consumer.get_watermark_offsets(TopicPartition(self._topic, n), timeout=ASK_S))[1]
            for n in numbers
        ]
        since = int(self._since * 1000)
        asked = [TopicPartition(self._topic, n, since) for n in numbers]
        found = await consumer.offsets_for_times(asked, timeout=ASK_S)
        # Where nothing is younger, the end is right, as it was before that was found.
        return [
            TopicPartition(self._topic, each.partition, each.offset if each.offset >= 0 else end)
            for each, end in zip(found, ends, strict=True)
        ]

    async def _step(self, consumer: AIOConsumer) -> None:
        try:
            first = await consumer.poll(POLL_S)
            if first is not None:
                for message in (first, *await consumer.consume(BACKLOG, 0)):
                    if not message.error():
                        self._heard.append(record_of(message))
                self._news.set()
        except KafkaException:
            await asyncio.sleep(POLL_S)
