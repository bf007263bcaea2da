"""How sure the bot is of what people write."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from horoscope.bot.understanding import is_certain, leaves_sign_open, names_sign, topic_in
from horoscope.zodiac import Sign, Topic


@pytest.mark.parametrize(
    "text",
    [
        *("лев", "Льву!", "♌️", "5 августа", "05.08", "лев любовь", "гороскоп для льва"),
        *("что ждёт сегодня дев?", "дай мне, пожалуйста, гороскоп для весов на сегодня"),
        *("я родилась 1 марта 1990 года", "leo", "дата рождения: 5.8.1990"),
    ],
)
def test_a_wish_is_certain(text: str) -> None:
    assert names_sign(text)
    assert is_certain(text)


@pytest.mark.parametrize(
    "text",
    [
        *("у бабушки рак", "рак лёгких", "купил весы", "рыбы в пруду плавают", "дева мария"),
        "лев " * 30,
    ],
)
def test_a_story_with_a_sign_in_it_is_not_certain(text: str) -> None:
    assert names_sign(text)
    assert not is_certain(text)


@pytest.mark.parametrize(
    ("text", "topic"),
    [
        *(("любовь", Topic.LOVE), ("про работу", Topic.BUSINESS), ("лефф любовь", Topic.LOVE)),
        *(("", Topic.GENERAL), ("щщщ", Topic.GENERAL), ("лев и рак любовь", Topic.GENERAL)),
    ],
)
def test_a_topic_is_found_without_a_sign(text: str, topic: Topic) -> None:
    assert topic_in(text) is topic


@pytest.mark.parametrize("text", ["гороскоп", "Хочу гороскоп!", "любовь", "прогноз на сегодня"])
def test_a_wish_may_leave_the_sign_open(text: str) -> None:
    assert leaves_sign_open(text)


@pytest.mark.parametrize(
    "text",
    [
        *("", "привет", "31.02", "лев", "гороскоп льва и девы", "любовь ♌♍", "гороскоп на 31.04"),
        *("я люблю гороскопы", "гороскоп лефф"),
    ],
)
def test_what_names_a_sign_badly_or_is_no_wish_leaves_nothing_open(text: str) -> None:
    assert not leaves_sign_open(text)


@given(st.text(max_size=300))
def test_any_text_can_be_judged(text: str) -> None:
    assert is_certain(text) in {True, False}
    assert leaves_sign_open(text) in {True, False}
    assert topic_in(text) in Topic


@given(st.sampled_from(list(Sign)), st.sampled_from(list(Topic)))
def test_every_form_of_a_sign_with_a_topic_is_certain(sign: Sign, topic: Topic) -> None:
    for form in sign.forms:
        assert is_certain(f"{form} {topic.russian}")
