"""What is written about the protocol is what the programs do."""

import json
import re
import subprocess
import sys
import warnings
from pathlib import Path

import jsonschema
import yaml

from horoscope.messaging.kafka.consumer import GROUP
from horoscope.messaging.kafka.topics import DEAD_LETTER, TOPICS
from horoscope.messaging.messages import (
    HoroscopePart,
    HoroscopeReply,
    HoroscopeRequest,
    Message,
    StopRequest,
    read,
)
from horoscope.settings import Settings

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from asyncapi3.models.asyncapi import AsyncAPI3

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "protocol.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
SHOWN: list[type[Message]] = [HoroscopeRequest, HoroscopeReply, HoroscopePart, StopRequest]


def test_the_examples_are_messages_of_today() -> None:
    assert len(EXAMPLES) == len(SHOWN)
    for kind, example in zip(SHOWN, EXAMPLES, strict=True):
        assert read(kind, kind.SCHEMA, str(kind.VERSION), example)


def test_the_table_of_topics_is_that_of_the_programs() -> None:
    rows = dict(re.findall(r"^\| `horoscope\.([\w-]+)` \| (.*) \|$", PAGE, re.MULTILINE))
    assert set(rows) == {topic.name for topic in TOPICS.values()} | {DEAD_LETTER}
    prefix = Settings.model_fields["kafka_group_prefix"].default
    for kind, topic in TOPICS.items():
        row = rows[topic.name]
        assert f"`{kind.SCHEMA}`" in row
        if topic.group:
            assert f"`{prefix}{topic.group}`" in row
    assert str(GROUP["partition.assignment.strategy"]) in PAGE


def test_the_asyncapi_file_is_what_the_messages_say_today() -> None:
    made = subprocess.run(
        [sys.executable, ROOT / "docs" / "make_asyncapi.py"], check=True, capture_output=True
    )
    page = (ROOT / "docs" / "asyncapi.yaml").read_text(encoding="utf-8")
    assert page == made.stdout.decode(), "run `make asyncapi`"


def test_the_asyncapi_file_is_valid_and_its_schemas_take_the_examples() -> None:
    document = yaml.safe_load((ROOT / "docs" / "asyncapi.yaml").read_text(encoding="utf-8"))
    AsyncAPI3.model_validate(document)
    for kind, example in zip(SHOWN, EXAMPLES, strict=True):
        schema = {"$ref": f"#/components/schemas/{kind.__name__}", **document}
        jsonschema.Draft202012Validator(schema).validate(json.loads(example))
        spoilt = {**json.loads(example), "unknown": 1}
        assert not jsonschema.Draft202012Validator(schema).is_valid(spoilt)
