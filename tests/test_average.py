"""The mean of two models."""

import shutil
from pathlib import Path

import pytest
import torch
from forked_command import run
from safetensors.torch import load_file
from training_models import llama_like, prepared, rugpt3_like

from horoscope.generation.description import load_description


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A model, and what a little more training made of it."""
    directory = tmp_path_factory.mktemp("average")
    data = prepared(directory / "data")
    first, second = directory / "first", directory / "second"
    for source, output in ((rugpt3_like(directory / "rugpt3"), first), (first, second)):
        arguments = ("--model", source, "--data", data, "--output", output, "--steps", 3)
        code, said = run(directory / "printed", "train", *arguments)
        assert code == 0, said
    return first, second


def average(tmp_path: Path, *arguments: object) -> tuple[int | None, str]:
    return run(tmp_path / "printed", "average", *arguments, "--output", tmp_path / "mean")


def test_each_weight_is_the_mean_and_a_model_given_twice_counts_twice(
    pair: tuple[Path, Path], tmp_path: Path
) -> None:
    first, second = pair
    code, said = average(tmp_path, first, first, second)
    assert code == 0, said
    one, two, mean = (
        load_file(each / "model.safetensors") for each in (first, second, tmp_path / "mean")
    )
    assert mean.keys() == one.keys()
    assert any(not torch.equal(one[key], two[key]) for key in one)
    for key, tensor in mean.items():
        torch.testing.assert_close(tensor, (2 * one[key] + two[key]) / 3)


def test_it_is_a_model_that_can_be_exported_and_knows_how_it_was_made(
    pair: tuple[Path, Path], tmp_path: Path
) -> None:
    code, said = average(tmp_path, *pair)
    assert code == 0, said
    code, said = run(tmp_path / "printed", "export", tmp_path / "mean")
    assert code == 0, said
    made = load_description(tmp_path / "mean").training
    trained = [load_description(each).training["command"] for each in pair]
    assert made["earlier"] == trained


def test_models_of_other_shapes_and_too_few_are_one_clear_line(
    pair: tuple[Path, Path], tmp_path: Path
) -> None:
    data = prepared(tmp_path / "data")
    other = tmp_path / "other"
    arguments = ("--model", llama_like(tmp_path / "llama"), "--data", data, "--output", other)
    assert run(tmp_path / "printed", "train", *arguments, "--steps", 1)[0] == 0
    for models, reason in (((pair[0], other), "differ in shape"), (pair[:1], "two models")):
        code, said = average(tmp_path, *models)
        assert code == 2
        assert reason in said
        assert len(said.strip().splitlines()) == 1
        assert not (tmp_path / "mean").exists()


def test_a_finished_model_is_not_overwritten(pair: tuple[Path, Path], tmp_path: Path) -> None:
    shutil.copytree(pair[0], tmp_path / "mean")
    code, said = average(tmp_path, *pair)
    assert code == 2
    assert "holds a finished model" in said
