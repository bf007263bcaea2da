"""What the bot says besides horoscopes: short messages, and answers to taps."""

import asyncio
import logging
from collections import Counter
from collections.abc import Coroutine
from typing import Any

from aiogram.methods import AnswerCallbackQuery, SendMessage, TelegramMethod
from aiogram.types import InlineKeyboardMarkup, LinkPreviewOptions, ReplyParameters

from horoscope.bot.outbox import REFUSALS, Outbox
from horoscope.messaging.messages import Address

# So long a message holds its update back. After that the update counts as handled, and the
# message goes on waiting for Telegram in memory: a chat in its minute of silence must not keep
# the updates of all others waiting.
HOLD_S = 2.0
# Who writes faster than Telegram lets us answer gets no answer to what is over this; a group has
# many who write.
PENDING = 3
GROUP_PENDING = 12

NO_PREVIEW = LinkPreviewOptions(is_disabled=True)

logger = logging.getLogger(__name__)


def message_to(
    address: Address, keyboard: InlineKeyboardMarkup | None = None, **content: Any
) -> SendMessage:
    """The message with `content` (text, entities) that answers at an address."""
    reply = None
    if address.reply_to is not None:
        reply = ReplyParameters(message_id=address.reply_to, allow_sending_without_reply=True)
    return SendMessage(
        chat_id=address.chat_id,
        message_thread_id=address.thread_id,
        reply_parameters=reply,
        reply_markup=keyboard,
        link_preview_options=NO_PREVIEW,
        **{"parse_mode": None, **content},
    )


class Voice:
    """Says things; Telegram's refusals end in a log line."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self._saying: set[asyncio.Task[None]] = set()
        self._waiting: Counter[int] = Counter()  # messages by chat

    async def say(
        self, address: Address, text: str, keyboard: InlineKeyboardMarkup | None = None
    ) -> None:
        """Say something in answer to an update; return when it is said, or after HOLD_S."""
        await self._in_chat(address.chat_id, message_to(address, keyboard, text=text))

    async def change(self, chat_id: int, method: TelegramMethod[Any]) -> None:
        """Change something that was said."""
        await self._in_chat(chat_id, method)

    def toast(self, callback_query_id: str, text: str | None = None) -> None:
        """Answer a tap, so that its button comes to rest."""
        self.courtesy(AnswerCallbackQuery(callback_query_id=callback_query_id, text=text))

    def courtesy(self, method: TelegramMethod[Any]) -> None:
        """Answer what wants an answer soon or not at all."""
        self._begin(self._outbox.courtesy(method))

    async def run(self) -> None:
        """Wait until cancelled, then until all is said, until cancelled again."""
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            while self._saying:
                await asyncio.wait(self._saying)

    async def _in_chat(self, chat_id: int, method: TelegramMethod[Any]) -> None:
        if self._waiting[chat_id] < (PENDING if chat_id > 0 else GROUP_PENDING):
            self._waiting[chat_id] += 1
            await asyncio.wait([self._begin(self._send(chat_id, method))], timeout=HOLD_S)

    async def _send(self, chat_id: int, method: TelegramMethod[Any]) -> None:
        try:
            await self._outbox.send(chat_id, method)
        except REFUSALS as error:
            logger.info("%s refused: %s", method.__api_method__, error.message)
        finally:
            self._waiting[chat_id] -= 1
            if not self._waiting[chat_id]:
                del self._waiting[chat_id]

    def _begin(self, coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(coroutine)
        self._saying.add(task)
        task.add_done_callback(self._saying.discard)
        return task
