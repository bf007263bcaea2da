"""The bot as a program: what it is made of, how it begins, how it ends."""

import asyncio
import logging
from collections.abc import Coroutine, Sequence
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
from horoscope.bot.store import Store
from horoscope.bot.telegram import (
    FAILURES,
    WRONG_TOKEN,
    in_one_line,
    wrong_token,
)
from horoscope.bot.updates import Updates
from horoscope.bot.voice import Voice
from horoscope.bot.webhook import Webhook
from horoscope.messaging.broker import Broker
from horoscope.patience import pauses
from horoscope.settings import Settings

STOP_S = 10.0

logger = logging.getLogger(__name__)


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


async def run_in_order(stages: Sequence[Coroutine[Any, Any, None]]) -> None:
    """Run stages side by side until cancelled or one fails, then end them one after the other.

    A stage that is cancelled finishes what it has begun; STOP_S after the end began, all that
    are left are cancelled once more, and leave at once.
    """
    tasks = [asyncio.create_task(stage) for stage in stages]
    try:
        ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in ended:
            await task
    finally:
        until = asyncio.get_running_loop().time() + STOP_S
        for task in tasks:
            task.cancel()
            left = until - asyncio.get_running_loop().time()
            await asyncio.wait([task], timeout=max(0.0, left))
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks, timeout=1.0)
