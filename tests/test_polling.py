"""Long polling against a Bot API server on loopback."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiogram import Bot, Dispatcher
from aiogram.types import Message
from scripted_telegram import TOKEN, Answer, ScriptedTelegram, failure

from horoscope.bot import polling as polling_module
from horoscope.bot import updates as updates_module
from horoscope.bot.polling import Polling
from horoscope.bot.telegram import connect
from horoscope.bot.updates import Updates
from horoscope.errors import InputError
from horoscope.messaging.broker import BrokerUnavailableError
from horoscope.settings import Settings


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("horoscope.patience.FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr(polling_module, "STRAGGLER_PAUSE_S", 0.02)
    monkeypatch.setattr(polling_module, "STOP_S", 0.5)
    monkeypatch.setattr(updates_module, "PAUSE_S", 0.01)


@pytest.fixture
async def telegram() -> AsyncIterator[ScriptedTelegram]:
    async with ScriptedTelegram() as telegram:
        yield telegram


def message(text: str) -> dict[str, Any]:
    return {
        "message_id": 7,
        "date": 1,
        "chat": {"id": 1, "type": "private"},
        "from": {"id": 1, "is_bot": False, "first_name": "A"},
        "text": text,
    }


class Ear:
    """Hears messages; what is in `blocked` waits, what is in `trouble` fails."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.blocked: dict[str, asyncio.Event] = {}
        self.trouble: dict[str, list[Exception]] = {}
        self._news = asyncio.Event()

    async def hear(self, message: Message) -> None:
        text = message.text or ""
        if text in self.blocked:
            await self.blocked[text].wait()
        if self.trouble.get(text):
            raise self.trouble[text].pop(0)
        self.heard.append(text)
        self._news.set()

    async def has_heard(self, *texts: str) -> None:
        async with asyncio.timeout(10):
            while not set(texts) <= set(self.heard):
                self._news.clear()
                await self._news.wait()


@asynccontextmanager
async def polling(telegram: ScriptedTelegram, ear: Ear) -> AsyncIterator["asyncio.Task[None]"]:
    bot = new_bot(telegram)
    dispatcher = Dispatcher(disable_fsm=True)
    dispatcher.message.register(ear.hear)
    task = asyncio.create_task(Polling(bot, Updates(bot, dispatcher)).run())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait([task])
        await bot.session.close()


def new_bot(telegram: ScriptedTelegram, token: str = TOKEN) -> Bot:
    return connect(
        Settings.model_validate({"telegram_token": token, "telegram_api_url": telegram.url})
    )


def offsets(telegram: ScriptedTelegram) -> list[int]:
    return [int(call.params["offset"]) for call in telegram.of("getUpdates")]


async def test_the_offset_moves_past_what_is_dealt_with(telegram: ScriptedTelegram) -> None:
    ear = Ear()
    for text in "abc":
        telegram.push(message=message(text))
    async with polling(telegram, ear):
        await ear.has_heard("a", "b", "c")
        await telegram.seen(lambda: 4 in offsets(telegram))
    assert ear.heard == ["a", "b", "c"]


async def test_numbers_that_begin_anew_lower_are_followed(telegram: ScriptedTelegram) -> None:
    pages = [[1000, 1001], [5], [6]]

    async def script(params: dict[str, Any]) -> Answer | None:
        if not pages:
            return None
        updates = [{"update_id": n, "message": message(str(n))} for n in pages.pop(0)]
        return Answer(body={"ok": True, "result": updates})

    telegram.scripts["getUpdates"] = script
    ear = Ear()
    async with polling(telegram, ear):
        await telegram.seen(lambda: 7 in offsets(telegram))
    assert ear.heard == ["1000", "1001", "5", "6"]


async def test_a_slow_update_is_not_acknowledged_and_stops_no_other(
    telegram: ScriptedTelegram,
) -> None:
    ear = Ear()
    ear.blocked["b"] = asyncio.Event()
    for text in "abc":
        telegram.push(message=message(text))
    async with polling(telegram, ear):
        await ear.has_heard("a", "c")
        telegram.push(message=message("d"))
        await ear.has_heard("d")
        assert max(offsets(telegram)) == 2
        ear.blocked["b"].set()
        await telegram.seen(lambda: 5 in offsets(telegram))
    assert sorted(ear.heard) == ["a", "b", "c", "d"]


async def test_an_update_that_cannot_be_made_durable_is_tried_until_it_can(
    telegram: ScriptedTelegram,
) -> None:
    ear = Ear()
    ear.trouble["a"] = [BrokerUnavailableError("away") for _ in range(6)]
    telegram.push(message=message("a"))
    telegram.push(message=message("b"))
    async with polling(telegram, ear):
        await ear.has_heard("b")
        assert max(offsets(telegram)) <= 1
        await ear.has_heard("a")
        await telegram.seen(lambda: 3 in offsets(telegram))


async def test_what_was_not_dealt_with_before_a_kill_comes_again(
    telegram: ScriptedTelegram,
) -> None:
    telegram.push(message=message("a"))
    killed = Ear()
    killed.trouble["a"] = [BrokerUnavailableError("away") for _ in range(1000)]
    async with polling(telegram, killed) as task:
        await telegram.seen(lambda: len(telegram.of("getUpdates")) > 2)
        task.cancel()
    survivor = Ear()
    async with polling(telegram, survivor):
        await survivor.has_heard("a")


async def test_a_fault_of_ours_is_given_up_after_some_attempts_and_never_quotes_a_person(
    telegram: ScriptedTelegram, caplog: pytest.LogCaptureFixture
) -> None:
    ear = Ear()
    ear.trouble["тайна"] = [ValueError("тайна") for _ in range(1000)]
    telegram.push(message=message("тайна"))
    telegram.push(message=message("b"))
    async with polling(telegram, ear):
        await ear.has_heard("b")
        await telegram.seen(lambda: 3 in offsets(telegram))
    assert "update 1 is given up" in caplog.text
    assert "тайна" not in caplog.text


@pytest.mark.parametrize(
    "odd",
    [
        {"a_kind_of_tomorrow": {"text": "тайна"}},
        {"message": {"text": "тайна"}},
        {"message": "тайна"},
        {"edited_message": message("тайна")},
        {"channel_post": message("тайна")},
        {"poll_answer": {}},
        {},
    ],
    ids=lambda odd: next(iter(odd), "nothing"),
)
async def test_an_odd_update_is_passed_over(
    telegram: ScriptedTelegram, caplog: pytest.LogCaptureFixture, odd: dict[str, Any]
) -> None:
    caplog.set_level(logging.DEBUG, logger="horoscope")
    ear = Ear()
    telegram.push(**odd)
    telegram.push(message=message("b"))
    async with polling(telegram, ear):
        await ear.has_heard("b")
        await telegram.seen(lambda: 3 in offsets(telegram))
    assert ear.heard == ["b"]
    assert "тайна" not in caplog.text


async def test_what_is_done_at_the_end_is_acknowledged(telegram: ScriptedTelegram) -> None:
    ear = Ear()
    ear.blocked["a"] = asyncio.Event()
    telegram.push(message=message("a"))
    async with polling(telegram, ear) as task:
        await telegram.seen(lambda: len(telegram.of("getUpdates")) > 2)
        task.cancel()
        asyncio.get_running_loop().call_later(0.05, ear.blocked["a"].set)
        await asyncio.wait([task])
    assert ear.heard == ["a"]
    assert offsets(telegram)[-1] == 2


async def test_a_wrong_token_is_one_clear_line(telegram: ScriptedTelegram) -> None:
    bot = new_bot(telegram, "43:WRONG")
    with pytest.raises(InputError, match="HOROSCOPE_TELEGRAM_TOKEN"):
        await Polling(bot, Updates(bot, Dispatcher())).run()
    await bot.session.close()


TROUBLES = {
    "second poller": (
        failure(409, "Conflict: terminated by other getUpdates request"),
        "Another program asks for the updates",
    ),
    "bad gateway": (Answer(502, text="<html>Bad Gateway</html>"), "No updates from Telegram"),
    "server error": (failure(500, "Internal Server Error"), "Internal Server Error"),
    "too many requests": (failure(429, "Too Many Requests", retry_after=1), None),
}


@pytest.mark.parametrize("trouble", TROUBLES)
async def test_trouble_with_telegram_is_one_line_and_heals(
    telegram: ScriptedTelegram, caplog: pytest.LogCaptureFixture, trouble: str
) -> None:
    answer, line = TROUBLES[trouble]
    left = [answer] * (1 if line is None else 4)

    async def script(params: dict[str, Any]) -> Answer | None:
        return left.pop() if left else None

    telegram.scripts["getUpdates"] = script
    telegram.push(message=message("a"))
    ear = Ear()
    async with polling(telegram, ear):
        await ear.has_heard("a")
    lines = [r.getMessage() for r in caplog.records if r.name.startswith("horoscope")]
    if line:
        assert len([each for each in lines if line in each]) == 1
        assert lines[-1] == "Telegram gives updates again."
    assert TOKEN not in caplog.text


async def test_no_network_is_one_line_and_heals(caplog: pytest.LogCaptureFixture) -> None:
    async with ScriptedTelegram() as telegram:
        closed = telegram.url
    bot = connect(Settings.model_validate({"telegram_token": TOKEN, "telegram_api_url": closed}))
    ear = Ear()
    task = asyncio.create_task(Polling(bot, Updates(bot, Dispatcher())).run())
    said = asyncio.Event()
    handler = logging.Handler()
    handler.emit = lambda record: said.set()  # type: ignore[method-assign]
    logging.getLogger("horoscope.bot.polling").addHandler(handler)
    await asyncio.wait_for(said.wait(), 10)
    logging.getLogger("horoscope.bot.polling").removeHandler(handler)
    task.cancel()
    await asyncio.wait([task])
    await bot.session.close()
    assert "No updates from Telegram" in caplog.records[0].getMessage()
    assert TOKEN not in caplog.text
    assert not ear.heard


async def test_a_server_that_never_waits_is_not_asked_without_pause(
    telegram: ScriptedTelegram, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def script(params: dict[str, Any]) -> Answer:
        await sleep(0)
        return Answer(body={"ok": True, "result": []})

    slept: list[float] = []
    sleep = asyncio.sleep
    telegram.scripts["getUpdates"] = script

    async def note(seconds: float) -> None:
        slept.append(seconds)
        await sleep(seconds)

    monkeypatch.setattr(polling_module.asyncio, "sleep", note)
    async with polling(telegram, Ear()):
        await telegram.seen(lambda: len(slept) > 3)
    assert slept[:3] == [polling_module.STRAGGLER_PAUSE_S] * 3
