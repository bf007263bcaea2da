"""`horoscope average`."""

from pathlib import Path

import click


@click.command(epilog="Then: horoscope export OUTPUT.")
@click.argument("models", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--output", required=True, type=click.Path(path_type=Path), help="The mean's home.")
@click.option("--name", help="What it is called (default: the output directory's name).")
def average(models: tuple[Path, ...], output: Path, name: str | None) -> None:
    """Write the mean of MODELS: of a model and of what fine-tuning made of it.

    It often reads better than either. A model that is given twice counts twice; the last one says
    how the mean is asked for a text.

    \b
    horoscope train --model models/mine --data data/new --output models/tuned
    horoscope average models/mine models/tuned --output models/both
    """
    from horoscope.training.averaging import average as run  # torch takes seconds to import

    run(models, output, name)
    click.echo(f"Saved {output}; next: horoscope export {output}")
