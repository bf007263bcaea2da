"""All that the bot says goes through here: in Telegram's time, until Telegram has taken it."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from aiogram import Bot
from aiogram.exceptions import (
    TelegramBadRequest,
    TelegramEntityTooLarge,
    TelegramForbiddenError,
    TelegramMigrateToChat,
    TelegramRetryAfter,
)
from aiogram.methods import TelegramMethod

from horoscope.bot.pacing import GROUP_WINDOW_S, MESSAGE_GAP_S, ChatPace, Turns
from horoscope.bot.telegram import FAILURES, in_one_line, was_accepted
from horoscope.patience import pauses

R = TypeVar("R")
Settled = Callable[[], Awaitable[bool]]

REFUSALS = (TelegramBadRequest, TelegramForbiddenError, TelegramEntityTooLarge)
"""Errors that will be the same however often one tries."""

CALL_TIMEOUT_S = 30
COURTESY_TIMEOUT_S = 10
NICETY_TIMEOUT_S = 3

logger = logging.getLogger(__name__)


class _Lane:
    """What is said in one chat goes one after the other, beside all other chats."""

    def __init__(self, chat_id: int) -> None:
        self.lock = asyncio.Lock()
        self.pace = ChatPace(chat_id)
        self.pending = 0


class Outbox:
    """Sends method calls to Telegram within its rates; a chat that must wait delays no other."""

    def __init__(self, bot: Bot, calls_per_second: int) -> None:
        self._bot = bot
        self._turns = Turns(calls_per_second)
        self._lanes: dict[int, _Lane] = {}
        self._no_niceties_until = 0.0
        self._in_trouble = False

    @property
    def roomy(self) -> bool:
        """Whether there is time for niceties."""
        return self._turns.roomy and self._now() >= self._no_niceties_until

    def share_rate(self, share: Callable[[], float]) -> None:
        """Use only that part of Telegram's rate, from 0 to 1; it may change at any time."""
        self._turns.share = share

    async def send(self, chat_id: int, method: TelegramMethod[R]) -> R | None:
        """Say something in a chat in its turn; see Chat.send."""
        async with self.chat(chat_id) as chat:
            return await chat.send(method)

    @asynccontextmanager
    async def chat(self, chat_id: int) -> AsyncIterator["Chat"]:
        """Have a chat to oneself, once it is one's turn."""
        lane = self._lane(chat_id)
        lane.pending += 1
        try:
            async with lane.lock:
                yield Chat(self, lane)
        finally:
            lane.pending -= 1
            self._forget_later(chat_id)

    async def courtesy(self, method: TelegramMethod[Any]) -> None:
        """Answer a tap or an inline query: behind all messages, soon or never, errors or not."""
        try:
            async with asyncio.timeout(COURTESY_TIMEOUT_S), self._turns.turn(behind=True):
                await self._bot(method, request_timeout=COURTESY_TIMEOUT_S)
        except (*FAILURES, TimeoutError) as error:
            logger.debug("%s: %s", method.__api_method__, in_one_line(error, self._bot))

    async def nicety(self, method: TelegramMethod[R]) -> R | None:
        """Show that something is going on, if there is time for it at once; None if not."""
        if not self.roomy:
            return None
        async with self._turns.turn():
            return await self._try(method)

    async def nicety_in_chat(self, chat_id: int, method: TelegramMethod[R]) -> R | None:
        """The same with a message, which counts in its chat."""
        lane = self._lane(chat_id)
        if lane.lock.locked() or not lane.pace.is_roomy or not self.roomy:
            return None
        async with self.chat(chat_id), self._turns.turn():
            try:
                return await self._try(method)
            finally:
                lane.pace.said()

    async def _try(self, method: TelegramMethod[R]) -> R | None:
        try:
            return await self._bot(method, request_timeout=NICETY_TIMEOUT_S)
        except TelegramRetryAfter as error:
            self._no_niceties_until = self._now() + error.retry_after
        except FAILURES as error:
            logger.debug("%s: %s", method.__api_method__, in_one_line(error, self._bot))
        return None

    async def insist(
        self, lane: _Lane, method: TelegramMethod[R], settled: Settled | None
    ) -> R | None:
        """Call until Telegram has taken it; Chat.send is the way here."""
        pause = pauses()
        while True:
            await asyncio.sleep(lane.pace.wait_s)
            try:
                async with self._turns.turn():
                    if settled and await settled():
                        return None
                    try:
                        taken = await self._bot(method, request_timeout=CALL_TIMEOUT_S)
                    finally:
                        lane.pace.said()
                self._note_success()
                return taken
            except TelegramRetryAfter as error:
                logger.info("Telegram lets one chat wait %d s.", error.retry_after)
                await asyncio.sleep(error.retry_after)
            except TelegramMigrateToChat as error:
                method = method.model_copy(update={"chat_id": error.migrate_to_chat_id})
            except REFUSALS:
                raise
            except FAILURES as error:
                if was_accepted(error):
                    return None
                self._note_trouble(error)
                await asyncio.sleep(next(pause))

    def _note_trouble(self, error: Exception) -> None:
        if not self._in_trouble:
            logger.warning("Sending waits for Telegram: %s", in_one_line(error, self._bot))
        self._in_trouble = True

    def _note_success(self) -> None:
        if self._in_trouble:
            logger.warning("Telegram takes messages again.")
        self._in_trouble = False

    def _lane(self, chat_id: int) -> _Lane:
        if chat_id not in self._lanes:
            self._lanes[chat_id] = _Lane(chat_id)
        return self._lanes[chat_id]

    def _forget_later(self, chat_id: int) -> None:
        window = GROUP_WINDOW_S if chat_id < 0 else MESSAGE_GAP_S
        asyncio.get_running_loop().call_later(window + 1, self._forget, chat_id)

    def _forget(self, chat_id: int) -> None:
        lane = self._lanes.get(chat_id)
        if lane and not lane.pending and not lane.lock.locked() and lane.pace.is_forgettable:
            del self._lanes[chat_id]

    def _now(self) -> float:
        return asyncio.get_running_loop().time()


class Chat:
    """A chat while one has it to oneself."""

    def __init__(self, outbox: Outbox, lane: _Lane) -> None:
        self._outbox = outbox
        self._lane = lane

    async def send(self, method: TelegramMethod[R], settled: Settled | None = None) -> R | None:
        """Return once Telegram has taken it, however long it takes.

        429 is waited out, what can heal is tried again. Returns None if Telegram took it and its
        answer could not be understood, or if it was `settled` otherwise when its turn came.
        Raises one of REFUSALS.
        """
        return await self._outbox.insist(self._lane, method, settled)
