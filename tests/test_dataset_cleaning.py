import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from horoscope.corpus import CORPORA, corpus_path
from horoscope.dataset.cleaning import clean, sentences
from horoscope.zodiac import Sign

ROWS = [
    json.loads(line)
    for name in CORPORA
    for line in corpus_path(name).read_text("utf-8").splitlines()
]
TIDY = [(row["text"], Sign(row["sign"])) for row in ROWS]
LEO = "Хороший день для важных дел. Коллеги охотно помогут вам. Вечером отдохните в кругу семьи."


def test_our_own_corpus_is_clean_already() -> None:
    for text, sign in TIDY:
        cleaned = clean(text, sign)
        assert (cleaned.text, cleaned.mended, cleaned.dropped) == (text, (), None)


@given(st.text(), st.sampled_from(Sign))
def test_cleaning_twice_is_cleaning_once(text: str, sign: Sign) -> None:
    once = clean(text, sign)
    twice = clean(once.text, sign)
    assert twice.text == once.text
    assert twice.mended == ()
    assert twice.dropped == once.dropped


RUSSIAN = st.text(st.sampled_from('абвежяёАБЕЯ .,:;!?…«»"-–—()1\n\t\u00a0\u200b<>&@'), max_size=80)


@given(RUSSIAN)
def test_cleaning_twice_is_cleaning_once_on_what_looks_russian(text: str) -> None:
    once = clean(text, Sign.LEO)
    assert clean(once.text, Sign.LEO) == type(once)(once.text, (), once.dropped)


@given(st.text(st.sampled_from('абвежяАБЕЯ .,:;!?…«»"-–—\n\u00a0\u200b'), max_size=80))
def test_letters_are_never_lost_joined_or_moved(text: str) -> None:
    text += " Да."  # so that the end is finished
    words = re.findall("[а-яА-Я]+", text.replace("\u200b", ""))
    assert re.findall("[а-яА-Я]+", clean(text, Sign.LEO).text) == words


def dirty(text: str, draw: st.DataObject) -> str:
    """The same text as careless people publish it."""
    kinds = {
        "glued": lambda t: re.sub(r"([.!?]) (?=[А-Я])", r"\1", t),
        "spaces": lambda t: " " + t.replace(" ", "  ") + "\n",
        "no-break spaces": lambda t: t.replace(" ", "\u00a0"),
        "soft hyphens": lambda t: re.sub(r"(?<=[а-я]{3})(?=[а-я]{3})", "\u00ad", t),
        "tags": lambda t: f"<p>{t}</p><br/>",
        "straight quotes": lambda t: t.replace("«", '"').replace("»", '"'),
        "hyphens for dashes": lambda t: t.replace(" — ", " - "),
        "decomposed": lambda t: t.replace("й", "и\u0306"),
        "latin look-alikes": lambda t: t.replace("со", "cо").replace("ре", "pe"),
        "space before a comma": lambda t: t.replace(",", " ,"),
        "an advert": lambda t: t + " Подпишитесь на наш канал @stars!",
        "an address": lambda t: t + " Подробнее на https://example.org/leo.",
        "half a sentence": lambda t: t + " А вечером вас",
        "bracket": lambda t: t + "]",
        "marks": lambda t: t + " 5 5 5",
        "entities": lambda t: t.replace("«", "&laquo;").replace("—", "&mdash;"),
        "bracketed tags": lambda t: f"[b]{t}[/b]",
        "a script": lambda t: f"<style>p {{color: red}}</style>{t}<script>f('я')</script>",
        "hashtags": lambda t: t + " #гороскоп #удача",
        "rights": lambda t: t + "© 2026. Все права защищены.",
        "a label": lambda t: t + " Счастливые числа: 3, 7. Цвет дня: синий. Любовь: 80%.",
        "a source": lambda t: t + " Источник: газета.",
    }
    for kind in draw.draw(st.lists(st.sampled_from(sorted(kinds)), unique=True)):
        text = kinds[kind](text)
    return text


@given(st.sampled_from(TIDY), st.data())
def test_dirt_comes_off_and_the_text_stays(tidy: tuple[str, Sign], data: st.DataObject) -> None:
    text, sign = tidy
    dirt = dirty(text, data)
    cleaned = clean(dirt, sign)
    assert cleaned.text == text
    assert bool(cleaned.mended) == (dirt != text)
    assert cleaned.dropped is None


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "nothing left"),
        (" … 5 5 5", "nothing left"),
        ("Хороший день.", "shorter than 80 characters"),
        (LEO * 20, "longer than 1500 characters"),
        (f"{LEO} Дева Спокойный день. {LEO} Весы Трудный день.", "several texts in one"),
        (f"{LEO}Дева: Спокойный день. {LEO}", "several texts in one"),
        (f"{LEO} 6 мая. Спокойный день. {LEO}", "several texts in one"),
        (f"5 мая: {LEO} 6 мая 2021 г., четверг. {LEO}", "several texts in one"),
        (f"05.05.2021 {LEO} 06.05.2021 {LEO}", "several texts in one"),
        (f"Понедельник. {LEO} Вторник. {LEO}", "several texts in one"),
        (f"Сегодня: {LEO} Завтра: {LEO}", "several texts in one"),
        (f"ЛЕВ. {LEO} ДЕВА. {LEO}", "several texts in one"),
        (f"{LEO} {LEO}", "repeats a sentence"),
        (LEO.upper(), "capital letters"),
        ("A good day for work. Your colleagues will gladly help you. Rest at home.", "not Russian"),
        (
            "Сьогодні гарний день для важливих справ. Ваші колеги охоче допоможуть вам. "
            "Увечері відпочиньте з родиною.",
            "not Russian",
        ),
        (
            "Днес е хубав ден за важни дела. Вашите колеги с удоволствие ще ви помогнат. "
            "Вечерта си починете със семейството.",
            "not Russian",
        ),
        (LEO.encode().decode("cp1251", errors="ignore"), "not Russian"),
        (f"{LEO} Пишите друзьям в WhatsApp.", "Latin letters"),
        (f"{LEO} Некоторых Дев ждут подарки.", "names another sign"),
        ("Подпишитесь на нас! Читайте также: гороскоп на июнь. Фото: наше.", "nothing left"),
    ],
)
def test_what_cannot_be_learned_from_is_dropped_and_the_reason_named(
    text: str, reason: str
) -> None:
    assert clean(text, Sign.LEO).dropped == reason


@pytest.mark.parametrize(
    "heading",
    [
        "Лев. ",
        "ЛЕВ (23 июля — 22 августа). ",
        "05.05.2021 ",
        "5.05 — ",
        "Среда, 5 мая: ",
        "Сегодня: ",
        "Лев: ",
        "Лев (23.07-22.08). ",
        "♌ Лев ",
        "♌️ Лев: ",
        "Гороскоп на сегодня. ",
        "Гороскоп на сегодня: ",
        "Любовный гороскоп на 5 мая 2021 года: ",
        "5 мая. ",
        "5 мая 2021 года, среда. ",
    ],
)
def test_a_heading_is_no_part_of_the_text(heading: str) -> None:
    cleaned = clean(heading + LEO, Sign.LEO)
    assert (cleaned.text, cleaned.dropped) == (LEO, None)
    assert "heading" in cleaned.mended


@pytest.mark.parametrize(
    "text",
    [
        "Гороскоп на завтра хорош для нестандартных решений. " + LEO,
        "Лев сегодня полон сил. " + LEO,
        "Львам повезет в делах. Не бойтесь подписать договор! " + LEO,
        "Звезды советуют: не спешите, — и «все» уладится… " + LEO,
        "Кто-то позвонит вам в 10-12 часов. " + LEO,
        "Совет дня: загляните в магазины, где начались скидки. " + LEO,
        "Сегодня спокойно. Завтра позвонит друг. Суббота — лучший день для отдыха. " + LEO,
        "Девушки и раки тут ни при чем, но весы купить можно. " + LEO,
    ],
)
def test_a_sentence_that_only_looks_like_dirt_stays(text: str) -> None:
    assert clean(text, Sign.LEO).text == text
    assert clean(text, Sign.LEO).dropped is None


def test_yo_is_written_as_newspapers_do() -> None:
    cleaned = clean("Её ждёт успех. " + LEO, Sign.LEO)
    assert cleaned.text == "Ее ждет успех. " + LEO
    assert cleaned.mended == ("ё",)


@pytest.mark.parametrize(
    ("end", "mended"),
    [
        ("Вечер проведите дома", "Вечер проведите дома."),
        ("Рассчитывайте на «свои силы»", "Рассчитывайте на «свои силы»."),
        ("Денежные поступления", ""),
        ("Не исключено, что вы поймете, как", ""),
        ("Обратите внимание на важные", ""),
        ("Вечером вам потр", ""),
        ("Вечером позвонит старый др", ""),
        ("Хорошие новости 5 5 5", ""),
    ],
)
def test_an_end_without_a_mark_gets_one_if_the_sentence_is_whole_and_goes_if_not(
    end: str, mended: str
) -> None:
    cleaned = clean(f"{LEO} {end}", Sign.LEO)
    assert cleaned.text == f"{LEO} {mended}".strip()
    assert cleaned.mended == ("unfinished end",)


def test_sentences_end_where_readers_see_it() -> None:
    assert sentences("Он сказал: «Да!» Это… верно. Да?") == [
        "Он сказал: «Да!»",
        "Это… верно.",
        "Да?",
    ]
