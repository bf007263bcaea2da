"""Delivery: replies from the broker go to where the question came from, each visible once."""

import asyncio
import logging
from datetime import UTC, datetime, timedelta
from textwrap import shorten
from zoneinfo import ZoneInfo

from aiogram.exceptions import TelegramBadRequest
from aiogram.methods import AnswerInlineQuery, DeleteMessage, EditMessageText
from aiogram.types import InlineQueryResultArticle, InputTextMessageContent

from horoscope.bot import keyboards, texts
from horoscope.bot.outbox import REFUSALS, Chat, Outbox
from horoscope.bot.preview import Preview
from horoscope.bot.store import Store, StoreUnavailableError
from horoscope.bot.voice import NO_PREVIEW, message_to
from horoscope.messaging.broker import Broker, batches
from horoscope.messaging.broker import Delivery as Parcel
from horoscope.messaging.messages import ErrorCode, HoroscopeReply
from horoscope.observability import metrics, tracing
from horoscope.observability.logs import about
from horoscope.patience import insist

BATCH = 100
# Answers on their way at a time; those to chats that Telegram lets wait are among them.
MOST = 2000
INLINE_CACHE_S = 3600
APOLOGY_GAP_S = 60
DESCRIPTION = 120  # characters under the title of an inline result

logger = logging.getLogger(__name__)


class Delivery:
    """Takes replies from the broker to Telegram."""

    def __init__(
        self, broker: Broker, store: Store, outbox: Outbox, preview: Preview, timezone: str
    ) -> None:
        self._broker = broker
        self._store = store
        self._outbox = outbox
        self._preview = preview
        self._zone = ZoneInfo(timezone)
        self._room = asyncio.Semaphore(MOST)
        self._under_way: set[asyncio.Task[None]] = set()
        metrics.DELIVERIES_IN_FLIGHT.set_function(lambda: len(self._under_way))

    async def run(self) -> None:
        """Deliver until cancelled; then finish what is under way, until cancelled again."""
        replies = self._broker.subscribe(HoroscopeReply, BATCH)
        # Bots share Telegram's rate as they share the replies.
        self._outbox.share_rate(lambda: replies.share)
        try:
            async for batch in batches(replies):
                for parcel in batch:
                    await self._room.acquire()
                    task = asyncio.create_task(self._deliver(parcel))
                    self._under_way.add(task)
                    task.add_done_callback(self._note_end)
        finally:
            try:
                while self._under_way:
                    await asyncio.wait(self._under_way)
            finally:
                for task in self._under_way:
                    task.cancel()
                await replies.close()

    def _note_end(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        self._room.release()

    async def _deliver(self, parcel: Parcel[HoroscopeReply]) -> None:
        reply = parcel.message
        request = reply.request.id
        try:
            with tracing.span("deliver", request, parcel.headers):
                if reply.request.address.inline_query_id is not None:
                    await self._answer_inline(reply)
                else:
                    await self._answer_in_chat(reply)
        except Exception as error:  # a fault of ours must not stop the other answers
            metrics.FAILURES.labels("delivery").inc()
            logger.exception("request %s cannot be answered", request, extra=about(request))
            reason = f"{type(error).__name__}: {error}"
            await insist(lambda: parcel.reject(reason))
            return
        await insist(parcel.done)

    async def _answer_in_chat(self, reply: HoroscopeReply) -> None:
        request = reply.request
        await self._preview.end(request.id)
        # Nobody else says anything in the chat from the look to the note, so that an answer that
        # comes twice is seen once; another bot may have taken over meanwhile, so a last look is
        # taken when it is our turn. What remains: killed after Telegram took the answer and before
        # it is noted, the bot answers once more.
        async with self._outbox.chat(request.address.chat_id) as chat:
            progress = await insist(lambda: self._store.progress(request.id))
            if progress.answered:
                return
            if not await self._is_one_of_many(reply):
                await self._put(chat, reply, progress.placeholder)
            try:
                placeholder = await self._store.note_answered(request.id)
                if placeholder not in {None, progress.placeholder}:
                    # Another bot began to show the text while this one answered.
                    await self._outbox.courtesy(
                        DeleteMessage(chat_id=request.address.chat_id, message_id=placeholder)
                    )
            except StoreUnavailableError as error:
                logger.warning("request %s may be answered again: %s", request.id, error)

    async def _is_one_of_many(self, reply: HoroscopeReply) -> bool:
        """Whether a group got its apology for what expired already."""
        chat_id = reply.request.address.chat_id
        if reply.error is not ErrorCode.EXPIRED or chat_id > 0:
            return False
        first = await insist(lambda: self._store.first_time("missed", chat_id, APOLOGY_GAP_S))
        return not first

    async def _put(self, chat: Chat, reply: HoroscopeReply, placeholder: int | None) -> None:
        request = reply.request

        async def is_answered() -> bool:
            return (await insist(lambda: self._store.progress(request.id))).answered

        try:
            if placeholder is None or not await self._replace(chat, reply, placeholder):
                keyboard = keyboards.under_answer(request.sign, request.topic)
                content = texts.answer(reply).as_kwargs()
                await chat.send(message_to(request.address, keyboard, **content), is_answered)
        except REFUSALS as error:
            metrics.FAILURES.labels("telegram").inc()
            said = about(request.id)
            logger.info("request %s ends unanswered: %s", request.id, error.message, extra=said)
        else:
            _note_answer(reply)

    async def _replace(self, chat: Chat, reply: HoroscopeReply, placeholder: int) -> bool:
        """Make the answer of the message that showed it growing; False if that is gone."""
        request = reply.request
        edit = EditMessageText(
            chat_id=request.address.chat_id,
            message_id=placeholder,
            reply_markup=keyboards.under_answer(request.sign, request.topic),
            link_preview_options=NO_PREVIEW,
            **texts.answer(reply).as_kwargs(),
        )
        try:
            await chat.send(edit)
        except TelegramBadRequest as error:
            return "message is not modified" in error.message
        return True

    async def _answer_inline(self, reply: HoroscopeReply) -> None:
        request = reply.request
        if not reply.text or request.expired():
            return
        now = datetime.now(self._zone)
        midnight = (now + timedelta(days=1)).replace(hour=0, minute=0, second=0)
        content = texts.horoscope(request, reply.text).as_kwargs()
        await self._outbox.courtesy(
            AnswerInlineQuery(
                inline_query_id=request.address.inline_query_id or "",
                # An empty query means another sign for each person.
                is_personal=True,
                cache_time=min(INLINE_CACHE_S, int((midnight - now).total_seconds())),
                results=[
                    InlineQueryResultArticle(
                        id=f"{request.sign}-{request.date}",
                        title=texts.title(request),
                        description=shorten(reply.text, DESCRIPTION, placeholder="…"),
                        input_message_content=InputTextMessageContent(
                            message_text=content["text"],
                            entities=content["entities"],
                            parse_mode=None,
                            link_preview_options=NO_PREVIEW,
                        ),
                    )
                ],
            )
        )


def _note_answer(reply: HoroscopeReply) -> None:
    request = reply.request
    took = (datetime.now(UTC) - request.created_at).total_seconds()
    if reply.text:
        metrics.ANSWERS.inc()
        metrics.ANSWER_SECONDS.observe(took)
    logger.info("request %s answered after %.3f s", request.id, took, extra=about(request.id))
