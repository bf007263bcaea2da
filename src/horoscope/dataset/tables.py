"""Reads the rows of a CSV, JSONL or Parquet file, and says where one is broken."""

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from horoscope.errors import HoroscopeError, InputError

_DELIMITERS = ",;\t"
_OTHER_ENCODINGS = ("cp1251", "koi8-r")


@dataclass(frozen=True)
class Table:
    """The rows of a file: for each its line (from 1) and its cells by column; None is empty."""

    path: Path
    columns: list[str]
    rows: list[tuple[int, dict[str, str | None]]]


def read_table(path: Path, encoding: str = "utf-8") -> Table:
    """Read a table; the ending of the file's name says what it is.

    A CSV file has a header and is divided by commas, semicolons or tabs.
    Raises InputError naming the line for what cannot be read, HoroscopeError if there is no file.
    """
    readers = {".csv": _read_csv, ".tsv": _read_csv, ".jsonl": _read_jsonl}
    kind = path.suffix.lower()
    if kind not in readers and kind != ".parquet":
        raise InputError(f"{path} is none of .csv, .tsv, .jsonl and .parquet.")
    if not path.is_file():
        raise HoroscopeError(f"There is no file {path}.")
    if kind == ".parquet":
        table = _read_parquet(path)
    else:
        table = readers[kind](path, _read_text(path, encoding))
    if not table.rows:
        raise InputError(f"{path} has no rows.")
    return table


def _read_text(path: Path, encoding: str) -> str:
    data = path.read_bytes()
    if not data.strip():
        raise InputError(f"{path} is empty.")
    try:
        return data.decode("utf-8-sig" if encoding.lower() in {"utf-8", "utf8"} else encoding)
    except LookupError:
        raise InputError(f"No encoding is called {encoding!r}; try utf-8 or cp1251.") from None
    except UnicodeError as error:
        line = data[: error.start].count(b"\n") + 1 if isinstance(error, UnicodeDecodeError) else 1
        likely = _likely_encoding(data)
        advice = f"it looks like {likely}: add --encoding {likely}" if likely else "name it"
        raise InputError(f"{path}, line {line} is not {encoding}; {advice}.") from None


def _likely_encoding(data: bytes) -> str | None:
    """The encoding in which `data` reads most like Russian, if in any it does."""
    if data[:2] in {b"\xff\xfe", b"\xfe\xff"}:
        return "utf-16"
    best, most = None, 0.5
    for encoding in ("utf-8", *_OTHER_ENCODINGS):
        text = data[:100_000].decode(encoding, errors="ignore")
        letters = [c for c in text if c.isalpha() and not c.isascii()]
        # In the wrong one-byte encoding most letters come out as capitals or as no Russian ones.
        share = sum("а" <= c <= "я" for c in letters) / max(1, len(letters))
        if share > most:
            best, most = encoding, share
    return best


def _read_csv(path: Path, text: str) -> Table:
    header = text.split("\n", 1)[0]
    delimiter = max(_DELIMITERS, key=header.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    csv.field_size_limit(max(csv.field_size_limit(), len(text)))
    rows: list[tuple[int, dict[str, str | None]]] = []
    line = 1
    try:
        columns = [name.strip() for name in next(reader)]
        _check_columns(path, columns)
        line = reader.line_num + 1
        for cells in reader:
            if cells and len(cells) != len(columns):
                raise InputError(
                    f"{path}, line {line} is broken: {len(cells)} cells, "
                    f"while the header names {len(columns)}."
                )
            if cells:
                rows.append((line, {c: v or None for c, v in zip(columns, cells, strict=True)}))
            line = reader.line_num + 1
    except csv.Error as error:
        raise InputError(f"{path}, line {line} is broken: {error}.") from None
    return Table(path, columns, rows)


def _read_jsonl(path: Path, text: str) -> Table:
    rows: list[tuple[int, dict[str, str | None]]] = []
    columns: dict[str, None] = {}
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise InputError(f"{path}, line {number} is broken: {error}.") from None
        if not isinstance(row, dict):
            raise InputError(f"{path}, line {number} is broken: it is no JSON object.")
        columns.update(dict.fromkeys(row))
        rows.append((number, {name: _as_cell(value) for name, value in row.items()}))
    return Table(path, list(columns), rows)


def _read_parquet(path: Path) -> Table:
    import pyarrow as pa  # slow to import, and rarely needed
    from pyarrow import parquet

    try:
        table = parquet.read_table(path)
    except (pa.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise InputError(f"{path} is no whole Parquet file: {reason}.") from None
    return Table(path, table.column_names, list(enumerate(_cells(table.to_pylist()), 1)))


def _cells(rows: list[dict[str, Any]]) -> Iterator[dict[str, str | None]]:
    for row in rows:
        yield {name: _as_cell(value) for name, value in row.items()}


def _as_cell(value: Any) -> str | None:
    return None if value is None or value == "" else str(value)


def _check_columns(path: Path, columns: list[str]) -> None:
    twice = {name for name in columns if columns.count(name) > 1}
    if twice:
        raise InputError(f"{path} has two columns called {twice.pop()!r}.")
