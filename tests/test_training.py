"""Training, as a person starts it, breaks it off and starts it again."""

import json
import os
import random
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from forked_command import run, start
from safetensors.torch import load_file
from training_models import as_gguf, llama_like, prepared, qwen_like, rugpt3_like

from horoscope.dataset import load_examples
from horoscope.generation.description import ModelDescription, load_description
from horoscope.training.examples import collate, order, tokenize
from horoscope.training.models import complete_vocabulary, fresh_tokenizer, load_pretrained
from horoscope.training.trainer import bits_per_character
from horoscope.training.vocabulary import trim_vocabulary

EVERY_STEP = ("--checkpoint-minutes", 1e-9)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return prepared(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return rugpt3_like(tmp_path_factory.mktemp("models") / "rugpt3")


def train(tmp_path: Path, *arguments: object, **more: object) -> tuple[int | None, str]:
    return run(tmp_path / "printed", "train", *arguments, **more)  # type: ignore[arg-type]


def one_line(printed: str) -> str:
    lines = [line for line in printed.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("Error")]
    assert len(errors) == 1, printed
    assert "Traceback" not in printed
    return errors[0]


@pytest.mark.parametrize(
    "way",
    [
        ("--steps", 24, "--evaluate-every", 5),
        ("--steps", 24, "--evaluate-every", 5, "--lora", 4),
        ("--steps", 3),
    ],
    ids=["full", "lora", "three steps"],
)
def test_a_run_killed_at_any_moment_and_resumed_gives_the_weights_of_one_never_killed(
    way: tuple[object, ...], data: Path, source: Path, tmp_path: Path
) -> None:
    options = ("--model", source, "--data", data, "--batch-size", 8, "--name", "m", *way)
    options = (*options, *EVERY_STEP)
    began = time.monotonic()
    code, printed = train(tmp_path, *options, "--output", tmp_path / "whole")
    assert code == 0, printed
    lasted = time.monotonic() - began
    dice = random.Random(repr(way))
    broken, kills, finished = tmp_path / "broken-0", 0, 0
    while kills < 6:
        process = start(tmp_path / "printed", "train", *options, "--output", broken, "--resume")
        process.join(dice.uniform(0, 0.8) * lasted)
        if process.exitcode is None:
            process.kill()
            process.join()
            kills += 1
        else:  # it was faster; begin another one
            assert process.exitcode == 0
            same(tmp_path / "whole", broken)
            finished += 1
            broken = tmp_path / f"broken-{finished}"
    code, printed = train(tmp_path, *options, "--output", broken, "--resume")
    assert code == 0, printed
    same(tmp_path / "whole", broken)


def same(one: Path, other: Path) -> None:
    weights, others = load_file(one / "model.safetensors"), load_file(other / "model.safetensors")
    assert weights.keys() == others.keys()
    for name, tensor in weights.items():
        assert torch.equal(tensor, others[name]), name
    histories = [load_description(d).training["history"] for d in (one, other)]
    assert histories[0] == histories[1]
    assert not list(other.glob("**/*.part"))


def test_a_fresh_model_killed_after_its_first_checkpoint_is_resumed_to_the_same_weights(
    data: Path, tmp_path: Path
) -> None:
    options = ("--preset", "tiny", "--data", data, "--steps", 3, "--batch-size", 2, *EVERY_STEP)
    code, printed = train(tmp_path, *options, "--output", tmp_path / "whole")
    assert code == 0, printed
    process = start(tmp_path / "printed", "train", *options, "--output", tmp_path / "broken")
    wait_for(tmp_path / "broken" / "training-state" / "checkpoint.pt")
    process.kill()
    process.join()
    code, printed = train(tmp_path, *options, "--output", tmp_path / "broken")
    assert code == 2
    assert "--resume" in one_line(printed)
    code, printed = train(tmp_path, *options, "--output", tmp_path / "broken", "--resume")
    assert code == 0, printed
    same(tmp_path / "whole", tmp_path / "broken")


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + 120
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} never came"
        time.sleep(0.005)


def test_ctrl_c_saves_says_so_in_one_line_and_resume_gives_the_same_weights(
    data: Path, source: Path, tmp_path: Path
) -> None:
    options = [
        *("--model", source, "--data", data, "--steps", 300, "--batch-size", 8),
        *("--evaluate-every", 100, "--name", "m"),
    ]
    code, printed = train(tmp_path, *options, "--output", tmp_path / "whole")
    assert code == 0, printed
    command = [sys.executable, "-m", "horoscope", "train", *map(str, options)]
    process = subprocess.Popen(
        [*command, "--output", str(tmp_path / "broken"), *map(str, EVERY_STEP)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    wait_for(tmp_path / "broken" / "training-state" / "checkpoint.pt")
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 130, errors
    assert one_line(errors).startswith("Error: Stopped at step ")
    code, printed = train(tmp_path, *options, "--output", tmp_path / "broken", "--resume")
    assert code == 0, printed
    same(tmp_path / "whole", tmp_path / "broken")


@pytest.mark.parametrize("keep", ["best", "last"])
def test_the_best_model_by_validation_is_the_one_that_is_kept_or_the_last_where_told(
    keep: str, source: Path, tmp_path: Path
) -> None:
    data = prepared(tmp_path / "data", texts=2)  # soon known by heart
    told = [] if keep == "best" else ["--keep", keep]
    code, printed = train(
        tmp_path,
        *("--model", source, "--data", data, "--output", tmp_path / "m", "--steps", 60),
        *("--evaluate-every", 5, "--learning-rate", 0.01, *told),
    )
    assert code == 0, printed
    description = load_description(tmp_path / "m")
    record = description.training
    bits = {row["step"]: row["bits_per_character"] for row in record["history"]}
    assert record["best_step"] < 60
    assert record["best_bits_per_character"] == min(bits.values()) == bits[record["best_step"]]
    model, tokenizer = load_pretrained(str(tmp_path / "m"))
    validation = load_examples(data, "validation")
    kept = bits_per_character(
        model, tokenize(validation, tokenizer.backend_tokenizer, description, 256)
    )
    wanted = min(bits.values()) if keep == "best" else bits[60]
    assert kept == pytest.approx(wanted, rel=0.02)  # bfloat16 while training
    assert bits[60] > 1.1 * min(bits.values())
    card = (tmp_path / "m" / "README.md").read_text(encoding="utf-8")
    assert f"the weights are those of the {keep} step" in card


def test_a_model_directory_tells_where_it_came_from(
    data: Path, source: Path, tmp_path: Path
) -> None:
    output = tmp_path / "m"
    code, printed = train(
        tmp_path,
        *("--model", source, "--data", data, "--output", output, "--steps", 2, "--seed", 7),
    )
    assert code == 0, printed
    assert {path.name for path in output.iterdir()} >= {
        *("config.json", "model.safetensors", "tokenizer.json", "model.json"),
        *("README.md", "loss.png"),
    }
    assert not (output / "training-state").exists()
    card = (output / "README.md").read_text(encoding="utf-8")
    record = json.loads((output / "model.json").read_text(encoding="utf-8"))["training"]
    assert f"horoscope train --model {source}" in card
    assert "| seed | 7 |" in card
    for file in record["data"]:
        assert file["sha256"] in card
    assert f"{record['best_bits_per_character']:.4f}" in card


@pytest.mark.parametrize(
    ("make", "begins"),
    [(rugpt3_like, 1), (llama_like, 1), (qwen_like, 0)],
    ids=["rugpt3", "llama", "qwen"],
)
def test_a_model_of_each_family_is_read_with_its_own_marks(
    make: object, begins: int, data: Path, tmp_path: Path
) -> None:
    source = make(tmp_path / "source")  # type: ignore[operator]
    code, printed = train(
        tmp_path, "--model", source, "--data", data, "--output", tmp_path / "m", "--steps", 2
    )
    assert code == 0, printed
    description = load_description(tmp_path / "m")
    model, tokenizer = load_pretrained(str(tmp_path / "m"))
    assert len(description.begin_ids) == begins
    assert tokenizer.convert_ids_to_tokens(description.end_id) in ("</s>", "<|endoftext|>")
    assert model.get_input_embeddings().num_embeddings >= len(tokenizer)
    tied = model.get_output_embeddings().weight is model.get_input_embeddings().weight
    assert tied == (make is not llama_like)


def test_a_model_is_named_as_on_the_hub_and_fetched_files_are_enough_without_a_network(
    data: Path, tmp_path: Path
) -> None:
    # The hub's cache as a download leaves it.
    cache = tmp_path / "models--ai-forever--rugpt3small_based_on_gpt2"
    rugpt3_like(cache / "snapshots" / ("0" * 40))
    (cache / "refs").mkdir()
    (cache / "refs" / "main").write_text("0" * 40)
    command = [sys.executable, "-m", "horoscope", "train", "--data", str(data), "--steps", "1"]
    offline = {"HF_HUB_CACHE": str(tmp_path), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}

    def trained(name: str, output: Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*command, "--model", name, "--output", str(output)],
            env={**os.environ, **offline},
            capture_output=True,
            text=True,
            check=False,
        )

    done = trained("ai-forever/rugpt3small_based_on_gpt2", tmp_path / "m")
    assert done.returncode == 0, done.stderr
    assert load_description(tmp_path / "m").training["start"].startswith("ai-forever/")
    done = trained("ai-forever/rugpt3medium_based_on_gpt2", tmp_path / "n")
    assert done.returncode == 1, done.stderr
    assert "give a directory" in one_line(done.stderr)
    assert not (tmp_path / "n").exists()


def test_a_tokenizer_that_names_no_marks_gets_an_end_mark(data: Path, tmp_path: Path) -> None:
    source = rugpt3_like(tmp_path / "source", marks=False)
    code, printed = train(
        tmp_path, "--model", source, "--data", data, "--output", tmp_path / "m", "--steps", 1
    )
    assert code == 0, printed
    model, tokenizer = load_pretrained(str(tmp_path / "m"))
    assert load_description(tmp_path / "m").end_id < model.config.vocab_size
    assert tokenizer.eos_token_id is not None


def test_lora_refuses_a_vocabulary_it_cannot_train(data: Path, tmp_path: Path) -> None:
    source = qwen_like(tmp_path / "source")
    code, printed = train(
        tmp_path,
        *("--model", source, "--data", data, "--output", tmp_path / "m", "--steps", 1, "--lora", 2),
    )
    assert code == 2
    assert "without --lora" in one_line(printed)


def test_micro_batches_give_the_gradient_of_the_whole_batch(
    data: Path, source: Path, tmp_path: Path
) -> None:
    losses = []
    for name, more in (("whole", ()), ("parts", ("--micro-batch-size", 3))):
        code, printed = train(
            tmp_path,
            *("--model", source, "--data", data, "--output", tmp_path / name, "--steps", 4),
            *("--batch-size", 8, "--evaluate-every", 1, *more),
        )
        assert code == 0, printed
        losses.append(
            [row["loss"] for row in load_description(tmp_path / name).training["history"]]
        )
    assert losses[0] == pytest.approx(losses[1], rel=0.02)  # dropout and bfloat16 differ


def test_two_processes_take_the_steps_that_one_takes(
    data: Path, source: Path, tmp_path: Path
) -> None:
    options = ("--model", source, "--data", data, "--steps", 6, "--batch-size", 5)
    options = (*options, "--evaluate-every", 3, "--learning-rate", 0.003)
    launch = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", 2)
    command = (sys.executable, *launch, "-m", "horoscope", "train", *options)
    done = subprocess.run(
        [*map(str, command), "--output", str(tmp_path / "two")],
        env={**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Saved") == 1
    code, printed = train(tmp_path, *options, "--output", tmp_path / "one")
    assert code == 0, printed
    one, two = (load_description(tmp_path / n).training["history"] for n in ("one", "two"))
    for row, other in zip(one, two, strict=True):
        assert row == pytest.approx(other, rel=0.03)  # the processes' dropout differs
    assert one != two


def damage(directory: Path, how: str) -> None:
    if how == "no tokenizer":
        (directory / "vocab.json").unlink()
        (directory / "merges.txt").unlink()
    elif how == "no merges":
        (directory / "merges.txt").unlink()
    elif how == "no weights":
        (directory / "pytorch_model.bin").unlink()
    elif how == "no config":
        (directory / "config.json").unlink()
    elif how == "broken config":
        (directory / "config.json").write_text('{"model_type": "gp', encoding="utf-8")
    elif how == "half of .bin":
        os.truncate(directory / "pytorch_model.bin", 20_000)
    else:
        model, _ = load_pretrained(str(directory))
        (directory / "pytorch_model.bin").unlink()
        model.save_pretrained(directory)
        if how == "half of .safetensors":
            os.truncate(directory / "model.safetensors", 20_000)
        elif how == "a layer lacks":
            from safetensors.torch import save_file

            weights = load_file(directory / "model.safetensors")
            del weights["transformer.h.1.mlp.c_fc.weight"]
            save_file(weights, directory / "model.safetensors", {"format": "pt"})


@pytest.mark.parametrize(
    "how",
    [
        *("no tokenizer", "no merges", "no weights", "no config", "broken config"),
        *("half of .bin", "half of .safetensors", "a layer lacks"),
    ],
)
def test_a_model_directory_that_is_not_whole_is_one_line_and_exit_code_2(
    how: str, data: Path, tmp_path: Path
) -> None:
    source = rugpt3_like(tmp_path / "source")
    damage(source, how)
    code, printed = train(
        tmp_path, "--model", source, "--data", data, "--output", tmp_path / "m", "--steps", 1
    )
    assert code == 2, printed
    assert str(source) in one_line(printed)
    assert not (tmp_path / "m").exists()


def test_texts_or_options_that_cannot_be_used_are_one_line_and_exit_code_2(
    data: Path, source: Path, tmp_path: Path
) -> None:
    empty = prepared(tmp_path / "empty")
    (empty / "validation.jsonl").write_text("", encoding="utf-8")
    broken = prepared(tmp_path / "broken")
    (broken / "train.jsonl").write_text('{"sign": "leo"}\n', encoding="utf-8")
    file = tmp_path / "file"
    file.write_text("", encoding="utf-8")
    good = ("--model", source, "--data", data, "--output", tmp_path / "m", "--steps", 1)
    for arguments, word in [
        (("--model", source, "--data", empty, "--output", tmp_path / "m"), "validation.jsonl"),
        (("--model", source, "--data", broken, "--output", tmp_path / "m"), "line 1"),
        (("--model", source, "--data", tmp_path, "--output", tmp_path / "m"), "data prepare"),
        (("--model", source, "--data", data, "--output", file), "is a file"),
        (("--model", "./nowhere", "--data", data, "--output", tmp_path / "m"), "nowhere"),
        ((*good, "--preset", "tiny"), "either"),
        (("--preset", "tiny", "--data", data, "--output", tmp_path / "m", "--lora", 2), "--lora"),
        ((*good, "--batch-size", 0), "batch-size"),
        (("--data", data, "--output", tmp_path / "m"), "either"),
    ]:
        code, printed = train(tmp_path, *arguments)
        assert code == 2, printed
        assert word in one_line(printed)
        assert not (tmp_path / "m").exists()


def test_a_finished_model_is_never_trained_over(data: Path, source: Path, tmp_path: Path) -> None:
    options = ("--model", source, "--data", data, "--output", tmp_path / "m", "--steps", 1)
    assert train(tmp_path, *options)[0] == 0
    before = (tmp_path / "m" / "model.safetensors").read_bytes()
    code, printed = train(tmp_path, *options)
    assert code == 2
    assert "finished" in one_line(printed)
    assert (tmp_path / "m" / "model.safetensors").read_bytes() == before


def test_resume_refuses_other_options_and_other_texts(
    data: Path, source: Path, tmp_path: Path
) -> None:
    options = ("--model", source, "--output", tmp_path / "m", "--steps", 5000, *EVERY_STEP)
    process = start(tmp_path / "printed", "train", *options, "--data", data)
    wait_for(tmp_path / "m" / "training-state" / "checkpoint.pt")
    process.kill()
    process.join()
    other = prepared(tmp_path / "other", texts=65)
    for more, word in [
        (("--data", data, "--batch-size", 5), "batch size"),
        (("--data", data, "--seed", 5), "seed"),
        (("--data", other), "other texts"),
    ]:
        code, printed = train(tmp_path, *options, *more, "--resume")
        assert code == 2, printed
        assert word in one_line(printed)


def small_files_only(size: int) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


@pytest.mark.parametrize("size", [20_000, 300_000], ids=["best model", "checkpoint"])
def test_a_full_disk_is_one_line_and_the_run_goes_on_once_there_is_room(
    size: int, data: Path, source: Path, tmp_path: Path
) -> None:
    options = (
        "--model",
        source,
        "--data",
        data,
        "--steps",
        6,
        "--evaluate-every",
        2,
        "--name",
        "m",
    )
    code, printed = train(
        tmp_path, *options, "--output", tmp_path / "m", before=small_files_only, given=size
    )
    assert code == 1, printed
    assert "Cannot write" in one_line(printed)
    assert not list(tmp_path.glob("m/**/*.part"))
    code, printed = train(tmp_path, *options, "--output", tmp_path / "m", "--resume")
    assert code == 0, printed
    assert train(tmp_path, *options, "--output", tmp_path / "whole")[0] == 0
    same(tmp_path / "whole", tmp_path / "m")


def become_nobody(directory: Path) -> None:
    directory.chmod(0o755)
    if os.getuid() == 0:
        os.setuid(65534)


def test_a_directory_that_may_not_be_written_is_one_line_and_exit_code_1(
    data: Path, source: Path, tmp_path: Path
) -> None:
    readonly = tmp_path / "readonly"
    readonly.mkdir()
    for parent in (data, source, readonly):
        for path in (parent, *list(parent.parents)[:-2]):
            path.chmod(0o755)
    readonly.chmod(0o555)
    code, printed = train(
        tmp_path,
        *("--model", source, "--data", data, "--output", readonly / "m", "--steps", 1),
        before=become_nobody,
        given=readonly,
    )
    assert code == 1, printed
    assert "Permission denied" in one_line(printed)


def test_a_loss_that_is_no_number_ends_the_run_with_advice(
    data: Path, source: Path, tmp_path: Path
) -> None:
    code, printed = train(
        tmp_path,
        *("--model", source, "--data", data, "--output", tmp_path / "m", "--steps", 20),
        *("--learning-rate", 1e30, "--warmup", 0),
    )
    assert code == 1, printed
    assert "--learning-rate" in one_line(printed)


def test_an_end_of_a_text_that_does_not_fit_is_cut_and_the_person_is_told(
    data: Path, tmp_path: Path
) -> None:
    source = rugpt3_like(tmp_path / "source")
    config = json.loads((source / "config.json").read_text())
    assert config["n_positions"] == 256
    weights = torch.load(source / "pytorch_model.bin")
    weights["transformer.wpe.weight"] = weights["transformer.wpe.weight"][:24].clone()
    weights = {
        k: v
        for k, v in weights.items()
        if "bias" not in k or "attn.c" in k or "mlp" in k or "ln" in k
    }
    torch.save(weights, source / "pytorch_model.bin")
    (source / "config.json").write_text(json.dumps(config | {"n_positions": 24}))
    code, printed = train(
        tmp_path, "--model", source, "--data", data, "--output", tmp_path / "m", "--steps", 1
    )
    assert code == 0, printed
    assert "64 of 64 texts are cut: the model sees 24 tokens." in printed
    assert load_description(tmp_path / "m").longest < 120
    assert load_description(tmp_path / "m").longest_tokens == 24


def test_only_the_text_and_its_end_count_in_the_loss(data: Path) -> None:
    examples = load_examples(data, "train")
    tokenizer = fresh_tokenizer([e.text for e in examples], 400).backend_tokenizer
    description = ModelDescription(name="m", begin_ids=[1], end_id=2)
    batch = collate(tokenize(examples[:2], tokenizer, description, 256))
    for row, example in enumerate(examples[:2]):
        learned = batch.labels[row][batch.labels[row] >= 0].tolist()
        assert learned[-1] == 2
        assert tokenizer.decode(learned[:-1]) == example.text
        assert batch.mask[row].sum() > len(learned)


def test_each_epoch_has_every_text_once_in_an_order_of_its_own() -> None:
    lengths = [random.Random(i).randrange(20, 200) for i in range(1000)]
    first, again, second = (order(lengths, 32, 5, epoch) for epoch in (0, 0, 1))
    assert sorted(i for batch in first for i in batch) == list(range(1000))
    assert first == again
    assert first != second


@pytest.mark.parametrize("make", [rugpt3_like, llama_like, qwen_like])
def test_a_trimmed_vocabulary_says_the_same_of_the_texts_and_still_spells_any_other(
    make: Callable[[Path], Path], data: Path, tmp_path: Path
) -> None:
    texts = [example.text for example in load_examples(data, "train")[:1]]
    model, tokenizer = load_pretrained(str(make(tmp_path / "model")))
    complete_vocabulary(model, tokenizer)
    full = tokenizer.backend_tokenizer
    before = [full.encode(text, add_special_tokens=False) for text in texts]
    ids = torch.tensor([before[0].ids])
    expected = model(ids).logits.log_softmax(-1)[0]

    trimmed = trim_vocabulary(model, tokenizer, texts)

    cut = trimmed.backend_tokenizer
    after = [cut.encode(text, add_special_tokens=False) for text in texts]
    assert [e.tokens for e in after] == [e.tokens for e in before]
    assert len(trimmed) == model.config.vocab_size == model.get_output_embeddings().out_features
    assert len(trimmed) < full.get_vocab_size()
    assert trimmed.convert_ids_to_tokens(model.config.eos_token_id) == tokenizer.eos_token
    # The rows that stand answer as before, but for the share that the dropped ones had.
    kept = torch.tensor([full.token_to_id(token) for token in sorted(cut.get_vocab())])
    rows = torch.tensor([cut.token_to_id(token) for token in sorted(cut.get_vocab())])
    answered = model(torch.tensor([after[0].ids])).logits[0][:, rows].log_softmax(-1)
    torch.testing.assert_close(answered, expected[:, kept].log_softmax(-1))
    other = "Экзамен по физике! Щи, ёж - Ω"
    assert cut.decode(cut.encode(other, add_special_tokens=False).ids).strip() == other


def test_a_trimmed_model_is_trained_exported_and_writes(
    data: Path, source: Path, tmp_path: Path
) -> None:
    output = tmp_path / "trimmed"
    code, printed = train(
        tmp_path,
        *("--model", source, "--trim-vocabulary", "--data", data, "--output", output),
        *("--steps", 2, "--batch-size", 8),
    )
    assert code == 0, printed
    model, tokenizer = load_pretrained(str(output))
    assert model.config.vocab_size == len(tokenizer)
    code, printed = run(tmp_path / "printed", "export", output)
    assert code == 0, printed
    assert (output / "openvino_model.bin").exists()


def test_a_gguf_file_is_fine_tuned_like_a_directory(data: Path, tmp_path: Path) -> None:
    directory = qwen_like(tmp_path / "qwen")
    model, tokenizer = load_pretrained(str(directory))
    complete_vocabulary(model, tokenizer)
    model.save_pretrained(directory)
    path = as_gguf(directory, tmp_path / "model.gguf")

    read, its_tokenizer = load_pretrained(str(path))

    text = load_examples(data, "train")[0].text
    ids = torch.tensor([its_tokenizer.backend_tokenizer.encode(text).ids])
    assert its_tokenizer.backend_tokenizer.decode(ids[0].tolist()) == text
    torch.testing.assert_close(read(ids).logits, model(ids).logits)
    code, printed = train(
        tmp_path,
        *("--model", path, "--data", data, "--output", tmp_path / "tuned"),
        *("--steps", 2, "--batch-size", 8),
    )
    assert code == 0, printed
    load_pretrained(str(tmp_path / "tuned"))


def test_a_gguf_file_that_cannot_be_read_is_one_line(data: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.gguf"
    for content in (None, b"GGUF and no more"):
        if content:
            broken.write_bytes(content)
        code, printed = train(
            tmp_path, "--model", broken, "--data", data, "--output", tmp_path / "out"
        )
        assert code == 2
        assert "broken.gguf" in one_line(printed)
