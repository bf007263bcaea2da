"""`horoscope evaluate`."""

from pathlib import Path

import click


@click.command()
@click.argument(
    "models", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="MODEL..."
)
@click.option(
    "--data",
    required=True,
    multiple=True,
    type=click.Path(path_type=Path),
    help="A directory made by `horoscope data prepare`: its test texts are the people's side, its "
    "training texts what might be copied. Name all that the models learned from.",
)
@click.option(
    "-n", "count", type=click.IntRange(1), default=500, show_default=True, help="Texts a model."
)
@click.option(
    "--seed",
    type=click.IntRange(0, 2**32 - 1),
    default=0,
    show_default=True,
    help="Which texts are written, and which of people's they are compared with.",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("evaluation"),
    show_default=True,
    help="Where table (.md), figures (.json), plot (.png) and the texts go.",
)
def evaluate(
    models: tuple[Path, ...], data: tuple[Path, ...], count: int, seed: int, output: Path
) -> None:
    """Let each MODEL write texts and measure them beside people's held-out texts.

    A MODEL is a directory after `horoscope export`, `best` or `fast`. Bits per character need the
    weights that `horoscope train` wrote; without them there is a dash.

    \b
    horoscope evaluate models/mine --data data/real
    horoscope evaluate models/first models/second --data data/real -n 2000
    """
    from horoscope.generation.generator import model_directory
    from horoscope.training.evaluation import evaluate as run  # torch takes seconds to import
    from horoscope.training.evaluation import table, write_report

    evaluation = run([model_directory(model) for model in models], data, count, seed)
    write_report(evaluation, data, seed, output)
    click.echo(table(evaluation.results))
    click.echo(f"\nTable, figures, plot and texts: {output}")
