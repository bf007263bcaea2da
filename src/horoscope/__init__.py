"""Horoscopes in Russian, written by a small language model of our own."""

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from horoscope.generation import Horoscope, HoroscopeGenerator, Wish, generate_horoscope

# OpenVINO reports every import of it over the network, unasked, from a thread that outlives ours
# and with a number of the machine that it keeps in the home directory. There is no setting for it,
# but without this module of its it does not.
sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]

__all__ = ["Horoscope", "HoroscopeGenerator", "Wish", "generate_horoscope"]


def __getattr__(name: str) -> Any:
    """Import the generator when it is asked for, so that the command line and a bot without an
    engine start without it."""
    if name in __all__:
        from horoscope import generation

        return getattr(generation, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
