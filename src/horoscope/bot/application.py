"""The whole product in one process: bot, broker and worker."""

import asyncio
import logging
from contextlib import AsyncExitStack

from horoscope.bot.service import bot_stages, connect_store, introduce
from horoscope.bot.telegram import connect
from horoscope.generation.generator import HoroscopeGenerator
from horoscope.messaging.local import LocalBroker
from horoscope.program import run_in_order
from horoscope.settings import Settings
from horoscope.worker import Worker, Writer

logger = logging.getLogger(__name__)


async def run_all(settings: Settings, writer: Writer | None = None) -> None:
    """Run until cancelled; then finish what is in flight, within ten seconds.

    `writer` writes instead of the model of the settings. Raises HoroscopeError.
    """
    async with AsyncExitStack() as leaving:
        bot = connect(settings)
        leaving.push_async_callback(bot.session.close)
        broker = LocalBroker(settings.data / "queue.sqlite")
        await broker.start()
        leaving.push_async_callback(broker.close)
        store = connect_store(settings)
        await store.start()
        leaving.push_async_callback(store.close)
        me = await introduce(bot, settings)
        if writer is None:
            writer = await asyncio.to_thread(HoroscopeGenerator, settings.model)
        listening, *others = bot_stages(settings, bot, me, broker, store)
        logger.info("@%s is here, and %s writes.", me.username, writer.name)
        # What is under way ends in the order in which it flows.
        await run_in_order([listening, Worker(broker, writer).run(), *others])
