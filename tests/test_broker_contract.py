"""What every broker promises: the local one, and the one on Apache Kafka."""

import asyncio
import os
import signal
import sqlite3
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from kafka_server import kafka_settings

from horoscope.messaging.broker import Broker, BrokerUnavailableError
from horoscope.messaging.kafka.broker import KafkaBroker
from horoscope.messaging.local import LocalBroker
from horoscope.messaging.messages import (
    Address,
    HoroscopePart,
    HoroscopeReply,
    HoroscopeRequest,
    StopRequest,
)
from horoscope.zodiac import Sign


@pytest.fixture(params=["local", "kafka"])
def connect(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Broker]:
    if request.param == "local":
        return lambda: LocalBroker(tmp_path / "queue.sqlite")
    settings = kafka_settings(request.getfixturevalue("kafka"))
    return lambda: KafkaBroker(settings)


@pytest.fixture
async def broker(connect: Callable[[], Broker]) -> AsyncIterator[Broker]:
    broker = connect()
    await broker.start()
    yield broker
    await broker.close()


def request(number: int, chat_id: int = 1) -> HoroscopeRequest:
    now = datetime.now(UTC)
    return HoroscopeRequest(
        id=f"{number}",
        sign=Sign.LEO,
        date=date(2026, 8, 5),
        address=Address(chat_id=chat_id),
        created_at=now,
        expires_at=now + timedelta(minutes=5),
        seed=number,
    )


@asynccontextmanager
async def subscribed(broker: Broker, kind: Any, max_batch: int = 100) -> AsyncIterator[Any]:
    subscription = broker.subscribe(kind, max_batch)
    try:
        yield subscription
    finally:
        await subscription.close()


async def take(subscription: Any, count: int) -> list[Any]:
    """The next `count` deliveries, whatever batches they come in."""
    taken: list[Any] = []
    async with asyncio.timeout(30):
        while len(taken) < count:
            taken += await subscription.take()
    return taken


async def nothing_comes(subscription: Any, seconds: float = 0.2) -> bool:
    try:
        async with asyncio.timeout(seconds):
            return not await subscription.take()
    except TimeoutError:
        return True


async def test_a_message_arrives_as_it_was_sent(broker: Broker) -> None:
    sent = request(7)
    await broker.publish(sent)
    async with subscribed(broker, HoroscopeRequest) as requests:
        [delivery] = await take(requests, 1)
    assert delivery.message == sent


async def test_each_kind_goes_to_its_own_subscribers(broker: Broker) -> None:
    reply = HoroscopeReply(request=request(1), text="Всё будет хорошо.", model="m", tokens=3)
    await broker.publish(request(2))
    await broker.publish(reply)
    async with subscribed(broker, HoroscopeReply) as replies:
        [delivery] = await take(replies, 1)
        assert delivery.message == reply
        assert await nothing_comes(replies)


async def test_messages_that_wait_together_come_as_one_batch_of_bounded_size(
    broker: Broker,
) -> None:
    for number in range(40):
        await broker.publish(request(number))
    async with subscribed(broker, HoroscopeRequest, max_batch=32) as requests:
        batch = await requests.take()
        assert 1 < len(batch) <= 32
        rest = await take(requests, 40 - len(batch))
        assert {d.message.id for d in [*batch, *rest]} == {str(n) for n in range(40)}


async def test_a_subscriber_that_waits_is_woken(broker: Broker) -> None:
    async with subscribed(broker, HoroscopeRequest) as requests:
        waiting = asyncio.create_task(take(requests, 1))
        await asyncio.sleep(0)
        await broker.publish(request(1))
        assert len(await waiting) == 1


async def test_what_is_done_never_comes_again(connect: Callable[[], Broker]) -> None:
    first = connect()
    await first.start()
    await first.publish(request(1))
    await first.publish(request(2))
    async with subscribed(first, HoroscopeRequest) as requests:
        one, two = await take(requests, 2)
        await one.done()
        await one.done()
    await first.close()
    second = connect()
    await second.start()
    async with subscribed(second, HoroscopeRequest) as requests:
        [again] = await take(requests, 1)
        assert again.message.id == two.message.id
        await again.done()
        assert await nothing_comes(requests)
    await second.close()


async def test_what_is_done_out_of_order_leaves_the_rest(broker: Broker) -> None:
    for number in range(5):
        await broker.publish(request(number))
    async with subscribed(broker, HoroscopeRequest) as requests:
        taken = await take(requests, 5)
        for delivery in (taken[4], taken[1], taken[3]):
            await delivery.done()
    async with subscribed(broker, HoroscopeRequest) as requests:
        left = await take(requests, 2)
        assert [d.message.id for d in left] == ["0", "2"]


async def test_a_closed_subscription_hands_back_what_it_did_not_finish(broker: Broker) -> None:
    async with subscribed(broker, HoroscopeRequest) as other:
        async with subscribed(broker, HoroscopeRequest) as requests:
            for number in range(20):
                await broker.publish(request(number, chat_id=number))
            assert await take(requests, 1)
        left = await take(other, 20)
        assert {d.message.id for d in left} == {str(n) for n in range(20)}


async def test_a_cancelled_take_loses_nothing(broker: Broker) -> None:
    async with subscribed(broker, HoroscopeRequest) as requests:
        for number in range(20):
            taking = asyncio.create_task(requests.take())
            await asyncio.sleep(0)
            await broker.publish(request(number))
            taking.cancel()
            await asyncio.wait([taking])
            if not taking.cancelled():
                for delivery in taking.result():
                    await delivery.done()
                continue
            for delivery in await take(requests, 1):
                assert delivery.message.id == str(number)
                await delivery.done()


async def test_subscribers_share_the_work_and_each_message_goes_to_one(broker: Broker) -> None:
    seen: list[str] = []
    all_seen = asyncio.Event()

    async def work() -> None:
        async with subscribed(broker, HoroscopeRequest, max_batch=1) as requests:
            while True:
                for delivery in await requests.take():
                    seen.append(delivery.message.id)
                    await delivery.done()
                    if len(seen) == 60:
                        all_seen.set()

    workers = [asyncio.create_task(work()) for _ in range(3)]
    for number in range(60):
        await broker.publish(request(number, chat_id=number))
    await asyncio.wait_for(all_seen.wait(), 30)
    for worker in workers:
        worker.cancel()
    await asyncio.wait(workers)
    assert sorted(seen, key=int) == [str(n) for n in range(60)]


async def test_messages_of_one_chat_keep_their_order_also_among_several_subscribers(
    broker: Broker,
) -> None:
    seen: dict[int, list[int]] = {1: [], 2: [], 3: []}
    all_seen = asyncio.Event()

    async def work() -> None:
        async with subscribed(broker, HoroscopeRequest, max_batch=2) as requests:
            while True:
                for delivery in await requests.take():
                    await asyncio.sleep(0)
                    message = delivery.message
                    seen[message.address.chat_id].append(int(message.id))
                    await delivery.done()
                    if sum(map(len, seen.values())) == 60:
                        all_seen.set()

    workers = [asyncio.create_task(work()) for _ in range(3)]
    for number in range(60):
        await broker.publish(request(number, chat_id=1 + number % 3))
    await asyncio.wait_for(all_seen.wait(), 30)
    for worker in workers:
        worker.cancel()
    await asyncio.wait(workers)
    assert all(numbers == sorted(numbers) and len(numbers) == 20 for numbers in seen.values())


async def test_what_is_best_effort_goes_to_all_who_listen_and_waits_for_nobody(
    broker: Broker,
) -> None:
    await broker.publish(StopRequest(chat_id=1, draft_id=1))  # nobody hears it
    await asyncio.sleep(1)  # best effort is sent in the background, on a busy machine after a while
    async with (
        subscribed(broker, StopRequest) as first,
        subscribed(broker, StopRequest) as second,
    ):
        stop = StopRequest(chat_id=1, draft_id=2)
        await broker.publish(stop)
        assert [d.message for d in await take(first, 1)] == [stop]
        assert [d.message for d in await take(second, 1)] == [stop]


async def test_a_listener_that_sleeps_does_not_block_what_is_best_effort(broker: Broker) -> None:
    async with subscribed(broker, HoroscopePart):
        async with asyncio.timeout(30):
            for number in range(3000):
                await broker.publish(HoroscopePart(request=request(number), text="Так"))


async def test_what_is_rejected_goes_to_the_dead_letters_with_its_reason(broker: Broker) -> None:
    await broker.publish(request(1))
    async with subscribed(broker, HoroscopeRequest) as requests:
        [delivery] = await take(requests, 1)
        await delivery.reject("nobody can write that")
        assert await nothing_comes(requests)
    [letter] = await broker.dead_letters(10)
    assert letter.schema == HoroscopeRequest.SCHEMA
    assert letter.reason == "nobody can write that"
    assert HoroscopeRequest.model_validate_json(letter.body) == delivery.message


async def test_a_closed_broker_says_that_it_is_not_there(broker: Broker) -> None:
    await broker.close()
    with pytest.raises(BrokerUnavailableError):
        await broker.publish(request(1))


# What is particular to the local broker.


@pytest.mark.parametrize(
    "change",
    ["UPDATE messages SET body = '{'", "UPDATE messages SET version = 99"],
    ids=["broken", "of another version"],
)
async def test_a_message_that_cannot_be_read_goes_to_the_dead_letters(
    tmp_path: Path, change: str
) -> None:
    path = tmp_path / "queue.sqlite"
    broker = LocalBroker(path)
    await broker.start()
    await broker.publish(request(1))
    await broker.close()
    with sqlite3.connect(path) as connection:
        connection.execute(change)
    connection.close()
    await broker.start()
    await broker.publish(request(2))
    async with subscribed(broker, HoroscopeRequest) as requests:
        [delivery] = await take(requests, 1)
        assert delivery.message.id == "2"
    [letter] = await broker.dead_letters(10)
    assert letter.reason.startswith("not a horoscope-request of today")
    await broker.close()


async def test_a_second_process_cannot_use_the_same_queue(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("horoscope.messaging.local.LOCK_PATIENCE_S", 0.1)
    first, second = (LocalBroker(tmp_path / "queue.sqlite") for _ in range(2))
    await first.start()
    with pytest.raises(BrokerUnavailableError, match="HOROSCOPE_DATA"):
        await second.start()
    await first.close()


PUBLISHER = """
import asyncio, sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from test_broker_contract import request
from horoscope.messaging.kafka.broker import KafkaBroker
from horoscope.messaging.local import LocalBroker
from horoscope.messaging.messages import HoroscopeRequest

async def main():
    broker = LocalBroker(Path({path!r}))
    await broker.start()
    requests = broker.subscribe(HoroscopeRequest, 5)
    for number in range(100_000):
        await broker.publish(request(number))
        print("accepted", number, flush=True)
        if number % 10 == 0:
            for delivery in await requests.take():
                if int(delivery.message.id) % 2:
                    print("doing", delivery.message.id, flush=True)
                    await delivery.done()
                    print("done", delivery.message.id, flush=True)

asyncio.run(main())
"""


WORDS = (b"accepted", b"doing", b"done")


async def test_a_killed_process_loses_nothing_that_was_accepted(tmp_path: Path) -> None:
    path = tmp_path / "queue.sqlite"
    code = PUBLISHER.format(tests=str(Path(__file__).parent), path=str(path))
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout
    said = [(await process.stdout.readline()).split() for _ in range(500)]
    os.kill(process.pid, signal.SIGKILL)
    said += [line.split() for line in (await process.stdout.read()).splitlines()[:-1]]
    await process.wait()
    told = {word: {int(line[1]) for line in said if line[0] == word} for word in WORDS}
    assert told[b"done"]

    broker = LocalBroker(path)
    await broker.start()
    left: set[int] = set()
    async with subscribed(broker, HoroscopeRequest) as requests:
        for delivery in await take(requests, len(told[b"accepted"] - told[b"doing"])):
            left.add(int(delivery.message.id))
        with suppress(TimeoutError):
            while True:
                async with asyncio.timeout(0.2):
                    left |= {int(d.message.id) for d in await requests.take()}
    assert told[b"accepted"] - told[b"doing"] <= left
    assert not told[b"done"] & left
    await broker.close()
