"""From published texts to training examples: sources, cleaning, deduplication, split."""

from horoscope.dataset.examples import Example, load_examples

__all__ = ["Example", "load_examples"]
