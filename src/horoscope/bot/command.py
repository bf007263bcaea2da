"""`horoscope run` and `horoscope bot`."""

import sys

import click

from horoscope.program import run_until_told
from horoscope.settings import Settings, load_settings

NO_TOKEN = """\
A bot needs a token: write /newbot to https://t.me/BotFather, choose a name, and copy the token.
Put it into a file .env here, as a line: HOROSCOPE_TELEGRAM_TOKEN=123456:ABC-...
Or try the bot without one, in a Telegram of your own: horoscope demo"""


@click.command()
def run() -> None:
    """Run the whole bot in one process: Telegram, queue and model.

    Settings come from the environment and from a file .env; docs/settings.md lists them.
    """
    settings = _settings_with_token()
    from horoscope.bot.application import run_all

    run_until_told("run", settings, lambda: run_all(settings))


@click.command()
def bot() -> None:
    """Run the Telegram side alone; horoscopes come from workers, through Apache Kafka.

    Start as many as you like (several with HOROSCOPE_UPDATES=webhook and HOROSCOPE_DATABASE_URL).
    HOROSCOPE_KAFKA_BOOTSTRAP_SERVERS says where Kafka is; docs/settings.md lists all settings.
    """
    settings = _settings_with_token()
    from horoscope.bot.service import run_bot

    run_until_told("bot", settings, lambda: run_bot(settings))


def _settings_with_token() -> Settings:
    settings = load_settings()
    if settings.telegram_token is None or not settings.telegram_token.get_secret_value().strip():
        click.echo(NO_TOKEN, err=True)
        sys.exit(2)
    return settings
