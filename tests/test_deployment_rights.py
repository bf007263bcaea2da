"""The rights in overlays/cluster: enough for each program, on a Kafka that insists on them."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    NewTopic,
    ResourcePatternType,
    ResourceType,
)
from kafka_server import ADMIN, strict_kafka
from kubernetes_tools import render
from test_broker_contract import request, subscribed, take

from horoscope.messaging.broker import BrokerUnavailableError
from horoscope.messaging.kafka.broker import KafkaBroker
from horoscope.messaging.messages import (
    HoroscopePart,
    HoroscopeReply,
    HoroscopeRequest,
    StopRequest,
)
from horoscope.patience import insist
from horoscope.settings import Settings

CLUSTER = Path(__file__).parent.parent / "kube" / "overlays" / "cluster"
PASSWORD = "right"  # of both
PATTERNS = {"literal": ResourcePatternType.LITERAL, "prefix": ResourcePatternType.PREFIXED}


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Kafka with the topics and users of the manifests, as the operator would make them."""
    manifests = render(CLUSTER)
    users = [each for each in manifests if each["kind"] == "KafkaUser"]
    passwords = {user["metadata"]["name"]: PASSWORD for user in users}
    server = strict_kafka(tmp_path_factory.mktemp("strict"), passwords)
    admin = AdminClient({"bootstrap.servers": server.address, **ADMIN})
    topics = [
        NewTopic(each["metadata"]["name"], each["spec"]["partitions"], replication_factor=1)
        for each in manifests
        if each["kind"] == "KafkaTopic"
    ]
    for made in (*admin.create_topics(topics).values(), *admin.create_acls(rights(users)).values()):
        made.result(30)
    yield server.address
    server.stop()


def rights(users: list[dict[str, Any]]) -> list[AclBinding]:
    return [
        AclBinding(
            ResourceType[rule["resource"]["type"].upper()],
            rule["resource"]["name"],
            PATTERNS[rule["resource"]["patternType"]],
            f"User:{user['metadata']['name']}",
            "*",
            AclOperation[operation.upper()],
            AclPermissionType.ALLOW,
        )
        for user in users
        for rule in user["spec"]["authorization"]["acls"]
        for operation in rule["operations"]
    ]


@asynccontextmanager
async def connected(address: str, user: str) -> AsyncIterator[KafkaBroker]:
    broker = KafkaBroker(
        Settings(
            kafka_bootstrap_servers=address,
            kafka_security_protocol="SASL_PLAINTEXT",
            kafka_sasl_mechanism="PLAIN",
            kafka_sasl_username=user,
            kafka_sasl_password=PASSWORD,  # type: ignore[arg-type]
        )
    )
    await broker.start()
    try:
        yield broker
    finally:
        await broker.close()


async def test_bot_and_generator_may_do_all_that_they_do(address: str) -> None:
    async with (
        connected(address, "bot") as bot,
        connected(address, "generator") as generator,
        subscribed(generator, HoroscopeRequest) as requests,
        subscribed(generator, StopRequest) as stops,
        subscribed(bot, HoroscopeReply) as replies,
        subscribed(bot, HoroscopePart) as parts,
    ):
        wishes = [request(1), request(2)]
        for wish in wishes:
            # A right takes a moment to be known.
            await insist(partial(bot.publish, wish))
        first, second = sorted(await take(requests, 2), key=lambda taken: taken.message.id)
        assert [first.message, second.message] == wishes
        stop = StopRequest(chat_id=1, draft_id=1)
        part = HoroscopePart(request=wishes[0], text="Звёзды")
        await bot.publish(stop)
        await generator.publish(part)
        assert [taken.message for taken in await take(stops, 1)] == [stop]
        assert [taken.message for taken in await take(parts, 1)] == [part]
        reply = HoroscopeReply(request=wishes[0], text="Звёзды молчат.")
        await insist(lambda: generator.publish(reply))
        await first.done()
        [answer] = await take(replies, 1)
        assert answer.message == reply
        await answer.done()
        # What an operator does is done in a bot's pod.
        await second.reject("no words")
        [letter] = await bot.dead_letters(10)
        await bot.replay(letter, letter.body)
        [again] = await take(requests, 1)
        assert again.message == wishes[1]
        await again.done()


async def test_neither_may_do_what_the_other_does(address: str) -> None:
    async with (
        connected(address, "bot") as bot,
        connected(address, "generator") as generator,
        subscribed(generator, HoroscopeReply) as replies,
    ):
        with pytest.raises(BrokerUnavailableError, match="uthoriz"):
            async with asyncio.timeout(30):
                await generator.publish(request(3))
        await bot.publish(request(4))
        with pytest.raises(BrokerUnavailableError, match="uthoriz"):
            await asyncio.wait_for(replies.take(), 30)
