"""Dead letters in Kafka: what of a record is kept, and how they are read."""

import asyncio
from contextlib import suppress
from datetime import UTC, datetime

from confluent_kafka import OFFSET_BEGINNING, KafkaException, TopicPartition
from confluent_kafka.aio import AIOConsumer

from horoscope.messaging.broker import BrokerUnavailableError, DeadLetter
from horoscope.messaging.kafka.connection import Config, in_one_line
from horoscope.messaging.kafka.consumer import POLL_S, Record, record_of
from horoscope.messaging.kafka.producer import Headers

ASK_S = 5.0
READ_AT_ONCE = 1000
LONGEST_REASON = 1000


def of(record: Record, reason: str) -> tuple[bytes, Headers]:
    """The body and the headers of the letter that keeps a record."""
    headers: Headers = {
        **record.headers,
        "origin": record.origin,
        "origin-key": record.key or b"",
        "reason": reason[:LONGEST_REASON].encode(errors="replace"),
    }
    return record.value or b"", headers


def topic_of(letter: DeadLetter) -> str:
    """The topic a letter came from."""
    return letter.origin.rsplit("-", 2)[0]


async def read_all(config: Config, topic: str, partitions: int) -> list[DeadLetter]:
    """All letters but those that were replayed, oldest first. Raises BrokerUnavailableError."""
    for pause in (0.2, 0.5, 1.0):
        with suppress(KafkaException):  # a topic that was just made has no leader yet
            return await _read_all(config, topic, partitions)
        await asyncio.sleep(pause)
    try:
        return await _read_all(config, topic, partitions)
    except KafkaException as error:
        raise BrokerUnavailableError(
            f"The dead letters cannot be read: {in_one_line(error.args[0])}."
        ) from None


async def _read_all(config: Config, topic: str, partitions: int) -> list[DeadLetter]:
    consumer = AIOConsumer(
        config | {"group.id": "horoscope-dead-letters", "enable.auto.commit": False}
    )
    letters: dict[bytes | None, DeadLetter] = {}
    left = {}
    try:
        for number in range(partitions):
            place = TopicPartition(topic, number)
            first, end = await consumer.get_watermark_offsets(place, timeout=ASK_S)
            if first < end:
                left[number] = end
        starts = [TopicPartition(topic, number, OFFSET_BEGINNING) for number in left]
        await consumer.assign(starts)
        while left:
            for message in await consumer.consume(READ_AT_ONCE, POLL_S):
                if error := message.error():
                    raise KafkaException(error)
                record = record_of(message)
                if record.offset + 1 >= left.get(record.partition, 0):
                    left.pop(record.partition, None)
                if record.value is None:  # it was replayed
                    letters.pop(record.key, None)
                else:
                    letters[record.key] = _letter(record)
    finally:
        await consumer.close()
    return sorted(letters.values(), key=lambda letter: letter.at)


def _letter(record: Record) -> DeadLetter:
    def header(name: str) -> str:
        return record.headers.get(name, b"").decode(errors="replace")

    return DeadLetter(
        origin=header("origin"),
        schema=header("schema"),
        version=header("version"),
        key=header("origin-key"),
        body=(record.value or b"").decode(errors="surrogateescape"),
        reason=header("reason"),
        at=datetime.fromtimestamp(record.at, UTC),
    )
