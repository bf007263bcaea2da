"""From the rows of a table to texts: whose sign, what topic, which day."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date as Date
from datetime import datetime, timedelta

from horoscope.dataset.tables import Table
from horoscope.errors import InputError
from horoscope.zodiac import Sign, Topic, UnknownSignError, parse_sign

_EVERYONE = {"general", "all", "main_horo", "общий", "все", "для всех"}
_TOPICS = {topic.value: topic for topic in Topic} | {t.russian.lower(): t for t in Topic}
_TODAY = {"today", "daily", "сегодня"}
_TOMORROW = {"tomorrow", "завтра"}
_DATE_FORMATS = ("%Y-%m-%d", "%d.%m.%Y", "%Y.%m.%d", "%d/%m/%Y", "%d-%m-%Y")


@dataclass(frozen=True)
class Columns:
    """Which column of a table holds what, and what holds for a table without that column."""

    text: str = "text"
    sign: str = "sign"
    topic: str = "topic"
    date: str = "date"
    only_sign: Sign | None = None
    only_topic: Topic = Topic.GENERAL


@dataclass(frozen=True)
class Text:
    """A text as published."""

    text: str
    sign: Sign
    topic: Topic
    date: Date | None
    """The day that it is for."""
    source: str
    line: int
    day_ahead: bool = False
    """Published the day before, so it says «завтра» of the day that it is for."""


@dataclass(frozen=True)
class Unusable:
    """A row that gave no text, and why."""

    text: str
    source: str
    line: int
    reason: str


def texts_of(table: Table, columns: Columns, source: str) -> Iterator[Text | Unusable]:
    """The texts of a table that has a row for each, or a column for each sign.

    Raises InputError if a column is missing, naming those that are there.
    """
    per_sign = {name: sign for name in table.columns if (sign := _sign_name(name)) is not None}
    if columns.text in table.columns:
        if columns.sign not in table.columns and columns.only_sign is None:
            raise _missing(table, columns.sign, "--sign-column, or one sign for all with --sign")
        cells: list[tuple[str, str | None]] = [(columns.text, None)]
    elif len(per_sign) >= len(Sign):
        cells = [(name, name) for name in table.columns if name in per_sign or _is_everyone(name)]
    else:
        raise _missing(table, columns.text, "--text-column")
    for column, default in ((columns.topic, "topic"), (columns.date, "date")):
        if column != default and column not in table.columns:
            raise _missing(table, column, f"--{default}-column")
    fault: Unusable | None = None
    usable = False
    for line, row in table.rows:
        for column, sign_name in cells:
            read = _read(row.get(column) or "", row, columns, sign_name, source, line)
            if isinstance(read, Unusable):
                fault = fault or read
            usable |= isinstance(read, Text)
            yield read
    if fault and not usable:
        raise InputError(f"{table.path}: no row can be used (line {fault.line}: {fault.reason}).")


def _read(
    text: str,
    row: dict[str, str | None],
    columns: Columns,
    sign_name: str | None,
    source: str,
    line: int,
) -> Text | Unusable:
    if not text.strip():
        return Unusable("", source, line, "empty")
    topic_name = (row.get(columns.topic) or columns.only_topic.value).strip().lower()
    day_ahead = topic_name in _TOMORROW
    topic = Topic.GENERAL if day_ahead or topic_name in _TODAY else _TOPICS.get(topic_name)
    if topic is None:
        return Unusable(text, source, line, "unknown topic")
    try:
        date = _date(row.get(columns.date))
    except ValueError:
        return Unusable(text, source, line, "unreadable date")
    if day_ahead and date:
        date += timedelta(days=1)
    name = sign_name or row.get(columns.sign)
    if name is None:
        sign = columns.only_sign
    elif _is_everyone(name):
        # A forecast for everyone suits any sign; the day decides, so that each gets as many.
        sign = list(Sign)[(date.toordinal() if date else line) % len(Sign)]
    else:
        sign = _sign_name(name)
    if sign is None:
        return Unusable(text, source, line, "unknown sign")
    return Text(text, sign, topic, date, source, line, day_ahead)


def _is_everyone(name: str) -> bool:
    return name.strip().lower() in _EVERYONE


def _sign_name(name: str) -> Sign | None:
    try:
        return Sign(name)
    except ValueError:
        pass
    try:
        return parse_sign(name) if len(name) < 30 else None
    except UnknownSignError:
        return None


def _date(cell: str | None) -> Date | None:
    """Raises ValueError if `cell` is no date."""
    if cell is None or not cell.strip():
        return None
    day = re.split(r"[ T]", cell.strip())[0]  # without the time
    for form in _DATE_FORMATS:
        try:
            return datetime.strptime(day, form).date()
        except ValueError:
            continue
    raise ValueError(cell)


def _missing(table: Table, column: str, options: str) -> InputError:
    there = ", ".join(table.columns[:20]) or "none"
    return InputError(f"{table.path} has no column {column!r}; it has: {there}. Say {options}.")
