"""What a text is said to be about, and what a model is asked to write about."""

import itertools
import json
from pathlib import Path

import pytest
from forked_command import run
from training_models import rugpt3_like

from horoscope.dataset.examples import Example, write_examples
from horoscope.generation.description import ModelDescription, load_description
from horoscope.training.examples import tokenize
from horoscope.training.models import fresh_tokenizer
from horoscope.training.themes import Themes
from horoscope.zodiac import Sign, Topic

NOUNS = {
    "письмо": "письма",
    "поездка": "поездки",
    "ремонт": "ремонта",
    "экзамен": "экзамена",
    "прогулка": "прогулки",
    "подарок": "подарка",
    "концерт": "концерта",
    "ссора": "ссоры",
    "урок": "урока",
    "отчет": "отчета",
    "гость": "гостя",
    "музыка": "музыки",
    "ужин": "ужина",
    "билет": "билета",
    "договор": "договора",
    "мечта": "мечты",
    "сестра": "сестры",
    "книга": "книги",
}
ENDINGS = ["Вечером вам станет легче.", "К вечеру все уладится.", "День пройдет спокойно."]
TEXTS = [
    f"Сегодня не удастся обойтись без {of}. Коллеги поймут вас. {ending}"
    for _, of in itertools.product(range(5), NOUNS.values())
    for ending in ENDINGS
]


@pytest.fixture(scope="module")
def themes() -> Themes:
    return Themes(TEXTS)


@pytest.mark.parametrize("noun", NOUNS)
def test_the_theme_is_the_noun_that_few_other_texts_name(themes: Themes, noun: str) -> None:
    assert themes.of(f"Сегодня не удастся обойтись без {NOUNS[noun]}. День будет ясным.") == noun


@pytest.mark.parametrize(
    "text",
    [
        "Вечером вам станет легче.",  # no noun
        "Коллеги проведут с вами день.",  # what all texts name
        "Синекдоха вас удивит.",  # what none names
        "День будет ясным. Вы вспомните о письме.",  # named in passing
        "",
    ],
)
def test_a_text_without_a_telling_noun_has_no_theme(themes: Themes, text: str) -> None:
    assert themes.of(text) is None


def test_a_noun_that_is_named_again_is_a_theme_wherever_it_stands(themes: Themes) -> None:
    assert themes.of("День будет ясным. Вы ждете письма. Письмо придет.") == "письмо"


def test_every_second_prompt_names_the_theme_of_its_text(themes: Themes) -> None:
    text = TEXTS[0]
    examples = [Example(Sign.LEO, Topic.LOVE, text, None, "own") for _ in range(4)]
    tokenizer = fresh_tokenizer([*TEXTS, "лев, любовь: письмо"], 400)
    model = ModelDescription(name="", begin_ids=[], end_id=2)
    found = tokenize(examples, tokenizer.backend_tokenizer, model, 200, themes)
    prompts = [tokenizer.decode(each.ids[: each.prompt_length]) for each in found]
    assert prompts == ["лев, любовь: письмо\n", "лев, любовь\n"] * 2


def test_a_trained_model_knows_the_themes_of_each_topic(tmp_path: Path) -> None:
    def examples(texts: list[str]) -> list[Example]:
        topics = [Topic.GENERAL, Topic.LOVE]
        signs = itertools.cycle(Sign)
        return [Example(next(signs), topics[i % 2], t, None, "own") for i, t in enumerate(texts)]

    data = tmp_path / "data"
    data.mkdir()
    without = ["Вечером вам станет легче."] * 8
    write_examples(data / "train.jsonl", examples([*TEXTS, *without]))
    write_examples(data / "validation.jsonl", examples([*TEXTS[:8], *without]))
    output = tmp_path / "model"
    source = rugpt3_like(tmp_path / "rugpt3")
    arguments = ["--model", source, "--data", data, "--output", output, "--steps", 2, "--themes"]
    code, printed = run(tmp_path / "printed", "train", *arguments)
    assert code == 0, printed
    known = load_description(output).themes
    assert set(known[Topic.GENERAL]) == set(known[Topic.LOVE]) == set(NOUNS)
    assert known[Topic.BUSINESS] == []
    prompts = load_description(output).prompt(Sign.LEO, Topic.LOVE, known[Topic.LOVE][0])
    assert prompts == f"лев, любовь: {known[Topic.LOVE][0]}\n"


def test_texts_of_which_none_has_a_theme_are_one_clear_line(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    for split in ("train", "validation"):
        row = {"sign": "leo", "topic": "love", "date": None, "text": ENDINGS[0], "source": "own"}
        (data / f"{split}.jsonl").write_text(json.dumps(row) + "\n")
    arguments = ["--preset", "tiny", "--data", data, "--output", tmp_path / "model", "--themes"]
    code, printed = run(tmp_path / "printed", "train", *arguments)
    assert code == 2
    assert printed.strip() == (
        "Error: --themes finds no theme in these texts: they are too few, or too alike."
    )
