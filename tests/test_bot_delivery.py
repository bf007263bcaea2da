"""How answers reach people: growing, stopped, redelivered, refused, and through kills."""

import asyncio
import json
import random
import signal
import sqlite3
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from product import GROUP, Product
from scripted_telegram import Answer, ScriptedTelegram, failure, keyboard_of, retry_after
from test_bot_conversation import Held
from test_worker import Choking, Quill

from horoscope.bot import application, preview, texts
from horoscope.messaging.broker import BrokerUnavailableError
from horoscope.messaging.local import LocalBroker
from horoscope.messaging.messages import ErrorCode, HoroscopeReply, HoroscopeRequest, Message


@pytest.fixture
async def telegram() -> AsyncIterator[ScriptedTelegram]:
    async with ScriptedTelegram() as telegram:
        yield telegram


@pytest.fixture
def product(telegram: ScriptedTelegram, tmp_path: Path) -> Product:
    return Product(telegram, tmp_path)


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Show growing texts from the first sentence on."""
    monkeypatch.setattr(preview, "PATIENCE_S", 0)
    monkeypatch.setattr(preview, "DRAFT_INTERVAL_S", 0)


def script(telegram: ScriptedTelegram, method: str, *answers: Answer) -> None:
    """Have the next calls of a method answered so."""
    left = list(answers)

    async def play(params: dict[str, Any]) -> Answer | None:
        return left.pop(0) if left else None

    telegram.scripts[method] = play


# While the model writes.


@pytest.mark.usefixtures("at_once")
async def test_in_a_private_chat_the_text_grows_in_a_draft_with_a_stop_button(
    product: Product,
) -> None:
    held = Held()
    async with product.running(held):
        product.say("лев")
        [typing] = await product.sent(1, "sendChatAction")
        assert (typing.params["action"], typing.params["chat_id"]) == ("typing", "1")
        held.let(1)
        await product.sent(1, "sendMessageDraft")
        held.let(1)
        first, second = await product.sent(2, "sendMessageDraft")
        held.let(1)
        [answer] = await product.sent(1)
    assert int(first.params["draft_id"]) > 0
    assert first.params["draft_id"] == second.params["draft_id"]
    assert first.params["can_stop"] == "true"
    assert second.params["text"].startswith(first.params["text"])
    assert answer.params["text"].startswith(second.params["text"])
    assert product.telegram.calls.index(answer) > product.telegram.calls.index(second)


@pytest.mark.usefixtures("at_once")
async def test_a_person_who_stops_gets_what_is_there(product: Product) -> None:
    held = Held()
    async with product.running(held):
        product.say("лев")
        held.let(1)
        [draft] = await product.sent(1, "sendMessageDraft")
        product.telegram.push(
            stopped_message_generation={
                "chat": {"id": 1, "type": "private"},
                "draft_id": int(draft.params["draft_id"]),
            }
        )
        await product.handled()
        held.let()
        [answer] = await product.sent(1)
    assert answer.params["text"].count(".") == 2  # the sentence that was being written stands
    assert answer.params["text"].startswith(draft.params["text"])


async def test_a_text_that_is_quickly_there_costs_one_message(product: Product) -> None:
    async with product.running(Quill()):
        product.say("лев")
        await product.sent(1)
        product.say("/generate лев", chat=GROUP, user=2)
        await product.sent(2)
    assert not product.telegram.of("sendMessageDraft")
    assert not product.telegram.of("editMessageText")


@pytest.mark.usefixtures("at_once")
async def test_in_a_group_one_message_grows_and_becomes_the_answer(product: Product) -> None:
    held = Held()
    async with product.running(held):
        product.say("/generate лев", chat=GROUP, user=2)
        held.let(1)
        [placeholder] = await product.sent(1)
        held.let(1)
        await product.sent(1, "editMessageText")
        held.let(1)
        growing, answer = await product.sent(2, "editMessageText")
    assert len(product.telegram.of("sendMessage")) == 1
    assert not keyboard_of(growing)
    assert keyboard_of(answer)
    assert placeholder.params["text"].endswith("…")
    assert not answer.params["text"].endswith("…")
    times = [placeholder.at, growing.at, answer.at]
    assert all(later - earlier >= 1 for earlier, later in pairwise(times))


@pytest.mark.usefixtures("at_once")
async def test_what_another_bot_has_answered_grows_no_more(
    product: Product, tmp_path: Path
) -> None:
    held = Held()
    async with product.running(held):
        product.say("лев")
        held.let(1)
        await product.sent(1, "sendMessageDraft")
        await asyncio.sleep(0.3)  # until it waits for more of the text
        with sqlite3.connect(tmp_path / "memory.sqlite") as memory:
            memory.execute("UPDATE requests SET answered = 1")
        held.let(1)
        await asyncio.sleep(0.3)  # so long it would have time to show more
        held.let()
    assert len(product.telegram.of("sendMessageDraft")) == 1
    assert not product.telegram.of("sendMessage")


@pytest.mark.usefixtures("at_once")
async def test_what_is_shown_while_another_bot_answers_is_taken_away(
    product: Product, tmp_path: Path
) -> None:
    async def answer_elsewhere(_: dict[str, Any]) -> None:
        with sqlite3.connect(tmp_path / "memory.sqlite") as memory:
            memory.execute("UPDATE requests SET answered = 1")

    product.telegram.scripts["sendMessage"] = answer_elsewhere
    held = Held()
    async with product.running(held):
        product.say("/generate лев", chat=GROUP, user=2)
        held.let(1)
        await product.sent(1)
        [taken_away] = await product.sent(1, "deleteMessage")
        held.let()
    assert taken_away.params["chat_id"] == str(GROUP)
    assert len(product.telegram.of("sendMessage")) == 1


async def test_what_another_bot_shows_while_this_one_answers_is_taken_away(
    product: Product, tmp_path: Path
) -> None:
    async def show_elsewhere(_: dict[str, Any]) -> None:
        with sqlite3.connect(tmp_path / "memory.sqlite") as memory:
            memory.execute("UPDATE requests SET placeholder = 77")

    product.telegram.scripts["sendMessage"] = show_elsewhere
    async with product.running(Quill()):
        product.say("/generate лев", chat=GROUP, user=2)
        await product.sent(1)
        [taken_away] = await product.sent(1, "deleteMessage")
    assert (taken_away.params["chat_id"], taken_away.params["message_id"]) == (str(GROUP), "77")


PLACEHOLDER_TROUBLES = {
    "not modified": (failure(400, "Bad Request: message is not modified"), 1),
    "deleted": (failure(400, "Bad Request: message to edit not found"), 2),
}


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize("trouble", PLACEHOLDER_TROUBLES)
async def test_an_answer_is_visible_whatever_became_of_its_placeholder(
    product: Product, trouble: str
) -> None:
    refusal, messages = PLACEHOLDER_TROUBLES[trouble]
    script(product.telegram, "editMessageText", refusal)
    held = Held()
    async with product.running(held):
        product.say("/generate лев", chat=GROUP, user=2)
        held.let(1)
        await product.sent(1)
        held.let()
        await product.sent(1, "editMessageText")
        await product.sent(messages)
    assert len(product.telegram.of("sendMessage")) == messages


@pytest.mark.usefixtures("at_once")
async def test_trouble_with_drafts_harms_no_answer(product: Product) -> None:
    script(product.telegram, "sendMessageDraft", failure(500, "Internal Server Error"))
    script(product.telegram, "sendChatAction", failure(400, "Bad Request: CHAT_WRITE_FORBIDDEN"))
    held = Held()
    async with product.running(held):
        product.say("лев")
        held.let(1)
        await product.sent(1, "sendMessageDraft")
        held.let()
        await product.sent(1)


# One visible answer.


async def test_an_update_that_comes_again_gets_one_answer(product: Product) -> None:
    async with product.running(Quill()):
        product.say("лев")
        await product.sent(1)
    product.telegram._forgotten_before = 0
    async with product.running(Quill()):
        product.say("рак", chat=2)
        await product.sent(2)
        await product.handled()
    assert Counter(c.params["chat_id"] for c in product.telegram.of("sendMessage")) == {
        "1": 1,
        "2": 1,
    }


async def test_a_reply_that_comes_twice_is_seen_once(
    product: Product, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Stutterer(LocalBroker):
        async def publish(self, message: Message) -> None:
            await super().publish(message)
            if isinstance(message, HoroscopeReply):
                await super().publish(message)

    monkeypatch.setattr(application, "LocalBroker", Stutterer)
    async with product.running(Quill()):
        product.say("лев", chat=1)
        await product.sent(1)
        product.say("рак", chat=2)
        await product.sent(2)
    assert [call.params["chat_id"] for call in product.telegram.of("sendMessage")] == ["1", "2"]


async def test_the_same_request_gets_the_same_text_after_a_restart(product: Product) -> None:
    async with product.running(Quill()):
        update = product.say("лев")
        await product.sent(1)
    (product.settings.data / "memory.sqlite").unlink()
    product.telegram.updates = [update]
    product.telegram._forgotten_before = 0
    async with product.running(Quill()):
        first, second = await product.sent(2)
    assert first.params["text"] == second.params["text"]


# When Telegram says no, or not yet.


async def test_who_blocked_the_bot_ends_it_and_may_come_back(
    product: Product, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="horoscope")
    script(product.telegram, "sendMessage", failure(403, "Forbidden: bot was blocked by the user"))
    async with product.running(Quill()):
        product.say("лев")
        await product.sent(1)
        product.say("лев")
        await product.sent(2)
    assert "ends unanswered: Forbidden: bot was blocked by the user" in caplog.text
    assert len(product.telegram.of("sendMessage")) == 2


@pytest.mark.parametrize(
    ("answer", "calls"),
    [
        (Answer(200, {"ok": False, "error_code": 403, "description": "Forbidden: blocked"}), 1),
        (Answer(403, {"ok": False}), 1),
        (Answer(500, {"ok": False}), 2),
        (Answer(200, {"ok": False, "error_code": 500}), 2),
        (Answer(500, []), 2),
    ],
)
async def test_a_refusal_is_understood_however_it_is_put(
    product: Product, monkeypatch: pytest.MonkeyPatch, answer: Answer, calls: int
) -> None:
    monkeypatch.setattr("horoscope.patience.FIRST_PAUSE_S", 0.01)
    script(product.telegram, "sendMessage", answer)
    async with product.running(Quill()):
        product.say("лев")
        await product.sent(calls)
        product.say("рак", chat=2)
        said = await product.sent(calls + 1)
    assert [call.params["chat_id"] for call in said] == ["1"] * calls + ["2"]


async def test_429_delays_its_chat_and_no_other(product: Product) -> None:
    script(product.telegram, "sendMessage", retry_after(1))
    async with product.running(Quill()):
        product.say("лев", chat=1)
        await product.sent(1)
        for chat in range(2, 6):
            product.say("лев", chat=chat)
        said = await product.sent(6)
    assert [call.params["chat_id"] for call in said][-1] == "1"
    assert said[-1].at - said[0].at >= 1
    assert said[0].params["text"] == said[-1].params["text"]


async def test_an_answer_survives_a_telegram_that_is_away(
    product: Product, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("horoscope.patience.FIRST_PAUSE_S", 0.01)
    script(
        product.telegram,
        "sendMessage",
        failure(500, "Internal Server Error"),
        Answer(502, text="<html>Bad Gateway</html>"),
        failure(503, "Service Unavailable"),
    )
    async with product.running(Quill()):
        product.say("лев")
        said = await product.sent(4)
    assert len({call.params["text"] for call in said}) == 1
    lines = [r.getMessage() for r in caplog.records if r.name == "horoscope.bot.outbox"]
    assert lines == [
        "Sending waits for Telegram: Internal Server Error",
        "Telegram takes messages again.",
    ]


# When there is no text.


async def test_a_wish_that_cannot_be_written_gets_an_apology(product: Product) -> None:
    async with product.running(Choking()):
        product.say("рак")
        [apology] = await product.sent(1)
    assert apology.params["text"] == texts.ERRORS[ErrorCode.GENERATION_FAILED]
    assert keyboard_of(apology)[0]["callback_data"] == "new1:cancer:general"


async def test_what_expired_in_a_group_gets_one_apology_for_all(
    product: Product, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Belated(LocalBroker):
        async def publish(self, message: Message) -> None:
            if isinstance(message, HoroscopeRequest):
                changes = {"expires_at": message.created_at}
                message = message.model_copy(update=changes)
            await super().publish(message)

    monkeypatch.setattr(application, "LocalBroker", Belated)
    async with product.running(Quill()):
        for user in range(1, 6):
            product.say("/generate лев", chat=GROUP, user=user)
        product.say("лев", chat=99)
        await product.handled()
        await product.sent(2)
        product.say("/generate лев", chat=GROUP, user=1)  # nobody is kept waiting
        await product.handled()
    said = [
        (call.params["chat_id"], call.params["text"]) for call in product.telegram.of("sendMessage")
    ]
    apology = texts.ERRORS[ErrorCode.EXPIRED]
    assert sorted(said) == [(str(GROUP), apology), ("99", apology)]


async def test_while_the_broker_is_away_the_bot_says_so_once_and_answers_later(
    product: Product, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = asyncio.Event()
    monkeypatch.setattr("horoscope.patience.FIRST_PAUSE_S", 0.05)

    class Absent(LocalBroker):
        async def publish(self, message: Message) -> None:
            if not away.is_set():
                raise BrokerUnavailableError("The broker is away.")
            await super().publish(message)

    monkeypatch.setattr(application, "LocalBroker", Absent)
    async with product.running(Quill()):
        product.say("лев")
        [later] = await product.sent(1)
        assert later.params["text"] == texts.LATER
        offsets = [int(c.params["offset"]) for c in product.telegram.of("getUpdates")]
        assert max(offsets) <= 1
        away.set()
        said = await product.sent(2)
        await product.handled()
    assert said[1].params["text"].startswith("♌️ Лев")
    assert len(product.telegram.of("sendMessage")) == 2


# Many people, and processes that die.


async def test_of_many_people_at_once_each_gets_their_own_answer(
    telegram: ScriptedTelegram, tmp_path: Path
) -> None:
    product = Product(telegram, tmp_path, calls_per_second=1000)
    signs = ["Овен", "Телец", "Близнецы", "Рак", "Лев", "Дева", "Весы", "Скорпион", "Рыбы"]
    wishes = {chat: random.Random(chat).choice(signs) for chat in range(1, 401)}
    async with product.running(Quill()):
        for chat, sign in wishes.items():
            product.say(sign, chat=chat)
        said = await product.sent(len(wishes))
    answers = {int(c.params["chat_id"]): c.params["text"].split("\n")[0].split()[1] for c in said}
    assert len(said) == len(wishes)
    assert answers == wishes


PRODUCT = """
import asyncio, signal, sys
sys.path.insert(0, {tests!r})
from horoscope.bot.application import run_all
from horoscope.settings import Settings
from test_worker import Quill

async def main():
    this = asyncio.current_task()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, this.cancel)
    await run_all(Settings.model_validate({settings!r}), Quill())

asyncio.run(main())
"""


async def start_process(product: Product) -> asyncio.subprocess.Process:
    settings = product.settings.model_dump(mode="json") | {
        "telegram_token": product.settings.telegram_token.get_secret_value()  # type: ignore[union-attr]
    }
    code = PRODUCT.format(tests=str(Path(__file__).parent), settings=settings)
    return await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, stderr=asyncio.subprocess.DEVNULL
    )


async def test_kills_lose_nothing_and_double_at_most_one_answer_each(
    telegram: ScriptedTelegram, tmp_path: Path
) -> None:
    product = Product(telegram, tmp_path, calls_per_second=100)
    kills, people = 3, 150
    chats = iter(range(1, people + 1))
    for round_number in range(kills + 1):
        process = await start_process(product)
        try:
            asked = len(telegram.of("getUpdates"))
            await telegram.seen(lambda asked=asked: len(telegram.of("getUpdates")) > asked, 60)  # type: ignore[misc]
            for chat in [*zip(range(people // kills), chats, strict=False)]:
                product.say("/generate рак", chat=chat[1])
            before = len(telegram.of("sendMessage"))
            if round_number < kills:
                await telegram.seen(
                    lambda before=before: len(telegram.of("sendMessage")) > before + 20, 60
                )
                process.send_signal(signal.SIGKILL)
            else:
                await telegram.seen(
                    lambda: (
                        len({c.params["chat_id"] for c in telegram.of("sendMessage")}) == people
                    ),
                    60,
                )
                await product.handled()
                process.send_signal(signal.SIGTERM)
            await asyncio.wait_for(process.wait(), 15)
        finally:
            with suppress(ProcessLookupError):
                process.kill()
    answers = Counter(call.params["chat_id"] for call in telegram.of("sendMessage"))
    assert len(answers) == people
    assert sum(answers.values()) - people <= kills


async def test_sigterm_finishes_what_is_in_flight(
    telegram: ScriptedTelegram, tmp_path: Path
) -> None:
    product = Product(telegram, tmp_path)
    release = asyncio.Event()

    async def slow(params: dict[str, Any]) -> None:
        await release.wait()

    telegram.scripts["sendMessage"] = slow
    process = await start_process(product)
    await telegram.seen(lambda: telegram.of("getUpdates"), 60)
    product.say("лев")
    await product.sent(1)
    process.send_signal(signal.SIGTERM)
    asyncio.get_running_loop().call_later(0.2, release.set)
    await asyncio.wait_for(process.wait(), 15)
    del telegram.scripts["sendMessage"]
    async with product.running(Quill()):
        product.say("рак", chat=2)
        await product.sent(2)
    answers = telegram.of("sendMessage")
    assert [call.params["chat_id"] for call in answers] == ["1", "2"]
    assert json.loads(answers[0].params["entities"])
