"""Has aiogram build each of its types when it is first used, instead of all at import.

aiogram describes the whole Bot API in some 500 pydantic models and builds their validators when it
is imported: 1.2 s and 105 MB, for a bot that uses thirty of them. (aiogram 3.31, pydantic 2.13.)
Where aiogram is imported already, or builds nothing at import any more, this changes nothing.
"""

import sys
import typing
from typing import Any

from pydantic import BaseModel


def import_aiogram() -> None:
    """Import aiogram and leave its types unbuilt until they are used."""
    if "aiogram" in sys.modules:
        return
    rebuild = BaseModel.__dict__["model_rebuild"]
    BaseModel.model_rebuild = classmethod(lambda cls, **_: None)  # type: ignore
    try:
        from aiogram import methods, types
        from aiogram.client.default import Default
    finally:
        BaseModel.model_rebuild = rebuild  # type: ignore[method-assign]

    # What aiogram gives its types to resolve their annotations by, as aiogram.types does.
    names = {name: getattr(typing, name) for name in ("List", "Optional", "Union", "Literal")}
    names |= {name: getattr(types, name) for name in types.__all__} | {"Default": Default}

    # pydantic calls this at the first use of a type that is not built.
    def build(cls: type[BaseModel], **options: Any) -> bool | None:
        options["_types_namespace"] = options.get("_types_namespace") or names
        built: bool | None = rebuild.__func__(cls, **options)
        return built

    for base in (types.TelegramObject, methods.TelegramMethod, methods.Response):
        base.model_rebuild = classmethod(build)  # type: ignore
