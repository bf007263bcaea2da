"""What a model directory says of itself, in `model.json`: written by training, read by all."""

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from horoscope.errors import InputError
from horoscope.zodiac import Sign, Topic

DESCRIPTION_FILE = "model.json"
TOKENIZER_FILE = "tokenizer.json"

TOPIC_PROMPTS = {
    Topic.GENERAL: "{sign}\n",
    Topic.LOVE: "{sign}, любовь\n",
    Topic.BUSINESS: "{sign}, работа\n",
}


class EngineFile(BaseModel):
    """A file that `horoscope export` wrote."""

    model_config = ConfigDict(extra="forbid")

    name: str
    bytes: int
    sha256: str


class ModelDescription(BaseModel):
    """How to ask a model for a horoscope and what to expect of it."""

    model_config = ConfigDict(extra="forbid")

    format: int = 1
    name: str
    """What replies and metrics call the model."""
    prompts: dict[Topic, str] = Field(default_factory=lambda: dict(TOPIC_PROMPTS))
    """The text before the horoscope, for each topic; `{sign}` is the Russian name, lower-case."""
    themes: dict[Topic, list[str]] = Field(default_factory=dict)
    """Nouns to write about, for each topic: each text gets one of them in its prompt. Empty where
    the model learned without."""
    begin_ids: list[int]
    """Token ids before the prompt; empty where the tokenizer has no begin mark."""
    end_id: int
    """The token id that ends a text."""
    shortest: int = 120
    """Characters of the shortest texts that the model learned from (5th percentile)."""
    longest: int = 600
    """Characters of the longest texts that the model learned from (95th percentile)."""
    enough: int | None = None
    """Characters with which a text ends after its sentence, though the model might go on; None
    leaves it to the model. The more sentences stand, the oftener the next one does not belong."""
    longest_tokens: int = 256
    """Tokens of the longest text that the model learned from, with its prompt and marks: no more
    than its context holds, whatever its tokenizer makes of a word. No text gets longer."""
    temperature: float = 0.7
    min_p: float = 0.1
    """Tokens less likely than this share of the likeliest one are not drawn (arXiv:2407.01082)."""
    candidates: int = Field(default=1, ge=1)
    """For each sentence so many are drawn, of which the critic chooses one."""
    surprise: float = 0.0
    """How much the critic thinks the worse of a sentence for each nat, the mean of its tokens, by
    which it surprised the model."""
    novelty: float = 0.0
    """How much the critic thinks the worse of a sentence for saying only what stands nowhere in the
    texts that the model learned from: so much times its `Learned.novelty`, from 0 to 1."""
    commonness: float = 0.0
    """Of its worth, what a sentence loses for what these texts often say: so much times its
    `Learned.commonness`. The likeliest sentences are the commonest, and would be the same for
    everyone."""
    least_worth: float = 0.0
    """Where no candidate is worth as much, the text ends, if it has `shortest` characters; else all
    but the most liked one are drawn once more."""
    bits: int = 8
    """Of each weight of the engine."""
    engine: list[EngineFile] = Field(default_factory=list)
    """What `horoscope export` made; empty until then."""
    training: dict[str, Any] = Field(default_factory=dict)
    """The command, data checksums, seed and scores, as on the model's card."""

    def prompt(self, sign: Sign, topic: Topic, theme: str | None = None) -> str:
        """The text before the horoscope: «лев, любовь\\n», or «лев, любовь: письмо\\n»."""
        asked = self.prompts[topic].format(sign=sign.russian.lower())
        return f"{asked.rstrip()}: {theme}\n" if theme else asked

    def save(self, directory: Path) -> None:
        """Write `model.json`, whole or not at all."""
        beside = directory / (DESCRIPTION_FILE + ".part")
        text = json.dumps(self.model_dump(mode="json"), ensure_ascii=False, indent=2)
        beside.write_text(text + "\n", encoding="utf-8")
        beside.replace(directory / DESCRIPTION_FILE)


def load_description(directory: Path) -> ModelDescription:
    """Read `model.json`. Raises InputError if the directory is no model of ours."""
    path = directory / DESCRIPTION_FILE
    if not directory.is_dir():
        raise InputError(f"There is no model directory {directory}.")
    if not path.is_file():
        raise InputError(
            f"{directory} has no {DESCRIPTION_FILE}: it is no model made by `horoscope train`."
        )
    try:
        return ModelDescription.model_validate_json(path.read_text(encoding="utf-8"))
    except (ValidationError, UnicodeDecodeError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{path} is damaged ({reason}); make the model again.") from None
