"""The topics, and their making where they are missing."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from horoscope.messaging.broker import BrokerUnavailableError
from horoscope.messaging.kafka.connection import Config, in_one_line
from horoscope.messaging.messages import (
    HoroscopePart,
    HoroscopeReply,
    HoroscopeRequest,
    Message,
    StopRequest,
)
from horoscope.settings import Settings

ASK_S = 5.0
DAY_MS = 86_400_000
DEAD_LETTER = "dead-letter"


@dataclass(frozen=True)
class Topic:
    """What is particular to one topic."""

    name: str
    group: str | None = None
    """Who shares its messages; None: everyone who listens gets them all."""
    config: Mapping[str, str] = field(default_factory=dict)


# Long enough for a weekend's outage; what people asked is not kept longer than that.
_WORK = {"retention.ms": str(3 * DAY_MS)}
# Of no use a minute later; a topic is emptied by whole segments.
_PASSING = {"retention.ms": "600000", "segment.ms": "600000"}

TOPICS: Mapping[type[Message], Topic] = {
    HoroscopeRequest: Topic("requests", "workers", _WORK),
    HoroscopeReply: Topic("replies", "bots", _WORK),
    HoroscopePart: Topic("parts", None, _PASSING),
    StopRequest: Topic("stops", None, _PASSING),
}
_ALL = [*TOPICS.values(), Topic(DEAD_LETTER, None, {"retention.ms": str(30 * DAY_MS)})]


def make_missing_topics(config: Config, settings: Settings) -> dict[str, int]:
    """How many partitions each topic has, after those that are missing were made; blocks.

    Raises BrokerUnavailableError.
    """
    admin = AdminClient(config)
    prefix = settings.kafka_topic_prefix
    try:
        there = admin.list_topics(timeout=ASK_S).topics
        missing = [_new(each, settings) for each in _ALL if prefix + each.name not in there]
        for name, made in admin.create_topics(missing).items() if missing else ():
            try:
                made.result(ASK_S)
            except KafkaException as error:
                # Another program that starts now was faster.
                if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                    raise BrokerUnavailableError(
                        f"the topic {name} cannot be made: {in_one_line(error.args[0])}"
                    ) from None
        there = admin.list_topics(timeout=ASK_S).topics
        names = [prefix + each.name for each in _ALL]
        return {name: len(there[name].partitions) for name in names}
    except KafkaException as error:
        raise BrokerUnavailableError(in_one_line(error.args[0])) from None
    except KeyError as error:
        raise BrokerUnavailableError(f"the topic {error} is not known yet") from None


def _new(topic: Topic, settings: Settings) -> NewTopic:
    copies = settings.kafka_replication
    return NewTopic(
        settings.kafka_topic_prefix + topic.name,
        # Whoever listens to all of a topic gains nothing from many partitions.
        num_partitions=settings.kafka_partitions if topic.group else 1,
        replication_factor=copies,
        # What is acknowledged stands on two brokers at least, where there are three.
        config={"min.insync.replicas": str(max(1, copies - 1)), **topic.config},
    )
