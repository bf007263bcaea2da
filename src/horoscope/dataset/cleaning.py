"""Mends a text where that is safe and drops it where it is not; each rule has a name to count."""

import html
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from horoscope.generation.grammar import is_known, morphology
from horoscope.zodiac import SIGN_OF_FORM, Sign

SHORTEST = 80  # characters; people's shortest whole texts have about 120
LONGEST = 1500  # characters; beyond it several days stand in one cell
KNOWN_WORDS = 0.8  # of a Russian text's words a dictionary knows more than this share

_SENTENCE_BREAK = re.compile(r"(?:(?<=[.!?…])|(?<=[.!?…][»)]))\s+(?![а-я])")
_ENDED = re.compile(r"[.!?…][»)]?$")
_WORD = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*")
_TAG = re.compile(
    r"(?is)<(script|style)\b.{0,2000}?</\1>|</?[a-z!][^<>]{0,300}>|\[/?[a-z]+(?:=[^\[\]]{0,300})?\]"
)
_HASHTAGS = re.compile(r"(?:\s*#\w+){2,}|\s*#\w+\s*$")
_MARKUP = re.compile(r"[*#_`~|\\\[\]{}<>^]+")
_LOOKALIKES = str.maketrans("ABCEHKMOPTXaceopxy", "АВСЕНКМОРТХасеорху")
_UNUSUAL = re.compile(r"[^А-Яа-яA-Za-z0-9 ,.:;!?…«»()—-]")  # to be looked at one by one
_CYRILLIC, _LATIN = re.compile(r"[А-Яа-я]"), re.compile(r"[A-Za-z]")
_LETTER = re.compile(r"[^\W\d_]")
_MIXED_WORD = re.compile(r"\b(?=\w*[А-Яа-яЁё])(?=\w*[A-Za-z])[\w-]+|\b[aocyABCOK]\b")
_STRAIGHT_QUOTES = re.compile(r'(^|[\s(«—])"')
_ADVERT = re.compile(
    r"https?://|www\.|\b[\w-]+\.(?:ru|com|net|org|рф|su)\b|@\w|(?:\+7|\b8)[\s(-]*\d{3}[\s)-]*\d{3}"
    r"|\bподпи(?:шитесь|шись|сывайтесь|сывайся)\b|\bтелеграм|\bна правах рекламы|\bпромокод"
    r"|\bчитайте (?:также|далее|еще|на)\b|\bна (?:нашем|этом) сайте\b|\bваш личный гороскоп\b"
    r"|\b(?:источник|фото|реклама)\s*:|^(?:источник|фото|реклама)\.|©|\bвсе права защищены\b"
    r"|\b(?:индивидуальн|персональн|подробн|полн)\w+ (?:гороскоп|прогноз)|\bскача\w+ .*приложени"
    r"|\bгадани\w+ онлайн|\bонлайн[- ]гадани|\bбесплатн\w+ (?:гадани|консультаци|гороскоп)"
    r"|\bнаш(?:ем|его|ей|у)? (?:сайт|канал|групп|паблик|рассылк)|\bлайк|\bскидк\w+ (?:до )?\d"
    r"|\b(?:счастливы[ейх]+ \w+|(?:цвет|числ[оа]|камень|талисман) дня)\s*:|\b[а-я]+\s*:\s*\d+\s*%",
    re.IGNORECASE,
)
_NAMES = "|".join(name for sign in Sign for name in (sign.russian, sign.russian.upper()))
_WEEKDAYS = "Понедельник|Вторник|Среда|Четверг|Пятница|Суббота|Воскресенье"
_MONTHS = "января|февраля|марта|апреля|мая|июня|июля|августа|сентября|октября|ноября|декабря"
_DAY = rf"\d{{1,2}}\s+(?:{_MONTHS})(?:\s+\d{{4}}(?:\s*г(?:ода|\.))?)?"
_SIGN_HEADING = rf"(?:{_NAMES})(?:\s*\([^)]{{1,40}}\))?\s*(?:[:.]\s*|\s)"
_DAY_HEADING = (
    rf"(?:(?:{_DAY}(?:,\s*\w+)?|(?:{_WEEKDAYS})(?:,\s*{_DAY})?)\s*[:.—]|(?:Сегодня|Завтра)\s*:"
    r"|\d{1,2}\.\d{1,2}(?:\.\d{2,4})?(?:\s*[:—]|\s))\s*"
)
_HEADING = re.compile(
    rf"^(?:[\u2648-\u2653]\s*)?(?:"
    rf"(?i:(?:любовный |деловой |бизнес-)?гороскоп (?:на|для) "
    rf"(?:[^.!?:]{{1,60}}:|(?:сегодня|завтра|{_DAY})\.)\s*)"
    rf"|{_SIGN_HEADING}|{_DAY_HEADING})(?=[А-Я«])"
)
_PASTED = re.compile(rf"[.!?…»]\s*(?:{_SIGN_HEADING}|{_DAY_HEADING})(?=[А-Я«])")
_SIGN_NAMES = {form.capitalize(): sign for form, sign in SIGN_OF_FORM.items()}


@dataclass(frozen=True)
class Cleaned:
    """A text after cleaning."""

    text: str
    mended: tuple[str, ...]
    """The rules that changed it."""
    dropped: str | None
    """The rule by which it cannot be used, or None."""


def clean(text: str, sign: Sign) -> Cleaned:
    """Mend `text`, then judge it. Cleaning what is clean changes nothing."""
    mended: dict[str, None] = {}
    for _ in range(10):  # one rule may lay bare what an earlier one mends
        before, changes = text, []
        for name, mend in _MENDING.items():
            changed = mend(text)
            if changed != text:
                changes.append(name)
            text = changed
        if text == before:
            break  # what one rule changed another may have put back
        mended.update(dict.fromkeys(changes))
    return Cleaned(text, tuple(mended), _fault(text, sign))


def sentences(text: str) -> list[str]:
    """The sentences of a clean text."""
    return [sentence for sentence in _SENTENCE_BREAK.split(text) if sentence]


def _characters(text: str) -> str:
    """One code point a letter, none invisible, no Latin look-alikes within Russian words."""
    text = unicodedata.normalize("NFC", html.unescape(text))
    text = _UNUSUAL.sub(_visible, text)
    return _MIXED_WORD.sub(lambda word: word[0].translate(_LOOKALIKES), text)


def _without_yo(text: str) -> str:
    """«е» for «ё», as newspapers print: half of all texts do, and a model must not learn two."""
    return text.replace("ё", "е").replace("Ё", "Е")


def _without_markup(text: str) -> str:
    text = _MARKUP.sub(" ", _HASHTAGS.sub("", _TAG.sub(" ", text)))
    return _UNUSUAL.sub(_without_pictures, text)


def _visible(character: re.Match[str]) -> str:
    if character[0].isspace():
        return " "
    return "" if unicodedata.category(character[0])[0] in "CM" else character[0]


def _without_pictures(character: re.Match[str]) -> str:
    if character[0] == "©":  # tells an advert
        return "©"
    return "" if unicodedata.category(character[0]) in {"So", "Sk"} else character[0]


def _typography(text: str) -> str:
    """Guillemets, spaced em dashes, one ellipsis character."""
    text = re.sub(r"[“„”‟]", '"', text)
    text = _STRAIGHT_QUOTES.sub(r"\1«", text).replace('"', "»")
    text = re.sub(r"^\s*«([^«»]*)»\s*$", r"\1", text)
    text = re.sub(r"[’‘`´]", "'", re.sub(r"[‐‑]", "-", text))
    text = re.sub(r"\s+[-–—−]+\s+|\s*[—―]+\s*|-{2,}", " — ", text)
    text = re.sub(r"\.{2,}|…[.…]+", "…", text)
    text = re.sub(r"([!?])\1+", r"\1", text).replace("!?", "?!")
    return re.sub(r",{2,}", ",", text)


def _spacing(text: str) -> str:
    text = re.sub(r"\s+", " ", text).strip()
    text = re.sub(r" +([,.:;!?…»)])", r"\1", text)
    return re.sub(r"([«(]) +", r"\1", text)


def _unglued(text: str) -> str:
    """A space after a mark that has none: «успеха.Вторая», «если,что»."""
    text = re.sub(r"(?<=[а-я»)%])([.!?…]+»?)(?=[А-Я«—©])", r"\1 ", text)
    text = re.sub(r"(?<=\d)(\.)(?=[А-Я][а-я])", r"\1 ", text)
    return re.sub(r"(?<=[а-я»)])([,;:])(?=[А-Яа-я«—])", r"\1 ", text)


def _without_heading(text: str) -> str:
    return _HEADING.sub("", text)


def _without_adverts(text: str) -> str:
    parts = sentences(text)
    kept = [part for part in parts if not _ADVERT.search(part)]
    return text if len(kept) == len(parts) else " ".join(kept)


def _finished(text: str) -> str:
    """With an end mark, or without an end that breaks off within a sentence."""
    parts = sentences(text)
    if not parts or _ENDED.search(parts[-1]):
        return text
    if _is_whole(parts[-1]):
        return text.rstrip(",;: —-") + "."
    return " ".join(parts[:-1])


def _is_whole(sentence: str) -> bool:
    """Whether only the mark is missing: there is a verb, and nothing must follow the last word."""
    words = [word.lower() for word in _WORD.findall(sentence)]
    return (
        len(words) >= 3
        and bool(re.search(r"[а-я]»?$", sentence))
        and any(_parts_of_speech(word) & {"VERB", "PRED"} for word in words)
        and not _parts_of_speech(words[-1]) & {"PREP", "CONJ", "PRCL", "ADJF", "NPRO", None}
        and is_known(words[-1])
    )


_MENDING: dict[str, Callable[[str], str]] = {
    "characters": _characters,
    "ё": _without_yo,
    "markup": _without_markup,
    "typography": _typography,
    "spacing": _spacing,
    "glued sentences": _unglued,
    "heading": _without_heading,
    "advert": _without_adverts,
    "unfinished end": _finished,
}


def _fault(text: str, sign: Sign) -> str | None:
    letters = len(_LETTER.findall(text))
    if not letters:
        return "nothing left"
    if _PASTED.search(text):
        return "several texts in one"
    if len(text) > LONGEST:
        return f"longer than {LONGEST} characters"
    if not _is_russian(text, letters):
        return "not Russian"
    if len(text) < SHORTEST:
        return f"shorter than {SHORTEST} characters"
    if _LATIN.search(text):
        return "Latin letters"
    if sum(map(str.isupper, text)) > letters / 2:
        return "capital letters"
    parts = sentences(text)
    if len(set(parts)) < len(parts):
        return "repeats a sentence"
    named = {_SIGN_NAMES[word] for word in _WORD.findall(text) if word in _SIGN_NAMES}
    if named and sign not in named:
        return "names another sign"
    return None


def _is_russian(text: str, letters: int) -> bool:
    if len(_CYRILLIC.findall(text)) < 0.9 * letters:
        return False
    words = _WORD.findall(text.lower())
    return sum(map(is_known, words)) >= KNOWN_WORDS * len(words)


@lru_cache(10_000)
def _parts_of_speech(word: str) -> frozenset[str | None]:
    return frozenset(parse.tag.POS for parse in morphology().parse(word))
