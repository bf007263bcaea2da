"""From a trained directory to the engine that serves it."""

import datetime
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from forked_command import run
from training_models import learned, llama_like, qwen_like, rugpt3_like

from horoscope.dataset import load_examples
from horoscope.generation import HoroscopeGenerator, Wish
from horoscope.generation.description import load_description
from horoscope.generation.engine import Engine
from horoscope.generation.learned import load_learned
from horoscope.training.examples import tokenize
from horoscope.training.models import load_pretrained
from horoscope.zodiac import Sign, Topic

DAY = datetime.date(2026, 1, 1)


@pytest.fixture(scope="module", params=["rugpt3", "llama", "qwen"])
def model(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    prepared_data: Path,
    learned_model: Path,
) -> Path:
    if request.param == "rugpt3":
        return learned_model
    make: Callable[[Path], Path] = {"llama": llama_like, "qwen": qwen_like}[request.param]
    directory = tmp_path_factory.mktemp(request.param)
    return learned(make(directory / "source"), prepared_data, directory / "model")


def test_every_family_writes_the_same_text_for_a_wish_whatever_else_is_in_the_batch(
    model: Path,
) -> None:
    generator = HoroscopeGenerator(model)
    wishes = [
        Wish(sign, topic, DAY, seed)
        for seed, (sign, topic) in enumerate(zip(Sign, [*Topic] * 4, strict=True))
    ]
    together = generator.write(wishes)
    assert all(each.text for each in together)
    for wish, horoscope in zip(wishes, together, strict=True):
        assert generator.write([wish]) == [horoscope]
    assert not any(mark in (each.text or "") for each in together for mark in "<>▁|")


def test_the_engine_computes_what_the_model_computes(model: Path) -> None:
    description = load_description(model)
    weights, tokenizer = load_pretrained(str(model))
    asked = description.prompt(Sign.LEO, Topic.LOVE)
    ids = [*description.begin_ids, *tokenizer.encode(asked, add_special_tokens=False)]
    engine = Engine(model, description)
    logits = [engine.start([ids], len(ids) + 3).logits[0].copy()]
    written = []
    for step in range(6):
        written.append(int(logits[-1].argmax()))
        position = np.array([len(ids) + step])
        logits.append(engine.step(np.array([written[-1]]), position).logits[0].copy())
    with torch.no_grad():
        exact = weights(torch.tensor([ids + written])).logits[0, len(ids) - 1 :].numpy()
    # 8-bit weights: a hundredth of the logits' spread is what they cost here.
    assert np.abs(np.array(logits) - exact).max() < 0.15 * exact.std()


def test_an_export_elsewhere_is_all_that_is_needed_to_write(
    learned_model: Path, tmp_path: Path
) -> None:
    code, printed = run(tmp_path / "printed", "export", learned_model, "--output", tmp_path / "e")
    assert code == 0
    assert printed.strip().splitlines() == [
        f"Try it: horoscope generate лев --model {tmp_path / 'e'}"
    ]
    assert {path.name for path in (tmp_path / "e").iterdir()} == {
        *("openvino_model.xml", "openvino_model.bin", "tokenizer.json", "model.json"),
        *("README.md", "loss.png"),
    }
    wish = Wish(Sign.LEO, Topic.LOVE, DAY)
    assert HoroscopeGenerator(tmp_path / "e").write([wish]) == HoroscopeGenerator(
        learned_model
    ).write([wish])


def test_a_temperature_given_to_export_is_the_one_it_writes_at(
    learned_model: Path, tmp_path: Path
) -> None:
    arguments = ("export", learned_model, "--output", tmp_path / "e", "--temperature", 1.3)
    code, printed = run(tmp_path / "printed", *arguments)
    assert code == 0, printed
    assert load_description(tmp_path / "e").temperature == 1.3
    assert load_description(learned_model).temperature == 0.7


def test_an_export_that_finds_the_disk_full_leaves_the_engine_that_was_there(
    learned_model: Path, tmp_path: Path
) -> None:
    model = Path(shutil.copytree(learned_model, tmp_path / "m"))
    before = {path.name: path.read_bytes() for path in model.iterdir()}
    code, printed = run(
        tmp_path / "printed", "export", model, before=small_files_only, given=20_000
    )
    assert code == 1, printed
    assert printed.startswith("Error: Cannot write")
    assert len(printed.strip().splitlines()) == 1
    assert {path.name: path.read_bytes() for path in model.iterdir()} == before


def small_files_only(size: int) -> None:
    import resource

    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


@pytest.mark.parametrize("lacks", ["model.json", "model.safetensors", "config.json"])
def test_a_directory_that_is_no_trained_model_is_one_line_and_exit_code_2(
    lacks: str, learned_model: Path, tmp_path: Path
) -> None:
    model = Path(shutil.copytree(learned_model, tmp_path / "m"))
    (model / lacks).unlink()
    code, printed = run(tmp_path / "printed", "export", model)
    assert code == 2, printed
    assert printed.startswith("Error: ")
    assert len(printed.strip().splitlines()) == 1


def test_half_a_download_of_the_weights_is_one_line_and_exit_code_2(
    learned_model: Path, tmp_path: Path
) -> None:
    model = Path(shutil.copytree(learned_model, tmp_path / "m"))
    os.truncate(model / "model.safetensors", 30_000)
    code, printed = run(tmp_path / "printed", "export", model)
    assert code == 2, printed
    assert "half a download" in printed
    assert len(printed.strip().splitlines()) == 1


def test_a_model_of_another_kind_than_text_by_attention_is_one_line(
    learned_model: Path, tmp_path: Path
) -> None:
    from transformers import MambaConfig, MambaForCausalLM

    _, tokenizer = load_pretrained(str(learned_model))
    config = MambaConfig(
        vocab_size=len(tokenizer), hidden_size=32, num_hidden_layers=1, state_size=4
    )
    MambaForCausalLM(config).save_pretrained(tmp_path / "m")
    tokenizer.save_pretrained(tmp_path / "m")
    load_description(learned_model).save(tmp_path / "m")
    code, printed = run(tmp_path / "printed", "export", tmp_path / "m")
    assert code == 1, printed
    assert "MambaForCausalLM cannot be made into an engine" in printed.strip().splitlines()[-1]
    assert "Traceback" not in printed


def test_the_card_goes_with_the_engine_and_names_every_command_that_made_the_model(
    learned_model: Path, prepared_data: Path, tmp_path: Path
) -> None:
    further, engine, said = tmp_path / "further", tmp_path / "engine", tmp_path / "said"
    where = ("--data", prepared_data, "--output", further)
    assert run(said, "train", "--model", learned_model, *where, "--steps=1")[0] == 0
    assert run(said, "export", further, "--output", engine)[0] == 0
    card = (engine / "README.md").read_text(encoding="utf-8")
    assert (engine / "loss.png").is_file()
    assert card.count("\n    horoscope ") == 2
    assert card.count("/train.jsonl`") == 2


def test_texts_make_four_bits_lose_less(prepared_data: Path, tmp_path: Path) -> None:
    # A group has 64 weights, so the model is as wide.
    model = learned(rugpt3_like(tmp_path / "rugpt3", width=64), prepared_data, tmp_path / "model")
    exact, tokenizer = load_pretrained(str(model))
    description = load_description(model)
    example = load_examples(prepared_data, "train")[0]
    (read,) = tokenize([example], tokenizer.backend_tokenizer, description, 256)
    with torch.no_grad():
        wanted = exact(torch.tensor([read.ids])).logits[0].numpy()
    lost = {}
    for name, more in (("rounded", ()), ("taught", ("--data", prepared_data))):
        arguments = ("export", model, "--output", tmp_path / name, "--bits", 4, *more)
        code, printed = run(tmp_path / "printed", *arguments)
        assert code == 0, printed
        assert len(printed.strip().splitlines()) == 1
        engine = Engine(tmp_path / name, load_description(tmp_path / name))
        logits = [engine.start([read.ids[:1]], 1).logits[0].copy()]
        for position, token in enumerate(read.ids[1:], 1):
            logits.append(engine.step(np.array([token]), np.array([position])).logits[0].copy())
        lost[name] = float(np.abs(np.array(logits) - wanted).mean())
    assert lost["taught"] < 0.9 * lost["rounded"]
    sizes = [(tmp_path / name / "openvino_model.bin").stat().st_size for name in lost]
    assert sizes[0] == sizes[1]
    sentence = example.text.split(". ")[0]
    assert sentence in load_learned(tmp_path / "taught")
    assert sentence not in load_learned(tmp_path / "rounded")
