"""The webhook, called over HTTP as Telegram calls it."""

import asyncio
import socket
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aiogram import Bot, Dispatcher
from aiogram.types import Message
from scripted_telegram import TOKEN, Answer, ScriptedTelegram, failure

from horoscope.bot import updates as updates_module
from horoscope.bot.telegram import connect
from horoscope.bot.updates import Updates
from horoscope.bot.webhook import SECRET_HEADER, Webhook, secret_of
from horoscope.errors import HoroscopeError, InputError
from horoscope.messaging.broker import BrokerUnavailableError
from horoscope.settings import Settings


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


class Rig:
    """A webhook on loopback with a handler that a test can hold up or break."""

    def __init__(self, telegram: ScriptedTelegram, **settings: Any) -> None:
        self.telegram = telegram
        port = free_port()
        self.url = f"http://127.0.0.1:{port}/hook"
        self.settings = Settings.model_validate(
            {
                "telegram_token": TOKEN,
                "telegram_api_url": telegram.url,
                "updates": "webhook",
                "webhook_url": self.url,
                "webhook_host": "127.0.0.1",
                "webhook_port": port,
                **settings,
            }
        )
        self.bot: Bot = connect(self.settings)
        self.heard: list[str] = []
        self.go = asyncio.Event()
        self.go.set()
        self.begun = asyncio.Event()
        self.trouble: list[Exception] = []
        dispatcher = Dispatcher(disable_fsm=True)
        dispatcher.message.register(self.hear)
        self.webhook = Webhook(self.settings, self.bot, Updates(self.bot, dispatcher))

    async def hear(self, message: Message) -> None:
        self.begun.set()
        await self.go.wait()
        if self.trouble:
            raise self.trouble.pop(0)
        self.heard.append(message.text or "")

    async def start(self) -> None:
        self.task = asyncio.create_task(self.webhook.run())
        await self.telegram.seen(lambda: self.telegram.of("setWebhook"))
        self.client = aiohttp.ClientSession()

    async def stop(self) -> None:
        self.task.cancel()
        await asyncio.wait([self.task])
        await self.client.close()
        await self.bot.session.close()

    async def call(self, update: Any = None, *, secret: str | None = None, **request: Any) -> int:
        headers = {SECRET_HEADER: secret_of(self.settings) if secret is None else secret}
        sent = request or {"json": update}
        async with self.client.post(self.url, headers=headers, **sent) as response:
            return response.status


@pytest.fixture
async def rig(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Rig]:
    monkeypatch.setattr(updates_module, "PAUSE_S", 0.01)
    async with ScriptedTelegram() as telegram:
        rig = Rig(telegram)
        await rig.start()
        yield rig
        await rig.stop()


def update(number: int, text: str) -> dict[str, Any]:
    person = {"id": 1, "is_bot": False, "first_name": "A"}
    chat = {"id": 1, "type": "private"}
    message = {"message_id": 7, "date": 1, "chat": chat, "from": person, "text": text}
    return {"update_id": number, "message": message}


async def test_telegram_is_told_the_address_and_the_secret(rig: Rig) -> None:
    [call] = rig.telegram.of("setWebhook")
    assert call.params["url"] == rig.url
    assert call.params["secret_token"] == secret_of(rig.settings)
    assert TOKEN not in call.params["secret_token"]


async def test_a_call_of_telegram_is_handled(rig: Rig) -> None:
    assert await rig.call(update(1, "лев")) == 200
    assert rig.heard == ["лев"]


async def test_only_who_shows_the_secret_on_the_right_path_is_let_in(rig: Rig) -> None:
    assert await rig.call(update(1, "лев"), secret="") == 401
    assert await rig.call(update(1, "лев"), secret="guess") == 401
    assert await rig.call(update(1, "лев"), secret="секрет") == 401
    async with rig.client.post(rig.url + "/other", json=update(1, "лев")) as response:
        assert response.status == 404
    async with rig.client.get(rig.url) as response:
        assert response.status == 405
    assert not rig.heard


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"{", b"[]", b"{}", b'"x"', b'{"update_id": "x"}', b"\xff"),
        *(b'{"update_id": 1e400}', b"[" * 100_000),
    ],
)
async def test_what_is_no_update_is_refused(rig: Rig, body: bytes) -> None:
    assert await rig.call(data=body) == 400


async def test_a_body_that_is_far_too_large_is_refused(rig: Rig) -> None:
    assert await rig.call(data=b" " * 2_000_000) == 413


async def test_an_update_of_an_unknown_kind_is_acknowledged(rig: Rig) -> None:
    assert await rig.call({"update_id": 1, "a_kind_of_tomorrow": {}}) == 200


async def test_200_comes_only_once_the_update_is_dealt_with(rig: Rig) -> None:
    rig.go.clear()
    call = asyncio.create_task(rig.call(update(1, "лев")))
    await rig.begun.wait()
    assert await rig.call({"update_id": 2}) == 200  # another one is not held up
    assert not call.done()
    rig.go.set()
    assert await call == 200


async def test_what_cannot_be_made_durable_is_not_acknowledged(rig: Rig) -> None:
    rig.trouble = [BrokerUnavailableError("away")]
    assert await rig.call(update(1, "лев")) == 503
    assert await rig.call(update(1, "лев")) == 200
    assert rig.heard == ["лев"]


async def test_a_fault_of_ours_does_not_come_back_for_ever(rig: Rig) -> None:
    rig.trouble = [ValueError("ours")] * 3
    assert await rig.call(update(1, "лев")) == 200
    assert not rig.heard


async def test_an_update_that_telegram_sends_again_meanwhile_is_handled_once(rig: Rig) -> None:
    rig.go.clear()
    calls = [asyncio.create_task(rig.call(update(1, "лев"))) for _ in range(3)]
    await rig.begun.wait()
    rig.go.set()
    assert await asyncio.gather(*calls) == [200, 200, 200]
    assert rig.heard == ["лев"]


async def test_the_end_waits_for_what_is_under_way(rig: Rig) -> None:
    rig.go.clear()
    call = asyncio.create_task(rig.call(update(1, "лев")))
    await rig.begun.wait()
    rig.task.cancel()
    asyncio.get_running_loop().call_later(0.05, rig.go.set)
    assert await call == 200
    assert rig.heard == ["лев"]


async def test_a_port_that_is_taken_is_one_clear_line() -> None:
    async with ScriptedTelegram() as telegram:
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            listener.listen()
            rig = Rig(telegram, webhook_port=listener.getsockname()[1])
            with pytest.raises(HoroscopeError, match="HOROSCOPE_WEBHOOK_PORT"):
                await rig.webhook.run()
            await rig.bot.session.close()


async def test_an_address_that_telegram_does_not_like_is_one_clear_line() -> None:
    async with ScriptedTelegram() as telegram:

        async def script(params: dict[str, Any]) -> Answer:
            return failure(400, "Bad Request: bad webhook: HTTPS url must be provided")

        telegram.scripts["setWebhook"] = script
        rig = Rig(telegram)
        with pytest.raises(InputError, match="HTTPS url must be provided"):
            await rig.webhook.run()
        await rig.bot.session.close()


async def test_the_webhook_is_set_once_telegram_is_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("horoscope.patience.FIRST_PAUSE_S", 0.01)
    async with ScriptedTelegram() as telegram:
        troubles = [failure(502, "Bad Gateway"), failure(500, "Internal Server Error")]

        async def script(params: dict[str, Any]) -> Answer | None:
            return troubles.pop() if troubles else None

        telegram.scripts["setWebhook"] = script
        rig = Rig(telegram)
        await rig.start()
        await telegram.seen(lambda: len(telegram.of("setWebhook")) == 3)
        assert await rig.call(update(1, "лев")) == 200
        await rig.stop()
