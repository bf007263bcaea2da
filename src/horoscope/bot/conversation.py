"""The conversation: what the bot does when it is written to, tapped on, or asked inline."""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from aiogram import Dispatcher
from aiogram.enums import ContentType
from aiogram.filters import Command
from aiogram.filters.callback_data import CallbackData
from aiogram.methods import AnswerInlineQuery, EditMessageReplyMarkup
from aiogram.types import (
    CallbackQuery,
    InaccessibleMessage,
    InlineQuery,
    InlineQueryResultsButton,
    MaybeInaccessibleMessageUnion,
    Message,
    MessageGenerationStopped,
    Update,
    User,
)

from horoscope.bot import keyboards, texts
from horoscope.bot.asking import Asking
from horoscope.bot.keyboards import Fresh, OtherSign, Remember, Today
from horoscope.bot.store import Store
from horoscope.bot.understanding import is_certain, leaves_sign_open, names_sign, topic_in
from horoscope.bot.voice import Voice
from horoscope.messaging.broker import Broker
from horoscope.messaging.messages import Address, StopRequest
from horoscope.zodiac import Sign, Topic, UnknownSignError, parse_request, parse_sign

# Telegram keeps an update for a day; what seems older comes from a clock that is wrong.
KEPT = timedelta(hours=25)
CHOOSE_SIGN_LINK = "sign"  # the payload of /start behind the inline button
# What people send that is not words; everything else without words is Telegram's own notes.
MEDIA = {
    *(ContentType.ANIMATION, ContentType.AUDIO, ContentType.CONTACT, ContentType.DICE),
    *(ContentType.CHECKLIST, ContentType.DOCUMENT, ContentType.GAME, ContentType.LIVE_PHOTO),
    *(ContentType.LOCATION, ContentType.PAID_MEDIA, ContentType.PHOTO, ContentType.POLL),
    *(ContentType.STICKER, ContentType.STORY, ContentType.VENUE, ContentType.VIDEO),
    *(ContentType.VIDEO_NOTE, ContentType.VOICE),
}


@dataclass(frozen=True)
class Heard:
    """What a person said to the bot."""

    update: Update
    address: Address
    words: str
    """Without the command and without the bot's name."""
    command: str | None = None
    patiently: bool = True
    """Whether to answer even what is not understood: people talk beside the bot in groups."""


class Conversation:
    """Answers people."""

    def __init__(
        self,
        me: User,
        broker: Broker,
        store: Store,
        asking: Asking,
        voice: Voice,
        answer_within: int,
    ) -> None:
        self._me = me
        self._mention = re.compile(rf"@{me.username}\b", re.IGNORECASE)
        self._broker = broker
        self._store = store
        self._asking = asking
        self._voice = voice
        self._answer_within = timedelta(seconds=answer_within)
        self._commands: dict[str, Callable[[Heard], Awaitable[None]]] = {
            "start": self._start,
            "help": self._help,
            "generate": self._generate,
            "today": self._today,
            "sign": self._sign,
            "forget": self._forget,
        }

    def dispatcher(self) -> Dispatcher:
        """What hands updates to the methods below."""
        dispatcher = Dispatcher(disable_fsm=True)
        dispatcher.message.register(self.hear)
        dispatcher.callback_query.register(self.feel_tap)
        dispatcher.inline_query.register(self.offer)
        dispatcher.stopped_message_generation.register(self.stop)
        return dispatcher

    async def hear(self, message: Message, event_update: Update) -> None:
        """Answer a message."""
        heard = self._make_out(message, event_update)
        if heard is None:
            return
        too_old = self._answer_within < datetime.now(UTC) - message.date < KEPT
        if too_old and heard.command != "forget":
            chat_id = message.chat.id
            if await self._store.first_time("missed", chat_id, self._answer_within.total_seconds()):
                await self._voice.say(heard.address, texts.MISSED)
            return
        if heard.command is None:
            await self._talk(heard)
        elif heard.command in self._commands:
            await self._commands[heard.command](heard)
        elif names_sign(heard.words):
            await self._talk(heard)
        else:
            await self._voice.say(heard.address, texts.UNKNOWN_COMMAND)

    async def feel_tap(self, query: CallbackQuery, event_update: Update) -> None:
        """Do what a button says."""
        tap = _unpack(query.data)
        if tap is None or query.message is None:
            self._voice.toast(query.id, texts.OLD_BUTTON)
            return
        address = _address(query.message, query.from_user.id)
        refusal = ""
        match tap:
            case Fresh(sign=sign, topic=topic):
                refusal = await self._asking.ask(event_update, address, sign, topic, fresh=True)
            case Today(sign=sign):
                refusal = await self._asking.ask(
                    event_update, address, sign, Topic.GENERAL, fresh=False
                )
            case Remember(sign=sign):
                await self._remember(address, sign)
            case OtherSign(topic=topic):
                await self._voice.change(
                    address.chat_id,
                    EditMessageReplyMarkup(
                        chat_id=address.chat_id,
                        message_id=query.message.message_id,
                        reply_markup=keyboards.fresh_signs(topic),
                    ),
                )
        self._voice.toast(query.id, refusal or None)

    async def offer(self, query: InlineQuery, event_update: Update) -> None:
        """Offer the horoscope of the day in any chat."""
        sign: Sign | None
        try:
            sign = parse_sign(query.query)
        except UnknownSignError as error:
            # What is offered may be a guess: the person sees it before choosing it.
            sign = error.suggestion
            if not query.query.strip():
                sign = await self._store.sign_of(query.from_user.id)
        if sign is not None:
            person = query.from_user.id
            address = Address(chat_id=person, user_id=person, inline_query_id=query.id)
            await self._asking.ask_inline(event_update, address, sign)
            return
        self._voice.courtesy(
            AnswerInlineQuery(
                inline_query_id=query.id,
                results=[],
                cache_time=0,
                is_personal=True,
                button=InlineQueryResultsButton(
                    text=texts.INLINE_BUTTON, start_parameter=CHOOSE_SIGN_LINK
                ),
            )
        )

    async def stop(self, stopped: MessageGenerationStopped) -> None:
        """End a text that a person has read enough of."""
        await self._broker.publish(StopRequest(chat_id=stopped.chat.id, draft_id=stopped.draft_id))

    def _make_out(self, message: Message, update: Update) -> Heard | None:
        """What a message says to the bot, or None if it is not for the bot."""
        by_bot = message.from_user is not None and message.from_user.is_bot
        if message.via_bot or (by_bot and not message.sender_chat):
            return None
        sender = message.sender_chat or message.from_user
        address = _address(message, sender.id if sender else None)
        words = message.text or message.caption or ""
        if message.sticker:
            words = message.sticker.emoji or ""
        if words.startswith("/"):
            said = Command.extract_command(words)
            mine = bool(said.mention and self._mention.fullmatch(f"@{said.mention}"))
            command = said.command.lower()
            if said.mention and not mine:
                return None
            if _is_group(message) and not mine and command not in self._commands:
                return None
            known = command in self._commands
            return Heard(update, address, (said.args or "") if known else words, command)
        words, mentions = self._mention.subn("", words)
        if not _is_group(message):
            return Heard(update, address, words) if words or message.content_type in MEDIA else None
        if mentions:
            return Heard(update, address, words, None if words.strip() else "generate")
        answered = message.reply_to_message
        if words and answered and answered.from_user and answered.from_user.id == self._me.id:
            return Heard(update, address, words, patiently=False)
        return None

    async def _start(self, heard: Heard) -> None:
        if heard.words.strip() == CHOOSE_SIGN_LINK:
            await self._sign(Heard(heard.update, heard.address, ""))
            return
        await self._voice.say(heard.address, texts.START, keyboards.fresh_signs())

    async def _help(self, heard: Heard) -> None:
        await self._voice.say(
            heard.address, texts.HELP.format(username=self._me.username), keyboards.fresh_signs()
        )

    async def _generate(self, heard: Heard) -> None:
        if heard.words.strip():
            await self._ask_for_words(heard)
        elif sign := await self._own_sign(heard):
            await self._ask(heard, sign, Topic.GENERAL, fresh=True)
        else:
            await self._voice.say(heard.address, texts.CHOOSE, keyboards.fresh_signs())

    async def _today(self, heard: Heard) -> None:
        sign = await self._own_sign(heard)
        if heard.words.strip():
            try:
                sign = parse_sign(heard.words)
            except UnknownSignError as error:
                await self._ask_back(heard, error, lambda sign: Today(sign=sign))
                return
        if sign:
            await self._ask(heard, sign, Topic.GENERAL, fresh=False)
        else:
            await self._voice.say(
                heard.address,
                texts.CHOOSE_TODAY,
                keyboards.signs(lambda sign: Today(sign=sign)),
            )

    async def _sign(self, heard: Heard) -> None:
        if heard.words.strip():
            try:
                await self._remember(heard.address, parse_sign(heard.words))
            except UnknownSignError as error:
                await self._ask_back(heard, error, lambda sign: Remember(sign=sign))
            return
        own = await self._own_sign(heard)
        await self._voice.say(
            heard.address,
            texts.your_sign(own) if own else texts.CHOOSE_OWN,
            keyboards.signs(lambda sign: Remember(sign=sign)),
        )

    async def _forget(self, heard: Heard) -> None:
        if heard.address.user_id is not None:
            await self._store.forget(heard.address.user_id)
        await self._voice.say(heard.address, texts.FORGOTTEN)

    async def _talk(self, heard: Heard) -> None:
        if not heard.words.strip():
            await self._voice.say(heard.address, texts.ONLY_WORDS, keyboards.fresh_signs())
        elif names_sign(heard.words) and not is_certain(heard.words):
            sign, topic = parse_request(heard.words)
            if heard.patiently:
                await self._voice.say(
                    heard.address,
                    texts.UNSURE,
                    keyboards.guess(Fresh(sign=sign, topic=topic), sign),
                )
        else:
            await self._ask_for_words(heard)

    async def _ask_for_words(self, heard: Heard) -> None:
        try:
            sign, topic = parse_request(heard.words)
        except UnknownSignError as error:
            topic = topic_in(heard.words)
            own = await self._own_sign(heard)
            if own and leaves_sign_open(heard.words):
                await self._ask(heard, own, topic, fresh=True)
            else:
                await self._ask_back(heard, error, lambda sign: Fresh(sign=sign, topic=topic))
            return
        await self._ask(heard, sign, topic, fresh=True)

    async def _ask(self, heard: Heard, sign: Sign, topic: Topic, *, fresh: bool) -> None:
        refusal = await self._asking.ask(heard.update, heard.address, sign, topic, fresh=fresh)
        if refusal:
            await self._voice.say(heard.address, refusal)

    async def _ask_back(
        self, heard: Heard, error: UnknownSignError, tap: Callable[[Sign], CallbackData]
    ) -> None:
        if not heard.patiently:
            return
        guess = error.suggestion
        await self._voice.say(
            heard.address,
            texts.MISSPELT if guess else texts.NOT_UNDERSTOOD,
            keyboards.guess(tap(guess), guess) if guess else keyboards.signs(tap),
        )

    async def _remember(self, address: Address, sign: Sign) -> None:
        if address.user_id is not None:
            await self._store.remember_sign(address.user_id, sign)
        await self._voice.say(address, texts.remembered(sign), keyboards.own_sign(sign))

    async def _own_sign(self, heard: Heard) -> Sign | None:
        person = heard.address.user_id
        return None if person is None else await self._store.sign_of(person)


def _address(message: MaybeInaccessibleMessageUnion, user_id: int | None) -> Address:
    thread = None
    # Outside forums the number names a thread of replies, and no message may be sent "into" it.
    if not isinstance(message, InaccessibleMessage) and message.is_topic_message:
        thread = message.message_thread_id
    return Address(
        chat_id=message.chat.id,
        user_id=user_id,
        thread_id=thread,
        reply_to=message.message_id if _is_group(message) else None,
    )


def _is_group(message: MaybeInaccessibleMessageUnion) -> bool:
    return message.chat.type != "private"


def _unpack(data: str | None) -> CallbackData | None:
    """What a button says, or None if no button of today says that."""
    kinds: tuple[type[CallbackData], ...] = (Fresh, Today, Remember, OtherSign)
    for kind in kinds:
        try:
            return kind.unpack(data or "")
        except (TypeError, ValueError):
            continue
    return None
