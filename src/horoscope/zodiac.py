"""The twelve signs and the topics, and how people type them."""

import difflib
import re
import unicodedata
from dataclasses import dataclass
from enum import StrEnum

from horoscope.errors import InputError


@dataclass(frozen=True)
class _Entry:
    """What there is to know of one sign: (day, month) of its first day, and its Russian forms."""

    name: str  # nominative, as the sign is called
    emoji: str
    first_day: tuple[int, int]
    forms: str  # every case of one person of the sign and of many
    latin: str = ""  # further Latin spellings


class Sign(StrEnum):
    """A sign of the zodiac; the value is the English slug used in data, messages and models."""

    ARIES = "aries"
    TAURUS = "taurus"
    GEMINI = "gemini"
    CANCER = "cancer"
    LEO = "leo"
    VIRGO = "virgo"
    LIBRA = "libra"
    SCORPIO = "scorpio"
    SAGITTARIUS = "sagittarius"
    CAPRICORN = "capricorn"
    AQUARIUS = "aquarius"
    PISCES = "pisces"

    @property
    def russian(self) -> str:
        """The name as a title: «Лев»."""
        return _ENTRIES[self].name

    @property
    def emoji(self) -> str:
        """The zodiac symbol, in its colourful form: «♌️»."""
        return _ENTRIES[self].emoji + "\ufe0f"

    @property
    def forms(self) -> frozenset[str]:
        """Every Russian form of the name, lower-case, «ё» as «е»."""
        return frozenset(_ENTRIES[self].forms.split())

    @property
    def dates(self) -> str:
        """The sign's days as people write them: «23.07-22.08»."""
        signs = sorted(Sign, key=lambda sign: _ENTRIES[sign].first_day[::-1])
        day, month = _ENTRIES[self].first_day
        next_day, next_month = _ENTRIES[signs[(signs.index(self) + 1) % 12]].first_day
        return f"{day:02}.{month:02}-{next_day - 1:02}.{next_month:02}"


class Topic(StrEnum):
    """What a horoscope is about; the value is the slug used in data, messages and models."""

    GENERAL = "general"
    LOVE = "love"
    BUSINESS = "business"

    @property
    def russian(self) -> str:
        """The topic as a word on a button: «Любовь»."""
        return {"general": "Общий", "love": "Любовь", "business": "Работа"}[self.value]


_ENTRIES = {
    Sign.ARIES: _Entry(
        "Овен", "♈", (21, 3), "овен овна овну овном овне овны овнов овнам овнами овнах"
    ),
    Sign.TAURUS: _Entry(
        "Телец",
        "♉",
        (20, 4),
        "телец тельца тельцу тельцом тельце тельцы тельцов тельцам тельцами тельцах",
    ),
    Sign.GEMINI: _Entry(
        "Близнецы",
        "♊",
        (21, 5),
        "близнец близнеца близнецу близнецом близнеце "
        "близнецы близнецов близнецам близнецами близнецах",
    ),
    Sign.CANCER: _Entry(
        "Рак", "♋", (21, 6), "рак рака раку раком раке раки раков ракам раками раках"
    ),
    Sign.LEO: _Entry(
        "Лев", "♌", (23, 7), "лев льва льву львом льве львы львов львам львами львах"
    ),
    Sign.VIRGO: _Entry(
        "Дева", "♍", (23, 8), "дева девы деве деву девой девою дев девам девами девах"
    ),
    Sign.LIBRA: _Entry("Весы", "♎", (23, 9), "весы весов весам весами весах"),
    Sign.SCORPIO: _Entry(
        "Скорпион",
        "♏",
        (23, 10),
        "скорпион скорпиона скорпиону скорпионом скорпионе "
        "скорпионы скорпионов скорпионам скорпионами скорпионах",
        latin="scorpius",
    ),
    Sign.SAGITTARIUS: _Entry(
        "Стрелец",
        "♐",
        (22, 11),
        "стрелец стрельца стрельцу стрельцом стрельце "
        "стрельцы стрельцов стрельцам стрельцами стрельцах",
    ),
    Sign.CAPRICORN: _Entry(
        "Козерог",
        "♑",
        (22, 12),
        "козерог козерога козерогу козерогом козероге "
        "козероги козерогов козерогам козерогами козерогах",
        latin="capricornus",
    ),
    Sign.AQUARIUS: _Entry(
        "Водолей",
        "♒",
        (20, 1),
        "водолей водолея водолею водолеем водолее водолеи водолеев водолеям водолеями водолеях",
    ),
    Sign.PISCES: _Entry(
        "Рыбы", "♓", (19, 2), "рыба рыбы рыбе рыбу рыбой рыбою рыб рыбам рыбами рыбах"
    ),
}
SIGN_OF_FORM = {form: sign for sign in Sign for form in sign.forms}
"""Which sign a Russian form of a name names; forms are lower-case."""
_LATIN_NAMES = "oven telec bliznecy rak lev deva vesy skorpion strelec kozerog vodolej ryby".split()

_WORDS: dict[str, Sign] = {}
for _sign, _latin in zip(Sign, _LATIN_NAMES, strict=True):
    _entry = _ENTRIES[_sign]
    for _word in (_sign.value, _latin, *_entry.latin.split(), *_entry.forms.split()):
        _WORDS[_word] = _sign
_EMOJI = {entry.emoji: sign for sign, entry in _ENTRIES.items()}

_TOPIC_WORDS = {
    Topic.GENERAL: "general общий общее общая день",
    Topic.LOVE: "love любовь любви любовный любовная отношения отношений личное",
    Topic.BUSINESS: "business бизнес работа работы работе работу карьера дела деньги финансы учеба",
}
_TOPICS = {word: topic for topic, words in _TOPIC_WORDS.items() for word in words.split()}

_MONTHS = {  # every form and abbreviation, by the month
    form: month
    for month, stems in enumerate(
        "январ|янв феврал|фев|февр март|мар апрел|апр ма июн июл август|авг "
        "сентябр|сен|сент октябр|окт ноябр|ноя|нояб декабр|дек".split(),
        1,
    )
    for stem, *abbreviations in [stems.split("|")]
    for form in (*(stem + end for end in " а я й ь е у ю ом ем".split(" ")), *abbreviations)
}
_MONTH_DAYS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_NUMERIC_DATE = re.compile(r"(?<!\d)(\d{1,2})\s?[./-]\s?(\d{1,2})(?:\s?[./-]\s?\d{2,4})?(?!\d)")
_ISO_DATE = re.compile(r"(?<!\d)\d{4}-(\d{2})-(\d{2})(?!\d)")
_WORD_DATE = re.compile(
    rf"(?<!\d)(\d{{1,2}})(?:-?го)?\s*({'|'.join(sorted(_MONTHS, key=len, reverse=True))})\b"
)

ALL_NAMES = ", ".join(entry.name.lower() for entry in _ENTRIES.values())


class UnknownSignError(InputError):
    """What a person typed names no sign; `suggestion` is the likeliest one, to be asked about."""

    def __init__(self, typed: str, suggestion: Sign | None) -> None:
        self.typed = typed
        self.suggestion = suggestion
        shown = " ".join(typed.split())
        shown = shown if len(shown) <= 40 else shown[:39] + "…"
        guess = f" Может быть, {suggestion.russian.lower()}?" if suggestion else ""
        super().__init__(f"Не знаю знака «{shown}».{guess} Знаки: {ALL_NAMES}.")


def parse_sign(text: str) -> Sign:
    """The sign that `text` names: a name in any case and number, an emoji, a date of birth.

    Raises UnknownSignError when there is none, or more than one; a misspelt name is only
    suggested, never assumed.
    """
    found = _find(text)
    if len(found) == 1:
        return found.pop()
    raise UnknownSignError(text, None if found else _guess(text))


def parse_request(text: str) -> tuple[Sign, Topic]:
    """The sign and the topic in `text` («лев любовь»); without a topic word it is general.

    Raises UnknownSignError like parse_sign.
    """
    words = re.findall(r"\w+", normalise(text))
    topics = [_TOPICS[word] for word in words if word in _TOPICS and word not in _WORDS]
    return parse_sign(text), topics[0] if topics else Topic.GENERAL


def sign_of_date(day: int, month: int) -> Sign:
    """The sign of a birthday. Raises InputError if there is no such day."""
    if not (1 <= month <= 12 and 1 <= day <= _MONTH_DAYS[month - 1]):
        raise InputError(f"Такого дня нет: {day:02}.{month:02}.")
    begun = [s for s in Sign if _ENTRIES[s].first_day[::-1] <= (month, day)]
    # Before 20 January the last sign to have begun is last year's Capricorn.
    return max(begun, key=lambda s: _ENTRIES[s].first_day[::-1], default=Sign.CAPRICORN)


def normalise(text: str) -> str:
    """`text` as the parser compares it: composed, lower-case, «ё» as «е», without joiners."""
    text = unicodedata.normalize("NFKC", text).casefold().replace("ё", "е")
    return "".join(c for c in text if unicodedata.category(c) not in {"Mn", "Cf", "Me"})


def _find(text: str) -> set[Sign]:
    text = normalise(text)
    found = {_WORDS[word] for word in re.findall(r"\w+", text) if word in _WORDS}
    found |= {sign for emoji, sign in _EMOJI.items() if emoji in text}
    if found:
        return found
    dates = [(int(day), int(month)) for month, day in _ISO_DATE.findall(text)]
    dates = dates or [(int(day), int(month)) for day, month in _NUMERIC_DATE.findall(text)]
    dates += [(int(day), _MONTHS[month]) for day, month in _WORD_DATE.findall(text)]
    for day, month in dates:
        try:
            found.add(sign_of_date(day, month))
        except InputError:
            continue
    return found


def _guess(text: str) -> Sign | None:
    for word in re.findall(r"\w+", normalise(text)[:200]):
        if len(word) >= 3 and (close := difflib.get_close_matches(word, _WORDS, 1, 0.7)):
            return _WORDS[close[0]]
    return None
