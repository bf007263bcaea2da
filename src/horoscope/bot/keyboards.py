"""The buttons under the bot's messages, and what they say to the bot when tapped.

A number in each prefix tells the buttons of today from those of an earlier version, which stay
in people's chats for ever.
"""

from collections.abc import Callable

from aiogram.filters.callback_data import CallbackData
from aiogram.types import InlineKeyboardButton, InlineKeyboardMarkup

from horoscope.bot import texts
from horoscope.zodiac import Sign, Topic

COLUMNS = 3


class Fresh(CallbackData, prefix="new1"):
    """A new horoscope, please."""

    sign: Sign
    topic: Topic


class Today(CallbackData, prefix="day1"):
    """The horoscope of the day, please."""

    sign: Sign


class Remember(CallbackData, prefix="my1"):
    """This is my sign."""

    sign: Sign


class OtherSign(CallbackData, prefix="signs1"):
    """The other signs, please."""

    topic: Topic


def signs(tap: Callable[[Sign], CallbackData]) -> InlineKeyboardMarkup:
    """The twelve signs."""
    buttons = [_button(texts.sign_name(sign), tap(sign)) for sign in Sign]
    rows = [buttons[i : i + COLUMNS] for i in range(0, len(buttons), COLUMNS)]
    return InlineKeyboardMarkup(inline_keyboard=rows)


def fresh_signs(topic: Topic = Topic.GENERAL) -> InlineKeyboardMarkup:
    """The twelve signs, each for a new horoscope."""
    return signs(lambda sign: Fresh(sign=sign, topic=topic))


def under_answer(sign: Sign, topic: Topic) -> InlineKeyboardMarkup:
    """Another one, the other topics, another sign."""
    topics = [
        _button(texts.TOPIC_BUTTONS[other], Fresh(sign=sign, topic=other))
        for other in Topic
        if other != topic
    ]
    return InlineKeyboardMarkup(
        inline_keyboard=[
            [_button(texts.ANOTHER_BUTTON, Fresh(sign=sign, topic=topic))],
            topics,
            [_button(texts.OTHER_SIGN_BUTTON, OtherSign(topic=topic))],
        ]
    )


def guess(tap: CallbackData, sign: Sign) -> InlineKeyboardMarkup:
    """The one sign that was perhaps meant, or the others."""
    return InlineKeyboardMarkup(
        inline_keyboard=[
            [_button(texts.sign_name(sign), tap)],
            [_button(texts.OTHER_SIGN_BUTTON, OtherSign(topic=Topic.GENERAL))],
        ]
    )


def own_sign(sign: Sign) -> InlineKeyboardMarkup:
    """What one may want once the sign is remembered."""
    return InlineKeyboardMarkup(
        inline_keyboard=[
            [
                _button(texts.TODAY_BUTTON, Today(sign=sign)),
                _button(texts.FRESH_BUTTON, Fresh(sign=sign, topic=Topic.GENERAL)),
            ]
        ]
    )


def _button(text: str, tap: CallbackData) -> InlineKeyboardButton:
    return InlineKeyboardButton(text=text, callback_data=tap.pack())
