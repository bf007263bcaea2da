"""KafkaConsumer: shares a topic with the others of its group, and says what of it is done."""

import asyncio
import json
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import cast

from confluent_kafka import KafkaError, KafkaException, Message, TopicPartition
from confluent_kafka.aio import AIOConsumer

from horoscope.messaging.broker import BrokerUnavailableError
from horoscope.messaging.kafka.connection import Config, in_one_line
from horoscope.messaging.kafka.offsets import Offsets
from horoscope.observability import metrics

GROUP: Config = {
    # Partitions that stay with their owner go on while others move.
    "partition.assignment.strategy": "cooperative-sticky",
    # So long a dead member keeps its partitions. Kafka's newer protocol (group.protocol=consumer)
    # leaves that to the brokers, whose least is 45 s.
    "session.timeout.ms": 9000,
    "heartbeat.interval.ms": 500,
    "auto.offset.reset": "earliest",
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
    # What is fetched ahead: a fraction of the client's defaults, which are made for floods.
    "queued.min.messages": 1000,
    "queued.max.messages.kbytes": 1024,
    "fetch.message.max.bytes": 65_536,
    "fetch.wait.max.ms": 250,
    # How often the client tells what it knows, the lag among it.
    "statistics.interval.ms": 5000,
}
POLL_S = 0.1
COMMIT_INTERVAL_S = 0.1
# So long there may be no room before Kafka is told to pause, which makes it send things again.
FULL_S = 1.0
# So long a partition that is to move waits for what somebody works on.
HAND_OVER_S = 3.0
ASK_S = 5.0
# While Kafka is away a farewell takes long, and helps nobody.
CLOSE_S = 2.0
# A larger share counts a little later than a smaller one, so that all shares are never over one.
SHARE_DELAY_S = 1.0


@dataclass(frozen=True)
class Record:
    """What stands in a topic."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Mapping[str, bytes]
    at: float
    """When it was written, in seconds since 1970."""

    @property
    def origin(self) -> str:
        """Its place in Kafka, as one word."""
        return f"{self.topic}-{self.partition}-{self.offset}"

    @property
    def texts(self) -> dict[str, str]:
        """Its headers as texts."""
        return {name: value.decode(errors="replace") for name, value in self.headers.items()}


def record_of(message: Message) -> Record:
    """A message as we know it; an error is not one."""
    headers = cast("list[tuple[str, bytes | None]]", message.headers() or [])
    return Record(
        topic=message.topic() or "",
        partition=message.partition() or 0,
        offset=message.offset() or 0,
        key=_bytes(message.key()),
        value=_bytes(message.value()),
        headers={name: _bytes(value) or b"" for name, value in headers},
        at=message.timestamp()[1] / 1000,
    )


class KafkaConsumer:
    """A member of a consumer group that reads one topic.

    Kafka is polled all the time, whatever is done with the records meanwhile, so slow work costs
    no membership. `room` records wait here for their taker at most.
    """

    def __init__(
        self,
        config: Config,
        group: str,
        topic: str,
        room: int,
        on_error: Callable[[KafkaError], None],
        partitions: Callable[[], Awaitable[int]],
    ) -> None:
        """Join once `partitions` says how many the topic has."""
        self._config = config | GROUP | {"group.id": group}
        self._topic = topic
        self._room = room
        self._on_error = on_error
        self._partitions = partitions
        self._waiting: deque[Record] = deque()
        self._owned: dict[int, Offsets] = {}
        self._committed: dict[int, tuple[int, str]] = {}
        self._committed_at = 0.0
        self._paused = False
        self._trouble: KafkaError | None = None
        self._news = asyncio.Event()
        self._taken = asyncio.Event()
        self._finished = asyncio.Event()
        self._closing = False
        self.share = 0.0
        """The part of the topic's partitions that is ours, from 0 to 1; while Kafka is away, that
        of before."""
        self._member = False
        self._pumping = asyncio.create_task(self._pump())
        self._pumping.add_done_callback(lambda _: self._news.set())

    async def take(self, limit: int) -> list[Record]:
        """Wait for records, then take those that are there; nothing is lost if cancelled.

        Raises BrokerUnavailableError if Kafka refuses; it goes on being asked all the same.
        """
        while not self._waiting:
            if self._closing:
                raise BrokerUnavailableError("The subscription is closed.")
            if self._pumping.done():
                self._pumping.result()  # a fault of ours, for all to see
            if trouble := self._trouble:
                self._trouble = None
                raise BrokerUnavailableError(f"Kafka gives nothing of it: {in_one_line(trouble)}.")
            self._news.clear()
            await self._news.wait()
        taken = [self._waiting.popleft() for _ in range(min(limit, len(self._waiting)))]
        for record in taken:
            self._owned[record.partition].taken.add(record.offset)
        self._taken.set()
        return taken

    def done(self, record: Record) -> None:
        """Note that a record is done; Kafka knows within COMMIT_INTERVAL_S."""
        if offsets := self._owned.get(record.partition):
            offsets.done(record.offset)
            self._finished.set()

    async def close(self) -> None:
        """Commit what is done, leave the group, and hand back the rest."""
        self._closing = True
        self._finished.set()
        self._taken.set()
        if not self._member:
            self._pumping.cancel()
        await asyncio.wait([self._pumping], timeout=CLOSE_S)
        self._waiting.clear()

    async def _pump(self) -> None:
        count = await self._partitions()
        self._member = True
        loop = asyncio.get_running_loop()

        def settle_share() -> None:
            self.share = len(self._owned) / count

        def grow_share() -> None:
            if self._owned:  # what was lost meanwhile, nobody else can have yet
                settle_share()

        async def on_assign(consumer: AIOConsumer, partitions: list[TopicPartition]) -> None:
            for each in await _committed(consumer, partitions):
                # Below zero there is none.
                offsets = Offsets(max(each.offset, 0), each.metadata)
                self._owned[each.partition] = offsets
                self._committed[each.partition] = offsets.position()
            self._paused = False
            loop.call_later(SHARE_DELAY_S, grow_share)

        async def on_revoke(consumer: AIOConsumer, partitions: list[TopicPartition]) -> None:
            leaving = {each.partition for each in partitions}
            self._hand_back(leaving)
            await self._finish(leaving)
            await self._commit(consumer)
            self._disown(leaving)
            settle_share()

        async def on_lost(_: AIOConsumer, partitions: list[TopicPartition]) -> None:
            lost = {each.partition for each in partitions}
            self._hand_back(lost)
            self._disown(lost)

        async def on_commit(error: KafkaError | None, _: list[TopicPartition]) -> None:
            if error:
                self._committed.clear()  # all of it once more

        async def on_error(error: KafkaError) -> None:
            self._on_error(error)

        async def on_statistics(told: str) -> None:
            partitions = json.loads(told)["topics"].get(self._topic, {}).get("partitions", {})
            owned = (partitions[str(n)] for n in self._owned if str(n) in partitions)
            # Below zero it is not known yet.
            lag = sum(max(0, partition["consumer_lag"]) for partition in owned)
            metrics.LAG.labels(self._topic).set(lag)

        config = self._config | {
            "on_commit": on_commit,
            "error_cb": on_error,
            "stats_cb": on_statistics,
        }
        threads = ThreadPoolExecutor(2, thread_name_prefix="kafka-consumer")
        consumer = AIOConsumer(config, executor=threads)
        try:
            await consumer.subscribe(
                [self._topic], on_assign=on_assign, on_revoke=on_revoke, on_lost=on_lost
            )
            while not self._closing:
                await self._step(consumer)
        finally:
            try:
                await consumer.close()
            finally:
                threads.shutdown(wait=False)

    async def _step(self, consumer: AIOConsumer) -> None:
        """Commit what is done, and take in what is new."""
        if asyncio.get_running_loop().time() - self._committed_at > COMMIT_INTERVAL_S:
            await self._commit(consumer)
        try:
            if len(self._waiting) >= self._room and not await self._room_again():
                # Kafka must be polled, also when there is no room for what it gives.
                if not self._paused:
                    await consumer.pause(await consumer.assignment())
                    self._paused = True
                self._receive([await consumer.poll(0)])
                self._news.set()
                return
            if self._paused:
                await consumer.resume(await consumer.assignment())
                self._paused = False
            # The client waits for as many as it is asked for; so wait for one, then take the rest.
            first = await consumer.poll(POLL_S)
            if first is not None:  # an empty one is false
                self._receive([first])
                self._receive(await consumer.consume(max(0, self._room - len(self._waiting)), 0))
                self._news.set()
        except KafkaException as error:
            self._note_trouble(error.args[0])
            await asyncio.sleep(POLL_S)

    async def _room_again(self) -> bool:
        """Wait a little for somebody to take what waits."""
        self._taken.clear()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._taken.wait(), POLL_S if self._paused else FULL_S)
        return len(self._waiting) < self._room

    def _receive(self, messages: Iterable[Message | None]) -> None:
        for message in messages:
            if message is None:
                continue
            if error := message.error():
                self._note_trouble(error)
                continue
            record = record_of(message)
            offsets = self._owned.get(record.partition)
            if offsets and offsets.begin(record.offset):
                self._waiting.append(record)

    def _note_trouble(self, error: KafkaError) -> None:
        self._trouble = error
        self._news.set()

    async def _commit(self, consumer: AIOConsumer) -> None:
        """Begin to commit what is done; whether it succeeds, on_commit hears."""
        self._committed_at = asyncio.get_running_loop().time()
        positions = {number: offsets.position() for number, offsets in self._owned.items()}
        news = [
            TopicPartition(self._topic, number, *position)
            for number, position in positions.items()
            if position != self._committed.get(number)
        ]
        if not news:
            return
        self._committed |= positions
        try:
            await consumer.commit(offsets=news, asynchronous=True)
        except KafkaException:
            self._committed.clear()

    async def _finish(self, leaving: set[int]) -> None:
        """Wait a little for those that somebody works on, so that nobody does them again."""
        try:
            async with asyncio.timeout(HAND_OVER_S):
                while not self._closing and any(self._is_in_use(n) for n in leaving):
                    self._finished.clear()
                    await self._finished.wait()
        except TimeoutError:
            return

    def _is_in_use(self, partition: int) -> bool:
        return partition in self._owned and bool(self._owned[partition].taken)

    def _hand_back(self, leaving: set[int]) -> None:
        """Leave what nobody works on to the next owner."""
        self._waiting = deque(r for r in self._waiting if r.partition not in leaving)

    def _disown(self, gone: set[int]) -> None:
        for number in gone:
            self._owned.pop(number, None)
            self._committed.pop(number, None)


async def _committed(
    consumer: AIOConsumer, partitions: list[TopicPartition]
) -> Sequence[TopicPartition]:
    try:
        committed: list[TopicPartition] = await consumer.committed(partitions, timeout=ASK_S)
    except KafkaException:  # then what was done out of order comes again
        return partitions
    return committed


def _bytes(value: str | bytes | None) -> bytes | None:
    return value.encode() if isinstance(value, str) else value
