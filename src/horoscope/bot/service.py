"""The bot as a program: what it is made of, how it begins, how it ends."""

import asyncio
import logging
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from typing import Any

from aiogram import Bot
from aiogram.types import BotCommand, User

from horoscope.bot import texts
from horoscope.bot.asking import Asking
from horoscope.bot.conversation import Conversation
from horoscope.bot.delivery import Delivery
from horoscope.bot.outbox import Outbox
from horoscope.bot.polling import Polling
from horoscope.bot.preview import Preview
from horoscope.bot.store import SqliteStore, Store
from horoscope.bot.telegram import (
    FAILURES,
    WRONG_TOKEN,
    connect,
    in_one_line,
    wrong_token,
)
from horoscope.bot.updates import Updates
from horoscope.bot.voice import Voice
from horoscope.bot.webhook import Webhook
from horoscope.health import telling_health
from horoscope.messaging.broker import Broker
from horoscope.messaging.kafka.broker import KafkaBroker
from horoscope.patience import pauses
from horoscope.program import run_in_order
from horoscope.settings import Settings

logger = logging.getLogger(__name__)


async def run_bot(settings: Settings) -> None:
    """Run a bot on Kafka until cancelled; any number of them share the work.

    Raises HoroscopeError.
    """
    here = False

    def why_not_ready() -> str:
        # While Kafka is away the bot still has something to say, so that is no reason.
        return "" if here else "waiting for Kafka, the database or Telegram"

    async with AsyncExitStack() as leaving:
        bot = connect(settings)
        leaving.push_async_callback(bot.session.close)
        broker = KafkaBroker(settings)
        await leaving.enter_async_context(telling_health(settings, why_not_ready))
        leaving.push_async_callback(broker.close)
        await broker.start()
        store = connect_store(settings)
        leaving.push_async_callback(store.close)
        await store.start()
        me = await introduce(bot, settings)
        stages = bot_stages(settings, bot, me, broker, store)
        logger.info("@%s is here.", me.username)
        here = True
        await run_in_order(stages)


def connect_store(settings: Settings) -> Store:
    """The memory that the settings name."""
    if settings.database_url:
        from horoscope.bot.postgres import PostgresStore

        return PostgresStore(settings.database_url.get_secret_value())
    return SqliteStore(settings.data / "memory.sqlite")


def bot_stages(
    settings: Settings, bot: Bot, me: User, broker: Broker, store: Store
) -> list[Coroutine[Any, Any, None]]:
    """The parts of a bot, each to run until cancelled, in the order in which they end."""
    outbox = Outbox(bot, settings.calls_per_second)
    voice = Voice(outbox)
    preview = Preview(outbox, store)
    asking = Asking(settings, broker, store, outbox, voice, preview)
    conversation = Conversation(me, broker, store, asking, voice, settings.answer_within)
    updates = Updates(bot, conversation.dispatcher())
    source = (
        Webhook(settings, bot, updates) if settings.updates == "webhook" else Polling(bot, updates)
    )
    delivery = Delivery(broker, store, outbox, preview, settings.timezone)
    return [source.run(), delivery.run(), voice.run(), preview.run(broker)]


async def introduce(bot: Bot, settings: Settings) -> User:
    """Who we are in Telegram, and tell it which commands there are; waits for Telegram.

    Raises InputError for a token that Telegram does not know.
    """
    me = await _meet(bot, settings.telegram_api_url)
    try:
        await bot.set_my_commands(
            [BotCommand(command=name, description=text) for name, text in texts.COMMANDS.items()]
        )
    except FAILURES as error:
        logger.warning("The list of commands is not set: %s", in_one_line(error, bot))
    return me


async def _meet(bot: Bot, url: str) -> User:
    pause = pauses()
    said = False
    while True:
        try:
            return await bot.get_me()
        except WRONG_TOKEN:
            raise wrong_token() from None
        except FAILURES as error:
            if not said:
                why = in_one_line(error, bot)
                logger.warning("Telegram does not answer at %s: %s. Trying again.", url, why)
            said = True
            await asyncio.sleep(next(pause))
