"""The webhook: Telegram calls, and hears 200 once the update is durable."""

import asyncio
import hashlib
import hmac
import json
import logging
from typing import Any
from urllib.parse import urlsplit

from aiogram import Bot
from aiogram.exceptions import TelegramBadRequest
from aiohttp import web

from horoscope.bot.telegram import FAILURES, UPDATE_KINDS, WRONG_TOKEN, in_one_line, wrong_token
from horoscope.bot.updates import Updates
from horoscope.errors import HoroscopeError, InputError
from horoscope.patience import UnavailableError, pauses
from horoscope.settings import Settings

SECRET_HEADER = "X-Telegram-Bot-Api-Secret-Token"
LARGEST_UPDATE = 1_000_000  # bytes; Telegram's are a few kilobytes
STOP_S = 3.0

logger = logging.getLogger(__name__)


def secret_of(settings: Settings) -> str:
    """The secret in Telegram's calls: the one of the settings, else one that the token gives."""
    if settings.webhook_secret:
        return settings.webhook_secret.get_secret_value()
    token = settings.telegram_token.get_secret_value() if settings.telegram_token else ""
    return hmac.new(token.encode(), b"webhook secret", hashlib.sha256).hexdigest()


class Webhook:
    """An HTTP server for Telegram to call."""

    def __init__(self, settings: Settings, bot: Bot, updates: Updates) -> None:
        self._settings = settings
        self._bot = bot
        self._updates = updates
        self._secret = secret_of(settings)
        self._under_way: dict[int, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Serve until cancelled, then finish what is under way. Raises HoroscopeError."""
        app = web.Application(client_max_size=LARGEST_UPDATE)
        app.router.add_post(urlsplit(self._settings.webhook_url or "").path or "/", self._receive)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=STOP_S)
        await runner.setup()
        host, port = self._settings.webhook_host, self._settings.webhook_port
        try:
            try:
                await web.TCPSite(runner, host, port).start()
            except OSError as error:
                raise HoroscopeError(
                    f"Cannot listen on {host}:{port}: {error.strerror}. See HOROSCOPE_WEBHOOK_PORT."
                ) from None
            await self._register()
            await asyncio.get_running_loop().create_future()  # for ever
        finally:
            await runner.cleanup()

    async def _register(self) -> None:
        """Tell Telegram where to call. Raises InputError if it does not like the address."""
        for pause in pauses():
            try:
                await self._bot.set_webhook(
                    self._settings.webhook_url or "",
                    secret_token=self._secret,
                    allowed_updates=UPDATE_KINDS,
                )
                return
            except WRONG_TOKEN:
                raise wrong_token() from None
            except TelegramBadRequest as error:
                raise InputError(
                    f"Telegram refuses HOROSCOPE_WEBHOOK_URL: {in_one_line(error, self._bot)}"
                ) from None
            except FAILURES as error:
                logger.warning("The webhook is not set yet: %s", in_one_line(error, self._bot))
                await asyncio.sleep(pause)

    async def _receive(self, request: web.Request) -> web.Response:
        shown = request.headers.get(SECRET_HEADER, "").encode()
        if not hmac.compare_digest(shown, self._secret.encode()):
            return web.Response(status=401)
        try:
            raw = json.loads(await request.read())
            number = int(raw["update_id"])
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
            return web.Response(status=400)
        try:
            await self._handle_once(number, raw)
        except UnavailableError as error:
            logger.warning("update %d was not taken: %s", number, error)
            return web.Response(status=503)
        return web.Response()

    async def _handle_once(self, number: int, raw: dict[str, Any]) -> None:
        """Handle an update; if Telegram lost patience and calls again, wait for the same work."""
        task = self._under_way.get(number)
        if task is None:
            task = asyncio.create_task(self._updates.handle(raw))
            self._under_way[number] = task
            task.add_done_callback(lambda _: self._under_way.pop(number))
        await asyncio.shield(task)
