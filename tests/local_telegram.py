"""The product in a local Telegram: in the test's process, or in one of its own to be killed."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from test_worker import Quill

from horoscope.bot.application import run_all
from horoscope.demo.server import serving
from horoscope.demo.telegram import TOKEN, Telegram
from horoscope.settings import Settings
from horoscope.worker import Writer
from horoscope.zodiac import Sign, parse_sign

Json = dict[str, Any]


@asynccontextmanager
async def product_in(
    telegram: Telegram, directory: Path, writer: Writer | None = None, **settings: Any
) -> AsyncIterator[str]:
    """Run server and bot; yields the server's address once the bot listens."""
    async with serving(telegram) as url:
        given = {"telegram_token": TOKEN, "telegram_api_url": url, "data": directory, **settings}
        task = asyncio.create_task(run_all(Settings.model_validate(given), writer or Quill()))
        try:
            await until(lambda: listening(telegram) or task.done())
            yield url
        finally:
            task.cancel()
            await asyncio.wait([task])
        if not task.cancelled():
            task.result()


def listening(telegram: Telegram) -> bool:
    return bool(telegram.calls["getUpdates"] or telegram.calls["setWebhook"])


async def until(condition: Callable[[], Any], patience: float = 60) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(patience):
        while not condition():  # noqa: ASYNC110 (the server's state has no event for everything)
            await asyncio.sleep(0.01)


async def answers(telegram: Telegram, chat_id: int, count: int, patience: float = 60) -> list[Json]:
    """Wait for so many messages of the bot in a chat."""
    await until(lambda: len(telegram.said_by_bot(chat_id)) >= count, patience)
    return telegram.said_by_bot(chat_id)


async def idle(telegram: Telegram) -> None:
    """Wait until the bot has dealt with everything."""
    async with asyncio.timeout(30):
        await telegram.updates.drained()


def buttons(message: Json) -> dict[str, str]:
    rows = message.get("reply_markup", {}).get("inline_keyboard", [])
    return {button["text"]: button["callback_data"] for row in rows for button in row}


def sign_in(message: Json) -> Sign:
    """The sign in the title of an answer."""
    return parse_sign(message["text"].split("\n")[0])


PRODUCT = """
import asyncio, sys
sys.path.insert(0, {tests!r})
from horoscope.bot.application import run_all
from horoscope.settings import Settings
from test_worker import Quill
asyncio.run(run_all(Settings.model_validate({settings!r}), Quill()))
"""


async def start_process(url: str, directory: Path, **settings: Any) -> asyncio.subprocess.Process:
    given = {"telegram_token": TOKEN, "telegram_api_url": url, "data": str(directory), **settings}
    code = PRODUCT.format(tests=str(Path(__file__).parent), settings=given)
    return await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, stderr=asyncio.subprocess.DEVNULL
    )
