"""From a Hugging Face model directory to the CPU engine that serves it."""

import contextlib
import hashlib
import logging
import os
import shutil
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
import torch
from numpy.typing import NDArray
from openvino import opset13 as ops
from openvino._offline_transformations import apply_make_stateful_transformation
from transformers.cache_utils import DynamicCache, DynamicLayer
from transformers.utils import logging as transformers_logging

from horoscope.dataset import load_examples
from horoscope.errors import HoroscopeError
from horoscope.generation.description import TOKENIZER_FILE, EngineFile, load_description
from horoscope.generation.engine import ENGINE_FILE
from horoscope.generation.learned import LEARNED_FILE, Learned
from horoscope.training.card import CARD_FILE, PLOT_FILE
from horoscope.training.critic import Critic, load_critic
from horoscope.training.examples import LONGEST, tokenize
from horoscope.training.models import load_pretrained

CALIBRATION_TEXTS = 64
INPUTS = ["input_ids", "attention_mask", "position_ids"]


def export(
    directory: Path,
    output: Path,
    bits: int = 8,
    data: Path | None = None,
    temperature: float | None = None,
) -> None:
    """Write engine, tokenizer and description of the model in `directory` to `output`.

    Its weights are integers of 8 or 4 `bits`. Texts of the prepared directory `data` teach 4-bit
    ones to make up for each other's rounding, and their sentences are noted, so that the critic
    prefers others. It writes at `temperature`, if that is given.

    Raises InputError if the directory is no model that `horoscope train` made, its critic is of
    another version, or `data` none that `horoscope data prepare` made; HoroscopeError if its
    architecture cannot be converted or `output` cannot be written.
    """
    description = load_description(directory)
    examples = load_examples(data, "train") if data else []
    critic = load_critic(directory)
    with _quiet():
        model, tokenizer = load_pretrained(str(directory))
        try:
            tokenized = tokenize(
                examples[:CALIBRATION_TEXTS], tokenizer.backend_tokenizer, description, LONGEST
            )
            engine = compress(convert(model, critic), bits, [each.ids for each in tokenized])
        except Exception as error:  # the tracer and the converter raise anything
            reason = next((line for line in str(error).splitlines() if line.strip()), repr(error))
            raise HoroscopeError(
                f"{type(model).__name__} cannot be made into an engine ({reason}); "
                "GPT-2, Llama and Qwen models can."
            ) from None
    output.mkdir(parents=True, exist_ok=True)
    # Made aside, so that an engine that is there stays whole if this one does not fit.
    with tempfile.TemporaryDirectory(dir=output, prefix="export-") as aside:
        xml = Path(aside) / ENGINE_FILE
        try:
            ov.save_model(engine, xml, compress_to_fp16=False)
            tokenizer.backend_tokenizer.save(str(Path(aside) / TOKENIZER_FILE))
            if examples:
                Learned.of(example.text for example in examples).save(Path(aside) / LEARNED_FILE)
        except Exception as error:  # both libraries raise plain errors
            raise HoroscopeError(
                f"Cannot write {output} ({str(error).splitlines()[-1]}); is the disk full?"
            ) from None
        parts = [xml, xml.with_suffix(".bin")]
        written = [_described(part) for part in parts]
        for part in Path(aside).iterdir():
            os.replace(part, output / part.name)
    for name in (CARD_FILE, PLOT_FILE):
        if output.resolve() != directory.resolve() and (directory / name).is_file():
            shutil.copyfile(directory / name, output / name)
    told = {"temperature": temperature} if temperature else {}
    description.model_copy(update={"bits": bits, "engine": written, **told}).save(output)


def _described(path: Path) -> EngineFile:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return EngineFile(name=path.name, bytes=path.stat().st_size, sha256=digest)


class StepOfModel(torch.nn.Module):
    """The model as one function of tensors: tokens and cache in, last logits and cache out, and
    with a critic its scores of the last token."""

    def __init__(self, model: Any, critic: Critic | None = None) -> None:
        super().__init__()
        self.model = model
        self.critic = critic

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        position_ids: torch.Tensor,
        *past: torch.Tensor,
    ) -> tuple[torch.Tensor, ...]:
        """Logits [batch, vocabulary], scores [batch, 2] of a critic, each layer's keys, values."""
        cache = DynamicCache()
        for keys, values in zip(past[::2], past[1::2], strict=True):
            layer: Any = DynamicLayer()
            layer.keys, layer.values = keys, values
            layer.dtype, layer.device, layer.is_initialized = keys.dtype, keys.device, True
            cache.layers.append(layer)
        # The mask is made here, as the library's own way to make one cannot be traced.
        queries, length = input_ids.shape[1], attention_mask.shape[1]
        earlier = torch.arange(length)[None] <= torch.arange(length - queries, length)[:, None]
        seen = earlier[None, None] & (attention_mask[:, None, None, :] != 0)
        mask = torch.where(seen, 0.0, torch.finfo(torch.float32).min)
        made = self.model(
            input_ids=input_ids,
            attention_mask=mask,
            position_ids=position_ids,
            past_key_values=cache,
            use_cache=True,
            output_hidden_states=self.critic is not None,
        )
        answer = [made.logits[:, -1]]
        if self.critic is not None:
            state = made.hidden_states[self.critic.layer][:, -1]
            # No matrix product: its weights would be rounded to as few bits as the model's.
            lines = zip(self.critic.weight, self.critic.bias, strict=True)
            answer.append(torch.stack([(state * w).sum(-1) + b for w, b in lines], dim=-1))
        present = [t for layer in made.past_key_values.layers for t in (layer.keys, layer.values)]
        return (*answer, *present)


def cache_shape(model: Any) -> tuple[int, int, int]:
    """Layers, heads and width of the attention cache: a layer's keys are [batch, heads, positions,
    width]."""
    config = model.config.get_text_config()
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    return config.num_hidden_layers, heads, width


def example_inputs(model: Any) -> tuple[torch.Tensor, ...]:
    """Inputs to trace a StepOfModel with: two rows, two tokens after three positions."""
    layers, heads, width = cache_shape(model)
    return (
        torch.ones(2, 2, dtype=torch.long),
        torch.ones(2, 5, dtype=torch.long),
        torch.tensor([[3, 4], [3, 4]]),
        *(torch.zeros(2, heads, 3, width) for _ in range(2 * layers)),
    )


def convert(model: Any, critic: Critic | None = None) -> ov.Model:
    """An OpenVINO model that keeps its attention cache as state.

    Inputs: tokens, mask of all positions so far, positions, and `beam_idx`, the rows of the batch
    to go on with; outputs: logits [batch, vocabulary] of the next token, and with a critic its
    scores [batch, 2].
    """
    layers, heads, width = cache_shape(model)
    with torch.no_grad():
        converted = ov.convert_model(
            StepOfModel(model.eval().float(), critic), example_input=example_inputs(model)
        )
    past = [f"past.{i}" for i in range(2 * layers)]
    present = [f"present.{i}" for i in range(2 * layers)]
    for port, name in zip(converted.inputs, [*INPUTS, *past], strict=True):
        port.get_tensor().set_names({name})
        is_cache = name not in INPUTS
        port.node.set_partial_shape(
            ov.PartialShape([-1, heads, -1, width] if is_cache else [-1, -1])
        )
    answer = ["logits"] if critic is None else ["logits", "scores"]
    for port, name in zip(converted.outputs, [*answer, *present], strict=True):
        port.get_tensor().set_names({name})
    converted.validate_nodes_and_infer_types()
    _keep_rows(converted, past)
    apply_make_stateful_transformation(converted, dict(zip(past, present, strict=True)))
    _begin_empty(converted, heads, width)
    return converted


def compress(model: ov.Model, bits: int, texts: Sequence[list[int]] = ()) -> ov.Model:
    """Weights as 8-bit integers with a scale for each channel, or as 4-bit integers with a scale
    and a zero for each 64 of them, but for the embedding, which stays at 8.

    With `texts` (as ids) the 4-bit ones are found by GPTQ (arXiv:2210.17323): rounded to the next
    integer, what a fine-tuning changed in weights that were 4-bit ones before is lost.
    """
    import nncf

    if bits == 8:
        return nncf.compress_weights(model, mode=nncf.CompressWeightsMode.INT8_SYM)
    return nncf.compress_weights(
        model,
        mode=nncf.CompressWeightsMode.INT4_ASYM,
        group_size=64,
        backup_mode=nncf.BackupMode.INT8_SYM,
        dataset=nncf.Dataset([_inputs(ids) for ids in texts]) if texts else None,
        subset_size=max(1, len(texts)),
        gptq=True if texts else None,
    )


def _inputs(ids: list[int]) -> dict[str, NDArray[np.int64] | NDArray[np.int32]]:
    """What an engine is fed to read a whole text at once."""
    return {
        "input_ids": np.array([ids]),
        "attention_mask": np.ones((1, len(ids)), np.int64),
        "position_ids": np.arange(len(ids))[None],
        "beam_idx": np.zeros(1, np.int32),
    }


def _keep_rows(model: ov.Model, past: list[str]) -> None:
    """Let the caller choose, at each step, which rows of the cache go on (OpenVINO's own shape
    for beam search, which its CPU plugin turns into an index instead of a copy)."""
    rows = ops.parameter(ov.PartialShape([-1]), dtype=np.int32, name="beam_idx")
    rows.output(0).get_tensor().set_names({"beam_idx"})
    model.add_parameters([rows])
    for name in past:
        port = model.input(name)
        consumers = port.get_target_inputs()
        kept = ops.gather(port, rows, ops.constant(0))
        for consumer in consumers:
            consumer.replace_source_output(kept.output(0))
    model.validate_nodes_and_infer_types()


def _begin_empty(model: ov.Model, heads: int, width: int) -> None:
    """Give the state its first shape: the batch of the tokens, and no positions yet."""
    batch = ops.gather(ops.shape_of(model.input("input_ids")), ops.constant([0]), ops.constant(0))
    rest = ops.constant(np.array([heads, 0, width], dtype=np.int64))
    for node in model.get_ops():
        if node.get_type_name() == "ReadValue":
            shape = ops.concat([batch, rest], 0)
            node.set_arguments([ops.broadcast(ops.constant(np.float32(0)), shape)])
    model.validate_nodes_and_infer_types()


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence the libraries' tables, bars and warnings; what fails still raises."""
    logging.getLogger("nncf").setLevel(logging.ERROR)
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    with (
        open(os.devnull, "w") as nowhere,
        contextlib.redirect_stdout(nowhere),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")
        yield
