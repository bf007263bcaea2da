"""One training run: options and texts in, a model directory out."""

import hashlib
import json
import os
import platform
import shlex
import shutil
import sys
from collections import Counter
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from safetensors import SafetensorError
from transformers import PreTrainedTokenizerFast
from transformers.utils import logging

from horoscope.dataset import Example, load_examples
from horoscope.errors import HoroscopeError, InputError
from horoscope.generation.description import (
    DESCRIPTION_FILE,
    ModelDescription,
    load_description,
)
from horoscope.training.card import write_card
from horoscope.training.examples import LONGEST, tokenize
from horoscope.training.models import (
    PRESETS,
    begin_and_end,
    complete_vocabulary,
    fresh_model,
    fresh_tokenizer,
    load_pretrained,
    with_lora,
)
from horoscope.training.themes import Themes
from horoscope.training.trainer import CHECKPOINT_FILE, Plan, Progressed, devices
from horoscope.training.trainer import train as run_trainer
from horoscope.training.vocabulary import trim_vocabulary
from horoscope.zodiac import Topic

STATE_DIRECTORY = "training-state"
THEME_TEXTS = 5  # of a topic must have a theme before texts of that topic are asked for it


@dataclass(frozen=True)
class Options:
    """The options of `horoscope train`, as they are named there."""

    data: tuple[Path, ...]
    output: Path
    source: str | None = None
    preset: str | None = None
    tokenizer_data: tuple[Path, ...] = ()
    trim_vocabulary: bool = False
    themes: bool = False
    name: str | None = None
    epochs: float = 3.0
    steps: int | None = None
    batch_size: int = 32
    learning_rate: float | None = None
    warmup: float = 0.05
    weight_decay: float = 0.1
    dropout: float = 0.1
    lora: int | None = None
    seed: int = 0
    evaluate_every: int | None = None
    keep: str = "best"
    micro_batch_size: int | None = None
    checkpoint_minutes: float = 5.0
    resume: bool = False


def run(options: Options) -> None:
    """Train as the options say and write the model directory, `model.json` last.

    Raises InputError for options or texts that cannot be used, InterruptedTraining on Ctrl-C.
    """
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    if torch.cuda.is_available():
        # The same run shall give the same model; on the CPU it does by itself.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True, warn_only=True)
    _check(options)
    state = options.output / STATE_DIRECTORY
    if (options.output / DESCRIPTION_FILE).exists():
        if options.resume:  # the kill may have come after the last step
            shutil.rmtree(state, ignore_errors=True)
            click.echo(f"{options.output} is finished: there is nothing to resume.")
            return
        raise InputError(f"{options.output} holds a finished model; choose another --output.")
    training = _load_all(options.data, "train")
    validation = _load_all(options.data, "validation")
    themes = Themes([example.text for example in training]) if options.themes else None
    if themes and not any(themes.of(example.text) for example in training):
        raise InputError("--themes finds no theme in these texts: they are too few, or too alike.")
    torch.manual_seed(options.seed)
    model, tokenizer = _start(options, training)
    begin, end = begin_and_end(tokenizer)
    description = ModelDescription(
        name=options.name or options.output.resolve().name, begin_ids=begin, end_id=end
    )
    backend = tokenizer.backend_tokenizer
    longest = min(LONGEST, getattr(model.config, "max_position_embeddings", None) or LONGEST)
    to_learn = tokenize(training, backend, description, longest, themes)
    steps = options.steps or max(1, round(options.epochs * len(training) / options.batch_size))
    plan = Plan(
        steps=steps,
        batch_size=options.batch_size,
        learning_rate=options.learning_rate or (1e-3 if options.preset else 1e-4),
        warmup=options.warmup,
        weight_decay=options.weight_decay,
        seed=options.seed,
        evaluate_every=options.evaluate_every
        or max(1, min(steps, len(training) // options.batch_size // 2)),
        keep=options.keep,
        fingerprint=_fingerprint(options, backend.to_str(), model),
    )
    accelerator = devices()
    cut = sum(example.cut for example in to_learn)
    if cut and accelerator.is_main_process:
        click.echo(f"{cut} of {len(to_learn)} texts are cut: the model sees {longest} tokens.")
    state.mkdir(parents=True, exist_ok=True)
    progressed = run_trainer(
        model,
        plan,
        to_learn,
        tokenize(validation, backend, description, longest, themes),
        state,
        60 * options.checkpoint_minutes,
        options.micro_batch_size,
        accelerator,
    )
    if not accelerator.is_main_process:
        return
    lengths = [example.characters for example in to_learn]
    description = description.model_copy(
        update={
            "shortest": int(np.percentile(lengths, 5)),
            "longest": int(np.percentile(lengths, 95)),
            "longest_tokens": max(len(example.ids) for example in to_learn),
            "themes": _by_topic(training, themes) if themes else {},
        }
    )
    if options.lora:
        model = model.merge_and_unload()
    _save(options, model, tokenizer, description, plan, progressed)
    shutil.rmtree(state)
    click.echo(f"Saved {options.output}; next: horoscope export {options.output}")


def _check(options: Options) -> None:
    """Raise InputError for options that do not go together, or that would spoil something."""
    if (options.source is None) == (options.preset is None):
        raise InputError("Say where the model comes from: either --model or --preset.")
    if options.lora and options.preset:
        raise InputError("--lora adapts a trained model: use it with --model.")
    if options.output.exists() and not options.output.is_dir():
        raise InputError(f"{options.output} is a file; --output is the model's directory.")
    state = options.output / STATE_DIRECTORY
    if (state / CHECKPOINT_FILE).exists() and not options.resume:
        raise InputError(
            f"{options.output} holds an interrupted run: add --resume, or delete {state}."
        )


def _load_all(directories: tuple[Path, ...], split: str) -> list[Example]:
    examples = [e for directory in directories for e in load_examples(directory, split)]
    if not examples:
        files = ", ".join(str(directory / f"{split}.jsonl") for directory in directories)
        raise InputError(f"There is no text in {files}.")
    return examples


def _start(options: Options, training: list[Example]) -> tuple[Any, PreTrainedTokenizerFast]:
    """The model and the tokenizer that the run begins with."""
    if options.preset:
        preset = PRESETS[options.preset]
        tokenizer = fresh_tokenizer(_texts_and_prompts(options, training), preset.vocabulary)
        return fresh_model(preset, len(tokenizer), options.dropout), tokenizer
    model, tokenizer = load_pretrained(str(options.source))
    if options.trim_vocabulary:
        tokenizer = trim_vocabulary(model, tokenizer, _texts_and_prompts(options, training))
    if complete_vocabulary(model, tokenizer) and options.lora:
        raise InputError(
            f"{options.source} has tokens without weights (an end mark, perhaps), which --lora "
            "cannot train: train it without --lora."
        )
    return (with_lora(model, options.lora) if options.lora else model), tokenizer


def _by_topic(examples: list[Example], themes: Themes) -> dict[Topic, list[str]]:
    """The themes that at least THEME_TEXTS examples of a topic have, the commonest first."""
    found: dict[Topic, Counter[str]] = {topic: Counter() for topic in Topic}
    for example in examples:
        if theme := themes.of(example.text):
            found[example.topic][theme] += 1
    return {
        topic: [theme for theme, times in counted.most_common() if times >= THEME_TEXTS]
        for topic, counted in found.items()
    }


def _texts_and_prompts(options: Options, training: list[Example]) -> list[str]:
    """What the vocabulary must have words for; the prompts' words among them."""
    known = [*training]
    for directory in options.tokenizer_data:
        known += load_examples(directory, "train")
    description = ModelDescription(name="", begin_ids=[], end_id=0)
    prompts = [description.prompt(e.sign, e.topic) for e in training]
    return [*(example.text for example in known), *prompts]


def _save(
    options: Options,
    model: Any,
    tokenizer: PreTrainedTokenizerFast,
    description: ModelDescription,
    plan: Plan,
    progressed: Progressed,
) -> None:
    config = model.config
    before = _earlier_training(options.source)
    record: dict[str, Any] = {
        "command": shlex.join(["horoscope", *sys.argv[1:]]),
        "start": options.source or f"from scratch, preset {options.preset}",
        "earlier": [*before.get("earlier", []), before["command"]] if before else [],
        "shape": {
            "architecture": type(model).__name__,
            "parameters": f"{sum(p.numel() for p in model.parameters()) / 1e6:.1f} M",
            "layers": config.num_hidden_layers,
            "width": config.hidden_size,
            "vocabulary": config.vocab_size,
        },
        "data": [
            *before.get("data", []),
            *(
                {
                    "name": f"{directory}/{split}.jsonl",
                    "texts": len(load_examples(directory, split)),
                    "sha256": _sha256(directory / f"{split}.jsonl"),
                }
                for directory in options.data
                for split in ("train", "validation")
            ),
        ],
        "options": {k: v for k, v in asdict(plan).items() if k != "fingerprint"}
        | ({"dropout": options.dropout} if options.preset else {})
        | ({"lora": options.lora} if options.lora else {}),
        "steps": plan.steps,
        "best_step": progressed.best_step,
        "best_bits_per_character": progressed.best_bits,
        "history": progressed.history,
        "versions": {"python": platform.python_version()}
        | {package: version(package) for package in ("torch", "transformers", "horoscope")},
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU",
    }
    try:
        model.save_pretrained(options.output)
        tokenizer.save_pretrained(options.output)
        write_card(options.output, description.name, record)
        description.model_copy(update={"training": record}).save(options.output)
    except (OSError, SafetensorError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise HoroscopeError(
            f"Cannot write {options.output} ({reason}); make room and go on with --resume: the "
            "training itself is saved."
        ) from None


def _earlier_training(source: str | None) -> dict[str, Any]:
    """The record of the model that training starts with, if it is one of ours."""
    if source is None or not (Path(source) / DESCRIPTION_FILE).is_file():
        return {}
    return load_description(Path(source)).training


def _fingerprint(options: Options, tokenizer: str, model: Any) -> str:
    """A checksum of everything that decides what is learned, beside the plan's own options."""
    digest = hashlib.sha256(tokenizer.encode())
    digest.update(json.dumps(model.config.to_diff_dict(), sort_keys=True, default=str).encode())
    digest.update(f"{options.source} {options.lora} {options.themes}".encode())
    for directory in options.data:
        for split in ("train", "validation"):
            digest.update(_sha256(directory / f"{split}.jsonl").encode())
    return digest.hexdigest()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
