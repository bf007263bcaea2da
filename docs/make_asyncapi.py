"""Prints docs/asyncapi.yaml, made of the messages and topics themselves."""

from collections.abc import Iterable
from typing import Any

import yaml
from pydantic.json_schema import models_json_schema

from horoscope.messaging.kafka.topics import DEAD_LETTER, TOPICS, Topic
from horoscope.messaging.messages import Message
from horoscope.settings import Settings

HEAD = """\
# What bots and workers say to each other through Apache Kafka, in AsyncAPI's words. Made from the
# messages and topics in src/horoscope/messaging by `make asyncapi`; docs/protocol.md explains it.
"""
Json = dict[str, Any]

DEFAULTS = {name: field.default for name, field in Settings.model_fields.items()}
# Who writes into a topic, who reads from it.
ROLES = {
    "requests": ("bot", "worker"),
    "replies": ("worker", "bot"),
    "parts": ("worker", "bot"),
    "stops": ("bot", "worker"),
}


def page() -> str:
    """The page as it stands in the repository."""
    _, schemas = models_json_schema(
        [(kind, "validation") for kind in TOPICS], ref_template="#/components/schemas/{model}"
    )
    document = {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Horoscope",
            "version": "1.0.0",
            "description": "Requests for horoscopes, and their answers, through Apache Kafka.",
            "license": {"name": "MIT"},
        },
        "defaultContentType": "application/json",
        "channels": {topic.name: _channel(kind, topic) for kind, topic in TOPICS.items()}
        | {"deadLetter": _dead_letter_channel()},
        "operations": dict(_operations()),
        "components": {
            "messages": {kind.__name__: _message(kind) for kind in TOPICS}
            | {"DeadLetter": _dead_letter()},
            "schemas": schemas["$defs"],
        },
    }
    return HEAD + yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=100)


def _channel(kind: type[Message], topic: Topic) -> Json:
    promise = "Delivered at least once, to one member of the group."
    if topic.group is None:
        promise = "Best effort, to everyone who listens; read without a group, from the end."
    return {
        "address": f"{DEFAULTS['kafka_topic_prefix']}{topic.name}",
        "description": f"{_first_line(kind)} {promise}",
        "messages": {kind.__name__: {"$ref": f"#/components/messages/{kind.__name__}"}},
        "bindings": {"kafka": _topic_binding(topic)},
    }


def _topic_binding(topic: Topic) -> Json:
    binding: Json = {"partitions": DEFAULTS["kafka_partitions"] if topic.group else 1}
    kept = topic.config.get("retention.ms")
    return binding | ({"topicConfiguration": {"retention.ms": int(kept)}} if kept else {})


def _operations() -> Iterable[tuple[str, Json]]:
    for kind, topic in TOPICS.items():
        writer, reader = ROLES[topic.name]
        group = f"{DEFAULTS['kafka_group_prefix']}{topic.group}"
        for who, action in ((writer, "send"), (reader, "receive")):
            operation: Json = {
                "action": action,
                "channel": {"$ref": f"#/channels/{topic.name}"},
                "summary": f"What a {who} does.",
                "messages": [{"$ref": f"#/channels/{topic.name}/messages/{kind.__name__}"}],
            }
            if action == "receive" and topic.group:
                binding = {"groupId": {"type": "string", "enum": [group]}}
                operation["bindings"] = {"kafka": binding}
            yield f"{who}-{action}-{topic.name}", operation
    for who in ("bot", "worker"):
        yield (
            f"{who}-send-deadLetter",
            {
                "action": "send",
                "channel": {"$ref": "#/channels/deadLetter"},
                "summary": f"What a {who} does with what it cannot deal with.",
                "messages": [{"$ref": "#/channels/deadLetter/messages/DeadLetter"}],
            },
        )


def _message(kind: type[Message]) -> Json:
    return {
        "name": kind.SCHEMA,
        "title": _first_line(kind),
        "contentType": "application/json",
        "headers": _headers(
            {
                "schema": {"type": "string", "const": kind.SCHEMA},
                "version": {"type": "string", "const": str(kind.VERSION)},
                "traceparent": {"type": "string", "description": "W3C trace context, if any."},
            },
            ["schema", "version"],
        ),
        "payload": {"$ref": f"#/components/schemas/{kind.__name__}"},
        "bindings": {"kafka": {"key": {"type": "string", "description": "The chat's number."}}},
    }


def _dead_letter_channel() -> Json:
    return {
        "address": f"{DEFAULTS['kafka_topic_prefix']}{DEAD_LETTER}",
        "description": "What nobody could deal with. A record without a value says that the one"
        " with its key was replayed.",
        "messages": {"DeadLetter": {"$ref": "#/components/messages/DeadLetter"}},
        "bindings": {"kafka": _topic_binding(Topic(DEAD_LETTER))},
    }


def _dead_letter() -> Json:
    return {
        "name": "dead-letter",
        "title": "A record as it came, beside the reason.",
        "headers": _headers(
            {
                "origin": {"type": "string", "description": "TOPIC-PARTITION-OFFSET."},
                "origin-key": {"type": "string", "description": "The key it had there."},
                "reason": {"type": "string", "description": "For a person to read."},
            },
            ["origin", "origin-key", "reason"],
        ),
        "payload": {"description": "Anything at all, byte by byte."},
        "bindings": {"kafka": {"key": {"type": "string", "description": "The same as origin."}}},
    }


def _headers(properties: Json, required: list[str]) -> Json:
    return {"type": "object", "properties": properties, "required": required}


def _first_line(kind: type[Message]) -> str:
    return (kind.__doc__ or "").splitlines()[0]


if __name__ == "__main__":
    print(page(), end="")
