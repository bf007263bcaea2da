"""The sources that have a name, and the files of one's own."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from horoscope.corpus import CORPORA, corpus_path
from horoscope.dataset.tables import read_table
from horoscope.dataset.texts import Columns, Text, Unusable, texts_of
from horoscope.errors import InputError


@dataclass(frozen=True)
class GitHistory:
    """A file in a public git repository, as it is at a commit or (`daily`) as it was every day."""

    url: str
    commit: str
    path: str
    daily: bool = False


@dataclass(frozen=True)
class HubFiles:
    """Files of a dataset on the Hugging Face hub at a revision."""

    dataset: str
    revision: str
    paths: tuple[str, ...]


@dataclass(frozen=True)
class KnownSource:
    """A source with a name; without an `origin` it ships in the package."""

    about: str
    origin: GitHistory | HubFiles | None = None


SOURCES = {
    **dict(
        zip(
            CORPORA,
            (
                KnownSource("ours, CC0: plain newspaper language for a small model"),
                KnownSource("ours, CC0: plain texts of one thing each, for a larger model"),
                KnownSource("ours, CC0: a columnist's texts with wit, for a large model"),
            ),
            strict=True,
        )
    ),
    "rambler": KnownSource(
        "horoscopes.rambler.ru 2004-2020, 73,477 rows",
        HubFiles(
            "dkagramanyan/horoscopes_ru",
            "f7c43e644abe9143a00a93e6ddb33527c42a66a5",
            (
                "data/train-00000-of-00001-2d68ddea79f728a8.parquet",
                "data/test-00000-of-00001-d05f62d5b4890b0e.parquet",
            ),
        ),
    ),
    "mailru": KnownSource(
        "lady.mail.ru 2020-2021, about 3,600 rows",
        GitHistory(
            "https://github.com/andrecpc/SIte_of_MADE_graduation_project_ML_horoscopes",
            "630bc35a97726583cf20e324ee2b36a2f533752d",
            "files/old/horoscopes.csv",
        ),
    ),
    "goroskop1001": KnownSource(
        "1001goroskop.ru 2026, day by day, about 3,300 rows",
        GitHistory(
            "https://github.com/client-spb/horoscope-json-updater",
            "000917ea7b765eb6693956209bb89d520a60beca",
            "horoscope_advanced.json",
            daily=True,
        ),
    ),
}


@dataclass(frozen=True)
class Source:
    """What a person named: a known source, a copy of one that they have, or a file."""

    name: str
    path: Path | None = None
    """The file to read; None fetches the known source."""


def parse_source(typed: str) -> Source:
    """`plain`, `mailru=copy.csv`, `mine.csv` or `mine=texts.csv`. Raises InputError."""
    if typed in SOURCES:
        return Source(typed)
    if named := re.fullmatch(r"([\w-]+)=(.+)", typed):
        return Source(named[1], Path(named[2]))
    path = Path(typed)
    if path.suffix or path.exists():
        return Source(path.stem, path)
    raise InputError(f"No source is called {typed!r}: name a file, or one of {', '.join(SOURCES)}.")


def cache_directory() -> Path:
    """Where fetched sources are kept: $XDG_CACHE_HOME/horoscope, else ~/.cache/horoscope."""
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "horoscope" / "sources"


def is_at_hand(name: str) -> bool:
    """Whether a known source can be read without a network."""
    return SOURCES[name].origin is None or (cache_directory() / name).is_dir()


def read_source(source: Source, columns: Columns, encoding: str) -> Iterator[Text | Unusable]:
    """Every row of a source, fetched first if need be.

    Raises InputError if a file cannot be read, HoroscopeError if it cannot be fetched.
    """
    if source.path is not None:
        table = read_table(source.path, encoding)
        if source.name in SOURCES and Columns().text in table.columns:
            columns = Columns()  # laid out as we know it, whatever the options say of other files
        yield from texts_of(table, columns, source.name)
        return
    origin = SOURCES[source.name].origin
    if origin is None:
        paths = [corpus_path(source.name)]
    else:
        from horoscope.dataset.fetching import fetch  # its libraries take a moment to import

        paths = fetch(source.name, origin, cache_directory() / source.name)
    for path in paths:
        yield from texts_of(read_table(path), Columns(), source.name)
