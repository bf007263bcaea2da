"""Which CPU engine decodes fastest: OpenVINO (ours), CTranslate2, ONNX Runtime, transformers.

    pip install ctranslate2 onnxruntime onnxscript
    python benchmarks/engines.py [--shape tiny|rugpt3small] [--json]

One GPT-2 with random weights, int8 in each engine (float32 in transformers), TOKENS greedy steps
after a prompt of four tokens; figures are tokens a second. All run in one process, one after the
other, on all cores.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from transformers import GPT2Config, GPT2LMHeadModel

from horoscope.generation.description import ModelDescription, load_description
from horoscope.generation.engine import Engine
from horoscope.training.export import StepOfModel, cache_shape, example_inputs, export
from horoscope.training.models import fresh_tokenizer

TOKENS = 100
PROMPT = [1, 10, 20, 30]
BATCHES = (1, 8, 32)
SHAPES = {
    "tiny": {"vocab_size": 6144, "n_positions": 512, "n_embd": 256, "n_layer": 6, "n_head": 4},
    "rugpt3small": {"vocab_size": 50_264, "n_positions": 2048},
}
Decode = Callable[[int], None]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shape", choices=SHAPES, default="tiny")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    figures: dict[str, dict[int, float]] = {}
    with tempfile.TemporaryDirectory() as directory:
        model = make_model(SHAPES[options.shape], Path(directory))
        for engine in (openvino, ctranslate2, onnxruntime, transformers):
            decode = engine(model, Path(directory))
            figures[engine.__name__] = {}
            for batch in BATCHES if engine is not transformers else (1,):
                decode(batch)
                began = time.perf_counter()
                decode(batch)
                figures[engine.__name__][batch] = batch * TOKENS / (time.perf_counter() - began)
    if options.json:
        print(json.dumps({"shape": options.shape, "tokens_a_second": figures}))
        return
    table = Table(f"{options.shape}, tokens a second", *(f"batch {batch}" for batch in BATCHES))
    for name, speeds in figures.items():
        table.add_row(name, *(f"{speeds[b]:,.0f}" if b in speeds else "–" for b in BATCHES))
    Console().print(table)


def make_model(shape: dict[str, int], directory: Path) -> Any:
    torch.manual_seed(0)
    config = GPT2Config(**shape, bos_token_id=1, eos_token_id=2)
    model = GPT2LMHeadModel(config).eval()
    tokenizer = fresh_tokenizer(["лев\nХороший день для работы и отдыха.\n"], 400)
    tokenizer.add_tokens([f"слово{i}" for i in range(config.vocab_size - len(tokenizer))])
    tokenizer.unk_token = "<pad>"  # CTranslate2 insists on one
    model.save_pretrained(directory)
    tokenizer.save_pretrained(directory)
    return model


def openvino(_: Any, directory: Path) -> Decode:
    ModelDescription(name="benchmark", begin_ids=[1], end_id=2).save(directory)
    export(directory, directory)
    engine = Engine(directory, load_description(directory))

    def decode(batch: int) -> None:
        logits = engine.start([PROMPT] * batch, len(PROMPT)).logits
        for step in range(1, TOKENS):
            positions = np.full(batch, len(PROMPT) + step - 1)
            logits = engine.step(logits.argmax(axis=1), positions).logits

    return decode


def ctranslate2(_: Any, directory: Path) -> Decode:
    import ctranslate2 as library
    from ctranslate2.converters import TransformersConverter

    made = directory / "ctranslate2"
    TransformersConverter(str(directory)).convert(str(made), quantization="int8")
    generator = library.Generator(str(made), device="cpu", compute_type="int8")
    words = json.loads((made / "vocabulary.json").read_text(encoding="utf-8"))
    prompt = [words[token] for token in PROMPT]

    def decode(batch: int) -> None:
        generator.generate_batch(
            [prompt] * batch,
            max_length=len(PROMPT) + TOKENS,
            min_length=len(PROMPT) + TOKENS,
            sampling_topk=1,
            max_batch_size=batch,
        )

    return decode


def onnxruntime(model: Any, directory: Path) -> Decode:
    import onnxruntime as library
    from onnxruntime.quantization import QuantType, quantize_dynamic

    layers, heads, width = cache_shape(model)
    inputs = ["input_ids", "attention_mask", "position_ids"]
    past = [f"past.{i}" for i in range(2 * layers)]
    present = [f"present.{i}" for i in range(2 * layers)]
    cache_axes = {0: "batch", 2: "length"}
    plain, quantized = directory / "plain.onnx", directory / "int8.onnx"
    torch.onnx.export(
        StepOfModel(model),
        example_inputs(model),
        str(plain),
        input_names=[*inputs, *past],
        output_names=["logits", *present],
        dynamic_axes={name: {0: "batch", 1: "tokens"} for name in inputs}
        | dict.fromkeys((*past, *present), cache_axes)
        | {"logits": {0: "batch"}},
        dynamo=False,
    )
    quantize_dynamic(plain, quantized, weight_type=QuantType.QInt8)
    session = library.InferenceSession(str(quantized), providers=["CPUExecutionProvider"])

    def decode(batch: int) -> None:
        cache = [np.zeros((batch, heads, 0, width), np.float32) for _ in past]
        ids = np.array([PROMPT] * batch, np.int64)
        positions = np.arange(len(PROMPT))[None].repeat(batch, axis=0)
        for _ in range(TOKENS):
            seen = cache[0].shape[2] + ids.shape[1]
            fed = dict(zip(inputs, (ids, np.ones((batch, seen), np.int64), positions), strict=True))
            logits, *cache = session.run(None, fed | dict(zip(past, cache, strict=True)))
            ids = logits.argmax(axis=1)[:, None]
            positions = positions[:, -1:] + 1

    return decode


def transformers(model: Any, _: Path) -> Decode:
    def decode(batch: int) -> None:
        prompt = torch.tensor([PROMPT] * batch)
        model.generate(
            input_ids=prompt,
            attention_mask=torch.ones_like(prompt),
            max_new_tokens=TOKENS,
            min_new_tokens=TOKENS,
            do_sample=False,
            pad_token_id=2,
        )

    return decode


if __name__ == "__main__":
    main()
