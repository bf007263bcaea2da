"""`horoscope data`."""

import sys
from pathlib import Path

import click

from horoscope.errors import HoroscopeError
from horoscope.zodiac import Topic


@click.group()
def data() -> None:
    """Fetch and prepare texts to learn from."""


@data.command("list")
def list_sources() -> None:
    """The sources that have a name."""
    from rich.console import Console
    from rich.table import Table

    from horoscope.dataset.sources import SOURCES, is_at_hand

    table = Table("name", "what", "where", box=None, pad_edge=False)
    for name, source in SOURCES.items():
        place = "in the package" if source.origin is None else "to be fetched"
        if source.origin and is_at_hand(name):
            place = "fetched"
        table.add_row(name, source.about, place)
    Console().print(table)
    click.echo("\nPrepare some of them, or files of your own: horoscope data prepare --help")


@data.command(
    epilog="Then look at OUTPUT/report.md, and: horoscope train --data OUTPUT ...",
)
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE...")
@click.option(
    "--output", required=True, type=click.Path(path_type=Path), help="A directory to write."
)
@click.option("--text-column", default="text", show_default=True, metavar="NAME")
@click.option("--sign-column", default="sign", show_default=True, metavar="NAME")
@click.option("--topic-column", default="topic", show_default=True, metavar="NAME")
@click.option("--date-column", default="date", show_default=True, metavar="NAME")
@click.option("--sign", help="The sign of all texts, for a file without a column for it.")
@click.option(
    "--topic",
    type=click.Choice([topic.value for topic in Topic]),
    default="general",
    show_default=True,
    help="The topic of texts that name none.",
)
@click.option("--encoding", default="utf-8", show_default=True, help="Of CSV and JSONL files.")
@click.option(
    "--held-out",
    type=click.FloatRange(0.001, 0.4),
    default=0.05,
    show_default=True,
    help="The share of texts for validation, and again that for the test.",
)
def prepare(
    sources: tuple[str, ...],
    output: Path,
    text_column: str,
    sign_column: str,
    topic_column: str,
    date_column: str,
    sign: str | None,
    topic: str,
    encoding: str,
    held_out: float,
) -> None:
    """Clean texts, drop duplicates, split them into train, validation and test.

    A SOURCE is a name of `horoscope data list`, a CSV, JSONL or Parquet file of your own, or
    NAME=FILE: your copy of a source that has a name, or the name that your file shall go by.
    The column options say where a file of yours has what: a row for each text, or a column for
    each sign («овен», «телец», ...).

    \b
    horoscope data prepare plain --output data/plain
    horoscope data prepare mailru goroskop1001 --output data/real
    horoscope data prepare mailru=copy.csv mine.csv --text-column forecast --output data/mine
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    from rich.progress import TimeRemainingColumn as Remaining

    from horoscope.dataset import prepare as steps
    from horoscope.dataset.report import show, write_report
    from horoscope.dataset.sources import parse_source, read_source
    from horoscope.dataset.texts import Columns
    from horoscope.zodiac import parse_sign

    columns = Columns(
        text_column,
        sign_column,
        topic_column,
        date_column,
        parse_sign(sign) if sign else None,
        Topic(topic),
    )
    steps.check_output(output)
    named = [parse_source(source) for source in sources]
    texts = [text for source in named for text in read_source(source, columns, encoding)]
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        Remaining(),
        console=Console(stderr=True),
        transient=True,
        disable=not sys.stderr.isatty(),
    ) as progress:

        def track(step: str, total: int) -> "steps.Advance":
            task = progress.add_task(step, total=total)
            return lambda: progress.advance(task)

        prepared = steps.prepare(texts, held_out, track)
    steps.write_prepared(prepared, output, write_report)
    show(prepared, output)


@data.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
def check(files: tuple[Path, ...]) -> None:
    """Hold new texts for the plain corpus to its rules; every fault is a line.

    For writers: FILE is JSON lines of sign, topic and text; docs/corpus.md has the rules.
    The exit code is 1 while there are faults.
    """
    from horoscope.corpus.check import check_files

    report = check_files(files)
    for fault in report.faults:
        click.echo(str(fault))
    click.echo(report.summary)
    if report.faults:
        raise HoroscopeError(f"There are {len(report.faults)} faults to mend.")
