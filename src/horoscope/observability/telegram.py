"""Counts the calls to Telegram and what becomes of them."""

from typing import Any

from aiogram import Bot, exceptions
from aiogram.client.session.middlewares.base import (
    BaseRequestMiddleware,
    NextRequestMiddlewareType,
)
from aiogram.methods import TelegramMethod
from aiogram.methods.base import Response

from horoscope.observability.metrics import TELEGRAM_CALLS, TELEGRAM_ERRORS

# aiogram turns codes into classes; the first that fits counts.
_CODES = {
    exceptions.TelegramRetryAfter: "429",
    exceptions.TelegramBadRequest: "400",
    exceptions.TelegramMigrateToChat: "400",
    exceptions.TelegramUnauthorizedError: "401",
    exceptions.TelegramForbiddenError: "403",
    exceptions.TelegramNotFound: "404",
    exceptions.TelegramConflictError: "409",
    exceptions.TelegramEntityTooLarge: "413",
    exceptions.TelegramServerError: "5xx",
    exceptions.TelegramNetworkError: "network",
    exceptions.ClientDecodeError: "unreadable",
    exceptions.AiogramError: "other",
}


class CountCalls(BaseRequestMiddleware):
    """Counts what goes through aiogram's session."""

    async def __call__(
        self, make_request: NextRequestMiddlewareType[Any], bot: Bot, method: TelegramMethod[Any]
    ) -> Response[Any]:
        """Make one call."""
        TELEGRAM_CALLS.labels(method.__api_method__).inc()
        try:
            return await make_request(bot, method)
        except exceptions.AiogramError as error:
            code = next(code for kind, code in _CODES.items() if isinstance(error, kind))
            TELEGRAM_ERRORS.labels(code).inc()
            raise
