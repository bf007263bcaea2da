"""`horoscope critic`."""

from pathlib import Path

import click


@click.command(epilog="Then: horoscope export MODEL.")
@click.argument("model", type=click.Path(path_type=Path))
@click.option(
    "--marks",
    type=click.Path(path_type=Path),
    help="Texts with an editor's changes (default: our own, of what our models wrote).",
)
@click.option(
    "--candidates",
    type=click.IntRange(1, 32),
    default=4,
    show_default=True,
    help="How many ways to say each sentence the model shall try.",
)
def critic(model: Path, marks: Path | None, candidates: int) -> None:
    """Teach MODEL to tell its good sentences from its faulty ones, and to choose the best.

    Marks are JSON lines of `sign`, `topic`, `sentences`, `publish` (1 to 5: would you print the
    text as it is) and `edits`: for each faulty sentence, by its index, what should stand there.
    """
    from horoscope.training.critic import MARKS, train_critic  # torch takes seconds to import

    verdict = train_critic(model, marks or MARKS, candidates)
    click.echo(
        f"{verdict.sentences:,} sentences, {verdict.faulty:,} of them faulty. On texts that it did "
        f"not learn from, a good sentence has the higher score in {verdict.area:.0%} of the pairs."
    )
    click.echo(f"Saved in {model}; next: horoscope export {model}")
