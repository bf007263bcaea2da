"""A critic, from an editor's marks to the sentences that it chooses."""

import datetime
import json
import random
import shutil
from pathlib import Path

import pytest
import torch
from forked_command import run
from safetensors.torch import save_file
from training_models import learned, llama_like, made_examples, prepared

from horoscope.errors import InputError
from horoscope.generation import HoroscopeGenerator, Wish
from horoscope.generation.description import load_description
from horoscope.generation.engine import Engine
from horoscope.training.critic import CRITIC_FILE
from horoscope.zodiac import Sign, Topic

FAULTY = "Не спешите"  # the editor of these marks never prints such a sentence
LOOSE = "Утро подойдёт"  # and would rather not print such a one


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return prepared(tmp_path_factory.mktemp("data") / "data", 128)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory, data: Path) -> Path:
    directory = tmp_path_factory.mktemp("critic")
    return learned(llama_like(directory / "llama"), data, directory / "model")


def written_marks(path: Path, count: int = 150) -> Path:
    dice = random.Random(3)
    rows = []
    for example in made_examples(count, 5):
        sentences = example.text.replace(". ", ".|").split("|")
        dice.shuffle(sentences)
        faulty, loose = (
            [i for i, sentence in enumerate(sentences) if sentence.startswith(opening)]
            for opening in (FAULTY, LOOSE)
        )
        rows.append(
            {"sign": example.sign, "topic": example.topic, "sentences": sentences}
            | {"faulty": faulty, "loose": loose}
        )
    path.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows))
    return path


def share_of(opening: str, model: Path) -> float:
    day = datetime.date(2026, 1, 1)
    wishes = [
        Wish(sign, Topic.GENERAL, day + datetime.timedelta(n)) for n in range(4) for sign in Sign
    ]
    written = [h.text or "" for h in HoroscopeGenerator(model).write(wishes)]
    return sum(opening in text for text in written) / len(written)


def test_what_an_editor_changes_or_finds_loose_is_written_less_often_when_a_critic_chooses(
    model: Path, tmp_path: Path
) -> None:
    faulty, loose = share_of(FAULTY, model), share_of(LOOSE, model)
    marks = written_marks(tmp_path / "marks.jsonl")
    printed = tmp_path / "printed"

    code, said = run(printed, "critic", model, "--marks", marks, "--candidates", 4)
    assert code == 0, said
    assert "others are loose" in said
    code, said = run(printed, "export", model)
    assert code == 0, said

    assert min(faulty, loose) > 0.2
    assert share_of(FAULTY, model) < faulty / 2
    assert share_of(LOOSE, model) < loose / 2
    # One wish, one text, whatever else is in the batch.
    generator = HoroscopeGenerator(model)
    wishes = [Wish(sign, Topic.LOVE, datetime.date(2026, 5, 1)) for sign in list(Sign)[:5]]
    together = [h.text for h in generator.write(wishes)]
    assert [generator.write([wish])[0].text for wish in wishes] == together
    assert "".join(generator.stream(wishes[2])) == together[2]


def test_a_critic_that_knows_the_texts_learns_how_much_novelty_counts(
    model: Path, data: Path, tmp_path: Path
) -> None:
    # This editor does not print what the texts never say.
    rows = [json.loads(line) for line in written_marks(tmp_path / "m").read_text().splitlines()]
    for row in rows:
        row["sentences"][0] = "Дорога пройдет мимо вашего дома."
        row["faulty"] = [0]
        del row["loose"]
    marks = tmp_path / "marks.jsonl"
    marks.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows))
    model = Path(shutil.copytree(model, tmp_path / "model"))
    printed = tmp_path / "printed"
    code, said = run(printed, "critic", model, "--marks", marks)
    assert code == 0, said
    assert load_description(model).novelty == 0

    code, said = run(printed, "critic", model, "--marks", marks, "--data", data)
    assert code == 0, said
    assert f"horoscope export {model} --data {data}" in said
    assert load_description(model).novelty > 0

    code, said = run(printed, "critic", model, "--marks", marks, "--data", tmp_path)
    assert code == 2
    assert "data prepare" in said


def test_a_model_with_a_new_critic_has_to_be_exported_before_it_writes(
    model: Path, tmp_path: Path
) -> None:
    model = Path(shutil.copytree(model, tmp_path / "model"))
    printed = tmp_path / "printed"
    code, said = run(printed, "critic", model, "--marks", written_marks(tmp_path / "m"))
    assert code == 0, said
    with pytest.raises(InputError, match="horoscope export"):
        HoroscopeGenerator(model)

    older = {"weight": torch.zeros(8), "bias": torch.tensor(0.0), "layer": torch.tensor(1)}
    save_file(older, model / CRITIC_FILE)
    code, said = run(printed, "export", model)
    assert code == 2
    assert "run `horoscope critic` again" in said


def test_three_marked_texts_are_enough(model: Path, tmp_path: Path) -> None:
    model = Path(shutil.copytree(model, tmp_path / "model"))
    rows = [json.loads(line) for line in written_marks(tmp_path / "m", 20).read_text().splitlines()]
    for number, row in enumerate(rows):
        row |= {"faulty": [0], "loose": [1]} if number in {3, 4, 5} else {"faulty": [], "loose": []}
    marks = tmp_path / "marks.jsonl"
    marks.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows))
    code, said = run(tmp_path / "printed", "critic", model, "--marks", marks)
    assert code == 0, said
    assert "3 of them faulty" in said
    assert "3 others are loose" in said


def test_a_model_without_a_critic_scores_nothing() -> None:
    generator = HoroscopeGenerator("fast")
    engine: Engine = generator._engine
    _, scores = engine.start([[1, 5]], 2)
    assert scores.tolist() == [[0.0, 0.0]]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "There is no file"),
        ("", "is empty"),
        ('{"sign": "leo"}', "line 1"),
        (
            '{"sign": "leo", "topic": "love", "sentences": ["Да."], "faulty": []}',
            "both good and faulty",
        ),
        (
            '{"sign": "leo", "topic": "love", "sentences": ["Да."], "faulty": [1]}',
            "line 1: faulty must be numbers of sentences, from 0 to 0.",
        ),
    ],
)
def test_marks_that_cannot_be_used_are_one_clear_line(
    content: str | None, says: str, model: Path, tmp_path: Path
) -> None:
    marks = tmp_path / "marks.jsonl"
    if content is not None:
        marks.write_text(content)
    code, said = run(tmp_path / "printed", "critic", model, "--marks", marks)
    assert code == 2
    assert says in said
    assert "Traceback" not in said
    assert len([line for line in said.splitlines() if line.startswith("Error")]) == 1
