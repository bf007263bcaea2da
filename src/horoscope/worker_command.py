"""`horoscope worker`."""

import asyncio
import logging
from contextlib import AsyncExitStack

import click

from horoscope.health import telling_health
from horoscope.messaging.kafka.broker import KafkaBroker
from horoscope.observability.metrics import watch_refusals
from horoscope.program import run_in_order, run_until_told
from horoscope.settings import Settings, load_settings
from horoscope.worker import Worker, Writer

logger = logging.getLogger(__name__)


@click.command()
def worker() -> None:
    """Write horoscopes for the requests in Apache Kafka.

    Start as many as you like. HOROSCOPE_KAFKA_BOOTSTRAP_SERVERS says where Kafka is, and
    HOROSCOPE_MODEL which model writes; docs/settings.md lists all settings.
    """
    settings = load_settings()
    run_until_told("worker", settings, lambda: run_worker(settings))


async def run_worker(settings: Settings, writer: Writer | None = None) -> None:
    """Work until cancelled; then finish what is in flight, within ten seconds.

    `writer` writes instead of the model of the settings. Raises HoroscopeError.
    """
    broker = KafkaBroker(settings)

    def why_not_ready() -> str:
        if writer is None:
            return "loading the model"
        return "" if broker.reachable else "Kafka is away"

    async with AsyncExitStack() as leaving:
        await leaving.enter_async_context(telling_health(settings, why_not_ready))
        leaving.push_async_callback(broker.close)
        await broker.start()
        if writer is None:
            from horoscope.generation.generator import HoroscopeGenerator

            generator = await asyncio.to_thread(HoroscopeGenerator, settings.model)
            watch_refusals(generator.refusals)
            writer = generator
        logger.info("%s writes.", writer.name)
        await run_in_order([Worker(broker, writer).run()])
