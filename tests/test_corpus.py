import json
import re
from collections import Counter
from pathlib import Path

import pytest

from horoscope.cli import main
from horoscope.corpus import CORPORA, corpus_path
from horoscope.corpus.check import (
    CheckReport,
    check_files,
    distinct_pairs,
    faults,
    rare_share,
    shared_runs,
)
from horoscope.zodiac import Sign, Topic

LEAST_TEXTS = 6_000
# Below, a model learns to repeat itself; above, the language is too rich for a small one. 0.65 was
# wanted and is missed: docs/corpus.md.
DISTINCT_PAIRS = (0.50, 0.75)
GOOD = (
    "Утро будет спокойным, и вы успеете подготовиться к важному разговору. "
    "Начальство внимательно выслушает вашу идею. Отвечайте коротко и говорите только о главном. "
    "Во второй половине дня можно заняться обычными делами. Вечером отдохните дома."
)


def rows(name: str) -> list[dict[str, str]]:
    return [json.loads(line) for line in corpus_path(name).read_text("utf-8").splitlines()]


@pytest.fixture(scope="module")
def plain() -> CheckReport:
    return check_files([corpus_path("plain")])


def test_every_plain_text_keeps_the_rules(plain: CheckReport) -> None:
    assert [str(fault) for fault in plain.faults] == []


def test_every_story_keeps_them_too() -> None:
    stories = check_files([corpus_path("stories")])
    assert [str(fault) for fault in stories.faults] == []
    assert shared_runs(stories.texts) <= 0.02


def test_the_plain_corpus_is_regular_but_does_not_repeat_itself(plain: CheckReport) -> None:
    least, most = DISTINCT_PAIRS
    assert least <= distinct_pairs(plain.texts) <= most
    assert shared_runs(plain.texts) <= 0.02
    assert rare_share(plain.texts) <= 0.015


@pytest.mark.parametrize("name", ["plain", "stories"])
def test_signs_are_balanced_and_so_are_the_topics_of_each(name: str) -> None:
    everything = rows(name)
    assert len(everything) >= LEAST_TEXTS
    signs = Counter(row["sign"] for row in everything)
    assert max(signs.values()) <= 1.02 * min(signs[sign] for sign in Sign)
    for topic in Topic:
        of_topic = Counter(row["sign"] for row in everything if row["topic"] == topic)
        assert max(of_topic.values()) <= 1.1 * min(of_topic[sign] for sign in Sign)
        assert sum(of_topic.values()) >= 0.1 * len(everything)


@pytest.mark.parametrize("name", CORPORA)
def test_no_text_stands_twice(name: str) -> None:
    texts = [re.sub(r"\W+", " ", row["text"].lower()) for row in rows(name)]
    assert len(set(texts)) == len(texts)


def test_witty_texts_are_whole_and_name_no_other_sign() -> None:
    for row in rows("witty"):
        assert Sign(row["sign"])
        assert Topic(row["topic"])
        assert re.fullmatch(r"[А-ЯЁ«—].*[.!?…]»?", row["text"]), row["text"]
        assert not [f for f in faults(row["text"], Sign(row["sign"])) if "another sign" in f]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (GOOD, None),
        (GOOD[:190], "190 characters"),
        (GOOD * 3, "sentences"),
        (GOOD.replace("главном. Во", "главном, а потом во"), "long sentence: Отвечайте"),
        (GOOD.replace("дома.", "дома"), "no end mark"),
        (GOOD.replace("разговору. Н", "разговору.  Н"), "stray spaces"),
        (GOOD.replace("Отвечайте", "отвечайте"), "lower-case beginning"),
        (GOOD.replace("обычными", "тестировочными"), "unknown words: тестировочными"),
        (GOOD.replace("идею", "синекдоху, кантату и фугу"), "rare words"),
        (GOOD.replace("идею", "idea"), "odd characters"),
        (GOOD.replace("идею", "её идею"), "odd characters: ё"),
        (GOOD.replace("вашу", "вашу вашу"), "doubled words: вашу"),
        (GOOD.replace("дома", "у Весов"), "another sign: Весов"),
        (GOOD.replace("важному", "важную"), "government: Утро"),
    ],
)
def test_a_fault_is_found_and_named(text: str, fault: str | None) -> None:
    found = faults(text, Sign.LEO)
    assert found == [] if fault is None else any(fault in each for each in found)


@pytest.mark.parametrize(
    "words",
    [
        "новый встреча",
        "важного разговор",
        "хорошее планы",
        "сложного задачу",
        "спокойный работу",
        "сложных городам",
    ],
)
def test_an_adjective_that_does_not_agree_with_its_noun_is_found(words: str) -> None:
    sentence = f"Сегодня будет {words}."
    assert f"agreement: {sentence}" in faults(f"{sentence} {GOOD}", Sign.LEO)


@pytest.mark.parametrize(
    "sentence",
    [
        "Новые встречи принесут хорошее настроение и два простых примера.",
        "Вы увидите старого друга и новый дом.",
        "Скажите всем правду, а знакомого советом не обижайте.",
        "Будьте внимательны к мелочам: важные дела, новые люди.",
        "Хорошая, спокойная неделя; последние три дня лучше отдохнуть.",
        "У вас много важных дел, времени мало.",
        "Сделайте шаг навстречу друг другу и возьмите друга в помощники.",
        "Ближайшие полгода пройдут в тесном семейном кругу.",
    ],
)
def test_words_that_may_stand_together_are_left_alone(sentence: str) -> None:
    found = faults(f"{sentence} {GOOD}", Sign.LEO)
    assert not [fault for fault in found if fault.startswith(("agreement", "government", "verb"))]


def test_sentences_and_openings_that_stand_too_often_are_named(tmp_path: Path) -> None:
    path = tmp_path / "mine.jsonl"
    texts = [
        GOOD.replace("коротко", word) for word in "прямо честно смело ясно четко быстро".split()
    ]
    path.write_text(
        "\n".join(json.dumps({"sign": "leo", "topic": "general", "text": text}) for text in texts),
        encoding="utf-8",
    )
    found = [str(fault) for fault in check_files([path]).faults]
    assert f"{path}, line 3: stands more than 2 times: Вечером отдохните дома." in found
    assert f"{path}, line 6: too many texts begin so: утро будет спокойным" in found


def test_the_command_prints_a_line_for_each_fault_and_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "mine.jsonl"
    row = {"sign": "leo", "topic": "general", "text": GOOD}
    lines = [json.dumps(row), "{", json.dumps({**row, "sign": "lion"}), json.dumps({"text": GOOD})]
    path.write_text("\n".join(lines), encoding="utf-8")
    monkeypatch.setattr("sys.argv", ["horoscope", "data", "check", str(path)])
    with pytest.raises(SystemExit, match="1"):
        main()
    printed = capsys.readouterr()
    out = printed.out.splitlines()
    assert printed.err == "Error: There are 3 faults to mend.\n"
    assert [line.split(":")[0] for line in out[:-1]] == [f"{path}, line {n}" for n in (2, 3, 4)]
    assert out[-1].startswith("1 texts, 3 faults; distinct-2 1.000")
    path.write_text(lines[0], encoding="utf-8")
    main()
