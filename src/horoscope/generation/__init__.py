"""Writing horoscopes with a model directory."""

from horoscope.generation.draft import Horoscope, Wish
from horoscope.generation.generator import GenerationError, HoroscopeGenerator

__all__ = ["GenerationError", "Horoscope", "HoroscopeGenerator", "Wish"]
