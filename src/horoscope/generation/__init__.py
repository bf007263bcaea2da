"""Writing horoscopes with a model directory."""

from horoscope.generation.draft import Horoscope, Wish
from horoscope.generation.generator import GenerationError, HoroscopeGenerator
from horoscope.generation.one_call import generate_horoscope

__all__ = ["GenerationError", "Horoscope", "HoroscopeGenerator", "Wish", "generate_horoscope"]
