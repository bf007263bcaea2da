"""`horoscope critic`."""

from pathlib import Path

import click


@click.command(epilog="Then: horoscope export MODEL --data DIR.")
@click.argument("model", type=click.Path(path_type=Path))
@click.option(
    "--marks",
    type=click.Path(path_type=Path),
    help="Texts and which of their sentences are faulty or loose (default: our own, of what our "
    "models wrote).",
)
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    help="A prepared directory, the one that the model learned from and that `horoscope export` "
    "gets: what is like nothing in its texts is oftener faulty.",
)
@click.option(
    "--commonness",
    type=click.FloatRange(0, 1),
    default=0.04,
    show_default=True,
    help="How much less a candidate is liked for what the texts of `horoscope export --data` often "
    "say; with more of it texts differ more and are a little oftener faulty.",
)
@click.option(
    "--least-worth",
    type=click.FloatRange(0, 1),
    default=0.0,
    show_default=True,
    help="Where no candidate is worth as much they are drawn once more; a text that has the length "
    "of the shortest ones learned from ends instead. Worth is the chance to be good, less by a "
    "tenth if a sentence surely does not belong.",
)
@click.option(
    "--enough",
    type=click.IntRange(min=1),
    help="End each text with the sentence that reaches so many characters (default: where the "
    "model ends it); the more sentences stand, the oftener the next one does not belong.",
)
@click.option(
    "--candidates",
    type=click.IntRange(1, 32),
    default=8,
    show_default=True,
    help="How many ways to say each sentence the model shall try.",
)
@click.option(
    "--temperature",
    type=click.FloatRange(0.1, 2.0),
    default=0.85,
    show_default=True,
    help="How boldly candidates are drawn: what fails the critic takes out.",
)
def critic(
    model: Path,
    marks: Path | None,
    data: Path | None,
    commonness: float,
    least_worth: float,
    enough: int | None,
    candidates: int,
    temperature: float,
) -> None:
    """Teach MODEL to tell its good sentences from its faulty ones, and to choose the best.

    Marks are JSON lines of `sign`, `topic`, `sentences` and `faulty`: which of the sentences, from
    0, you would not print; of several editors with `editor`, as some are stricter than others. With
    `loose` you tell which of the others do not go on from what was said before them.
    """
    from horoscope.training.critic import MARKS, train_critic  # torch takes seconds to import

    verdict = train_critic(
        model, marks or MARKS, candidates, temperature, commonness, least_worth, enough, data
    )
    click.echo(
        f"{verdict.sentences:,} sentences, {verdict.faulty:,} of them faulty. On texts that it did "
        f"not learn from, a good sentence has the higher score in {verdict.area:.0%} of the pairs."
    )
    if verdict.loose_area:
        click.echo(
            f"{verdict.loose:,} others are loose; one that belongs has the higher score in "
            f"{verdict.loose_area:.0%} of the pairs."
        )
    with_data = f" --data {data}" if data else ""
    click.echo(f"Saved in {model}; next: horoscope export {model}{with_data}")
