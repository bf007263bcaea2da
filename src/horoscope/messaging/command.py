"""`horoscope dead-letters`."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import click

from horoscope.errors import InputError
from horoscope.messaging.broker import Broker, DeadLetter
from horoscope.messaging.messages import HoroscopeRequest, UnreadableError, read
from horoscope.settings import Settings, load_settings

ALL = 1_000_000
REPLAYED = "-again"


@click.group()
def dead_letters() -> None:
    """See and replay the messages that nobody could deal with.

    They are kept with the reason: unreadable, expired, or a text that could not be written. With
    HOROSCOPE_KAFKA_BOOTSTRAP_SERVERS they are those in Kafka, else those of `horoscope run`
    (which must not run meanwhile).
    """


@dead_letters.command("list")
@click.option("--limit", default=100, show_default=True, help="So many of the oldest.")
def list_letters(limit: int) -> None:
    """One line for each: when, where from, what, why."""

    async def letters(broker: Broker) -> None:
        found = await broker.dead_letters(limit)
        for letter in found:
            when = f"{letter.at:%Y-%m-%d %H:%M:%S}"
            click.echo(f"{when}  {letter.origin}  {letter.schema or '?'}  {letter.reason}")
        if not found:
            click.echo("There are none.", err=True)

    _with_broker(letters)


@dead_letters.command()
@click.argument("origin")
def show(origin: str) -> None:
    """Show one whole; ORIGIN is as `list` shows it."""

    async def letter(broker: Broker) -> None:
        found = await _find(broker, origin)
        click.echo(f"origin   {found.origin}")
        click.echo(f"at       {found.at.isoformat()}")
        click.echo(f"schema   {found.schema or '?'}, version {found.version or '?'}")
        click.echo(f"key      {found.key}")
        click.echo(f"reason   {found.reason}")
        try:
            body = json.dumps(json.loads(found.body), ensure_ascii=False, indent=2)
        except ValueError:
            body = repr(found.body)
        click.echo(body)

    _with_broker(letter)


@dead_letters.command()
@click.argument("origins", metavar="ORIGIN...", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Replay all there are.")
def replay(origins: tuple[str, ...], everything: bool) -> None:
    """Publish some once more, and take them from the dead letters.

    A request gets a new number and its full time, as its asker was told already that nothing
    came of it. Everything else goes as it came.
    """
    if bool(origins) == everything:
        raise InputError("Name dead letters as `horoscope dead-letters list` shows them, or --all.")

    async def again(broker: Broker) -> None:
        if everything:
            letters = await broker.dead_letters(ALL)
        else:
            letters = [await _find(broker, origin) for origin in origins]
        for letter in letters:
            await broker.replay(letter, renewed(letter, datetime.now(UTC)))
            click.echo(f"{letter.origin} is on its way again.")

    _with_broker(again)


def renewed(letter: DeadLetter, now: datetime) -> str:
    """The body to replay: a request as if it was asked `now`, under another number."""
    try:
        request = read(HoroscopeRequest, letter.schema, letter.version, letter.body)
    except UnreadableError:
        return letter.body
    return request.model_copy(
        update={
            "id": request.id + REPLAYED,
            "created_at": now,
            "expires_at": now + (request.expires_at - request.created_at),
        }
    ).model_dump_json()


async def _find(broker: Broker, origin: str) -> DeadLetter:
    for letter in await broker.dead_letters(ALL):
        if letter.origin == origin:
            return letter
    raise InputError(f"There is no dead letter {origin}; see `horoscope dead-letters list`.")


def _with_broker(step: Callable[[Broker], Awaitable[None]]) -> None:
    # What keeps it from its work is its one line of error, not a line in a log.
    logging.getLogger("horoscope").addHandler(logging.NullHandler())

    async def run() -> None:
        async with _broker(load_settings()) as broker:
            await step(broker)

    asyncio.run(run())


@asynccontextmanager
async def _broker(settings: Settings) -> AsyncIterator[Broker]:
    broker: Broker
    if settings.kafka_bootstrap_servers:
        from horoscope.messaging.kafka.broker import KafkaBroker

        broker = KafkaBroker(settings)
    else:
        from horoscope.messaging.local import LocalBroker

        broker = LocalBroker(settings.data / "queue.sqlite")
    await broker.start()
    try:
        yield broker
    finally:
        await broker.close()
