"""`horoscope correct`."""

from pathlib import Path

import click


@click.command(epilog="Then: horoscope critic OUTPUT, and horoscope export OUTPUT.")
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--output", required=True, type=click.Path(path_type=Path), help="The model's home.")
@click.option(
    "--marks",
    type=click.Path(path_type=Path),
    help="Texts with an editor's changes (default: our own, of what our models wrote).",
)
@click.option(
    "--learning-rate", type=click.FloatRange(0, min_open=True), default=1e-5, show_default=True
)
@click.option(
    "--epochs", type=click.IntRange(1), default=1, show_default=True, help="Passes over the texts."
)
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True)
def correct(
    model: Path,
    output: Path,
    marks: Path | None,
    learning_rate: float,
    epochs: int,
    seed: int,
) -> None:
    """Teach MODEL by what an editor changed in texts that it, or one like it, wrote.

    For each sentence that was changed it learns to prefer the editor's to its own (DPO). Marks are
    those of `horoscope critic`.
    """
    from horoscope.training.corrections import learn_corrections  # torch takes seconds to import
    from horoscope.training.critic import MARKS

    preferred = learn_corrections(model, marks or MARKS, output, learning_rate, epochs, seed)
    click.echo(f"In {preferred:.0%} of the held-out pairs it moved towards the editor's sentence.")
    click.echo(f"Saved {output}; next: horoscope critic {output}")
