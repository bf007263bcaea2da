"""The connection to Telegram: the client, its errors in one line, updates as they come."""

import json
import re
from contextlib import suppress
from typing import Any, TypeVar

from aiogram import Bot
from aiogram.client.session.aiohttp import AiohttpSession
from aiogram.client.telegram import TelegramAPIServer
from aiogram.exceptions import (
    AiogramError,
    ClientDecodeError,
    TelegramAPIError,
    TelegramNotFound,
    TelegramUnauthorizedError,
)
from aiogram.methods import Response, TelegramMethod
from aiogram.utils.token import TokenValidationError

from horoscope.errors import InputError
from horoscope.observability.telegram import CountCalls
from horoscope.settings import Settings

R = TypeVar("R")

REFUSED = re.compile(r'\s*\{\s*"ok"\s*:\s*false')
# Telegram says 404 of a token that cannot be one, 401 of one that was revoked.
WRONG_TOKEN = (TelegramUnauthorizedError, TelegramNotFound)
FAILURES = (AiogramError, OSError)
"""Whatever a call to Telegram may raise."""

UPDATE_KINDS = ["message", "callback_query", "inline_query", "stopped_message_generation"]


class Session(AiohttpSession):
    """aiogram's, for every server that keeps to the letter of the Bot API.

    There a refusal has `ok` and mostly an `error_code`; the status of HTTP and the description,
    which aiogram needs, are Telegram's custom.
    """

    def check_response(
        self, bot: Bot, method: TelegramMethod[R], status_code: int, content: str
    ) -> Response[R]:
        """The result of a call, or an exception."""
        if status_code >= 400 or REFUSED.match(content):
            with suppress(ValueError, AttributeError):
                body = json.loads(content)
                status_code = body.get("error_code") or status_code
                body["description"] = body.get("description") or f"error {status_code}"
                content = json.dumps(body)
        return super().check_response(bot, method, status_code, content)


class GetRawUpdates(TelegramMethod[list[dict[str, Any]]]):
    """getUpdates with each update as Telegram wrote it: one that is odd spoils no others."""

    __returning__ = list[dict[str, Any]]
    __api_method__ = "getUpdates"

    offset: int
    limit: int
    timeout: int
    allowed_updates: list[str] = UPDATE_KINDS


def connect(settings: Settings) -> Bot:
    """The client for the bot of the settings. Raises InputError if the token cannot be one."""
    token = settings.telegram_token.get_secret_value().strip() if settings.telegram_token else ""
    api = TelegramAPIServer.from_base(settings.telegram_api_url)
    session = Session(api=api)
    session.middleware(CountCalls())
    try:
        return Bot(token, session=session)
    except TokenValidationError:
        raise wrong_token() from None


def wrong_token() -> InputError:
    """What to say of a token that Telegram does not know."""
    return InputError(
        "Telegram knows no bot with this HOROSCOPE_TELEGRAM_TOKEN; copy it again from @BotFather."
    )


def was_accepted(error: Exception) -> bool:
    """Whether Telegram did what was asked and only its answer could not be understood."""
    return (
        isinstance(error, ClientDecodeError)
        and isinstance(error.data, dict)
        and error.data.get("ok") is True
    )


def in_one_line(error: Exception, bot: Bot) -> str:
    """What went wrong, without the token, and without what people wrote."""
    if isinstance(error, ClientDecodeError):
        said = "an answer that is not of the Bot API"
    elif isinstance(error, TelegramAPIError):
        said = error.message
    else:
        said = f"{type(error).__name__}: {error}"
    return " ".join(said.split()).replace(bot.token, "<token>")
