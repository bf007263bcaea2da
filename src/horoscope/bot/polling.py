"""Long polling: take what is new, handle it side by side, acknowledge what is durable.

Telegram forgets all updates before the offset of a getUpdates call. aiogram's own polling moves
the offset before updates are handled, or handles them one by one; here it stays at the oldest
update that is not dealt with, while all others go on.
"""

import asyncio
import logging
from typing import Any

from aiogram import Bot
from aiogram.exceptions import TelegramConflictError, TelegramRetryAfter

from horoscope.bot.telegram import (
    FAILURES,
    WRONG_TOKEN,
    GetRawUpdates,
    in_one_line,
    wrong_token,
)
from horoscope.bot.updates import Updates
from horoscope.patience import insist, pauses

LONG_POLL_S = 25
# With an update unfinished, Telegram repeats it at once instead of waiting for news.
STRAGGLER_PAUSE_S = 0.3
STOP_S = 3.0

logger = logging.getLogger(__name__)


class Polling:
    """Asks Telegram for updates."""

    def __init__(self, bot: Bot, updates: Updates) -> None:
        self._bot = bot
        self._updates = updates
        self._next = 0  # after the newest update
        self._seen: set[int] = set()  # those that Telegram may show again
        self._acknowledged = 0
        self._unfinished: dict[int, asyncio.Task[None]] = {}
        self._trouble = ""

    async def run(self) -> None:
        """Poll until cancelled, then finish what is under way. Raises InputError: wrong token."""
        try:
            await self._end_webhook()
            while True:
                for raw in await self._get():
                    self._begin(raw)
                if self._unfinished:
                    await asyncio.wait(self._unfinished.values(), timeout=STRAGGLER_PAUSE_S)
        finally:
            await self._finish()

    async def _end_webhook(self) -> None:
        # While Telegram has an address to call, it refuses to be asked.
        try:
            await self._bot.delete_webhook()
        except FAILURES as error:
            logger.debug("deleteWebhook: %s", in_one_line(error, self._bot))

    @property
    def _offset(self) -> int:
        return min(self._unfinished, default=self._next)

    def _begin(self, raw: dict[str, Any]) -> None:
        number = raw["update_id"]
        if number in self._seen:
            return
        # Not the largest number: after a quiet week Telegram begins anew anywhere.
        self._next = number + 1
        self._seen.add(number)
        task = asyncio.create_task(insist(lambda: self._updates.handle(raw)))
        self._unfinished[number] = task
        task.add_done_callback(lambda _: self._unfinished.pop(number))

    async def _get(self) -> list[dict[str, Any]]:
        """The next updates, oldest first; waits for them, and for Telegram."""
        pause = pauses()
        while True:
            offset = self._offset
            call = GetRawUpdates(offset=offset, timeout=LONG_POLL_S, limit=100)
            began = asyncio.get_running_loop().time()
            try:
                raws = await self._bot(call, request_timeout=LONG_POLL_S + 10)
            except WRONG_TOKEN:
                raise wrong_token() from None
            except TelegramRetryAfter as error:
                await asyncio.sleep(error.retry_after)
            except FAILURES as error:
                self._note_trouble(error)
                await asyncio.sleep(next(pause))
            else:
                if self._trouble:
                    logger.warning("Telegram gives updates again.")
                    self._trouble = ""
                self._acknowledged = offset
                self._seen = {number for number in self._seen if number >= offset}
                if not raws and asyncio.get_running_loop().time() - began < STRAGGLER_PAUSE_S:
                    await asyncio.sleep(STRAGGLER_PAUSE_S)  # a server that does not wait
                return sorted(raws, key=lambda raw: int(raw["update_id"]))

    def _note_trouble(self, error: Exception) -> None:
        if isinstance(error, TelegramConflictError):
            trouble = (
                "Another program asks for the updates of this bot; stop it, or make a second bot"
                " with @BotFather. Trying again until it is gone."
            )
        else:
            trouble = f"No updates from Telegram: {in_one_line(error, self._bot)}. Trying again."
        if trouble != self._trouble:
            logger.warning(trouble)
        self._trouble = trouble

    async def _finish(self) -> None:
        if self._unfinished:
            _, late = await asyncio.wait(self._unfinished.values(), timeout=STOP_S)
            for task in late:
                task.cancel()
        if self._offset > self._acknowledged:
            call = GetRawUpdates(offset=self._offset, timeout=0, limit=1)
            try:
                await self._bot(call, request_timeout=2)
            except FAILURES as error:
                logger.info("Not acknowledged: %s", in_one_line(error, self._bot))
