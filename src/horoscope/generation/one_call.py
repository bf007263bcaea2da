"""`generate_horoscope`: the original's function, with our model or with yours from transformers."""

import datetime
from functools import lru_cache
from typing import Any

from horoscope.errors import InputError
from horoscope.generation.draft import Wish
from horoscope.generation.generator import GenerationError, HoroscopeGenerator
from horoscope.zodiac import Topic, parse_sign

# How the original drew its texts; benchmarks compare with it.
ORIGINAL_SAMPLING = {"top_k": 5, "top_p": 0.95, "repetition_penalty": 5.0, "max_length": 200}


def generate_horoscope(
    sign: str,
    tok: Any = None,
    model: Any = None,
    *,
    topic: Topic = Topic.GENERAL,
    date: datetime.date | None = None,
    seed: int | None = None,
) -> str:
    """One horoscope for a sign as people type it («лев», «Leo ♌️», «5 августа»).

    Without `tok` and `model` our best model writes it. With a tokenizer and a causal language
    model of transformers it is written the original's way: prompt `<s>лев\\n`, sampling as in
    ORIGINAL_SAMPLING; topic and date play no part then. Raises UnknownSignError, GenerationError.
    """
    if (tok is None) != (model is None):
        raise InputError("Give both a tokenizer and a model, or neither.")
    known = parse_sign(sign)
    if model is not None:
        return _original_way(known.russian.lower(), tok, model, seed)
    wish = Wish(known, topic, date or datetime.date.today(), seed)
    text = _best().write([wish])[0].text
    if text is None:
        raise GenerationError("The model found no words; try another seed.")
    return text


@lru_cache(1)
def _best() -> HoroscopeGenerator:
    return HoroscopeGenerator()


def _original_way(name: str, tok: Any, model: Any, seed: int | None) -> str:
    if seed is not None:
        from transformers import set_seed

        set_seed(seed)
    prompt = tok(f"{tok.bos_token or ''}{name}\n", add_special_tokens=False, return_tensors="pt")
    ids = model.generate(
        input_ids=prompt["input_ids"].to(model.device),
        attention_mask=prompt["attention_mask"].to(model.device),
        do_sample=True,
        pad_token_id=tok.eos_token_id,
        **ORIGINAL_SAMPLING,
    )
    written = ids[0, prompt["input_ids"].shape[1] :]
    text: str = tok.decode(written, skip_special_tokens=True)
    return text.strip()
