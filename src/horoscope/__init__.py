"""Horoscopes in Russian, written by a small language model of our own."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from horoscope.generation import Horoscope, HoroscopeGenerator, Wish, generate_horoscope

__all__ = ["Horoscope", "HoroscopeGenerator", "Wish", "generate_horoscope"]


def __getattr__(name: str) -> Any:
    """Import the generator when it is asked for, so that the command line and a bot without an
    engine start without it."""
    if name in __all__:
        from horoscope import generation

        return getattr(generation, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
