"""How updates come from the local Telegram: polled or pushed, at least once; trouble on demand."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from local_telegram import until
from test_demo_bot_api import Client

from horoscope.demo.api_error import ApiError
from horoscope.demo.server import serving
from horoscope.demo.telegram import FORUM, FRIENDS, Telegram
from horoscope.demo.trouble import GROUP_MESSAGES, MESSAGES_PER_SECOND, Rates

Json = dict[str, Any]


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    telegram = Telegram()
    async with serving(telegram) as url, aiohttp.ClientSession() as session:
        yield Client(telegram, url, session)


def numbers(updates: list[Json]) -> list[int]:
    return [update["update_id"] for update in updates]


async def test_updates_come_again_until_the_offset_passes_them(client: Client) -> None:
    for text in ("лев", "рак"):
        client.telegram.write(client.anya, text)
    assert numbers(await client.call("getUpdates")) == [1, 2, 3]
    assert numbers(await client.call("getUpdates", limit=1)) == [1]
    assert numbers(await client.call("getUpdates", offset=3)) == [3]
    assert numbers(await client.call("getUpdates", offset=0)) == [3]
    assert numbers(await client.call("getUpdates", offset=4)) == []


async def test_a_negative_offset_means_the_last_ones(client: Client) -> None:
    for text in ("лев", "рак"):
        client.telegram.write(client.anya, text)
    assert numbers(await client.call("getUpdates", offset=-2)) == [2, 3]
    assert numbers(await client.call("getUpdates")) == [2, 3]


async def test_a_long_poll_waits_for_news(client: Client) -> None:
    await client.call("getUpdates", offset=2)
    polling = asyncio.create_task(client.call("getUpdates", offset=2, timeout=30))
    await asyncio.sleep(0.1)
    assert not polling.done()
    client.telegram.write(client.anya, "лев")
    [update] = await polling
    assert update["message"]["text"] == "лев"


async def test_a_second_poller_ends_the_first(client: Client) -> None:
    await client.call("getUpdates", offset=2)
    first = asyncio.create_task(client.raw("getUpdates", json={"timeout": 30}))
    await until(lambda: client.telegram.calls["getUpdates"] == 2)
    second = asyncio.create_task(client.call("getUpdates", timeout=30))
    body = await first
    assert body["error_code"] == 409
    assert "terminated by other getUpdates request" in body["description"]
    client.telegram.write(client.anya, "лев")
    assert len(await second) == 1


async def test_only_the_kinds_that_the_bot_wants_come(client: Client) -> None:
    await client.call("getUpdates", offset=2, allowed_updates=["callback_query"])
    sent = client.telegram.write(client.anya, "лев")
    client.telegram.edit(client.anya, client.anya, sent["message_id"], "рак")
    client.telegram.tap(client.anya, client.anya, sent["message_id"], "data")
    [update] = await client.call("getUpdates")
    assert set(update) == {"update_id", "callback_query"}


async def test_in_groups_the_bot_hears_what_is_meant_for_it(client: Client) -> None:
    telegram, anya = client.telegram, client.anya
    await client.call("getUpdates", offset=2)
    own = await client.call("sendMessage", chat_id=FRIENDS, text="Здравствуйте!")
    telegram.write(anya, "всем привет", FRIENDS)
    telegram.write(anya, "/generate лев", FRIENDS)
    telegram.write(anya, "спросите @Stars_bot", FRIENDS)
    telegram.write(anya, "и я", FRIENDS, reply_to=own["message_id"])
    telegram.write(anya, "/today", FORUM, thread_id=2)
    heard = [update["message"] for update in await client.call("getUpdates")]
    assert [message["text"] for message in heard] == [
        *("/generate лев", "спросите @Stars_bot", "и я", "/today"),
    ]
    assert heard[2]["reply_to_message"]["text"] == "Здравствуйте!"
    assert heard[3]["message_thread_id"] == 2
    assert heard[3]["is_topic_message"]


class Receiver:
    """A bot that is called."""

    def __init__(self) -> None:
        self.got: list[Json] = []
        self.statuses: list[int] = []
        self.secrets: set[str | None] = set()

    async def receive(self, request: web.Request) -> web.Response:
        self.got.append(await request.json())
        self.secrets.add(request.headers.get("X-Telegram-Bot-Api-Secret-Token"))
        return web.Response(status=self.statuses.pop(0) if self.statuses else 200)


@pytest.fixture
async def receiver() -> AsyncIterator[tuple[Receiver, str]]:
    receiver = Receiver()
    app = web.Application()
    app.router.add_post("/hook", receiver.receive)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield receiver, f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    await runner.cleanup()


async def test_a_webhook_is_called_until_it_says_that_all_is_well(
    client: Client, receiver: tuple[Receiver, str]
) -> None:
    bot, url = receiver
    bot.statuses = [500, 503]
    await client.call("setWebhook", url=url, secret_token="hush")
    client.telegram.write(client.anya, "лев")
    await asyncio.wait_for(client.telegram.updates.drained(), 10)
    assert sorted(numbers(bot.got)) in ([1, 1, 1, 2], [1, 1, 2, 2], [1, 2, 2, 2])
    assert bot.secrets == {"hush"}
    info = await client.call("getWebhookInfo")
    assert (info["url"], info["pending_update_count"]) == (url, 0)


async def test_with_a_webhook_one_cannot_poll_and_without_it_one_can(
    client: Client, receiver: tuple[Receiver, str]
) -> None:
    await client.call("setWebhook", url=receiver[1])
    assert (await client.raw("getUpdates"))["error_code"] == 409
    await client.call("deleteWebhook", drop_pending_updates=True)
    assert await client.call("getUpdates") == []


@pytest.mark.parametrize(
    ("parameters", "why"),
    [
        ({"url": "ftp://x"}, "bad webhook: An HTTPS URL must be provided"),
        ({"url": "https://x", "secret_token": "секрет"}, "secret token contains unallowed"),
    ],
)
async def test_a_webhook_that_telegram_would_refuse_is_refused(
    client: Client, parameters: Json, why: str
) -> None:
    assert why in await client.refusal("setWebhook", **parameters)


# Trouble.


async def test_trouble_begins_and_ends_on_demand(client: Client) -> None:
    address = f"{client.url}/trouble"
    trouble = {"status": 429, "retry_after": 3, "methods": ["sendMessage"], "times": 1}
    async with client.session.post(address, json=trouble) as answer:
        assert answer.status == 200
    await client.call("sendChatAction", chat_id=client.anya, action="typing")
    body = await client.raw("sendMessage", json={"chat_id": client.anya, "text": "x"})
    assert body["parameters"] == {"retry_after": 3}
    await client.call("sendMessage", chat_id=client.anya, text="x")
    async with client.session.post(address, json={"status": 502}) as answer:
        assert answer.status == 200
    assert (await client.raw("getMe"))["error_code"] == 502
    await client.call("getUpdates")
    async with client.session.delete(address) as answer:
        assert await answer.json() == []
    await client.call("getMe")
    assert not client.telegram.refused


async def test_trouble_of_one_chat_is_none_of_the_others(client: Client) -> None:
    trouble = {"status": 403, "chat_id": client.anya}
    async with client.session.post(f"{client.url}/trouble", json=trouble) as answer:
        assert answer.status == 200
    assert (await client.raw("sendMessage", json={"chat_id": client.anya, "text": "x"}))[
        "error_code"
    ] == 403
    await client.call("sendMessage", chat_id=FRIENDS, text="x")


async def test_a_connection_can_break_before_or_after_the_deed(client: Client) -> None:
    for taken, count in ((False, 0), (True, 1)):
        trouble = {"taken": taken, "times": 1}
        async with client.session.post(f"{client.url}/trouble", json=trouble) as answer:
            assert answer.status == 200
        with pytest.raises(aiohttp.ClientError):
            await client.raw("sendMessage", json={"chat_id": client.anya, "text": "x"})
        assert len(client.telegram.said_by_bot(client.anya)) == count


async def test_trouble_that_is_none_is_refused(client: Client) -> None:
    for trouble in ({"status": 200}, {"share": 2}, {"pigeons": 1}):
        async with client.session.post(f"{client.url}/trouble", json=trouble) as answer:
            assert answer.status == 400
            assert next(iter(trouble)) in await answer.text()


async def test_who_says_more_than_telegram_lets_is_told_to_wait() -> None:
    rates = Rates()
    rates.count(1)
    with pytest.raises(ApiError) as told:
        rates.count(1)
    assert told.value.parameters == {"retry_after": 1}
    for chat in range(2, MESSAGES_PER_SECOND + 1):
        rates.count(chat)
    with pytest.raises(ApiError):
        rates.count(99)


async def test_a_group_is_told_twenty_things_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    rates = Rates()
    loop = asyncio.get_running_loop()
    began = loop.time()
    for second in range(GROUP_MESSAGES + 1):
        monkeypatch.setattr(loop, "time", lambda second=second: began + 2 * second)
        if second < GROUP_MESSAGES:
            rates.count(FRIENDS)
            continue
        with pytest.raises(ApiError) as told:
            rates.count(FRIENDS)
        assert told.value.parameters == {"retry_after": 60 - 2 * GROUP_MESSAGES}
