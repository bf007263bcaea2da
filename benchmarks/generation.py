"""How fast texts are written, beside the original's way of writing them.

    python benchmarks/generation.py [--json] [--quick]

The baseline is the original: transformers, float32, one text at a time, top_k=5, top_p=0.95,
repetition_penalty=5.0, max_length=200. It and our engine run the same weights, one after the other:
ruGPT3-small's shape (124 M) with random weights. Random weights write no sentence that passes the
guard, so each text there is one attempt of TOKENS tokens, sampling and guard included. Needs the
`train` extra for the baseline.
"""

import argparse
import json
import multiprocessing
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from horoscope.generation import HoroscopeGenerator, Wish, draft, generate_horoscope
from horoscope.generation.generator import MODELS
from horoscope.generation.one_call import ORIGINAL_SAMPLING
from horoscope.zodiac import Sign

TOKENS = 100  # about those of a horoscope
RUGPT3_VOCABULARY = 50_264


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print every figure as JSON")
    parser.add_argument("--quick", action="store_true", help="our own models only")
    options = parser.parse_args()
    figures: dict[str, float] = {}
    for name in MODELS:
        figures |= measure_start(name) | measure_ours(name)
    if not options.quick:
        with tempfile.TemporaryDirectory() as directory:
            figures |= measure_rugpt3_shape(Path(directory))
    figures["cores"] = len(os.sched_getaffinity(0))
    if options.json:
        print(json.dumps(figures))
        return
    table = Table("what", "figure")
    for name, figure in figures.items():
        table.add_row(name.replace("_", " "), f"{figure:,.2f}")
    Console().print(table)


def measure_start(model: str) -> dict[str, float]:
    """Seconds and memory of `horoscope generate` from a cold start: best of five, as a person with
    an idle machine has it."""
    seconds = []
    for _ in range(5):
        began = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "horoscope", "generate", "лев", "--model", model],
            check=True,
            capture_output=True,
        )
        seconds.append(time.perf_counter() - began)
    figures = {f"{model}_cold_start_s": min(seconds)}
    if model == next(iter(MODELS)):  # the peak is that of the largest child so far
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
        figures[f"{model}_cold_start_peak_mb"] = peak / 1024
    return figures


def measure_ours(model: str) -> dict[str, float]:
    generator = HoroscopeGenerator(model)
    today = date.today()
    signs = list(Sign)
    generator.write([Wish(sign) for sign in signs])  # warm the caches of the guard
    alone = [
        timed(lambda: generator.write([Wish(signs[i % 12], date=today, seed=i)]))  # noqa: B023
        for i in range(40)
    ]
    texts = 256
    wishes = [Wish(signs[i % 12], date=today + timedelta(days=i), seed=i) for i in range(texts)]
    written: list[Any] = []
    batched = timed(
        lambda: written.extend(
            h for i in range(0, texts, 32) for h in generator.write(wishes[i : i + 32])
        )
    )
    alone.sort()
    return {
        f"{model}_one_ms_median": 1000 * alone[len(alone) // 2],
        f"{model}_one_ms_p95": 1000 * alone[int(len(alone) * 0.95)],
        f"{model}_texts_a_second_batch_32": texts / batched,
        f"{model}_tokens_a_second_batch_32": sum(h.tokens for h in written) / batched,
        f"{model}_tokens_drawn_a_text": sum(h.tokens for h in written) / texts,
    }


def measure_rugpt3_shape(directory: Path) -> dict[str, float]:
    # Torch in processes of its own: the service never loads it, and its threads would take time.
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, spawn) as torch_process:
        torch_process.submit(make_rugpt3_shape, directory).result()
        baseline = torch_process.submit(measure_the_original_way, directory).result()

    draft.TRIES_A_SENTENCE, draft.TRIES_A_TEXT = 1, 1
    generator = HoroscopeGenerator(directory)
    figures = {"rugpt3_shape_original_tokens_a_second": baseline}
    for batch in (1, 8, 32):
        wishes = [Wish(Sign.LEO, seed=i) for i in range(batch)]
        generator.write(wishes)
        tokens = []
        seconds = min(
            timed(lambda: tokens.append(sum(h.tokens for h in generator.write(wishes))))  # noqa: B023
            for _ in range(2)
        )
        speed = tokens[0] / seconds
        figures[f"rugpt3_shape_tokens_a_second_batch_{batch}"] = speed
        figures[f"rugpt3_shape_ratio_batch_{batch}"] = speed / baseline
    return figures


def measure_the_original_way(directory: Path) -> float:
    """Tokens a second of the original's way: the better of two runs, as ours."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tok = AutoTokenizer.from_pretrained(directory)
    model = AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32).eval()
    # Random weights never end a text, so each goes on to max_length.
    prompt = len(tok("<s>лев\n", add_special_tokens=False)["input_ids"])
    seconds = min(timed(lambda: generate_horoscope("лев", tok, model, seed=0)) for _ in range(2))
    return (ORIGINAL_SAMPLING["max_length"] - prompt) / seconds


def make_rugpt3_shape(directory: Path) -> None:
    """ruGPT3-small's architecture with random weights and a tokenizer of its size, exported."""
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    from horoscope.generation.description import ModelDescription
    from horoscope.training.export import export
    from horoscope.training.models import fresh_tokenizer

    torch.manual_seed(0)
    tokenizer = fresh_tokenizer(["лев\nХороший день для работы и отдыха.\n"], 400)
    model = GPT2LMHeadModel(
        GPT2Config(vocab_size=RUGPT3_VOCABULARY, n_positions=2048, bos_token_id=1, eos_token_id=2)
    )
    # Random logits are flat, and a draw would have to look at every token of the vocabulary; those
    # of a trained model are not.
    torch.nn.init.constant_(model.transformer.ln_f.weight, 10.0)
    tokenizer.add_tokens([f"слово{i}" for i in range(RUGPT3_VOCABULARY - len(tokenizer))])
    tokenizer.save_pretrained(directory)
    model.save_pretrained(directory)
    longest = len(tokenizer("<s>лев\n", add_special_tokens=False)["input_ids"]) + TOKENS
    ModelDescription(name="rugpt3-shape", begin_ids=[1], end_id=2, longest_tokens=longest).save(
        directory
    )
    export(directory, directory)


def timed(work: Callable[[], Any]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
