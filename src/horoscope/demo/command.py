"""`horoscope demo`."""

import asyncio
import logging
import os
import signal
import sys
import tempfile
import threading
import webbrowser
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import click

from horoscope.generation.command import model_option

DEFAULT_PORT = 8017


@click.command()
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=DEFAULT_PORT,
    show_default=True,
    help="Where the page is; 0 takes any free port.",
)
@click.option("--no-browser", is_flag=True, help="Only print the page's address.")
@model_option
@click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    help="Keep the bot's memory in this directory (default: forget it at the end).",
)
def demo(port: int, no_browser: bool, model: Path | None, data: Path | None) -> None:
    """Try the bot without a token, in a Telegram of your own.

    Starts a small Telegram on this machine, with a chat page in the browser and the real bot in
    it. Every tab of the page is another person. Nothing leaves this machine. Ctrl-C ends it.
    """
    logging.basicConfig(
        level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr
    )
    with ExitStack() as leaving:
        if data is None:
            data = Path(leaving.enter_context(tempfile.TemporaryDirectory(prefix="horoscope-")))
        settings: dict[str, Any] = {"data": data, "updates": "polling", "database_url": None}
        if model:
            settings["model"] = model
        leaving.enter_context(suppress(KeyboardInterrupt, asyncio.CancelledError))
        asyncio.run(_run(port, not no_browser, settings))


async def _run(port: int, with_browser: bool, given: dict[str, Any]) -> None:
    from horoscope.bot.application import run_all
    from horoscope.demo.server import serving
    from horoscope.demo.telegram import TOKEN, Telegram
    from horoscope.settings import load_settings

    this = asyncio.current_task()
    assert this is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, this.cancel)
    async with serving(Telegram(rates=True), port) as url:
        settings = load_settings(telegram_api_url=url, telegram_token=TOKEN, **given)
        click.echo(f"The chat is at {url} (Ctrl-C ends it).")
        if with_browser and _has_screen():
            threading.Thread(target=webbrowser.open, args=(url,), daemon=True).start()
        await run_all(settings)


def _has_screen() -> bool:
    """Whether a browser would open a window; some would take over the terminal instead."""
    return sys.platform in {"darwin", "win32"} or bool(
        os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    )
