"""From what a person wants to a durable request: its identity, the limits, the publishing."""

import hashlib
import logging
from datetime import UTC, datetime, timedelta
from typing import cast
from zoneinfo import ZoneInfo

from aiogram.types import (
    CallbackQuery,
    InaccessibleMessage,
    InlineQuery,
    MaybeInaccessibleMessageUnion,
    Message,
    Update,
)

from horoscope.bot import texts
from horoscope.bot.outbox import Outbox
from horoscope.bot.preview import Preview
from horoscope.bot.store import Admission, Limits, Store
from horoscope.bot.voice import Voice
from horoscope.messaging.broker import Broker, BrokerUnavailableError
from horoscope.messaging.messages import Address, HoroscopeRequest
from horoscope.observability import metrics, tracing
from horoscope.observability.logs import about
from horoscope.settings import Settings
from horoscope.zodiac import Sign, Topic

logger = logging.getLogger(__name__)

INLINE_ANSWER_S = 10  # Telegram takes no answer to an inline query that is older
SAY_AGAIN_S = 60

REFUSALS = {
    Admission.BUSY: texts.BUSY,
    Admission.PERSON_LIMIT: texts.PERSON_LIMIT,
    Admission.GROUP_LIMIT: texts.GROUP_LIMIT,
}


class Asking:
    """Takes wishes for horoscopes, and passes them on to whoever writes."""

    def __init__(
        self,
        settings: Settings,
        broker: Broker,
        store: Store,
        outbox: Outbox,
        voice: Voice,
        preview: Preview,
    ) -> None:
        self._broker = broker
        self._store = store
        self._outbox = outbox
        self._voice = voice
        self._preview = preview
        self._limits = Limits(settings.person_limit, settings.group_limit)
        self._answer_within = settings.answer_within
        self._zone = ZoneInfo(settings.timezone)

    async def ask(
        self, update: Update, address: Address, sign: Sign, topic: Topic, *, fresh: bool
    ) -> str:
        """Return once the request is durable; what to say to the person if it was refused.

        A refusal is worth a word once a minute: other times it is "". Raises
        BrokerUnavailableError and StoreUnavailableError: the update must come again then.
        """
        request = self._request(update, address, sign, topic, fresh, self._answer_within)
        admission = await self._store.admit(request, self._limits)
        if admission in REFUSALS:
            metrics.REFUSED.labels(admission.value).inc()
            return REFUSALS[admission] if await self._is_new(address, admission.value) else ""
        if admission is Admission.ADMITTED:
            try:
                await self._publish(request, "button" if update.callback_query else "words")
            except BrokerUnavailableError:
                if await self._is_new(address, "later"):
                    await self._voice.say(address, texts.LATER)
                raise
            if request.stream:
                self._preview.begin(request)
        return ""

    async def ask_inline(self, update: Update, address: Address, sign: Sign) -> None:
        """Ask for the horoscope of the day in answer to an inline query."""
        request = self._request(update, address, sign, Topic.GENERAL, False, INLINE_ANSWER_S)
        await self._publish(request, "inline")

    async def _publish(self, request: HoroscopeRequest, source: str) -> None:
        with tracing.span("ask", request.id):
            await self._broker.publish(request)
        metrics.REQUESTS.labels(source).inc()
        logger.info("request %s is taken", request.id, extra=about(request.id))

    async def _is_new(self, address: Address, what: str) -> bool:
        of_the_chat = what == Admission.GROUP_LIMIT.value or address.user_id is None
        subject = address.chat_id if of_the_chat else address.user_id
        return await self._store.first_time(what, cast(int, subject), SAY_AGAIN_S)

    def _request(
        self,
        update: Update,
        address: Address,
        sign: Sign,
        topic: Topic,
        fresh: bool,
        answer_within: int,
    ) -> HoroscopeRequest:
        identity = identify(update)
        number = int.from_bytes(hashlib.blake2b(identity.encode(), digest_size=8).digest(), "big")
        now = datetime.now(UTC)
        inline = address.inline_query_id is not None
        return HoroscopeRequest(
            id=identity,
            sign=sign,
            topic=topic,
            date=now.astimezone(self._zone).date(),
            address=address
            if inline
            else address.model_copy(update={"draft_id": number % (2**31 - 1) + 1}),
            created_at=now,
            expires_at=now + timedelta(seconds=answer_within),
            seed=number % 2**53 if fresh else None,
            stream=not inline and self._outbox.roomy,
        )


def identify(update: Update) -> str:
    """What names the request of an update: the same for the same update, however often it comes.

    The number alone would do in Telegram. With the message and its time it also tells apart the
    updates of two Bot API servers that both count from one.
    """
    event = update.event
    if isinstance(event, CallbackQuery):
        message = event.message
        what = f"{event.id}/{_where(message)}" if message else event.id
    elif isinstance(event, InlineQuery):
        what = event.id
    elif isinstance(event, Message):
        what = _where(event)
    else:
        what = update.event_type
    digest = hashlib.blake2b(what.encode(), digest_size=6).hexdigest()
    return f"{update.update_id}-{digest}"


def _where(message: MaybeInaccessibleMessageUnion) -> str:
    date = message.date if isinstance(message, InaccessibleMessage) else message.date.timestamp()
    return f"{message.chat.id}/{message.message_id}/{date}"
