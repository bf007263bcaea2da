"""Prints docs/settings.md, made of the settings themselves: python docs/make_settings.py"""

from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from horoscope.settings import Settings

HEAD = """\
# Settings

Environment variables, or lines in a file `.env` in the working directory; a variable of the
environment wins. This page is made from `src/horoscope/settings.py` by `make settings`.

| Setting | Value | Default | Meaning |
|---|---|---|---|"""
NAMES = {int: "a whole number", str: "text", Path: "a path", SecretStr: "a secret"}
# Not the same on every machine.
DEFAULTS = {"data": "`~/.local/share/horoscope`"}


def page() -> str:
    """The page as it stands in the repository."""
    rows = [_row(name, field) for name, field in Settings.model_fields.items()]
    return "\n".join([HEAD, *rows]) + "\n"


def _row(name: str, field: FieldInfo) -> str:
    default = DEFAULTS.get(name) or ("—" if field.default is None else f"`{field.default}`")
    meaning = " ".join((field.description or "").split()).replace("|", "\\|")
    values = _values(field.annotation)
    return f"| `HOROSCOPE_{name.upper()}` | {values} | {default} | {meaning} |"


def _values(annotation: Any) -> str:
    parts = get_args(annotation)
    if get_origin(annotation) is Literal:
        return ", ".join(f"`{choice}`" for choice in parts)
    if parts:  # Annotated[it, ...], or it | None
        return _values(parts[0])
    return NAMES[annotation]


if __name__ == "__main__":
    print(page(), end="")
