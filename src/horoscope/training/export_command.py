"""`horoscope export`."""

from pathlib import Path

import click


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--output", type=click.Path(path_type=Path), help="Default: into MODEL itself.")
@click.option(
    "--bits",
    type=click.Choice(["8", "4"]),
    default="8",
    show_default=True,
    help="Of each weight: 4 is half as large, and a little worse.",
)
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    help="A prepared directory, the one that the model learned from: what stands in its texts is "
    "noted for the critic; with --bits 4 they also make rounding less of a loss (minutes).",
)
@click.option(
    "--temperature",
    type=click.FloatRange(0.1, 2.0),
    help="How boldly it writes (default: as MODEL says, 0.7 after training): with more of it "
    "texts differ more and are oftener faulty.",
)
def export(
    model: Path, output: Path | None, bits: str, data: Path | None, temperature: float | None
) -> None:
    """Make the CPU engine of MODEL, a directory made by `horoscope train`.

    OUTPUT then has all that `horoscope generate --model OUTPUT` and the bot need; neither needs
    torch.
    """
    from horoscope.training.export import export as run  # torch takes seconds to import

    run(model, output or model, int(bits), data, temperature)
    click.echo(f"Try it: horoscope generate лев --model {output or model}")
