"""`horoscope generate`."""

import json
from dataclasses import asdict
from datetime import date as Date
from datetime import datetime
from pathlib import Path

import click

from horoscope.errors import InputError
from horoscope.zodiac import Topic, parse_sign

model_option = click.option(
    "--model",
    type=click.Path(path_type=Path),
    help="best (default), fast, or a model directory of your own.",
)
"""Which model writes."""


@click.command()
@click.argument("sign", nargs=-1, required=True)
@click.option(
    "--topic",
    type=click.Choice([topic.value for topic in Topic]),
    default="general",
    show_default=True,
)
@click.option(
    "--date", "day", type=click.DateTime(["%Y-%m-%d"]), help="The day it is for (default: today)."
)
@click.option("--seed", type=int, help="Another text for the same sign, topic and day.")
@click.option("-n", "count", type=click.IntRange(1, 1000), default=1, help="How many.")
@click.option("--stream", is_flag=True, help="Show each sentence as soon as it is written.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON lines.")
@model_option
def generate(
    sign: tuple[str, ...],
    topic: str,
    day: datetime | None,
    seed: int | None,
    count: int,
    stream: bool,
    as_json: bool,
    model: Path | None,
) -> None:
    """Write a horoscope for SIGN: лев, leo, ♌ or a birthday such as 5 августа.

    The same sign, topic, day and seed always give the same text; without --seed it is the
    horoscope of the day.
    """
    wanted = parse_sign(" ".join(sign))
    if stream and (count > 1 or as_json):
        raise InputError("--stream shows one text as it grows: leave out -n and --json.")
    from horoscope.generation import GenerationError, HoroscopeGenerator, Wish

    generator = HoroscopeGenerator(model)
    date = day.date() if day else Date.today()
    if stream:
        for piece in generator.stream(Wish(wanted, Topic(topic), date, seed)):
            click.echo(piece, nl=False)
        click.echo()
        return
    # Several texts of one wish differ by their seeds: the one given (or none) and those after it.
    seeds = [seed, *((seed or 0) + i for i in range(1, count))]
    wishes = [Wish(wanted, Topic(topic), date, each) for each in seeds]
    for wish, horoscope in zip(wishes, generator.write(wishes), strict=True):
        if horoscope.text is None:
            raise GenerationError("The model found no words; try another --seed.")
        if as_json:
            row = asdict(wish) | {
                "theme": generator.theme(wish),
                "text": horoscope.text,
                "model": generator.name,
            }
            click.echo(json.dumps(row, ensure_ascii=False, default=str))
        else:
            click.echo(horoscope.text)
