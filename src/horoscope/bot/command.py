"""`horoscope run`."""

import asyncio
import logging
import signal
import sys
from contextlib import suppress

import click

from horoscope.settings import Settings, load_settings

NO_TOKEN = """\
A bot needs a token: write /newbot to https://t.me/BotFather, choose a name, and copy the token.
Put it into a file .env here, as a line: HOROSCOPE_TELEGRAM_TOKEN=123456:ABC-...
Or try the bot without one, in a Telegram of your own: horoscope demo"""


@click.command()
def run() -> None:
    """Run the whole bot in one process: Telegram, queue and model.

    Settings come from the environment and from a file .env; docs/bot.md lists them.
    """
    settings = load_settings()
    if settings.telegram_token is None or not settings.telegram_token.get_secret_value().strip():
        click.echo(NO_TOKEN, err=True)
        sys.exit(2)
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr
    )
    # aiogram tells of every update.
    logging.getLogger("aiogram").setLevel(logging.WARNING)
    with suppress(asyncio.CancelledError):
        asyncio.run(_run_until_told(settings))


async def _run_until_told(settings: Settings) -> None:
    from horoscope.bot.application import run_all

    this = asyncio.current_task()
    assert this is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, this.cancel)
    await run_all(settings)
