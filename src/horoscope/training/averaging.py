"""The mean of models, weight by weight.

Between a model and what became of it by fine-tuning lies one that often does better than both: it
keeps what the first knew and has what the second learned (arXiv:2109.01903, arXiv:2203.05482).
"""

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from transformers.utils import logging

from horoscope.errors import HoroscopeError, InputError
from horoscope.generation.description import DESCRIPTION_FILE, ModelDescription, load_description
from horoscope.training.models import load_pretrained


@torch.no_grad()
def average(models: Sequence[Path], output: Path, name: str | None = None) -> None:
    """Write the mean of `models` to `output`; one that is given twice counts twice.

    How to ask it for a text comes from the last one. Raises InputError if the models are fewer
    than two or not of one shape and vocabulary, or if `output` holds a model.
    """
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    if len(models) < 2:
        raise InputError("Give two models or more.")
    if (output / DESCRIPTION_FILE).exists():
        raise InputError(f"{output} holds a finished model; choose another --output.")
    descriptions = [load_description(directory) for directory in models]
    mean, tokenizer = load_pretrained(str(models[-1]))
    weights = mean.state_dict()
    for directory in models[:-1]:
        other, its_tokenizer = load_pretrained(str(directory))
        added = other.state_dict()
        alike = {key: tensor.shape for key, tensor in weights.items()} == {
            key: tensor.shape for key, tensor in added.items()
        }
        if not alike or its_tokenizer.get_vocab() != tokenizer.get_vocab():
            raise InputError(
                f"{directory} and {models[-1]} differ in shape or vocabulary: only models of "
                "which one comes from the other have a mean."
            )
        weights = {key: tensor + added[key] for key, tensor in weights.items()}
    mean.load_state_dict({key: tensor / len(models) for key, tensor in weights.items()})
    try:
        mean.save_pretrained(output)
        tokenizer.save_pretrained(output)
        _described(descriptions, name or output.resolve().name).save(output)
    except OSError as error:
        raise HoroscopeError(f"Cannot write {output} ({error.strerror}).") from None


def _described(models: Sequence[ModelDescription], name: str) -> ModelDescription:
    """The last model's description, with the commands that made all of them."""
    earlier: dict[str, Any] = {}
    for model in models:
        made = [*model.training.get("earlier", []), model.training.get("command")]
        earlier |= dict.fromkeys(command for command in made if command)
    record = {"command": shlex.join(["horoscope", *sys.argv[1:]]), "earlier": [*earlier]}
    return models[-1].model_copy(
        update={"name": name, "engine": [], "training": models[-1].training | record}
    )
