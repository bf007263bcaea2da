"""The worker with a broker and a writer that does as it is told."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from horoscope.generation.draft import Horoscope, Wish
from horoscope.messaging.broker import BrokerUnavailableError
from horoscope.messaging.local import LocalBroker
from horoscope.messaging.messages import (
    Address,
    ErrorCode,
    HoroscopePart,
    HoroscopeReply,
    HoroscopeRequest,
    Message,
    StopRequest,
)
from horoscope.worker import ATTEMPTS, BATCH, Worker
from horoscope.zodiac import Sign, Topic


class Quill:
    """Writes three sentences; `before` is called in the writing thread before each."""

    name = "quill"

    def __init__(self, before: Callable[[int, int], None] = lambda index, sentence: None) -> None:
        self.batches: list[list[Wish]] = []
        self.before = before

    def write(
        self, wishes: Sequence[Wish], on_sentence: Callable[[int, str], bool] | None = None
    ) -> list[Horoscope]:
        self.batches.append(list(wishes))
        return [self.one(index, wish, on_sentence) for index, wish in enumerate(wishes)]

    def one(
        self, index: int, wish: Wish, on_sentence: Callable[[int, str], bool] | None
    ) -> Horoscope:
        text = ""
        for sentence in range(3):
            self.before(index, sentence)
            text = f"{text} {wish.sign} {wish.seed} {sentence}.".strip()
            if on_sentence and not on_sentence(index, text):
                return Horoscope(text, 9, finished=False)
        return Horoscope(text, 9)


def request(number: int, **changes: Any) -> HoroscopeRequest:
    now = datetime.now(UTC)
    fields = {
        "id": str(number),
        "sign": Sign.LEO,
        "topic": Topic.GENERAL,
        "date": date(2026, 8, 5),
        "address": Address(chat_id=number, user_id=number, draft_id=number),
        "created_at": now,
        "expires_at": now + timedelta(minutes=5),
        "seed": number,
    }
    return HoroscopeRequest.model_validate(fields | changes)


@pytest.fixture
async def broker() -> AsyncIterator[LocalBroker]:
    broker = LocalBroker()
    await broker.start()
    yield broker
    await broker.close()


@asynccontextmanager
async def working(broker: LocalBroker, writer: Any) -> AsyncIterator["asyncio.Task[None]"]:
    task = asyncio.create_task(Worker(broker, writer).run())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait([task])


async def replies_to(broker: LocalBroker, count: int) -> dict[str, HoroscopeReply]:
    subscription = broker.subscribe(HoroscopeReply, 100)
    replies: list[HoroscopeReply] = []
    async with asyncio.timeout(20):
        while len(replies) < count:
            for delivery in await subscription.take():
                replies.append(delivery.message)
                await delivery.done()
    assert len({reply.request.id for reply in replies}) == len(replies)
    return {reply.request.id: reply for reply in replies}


async def test_every_request_gets_its_own_text(broker: LocalBroker) -> None:
    async with working(broker, Quill()):
        for number, sign in enumerate(Sign, 1):
            await broker.publish(request(number, sign=sign))
        replies = await replies_to(broker, 12)
    for number, sign in enumerate(Sign, 1):
        reply = replies[str(number)]
        assert reply.text == f"{sign} {number} 0. {sign} {number} 1. {sign} {number} 2."
        assert reply.request.address.chat_id == number
        assert (reply.model, reply.tokens, reply.stopped) == ("quill", 9, False)
        assert reply.timings
        assert reply.timings.queued >= 0


async def test_requests_that_wait_together_are_written_in_batches(broker: LocalBroker) -> None:
    for number in range(1, 71):
        await broker.publish(request(number))
    quill = Quill()
    async with working(broker, quill):
        await replies_to(broker, 70)
    assert [len(batch) for batch in quill.batches] == [BATCH, BATCH, 70 - 2 * BATCH]


async def test_writing_does_not_block_the_event_loop(broker: LocalBroker) -> None:
    writing, may_write = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def before(index: int, sentence: int) -> None:
        loop.call_soon_threadsafe(writing.set)
        assert may_write.wait(20)

    async with working(broker, Quill(before)):
        await broker.publish(request(1))
        await writing.wait()
        may_write.set()  # only a free event loop comes here
        await replies_to(broker, 1)


async def test_an_answered_request_is_done_and_its_reply_durable_before(
    broker: LocalBroker,
) -> None:
    async with working(broker, Quill()):
        await broker.publish(request(1))
        await replies_to(broker, 1)
    again = broker.subscribe(HoroscopeRequest, 1)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(again.take(), 0.1)


async def test_an_expired_request_gets_an_apology_and_is_a_dead_letter(
    broker: LocalBroker,
) -> None:
    quill = Quill()
    await broker.publish(request(1, expires_at=datetime.now(UTC) - timedelta(seconds=1)))
    async with working(broker, quill):
        replies = await replies_to(broker, 1)
    letters = await broker.dead_letters(10)
    assert replies["1"].error is ErrorCode.EXPIRED
    assert replies["1"].text is None
    assert "expired" in letters[0].reason
    assert not quill.batches


class Choking(Quill):
    """Raises at Cancers and finds no words for Pisces, whatever the seed."""

    def write(self, wishes: Sequence[Wish], on_sentence: Any = None) -> list[Horoscope]:
        texts = super().write(wishes, on_sentence)
        if any(wish.sign is Sign.CANCER for wish in wishes):
            raise RuntimeError("cannot write that")
        return [
            Horoscope(None, 9) if wish.sign is Sign.PISCES else text
            for wish, text in zip(wishes, texts, strict=True)
        ]


async def test_a_wish_that_cannot_be_written_harms_no_other_and_ends_as_a_dead_letter(
    broker: LocalBroker,
) -> None:
    for number, sign in enumerate([Sign.LEO, Sign.CANCER, Sign.PISCES, Sign.VIRGO], 1):
        await broker.publish(request(number, sign=sign))
    choking = Choking()
    async with working(broker, choking):
        replies = await replies_to(broker, 4)
    letters = await broker.dead_letters(10)
    assert replies["1"].text
    assert replies["4"].text
    assert replies["2"].error is ErrorCode.GENERATION_FAILED
    assert replies["3"].error is ErrorCode.GENERATION_FAILED
    assert letters[0].reason == "RuntimeError: cannot write that"
    assert letters[1].reason == "the model wrote nothing that may be shown"
    # Whoever shared a batch with it gets the text that its own seed gives.
    assert replies["1"].text == "leo 1 0. leo 1 1. leo 1 2."
    tries = [batch[0].sign for batch in choking.batches[1:]]
    assert tries.count(Sign.CANCER) == ATTEMPTS
    assert tries.count(Sign.PISCES) == ATTEMPTS


class Moody(Quill):
    """Finds no words for the first seed."""

    def one(self, index: int, wish: Wish, on_sentence: Any) -> Horoscope:
        return Horoscope(None, 1) if wish.seed == 1 else super().one(index, wish, on_sentence)


async def test_a_text_that_failed_once_is_tried_with_another_seed(broker: LocalBroker) -> None:
    await broker.publish(request(1))
    async with working(broker, Moody()):
        replies = await replies_to(broker, 1)
    assert replies["1"].text
    assert not await broker.dead_letters(1)


async def test_the_horoscope_of_the_day_is_one_text_for_all_written_once(
    broker: LocalBroker,
) -> None:
    quill = Quill()
    async with working(broker, quill):
        for number in range(1, 6):
            await broker.publish(request(number, seed=None))
        await broker.publish(request(6, seed=None, sign=Sign.VIRGO))
        first = await replies_to(broker, 6)
        await broker.publish(request(7, seed=None))
        later = await replies_to(broker, 1)
    texts = {reply.text for key, reply in (first | later).items() if key != "6"}
    assert len(texts) == 1
    assert first["6"].text not in texts
    assert sum(len(batch) for batch in quill.batches) == 2


async def test_only_who_asked_for_it_sees_the_text_grow(broker: LocalBroker) -> None:
    parts = broker.subscribe(HoroscopePart, 100)
    async with working(broker, Quill()):
        await broker.publish(request(1, stream=True))
        await broker.publish(request(2))
        replies = await replies_to(broker, 2)
        grown = [delivery.message for delivery in await parts.take()]
    assert [part.request.id for part in grown] == ["1", "1", "1"]
    text = replies["1"].text
    assert text
    assert all(text.startswith(part.text) for part in grown)
    assert grown[-1].text == text


async def test_a_person_who_stops_gets_the_sentences_that_stand(broker: LocalBroker) -> None:
    stopped = threading.Event()
    waiting = asyncio.Event()
    loop = asyncio.get_running_loop()

    def before(index: int, sentence: int) -> None:
        if index == 0 and sentence == 1:
            loop.call_soon_threadsafe(waiting.set)
            assert stopped.wait(20)

    for number in (1, 2):
        await broker.publish(request(number))
    async with working(broker, Quill(before)):
        await waiting.wait()
        await broker.publish(StopRequest(chat_id=1, draft_id=1))
        await broker.publish(StopRequest(chat_id=2, draft_id=1))  # not this one's draft
        await asyncio.sleep(0.01)
        stopped.set()
        replies = await replies_to(broker, 2)
    assert replies["1"].stopped
    assert replies["1"].text == "leo 1 0. leo 1 1."
    assert not replies["2"].stopped
    assert replies["2"].text == "leo 2 0. leo 2 1. leo 2 2."


async def test_a_stop_does_not_shorten_the_text_of_the_day_for_others(
    broker: LocalBroker,
) -> None:
    await broker.publish(request(1, seed=None))
    await broker.publish(request(2, seed=None))
    waiting, go = threading.Event(), threading.Event()

    def before(index: int, sentence: int) -> None:
        waiting.set()
        assert go.wait(20)

    async with working(broker, Quill(before)):
        await asyncio.to_thread(waiting.wait)
        await broker.publish(StopRequest(chat_id=1, draft_id=1))
        await asyncio.sleep(0.01)
        go.set()
        replies = await replies_to(broker, 2)
    assert {reply.text for reply in replies.values()} == {"leo None 0. leo None 1. leo None 2."}


async def test_a_cancelled_worker_finishes_its_batch_and_leaves_the_rest(
    broker: LocalBroker,
) -> None:
    writing, may_write = threading.Event(), threading.Event()

    def before(index: int, sentence: int) -> None:
        writing.set()
        assert may_write.wait(20)

    await broker.publish(request(1))
    async with working(broker, Quill(before)) as task:
        await asyncio.to_thread(writing.wait)
        await broker.publish(request(2))
        task.cancel()
        may_write.set()
        await asyncio.wait([task])
    assert list(await replies_to(broker, 1)) == ["1"]
    left = broker.subscribe(HoroscopeRequest, 10)
    assert [delivery.message.id for delivery in await left.take()] == ["2"]


class Flaky(LocalBroker):
    """Is away for the first replies."""

    failures = 2

    async def publish(self, message: Message) -> None:
        if isinstance(message, HoroscopeReply) and self.failures:
            self.failures -= 1
            raise BrokerUnavailableError("The broker is away.")
        await super().publish(message)


async def test_a_reply_waits_for_a_broker_that_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("horoscope.patience.FIRST_PAUSE_S", 0.01)
    broker = Flaky()
    await broker.start()
    await broker.publish(request(1))
    async with working(broker, Quill()):
        assert (await replies_to(broker, 1))["1"].text
    await broker.close()
