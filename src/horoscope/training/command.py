"""`horoscope train`."""

from pathlib import Path
from typing import Any

import click

POSITIVE = click.FloatRange(0, min_open=True)


@click.command(epilog="Then: horoscope export OUTPUT, and horoscope generate лев --model OUTPUT.")
@click.option(
    "--data",
    "data",
    required=True,
    multiple=True,
    type=click.Path(path_type=Path),
    help="A directory made by `horoscope data prepare`; more than one are learned together.",
)
@click.option("--output", required=True, type=click.Path(path_type=Path), help="The model's home.")
@click.option(
    "--model",
    "source",
    help="A hub name, directory or GGUF file to fine-tune; on a GPU, "
    "ai-forever/rugpt3small_based_on_gpt2.",
)
@click.option(
    "--preset",
    type=click.Choice(["tiny", "small"]),
    help="Train a GPT-2 from scratch instead: tiny (6 M weights) or small (30 M).",
)
@click.option(
    "--tokenizer-data",
    multiple=True,
    type=click.Path(path_type=Path),
    help="With --preset or --trim-vocabulary: further prepared directories that the tokenizer "
    "shall know the words of.",
)
@click.option(
    "--trim-vocabulary",
    is_flag=True,
    help="With --model: keep the tokens that the texts use only; smaller and faster.",
)
@click.option(
    "--themes",
    is_flag=True,
    help="Name the theme of the text, a noun, in every second prompt, so that the model can be "
    "asked for many of them.",
)
@click.option("--name", help="What the model is called (default: the output directory's name).")
@click.option(
    "--epochs", type=POSITIVE, default=3.0, show_default=True, help="Passes over the texts."
)
@click.option("--steps", type=click.IntRange(1), help="Steps instead of epochs.")
@click.option(
    "--batch-size", type=click.IntRange(1), default=32, show_default=True, help="Texts a step."
)
@click.option(
    "--learning-rate", type=POSITIVE, help="Default: 1e-3 from scratch, 1e-4 fine-tuning."
)
@click.option(
    "--warmup",
    type=click.FloatRange(0, 1),
    default=0.05,
    show_default=True,
    help="Share of steps to warm up in.",
)
@click.option("--weight-decay", type=click.FloatRange(0), default=0.1, show_default=True)
@click.option(
    "--dropout",
    type=click.FloatRange(0, 1, max_open=True),
    default=0.1,
    show_default=True,
    help="With --preset.",
)
@click.option(
    "--lora", type=click.IntRange(1), metavar="RANK", help="Train LoRA adapters of this rank only."
)
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True)
@click.option(
    "--evaluate-every",
    type=click.IntRange(1),
    help="Steps between validations (default: 2 an epoch).",
)
@click.option(
    "--keep",
    type=click.Choice(["best", "last"]),
    default="best",
    show_default=True,
    help="The weights that are best by validation, or the last ones: half by heart, but they may "
    "read better.",
)
@click.option(
    "--micro-batch-size",
    type=click.IntRange(1),
    help="Texts computed at once, where memory is short; the result is that of the whole batch.",
)
@click.option("--checkpoint-minutes", type=POSITIVE, default=5.0, show_default=True)
@click.option("--resume", is_flag=True, help="Go on with the interrupted run in --output.")
def train(**options: Any) -> None:
    """Fine-tune a causal language model on prepared texts, or train a small one from scratch.

    It runs on the CPU or the GPU it finds, and on several with `accelerate launch -m horoscope
    train ...`. Ctrl-C saves; --resume goes on to the very model that an uninterrupted run gives.
    The best model by validation is kept, unless --keep says otherwise.

    \b
    horoscope train --preset tiny --data data/real --output models/mine
    horoscope train --model models/mine --data data/mine --output models/better
    """
    from horoscope.training.run import Options, run  # torch takes seconds to import

    run(Options(**options))
