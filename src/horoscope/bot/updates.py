"""One update: from Telegram's JSON to a conversation that is durable."""

import asyncio
import logging
import traceback
from typing import Any

from aiogram import Bot, Dispatcher
from aiogram.types import Update
from aiogram.types.update import UpdateTypeLookupError
from pydantic import ValidationError

from horoscope.patience import UnavailableError

ATTEMPTS = 3
PAUSE_S = 0.5

logger = logging.getLogger(__name__)


class Updates:
    """Has updates dealt with, each by itself."""

    def __init__(self, bot: Bot, dispatcher: Dispatcher) -> None:
        self._bot = bot
        self._dispatcher = dispatcher

    async def handle(self, raw: dict[str, Any]) -> None:
        """Return once the update is durably dealt with, or nothing can be done with it.

        Raises UnavailableError if it must be tried later.
        """
        number = raw.get("update_id")
        try:
            update = Update.model_validate(raw, context={"bot": self._bot})
            kind = update.event_type
        except (ValidationError, UpdateTypeLookupError):
            kinds = ", ".join(key for key in raw if key != "update_id")
            logger.info("update %s is of no kind that is known here: %s", number, kinds)
            return
        for attempt in range(1, ATTEMPTS + 1):
            try:
                await self._dispatcher.feed_update(self._bot, update)
                return
            except UnavailableError:
                raise
            except Exception as error:  # a fault of ours must not stop the other updates
                # Neither the message of the error nor a line of it: it may quote a person.
                frames = traceback.extract_tb(error.__traceback__)
                logger.error(
                    "update %s (%s) failed in attempt %d: %s at %s",
                    *(number, kind, attempt, type(error).__name__),
                    " < ".join(f"{f.filename}:{f.lineno}" for f in reversed(frames[-4:])),
                )
                await asyncio.sleep(PAUSE_S * attempt)
        logger.error("update %s is given up", number)
