"""What `horoscope evaluate` measures, and what it prints."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from forked_command import run
from hypothesis import given
from hypothesis import strategies as st
from training_models import made_examples

from horoscope.corpus import CORPORA
from horoscope.dataset.examples import Example, write_examples
from horoscope.generation.description import load_description
from horoscope.training.measures import (
    MEASURES,
    Known,
    Text,
    distinct,
    find_known,
    measure,
    sentences,
    words,
)
from horoscope.zodiac import Sign, Topic

NOTHING = Known()
GOOD = "Сегодня хороший день для спокойной работы. Вечером отдохните дома."


def example(text: str, source: str) -> Example:
    return Example(Sign.LEO, Topic.GENERAL, text, None, source)


def test_words_and_sentences_of_a_text() -> None:
    assert words("Кое-кто ждёт: «Льва»!") == ("кое-кто", "ждёт", "льва")
    assert sentences("Раз два. «Три!» Четыре… Пять") == [
        ("раз", "два"),
        ("три",),
        ("четыре",),
        ("пять",),
    ]


def test_what_is_copied_is_told_apart_by_whose_text_it_was() -> None:
    ours = "Раз два три четыре пять шесть семь восемь девять."
    theirs = "Сегодня звёзды советуют вам не спорить с начальником до самого обеда."
    texts = [Text(Sign.LEO, f"{ours} {theirs} Вечером отдыхайте дома.")]
    others, own = find_known(texts, [example(ours, "plain"), example(theirs, "rambler")])
    found = measure(texts, others, own)
    ngrams = 9 + 11 + 3 - 7
    assert found["copied_8grams_own"] == pytest.approx(100 * 2 / ngrams)
    assert found["copied_8grams_others"] == pytest.approx(100 * 4 / ngrams)
    assert found["copied_sentences_own"] == pytest.approx(100 / 3)
    assert found["copied_sentences_others"] == pytest.approx(100 / 3)


@pytest.mark.parametrize(
    ("text", "key", "value"),
    [
        (GOOD, "unknown_words", 0),
        ("Сегодня звёздно-кракозябрый день.", "unknown_words", 100 / 3),
        ("Good день сегодня.", "unknown_words", 100 / 3),
        (GOOD, "unfinished", 0),
        ("Вечером отдохните", "unfinished", 100),
        ("", "unfinished", 100),
        (GOOD, "another_sign", 0),
        ("Сегодня Львы удачливы.", "another_sign", 0),
        ("Сегодня Козерогам везёт.", "another_sign", 100),
        (GOOD, "repeated_4gram", 0),
        ("Вам очень повезёт сегодня, и вам очень повезёт сегодня.", "repeated_4gram", 100),
        (GOOD, "characters", len(GOOD)),
        ("Раз. Два. Раз.", "different_sentences", 200 / 3),
    ],
)
def test_a_measure_of_one_text(text: str, key: str, value: float) -> None:
    assert measure([Text(Sign.LEO, text)], NOTHING, NOTHING)[key] == pytest.approx(value)


def test_distinct_is_taken_of_the_first_20000_ngrams() -> None:
    different = [tuple(f"w{i}" for i in range(20_001))]
    assert distinct(different, 2) == 1
    assert distinct([*different, ("a",) * 50_000], 2) == 1
    assert distinct([("a",) * 50_000], 2) == 1 / 20_000


@given(st.lists(st.text(alphabet="абв .!», \n«-", max_size=60), max_size=4))
def test_measures_of_any_texts_are_shares(texts: list[str]) -> None:
    given_texts = [Text(Sign.LEO, text) for text in texts]
    known = find_known(given_texts, [example(text, "plain") for text in texts])
    found = measure(given_texts, *known)
    assert found.keys() == MEASURES.keys() - {"bits_per_character"}
    for key, value in found.items():
        most = {"characters": 60, "distinct_2": 1, "distinct_3": 1}.get(key, 100)
        assert 0 <= value <= most, key
    if any(sentences(text) for text in texts):
        assert found["copied_sentences_own"] == 100


def test_models_stand_beside_people_in_one_table(
    learned_model: Path, prepared_data: Path, tmp_path: Path
) -> None:
    # A second model, of which only the engine is left, as it is served.
    served = tmp_path / "served"
    shutil.copytree(learned_model, served)
    (served / "model.safetensors").unlink()
    load_description(served).model_copy(update={"name": "served"}).save(served)
    arguments = ("evaluate", learned_model, served, "--data", prepared_data, "-n", 40)
    code, printed = run(tmp_path / "printed", *arguments, "--output", tmp_path / "one")
    assert code == 0, printed
    content = json.loads((tmp_path / "one" / "evaluation.json").read_text(encoding="utf-8"))
    results = content["results"]
    assert list(results) == ["people", "model", "served"]
    assert all(row.keys() == MEASURES.keys() for row in results.values())
    assert results["people"]["bits_per_character"] is None
    assert results["served"]["bits_per_character"] is None
    # The texts are put together from a few sentences, and were learned well.
    assert 0 < results["model"]["bits_per_character"] < 0.5
    assert results["people"]["copied_sentences_own"] == 100
    assert results["model"]["copied_sentences_own"] > 80
    assert results["model"]["copied_sentences_others"] == 0
    assert results["model"]["unknown_words"] == results["people"]["unknown_words"] == 0
    assert results["model"]["distinct_2"] < 0.5

    table = (tmp_path / "one" / "evaluation.md").read_text(encoding="utf-8")
    assert table.strip() in printed
    assert len(table.splitlines()) == 2 + len(MEASURES)
    assert len({len(line) for line in table.splitlines()}) == 1
    assert (tmp_path / "one" / "evaluation.png").read_bytes().startswith(b"\x89PNG")
    texts = (tmp_path / "one" / "texts.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(texts) == 80

    code, printed = run(tmp_path / "printed", *arguments, "--output", tmp_path / "two")
    assert code == 0, printed
    again = json.loads((tmp_path / "two" / "evaluation.json").read_text(encoding="utf-8"))
    assert again == content


def test_what_cannot_be_evaluated_is_one_line_and_exit_code_2(
    learned_model: Path, prepared_data: Path, tmp_path: Path
) -> None:
    no_test = tmp_path / "no-test"
    shutil.copytree(prepared_data, no_test)
    write_examples(no_test / "test.jsonl", [])
    no_engine = tmp_path / "no-engine"
    shutil.copytree(learned_model, no_engine)
    load_description(no_engine).model_copy(update={"engine": []}).save(no_engine)
    for arguments, word in [
        ((learned_model, "--data", no_test), "test.jsonl"),
        ((learned_model, "--data", tmp_path), "data prepare"),
        ((no_engine, "--data", prepared_data), "horoscope export"),
        ((tmp_path / "nowhere", "--data", prepared_data), "nowhere"),
        ((learned_model, learned_model, "--data", prepared_data), "twice"),
        ((learned_model, "--data", prepared_data, "-n", 0), "-n"),
    ]:
        code, printed = run(
            tmp_path / "printed", "evaluate", *arguments, "--output", tmp_path / "out"
        )
        assert code == 2, printed
        assert word in printed.strip().splitlines()[-1]
        assert "Traceback" not in printed
        assert not (tmp_path / "out").exists()


def no_files(size: int) -> None:
    import resource

    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def test_a_full_disk_leaves_the_report_that_was_there(
    learned_model: Path, prepared_data: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "evaluation.png").write_bytes(b"of last time")
    arguments = ("evaluate", learned_model, "--data", prepared_data, "-n", 4, "--output", out)
    code, printed = run(tmp_path / "printed", *arguments, before=no_files, given=5000)
    assert code == 1, printed
    assert "Cannot write" in printed.strip().splitlines()[-1]
    assert (out / "evaluation.png").read_bytes() == b"of last time"
    assert not list(out.glob("part-*"))


def test_other_peoples_texts_are_those_of_every_source_but_our_own() -> None:
    sentence = "Раз два три четыре пять шесть семь восемь девять."
    texts = [Text(Sign.LEO, sentence)]
    sources = {**dict.fromkeys(CORPORA, True), "mailru": False, "my.csv": False}
    for source, ours in sources.items():
        others, own = find_known(
            texts, [replace(made_examples(1, 0)[0], text=sentence, source=source)]
        )
        assert bool(own.sentences) is ours
        assert bool(others.sentences) is not ours
