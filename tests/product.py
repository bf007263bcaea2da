"""The whole product in the test's process, against a scripted Telegram, with a writer of a test."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from scripted_telegram import TOKEN, Call, ScriptedTelegram

from horoscope.bot.application import run_all
from horoscope.settings import Settings
from horoscope.worker import Writer

GROUP = -1001


class Product:
    """What a test may do with the product: send it updates, and see what it calls."""

    def __init__(self, telegram: ScriptedTelegram, directory: Path, **settings: Any) -> None:
        self.telegram = telegram
        self.settings = Settings.model_validate(
            {
                "telegram_token": TOKEN,
                "telegram_api_url": telegram.url,
                "data": directory,
                "webhook_host": "127.0.0.1",
                **settings,
            }
        )
        self._messages = 10

    @asynccontextmanager
    async def running(self, writer: Writer) -> AsyncIterator["asyncio.Task[None]"]:
        task = asyncio.create_task(run_all(self.settings, writer))
        try:
            await self.telegram.seen(lambda: self.telegram.of("getUpdates") or task.done())
            yield task
        finally:
            task.cancel()
            await asyncio.wait([task])
        if not task.cancelled():
            task.result()

    def message(
        self, text: str | None, chat: int = 1, user: int = 0, **more: Any
    ) -> dict[str, Any]:
        """A message as Telegram writes it; in a private chat the person is the chat."""
        self._messages += 1
        content = {} if text is None else {"text": text}
        return {
            "message_id": self._messages,
            "date": int(time.time()),
            "chat": {"id": chat, "type": "private" if chat > 0 else "supergroup", "title": "Г"},
            "from": {"id": user or abs(chat), "is_bot": False, "first_name": "Аня"},
            **content,
            **more,
        }

    def say(self, text: str | None, chat: int = 1, user: int = 0, **more: Any) -> dict[str, Any]:
        """A person writes something."""
        return self.telegram.push(message=self.message(text, chat, user, **more))

    def tap(self, data: str | None, chat: int = 1, user: int = 0, **more: Any) -> dict[str, Any]:
        """A person taps a button."""
        message = self.message("Здравствуйте!", chat) | {
            "from": {"id": 42, "is_bot": True, "first_name": "Звёзды"}
        }
        query = {
            "id": f"q{len(self.telegram.updates)}",
            "from": {"id": user or abs(chat), "is_bot": False, "first_name": "Аня"},
            "chat_instance": "1",
            "message": message,
            **({} if data is None else {"data": data}),
        }
        return self.telegram.push(callback_query=query | more)

    async def sent(self, count: int, method: str = "sendMessage") -> list[Call]:
        """Wait for the first `count` calls of a method."""
        await self.telegram.seen(lambda: len(self.telegram.of(method)) >= count)
        return self.telegram.of(method)

    async def handled(self) -> None:
        """Wait until all updates so far are acknowledged."""
        wanted = len(self.telegram.updates) + 1
        await self.telegram.seen(
            lambda: any(
                int(call.params["offset"]) >= wanted for call in self.telegram.of("getUpdates")
            )
        )
