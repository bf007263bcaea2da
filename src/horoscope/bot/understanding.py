"""What people mean by what they write, and how sure we may be of it."""

import re
from functools import lru_cache

from horoscope.zodiac import Sign, Topic, UnknownSignError, normalise, parse_request, parse_sign

# Beyond that it is a story, not a wish.
MOST_WORDS = 10
HOROSCOPE = frozenset("гороскоп гороскопы гороскопчик прогноз предсказание".split())
AROUND = HOROSCOPE | frozenset(
    "на сегодня день дня для про по и о об у "
    "я мой моя мое мне меня нам знак знака знаку зодиака зодиаку дай дайте давай хочу можно нужен "
    "пожалуйста плиз привет здравствуйте что ждет скажи скажите расскажи покажи пришли напиши "
    "еще один другой новый общий общее общая родился родилась рождения рождение дата дату "
    "др года год г го horoscope for please today the".split()
)


def is_certain(text: str) -> bool:
    """Whether every word of `text` belongs to a wish for a horoscope.

    «у бабушки рак» names a sign and is no wish; whoever writes more than the wish is asked.
    """
    words = re.findall(r"[^\W\d]+", normalise(text))
    return len(words) <= MOST_WORDS and all(map(_belongs, words))


def leaves_sign_open(text: str) -> bool:
    """Whether `text` is a wish for a horoscope, or for one on a topic, of no sign at all."""
    parts = re.findall(r"\w+|[^\w\s]", normalise(text))
    if not is_certain(text) or any(part.isdecimal() or names_sign(part) for part in parts):
        return False
    return topic_in(text) is not Topic.GENERAL or not HOROSCOPE.isdisjoint(parts)


def topic_in(text: str) -> Topic:
    """The topic of a text that names no sign."""
    try:
        return parse_request(f"{Sign.LEO} {text}")[1]
    except UnknownSignError:
        return Topic.GENERAL


def names_sign(text: str) -> bool:
    """Whether a text names one sign."""
    try:
        parse_sign(text)
    except UnknownSignError:
        return False
    return True


@lru_cache(10_000)
def _belongs(word: str) -> bool:
    return (
        word in AROUND
        or names_sign(word)
        or names_sign(f"1 {word}")  # a month
        or topic_in(word) is not Topic.GENERAL
    )
