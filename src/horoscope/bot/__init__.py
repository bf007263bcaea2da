"""The bot: Telegram on one side, the broker on the other."""

from horoscope.bot.lazy_types import import_aiogram

import_aiogram()
