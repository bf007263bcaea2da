"""What is particular to the broker on Kafka: poison, rebalances, rights, and Kafka being away."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from confluent_kafka import Producer
from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)
from kafka_server import ADMIN, KafkaServer, free_port, kafka_settings, strict_kafka
from test_broker_contract import nothing_comes, request, subscribed, take

from horoscope.cli import cli
from horoscope.errors import InputError
from horoscope.messaging.broker import BrokerUnavailableError
from horoscope.messaging.kafka import broker as broker_module
from horoscope.messaging.kafka import consumer
from horoscope.messaging.kafka.broker import KafkaBroker
from horoscope.messaging.local import LocalBroker
from horoscope.messaging.messages import HoroscopeRequest, StopRequest
from horoscope.settings import Settings


@pytest.fixture
def settings(kafka: str) -> Settings:
    return kafka_settings(kafka)


@asynccontextmanager
async def connected(settings: Settings) -> AsyncIterator[KafkaBroker]:
    broker = KafkaBroker(settings)
    await broker.start()
    try:
        yield broker
    finally:
        await broker.close()


def put(settings: Settings, value: bytes | None, **headers: str) -> None:
    """Write as some other program may."""
    producer = Producer({"bootstrap.servers": settings.kafka_bootstrap_servers})
    topic = settings.kafka_topic_prefix + "requests"
    producer.produce(topic, value, b"1", headers=dict(headers))
    assert producer.flush(20) == 0


GOOD = request(1).model_dump_json()
HEADERS = {"schema": "horoscope-request", "version": "1"}
POISON: dict[str, tuple[bytes | None, dict[str, str], str]] = {
    "not JSON": (b"{", HEADERS, "Invalid JSON"),
    "not UTF-8": (b"\xff\xfe", HEADERS, "Invalid JSON"),
    "nothing at all": (None, HEADERS, "Invalid JSON"),
    "an unknown sign": (GOOD.replace('"leo"', '"cat"').encode(), HEADERS, "sign"),
    "something too much": (GOOD.replace("{", '{"x":1,', 1).encode(), HEADERS, "x"),
    "of another version": (GOOD.encode(), HEADERS | {"version": "2"}, "version '2'"),
    "of another schema": (GOOD.encode(), HEADERS | {"schema": "weather"}, "schema 'weather'"),
    "without headers": (GOOD.encode(), {}, "schema ''"),
}


async def test_poison_goes_to_the_dead_letters_and_stops_nothing(settings: Settings) -> None:
    async with connected(settings) as broker, subscribed(broker, HoroscopeRequest) as requests:
        for value, headers, _ in POISON.values():
            put(settings, value, **headers)
        await broker.publish(request(2))
        [delivery] = await take(requests, 1)
        assert delivery.message.id == "2"
        await delivery.done()
        async with asyncio.timeout(20):
            while len(letters := await broker.dead_letters(100)) < len(POISON):  # noqa: ASYNC110
                await asyncio.sleep(0.1)
    by_origin = sorted(letters, key=lambda letter: int(letter.origin.rsplit("-", 1)[1]))
    for letter, (value, headers, reason) in zip(by_origin, POISON.values(), strict=True):
        assert letter.body.encode(errors="surrogateescape") == (value or b"")
        assert letter.schema == headers.get("schema", "")
        assert reason in letter.reason
        assert letter.origin.startswith(settings.kafka_topic_prefix + "requests-")
        assert letter.key == "1"
    # What is dealt with in this way never comes again.
    async with connected(settings) as broker, subscribed(broker, HoroscopeRequest) as requests:
        assert await nothing_comes(requests, 1.5)


def horoscope(settings: Settings, *arguments: str) -> tuple[int, str]:
    names = ("bootstrap_servers", "topic_prefix", "group_prefix")
    env = {f"HOROSCOPE_KAFKA_{n.upper()}": str(getattr(settings, f"kafka_{n}")) for n in names}
    result = CliRunner().invoke(cli, arguments, env=env)
    error = result.exception
    if isinstance(error, InputError):
        return error.exit_code, str(error)
    return result.exit_code, result.output


async def test_dead_letters_are_listed_shown_and_replayed(settings: Settings) -> None:
    async with connected(settings) as broker, subscribed(broker, HoroscopeRequest) as requests:
        assert await asyncio.to_thread(horoscope, settings, "dead-letters", "list") == (
            0,
            "There are none.\n",
        )
        asked = request(1)
        await broker.publish(asked)
        await broker.publish(request(2))
        for delivery in await take(requests, 2):
            await delivery.reject(f"no words for {delivery.message.id}")

        _, listed = await asyncio.to_thread(horoscope, settings, "dead-letters", "list")
        first, second = listed.splitlines()
        assert "no words for 1" in first
        assert "horoscope-request" in second
        origin = first.split()[2]

        _, shown = await asyncio.to_thread(horoscope, settings, "dead-letters", "show", origin)
        assert '"id": "1"' in shown
        assert "no words for 1" in shown

        began = time.time()
        await asyncio.to_thread(horoscope, settings, "dead-letters", "replay", origin)
        [again] = await take(requests, 1)
        # Its asker got an apology already, so it is a new request with all its time before it.
        assert again.message.id == "1-again"
        assert again.message.created_at.timestamp() >= began
        lasts = again.message.expires_at - again.message.created_at
        assert lasts == asked.expires_at - asked.created_at
        [left] = await broker.dead_letters(10)
        assert left.reason == "no words for 2"
        await asyncio.to_thread(horoscope, settings, "dead-letters", "replay", "--all")
        assert [d.message.id for d in await take(requests, 1)] == ["2-again"]
        assert not await broker.dead_letters(10)
        code, said = await asyncio.to_thread(horoscope, settings, "dead-letters", "show", origin)
        assert code == 2
        assert said.startswith(f"There is no dead letter {origin}")


def test_dead_letters_of_the_one_process_are_replayed_too(tmp_path: Path) -> None:
    async def reject() -> None:
        broker = LocalBroker(tmp_path / "queue.sqlite")
        await broker.start()
        await broker.publish(request(1))
        async with subscribed(broker, HoroscopeRequest) as requests:
            [delivery] = await take(requests, 1)
            await delivery.reject("no words")
        await broker.close()

    async def take_again() -> str:
        broker = LocalBroker(tmp_path / "queue.sqlite")
        await broker.start()
        async with subscribed(broker, HoroscopeRequest) as requests:
            [delivery] = await take(requests, 1)
        assert not await broker.dead_letters(10)
        await broker.close()
        taken: str = delivery.message.id
        return taken

    asyncio.run(reject())
    env = {"HOROSCOPE_DATA": str(tmp_path), "HOROSCOPE_KAFKA_BOOTSTRAP_SERVERS": None}
    listed = CliRunner().invoke(cli, ["dead-letters", "list"], env=env).output
    assert "no words" in listed
    replayed = CliRunner().invoke(cli, ["dead-letters", "replay", listed.split()[2]], env=env)
    assert replayed.exit_code == 0
    assert asyncio.run(take_again()) == "1-again"


async def test_topics_are_made_as_the_settings_say(kafka: str) -> None:
    settings = kafka_settings(kafka, kafka_partitions=5)
    async with connected(settings), connected(settings):
        topics = AdminClient({"bootstrap.servers": kafka}).list_topics(timeout=10).topics
    ours = {
        name.removeprefix(settings.kafka_topic_prefix): len(topic.partitions)
        for name, topic in topics.items()
        if name.startswith(settings.kafka_topic_prefix)
    }
    assert ours == {"requests": 5, "replies": 5, "parts": 1, "stops": 1, "dead-letter": 1}


async def test_a_partition_that_moves_waits_for_what_is_under_way(settings: Settings) -> None:
    async with connected(settings) as broker, subscribed(broker, HoroscopeRequest) as first:
        for number in range(60):
            await broker.publish(request(number, chat_id=number))
        mine = await take(first, 60)
        async with subscribed(broker, HoroscopeRequest) as second:
            await asyncio.sleep(2)  # it has asked for its share by now
            for delivery in mine:
                await delivery.done()
            async with asyncio.timeout(20):
                while not second.share:  # noqa: ASYNC110
                    await asyncio.sleep(0.1)
            # Nothing of what was finished meanwhile is done again, here or there.
            assert await nothing_comes(second, 1)
            assert await nothing_comes(first, 0.5)
            assert first.share + second.share == 1


async def test_what_was_done_by_another_in_any_order_is_not_done_again(settings: Settings) -> None:
    async with connected(settings) as broker:
        for number in range(200):
            await broker.publish(request(number, chat_id=number % 7))
        async with subscribed(broker, HoroscopeRequest, 200) as requests:
            taken = await take(requests, 200)
            done = [delivery for delivery in taken if int(delivery.message.id) % 3]
            for delivery in reversed(done):
                await delivery.done()
        async with subscribed(broker, HoroscopeRequest, 200) as requests:
            left = await take(requests, 67)
            assert {int(d.message.id) for d in left} == set(range(0, 200, 3))
            assert len(left) == 67


async def test_slow_work_costs_no_membership(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As if a day was what five minutes are.
    impatient = {"session.timeout.ms": 6000, "max.poll.interval.ms": 6000}
    monkeypatch.setattr(consumer, "GROUP", consumer.GROUP | impatient)
    async with connected(settings) as broker, subscribed(broker, HoroscopeRequest, 1) as slow:
        for number in range(3):
            await broker.publish(request(number))
        [delivery] = await take(slow, 1)
        await asyncio.sleep(8)
        await delivery.done()
        assert [d.message.id for d in await slow.take()] == ["1"]  # and not "0" once more


async def test_no_more_waits_in_memory_than_is_taken_at_once(settings: Settings) -> None:
    async with connected(settings) as broker, subscribed(broker, HoroscopeRequest, 8) as requests:
        await asyncio.gather(*(broker.publish(request(n, chat_id=n)) for n in range(2000)))
        seen = set()
        async with asyncio.timeout(60):
            while len(seen) < 2000:
                for delivery in await requests.take():
                    seen.add(delivery.message.id)
                    await delivery.done()
                assert len(requests._consumer._waiting) <= 8
                await asyncio.sleep(0)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if half a second was what five are."""
    monkeypatch.setattr(broker_module, "START_S", 0.5)


async def test_a_wrong_address_is_one_line_that_names_it(
    impatient: None, caplog: pytest.LogCaptureFixture
) -> None:
    address = f"127.0.0.1:{free_port()}"
    async with connected(kafka_settings(address)) as broker:
        with pytest.raises(BrokerUnavailableError, match=address) as said:
            await broker.publish(request(1))
        assert "\n" not in str(said.value)
        async with asyncio.timeout(20):
            while not (lines := said_by_us(caplog)):  # noqa: ASYNC110
                await asyncio.sleep(0.1)
        await asyncio.sleep(1)
    assert said_by_us(caplog) == lines
    assert len(lines) == 1
    assert lines[0].startswith(f"Kafka cannot be used at {address}")
    assert "Connection refused" in lines[0]


def said_by_us(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [r.getMessage() for r in caplog.records if r.name.startswith("horoscope")]


async def test_without_an_address_the_setting_is_named() -> None:
    with pytest.raises(InputError, match="HOROSCOPE_KAFKA_BOOTSTRAP_SERVERS"):
        KafkaBroker(Settings(kafka_bootstrap_servers=None))


async def test_a_certificate_that_is_not_there_is_a_setting_to_correct(kafka: str) -> None:
    wrong = {"kafka_security_protocol": "SSL", "kafka_ssl_ca": "/nowhere/ca.pem"}
    with pytest.raises(InputError, match=r"HOROSCOPE_KAFKA_SSL_CA.*/nowhere/ca\.pem"):
        KafkaBroker(kafka_settings(kafka, **wrong))


async def test_kafka_may_come_later(impatient: None, tmp_path: Path) -> None:
    server = KafkaServer(tmp_path)
    try:
        settings = kafka_settings(server.address)
        async with connected(settings) as broker, subscribed(broker, HoroscopeRequest) as requests:
            with pytest.raises(BrokerUnavailableError):
                await broker.publish(request(1))
            await asyncio.to_thread(server.start)
            await published(broker, request(1))
            assert [d.message.id for d in await take(requests, 1)] == ["1"]
    finally:
        server.stop()


async def published(broker: KafkaBroker, message: HoroscopeRequest) -> None:
    async with asyncio.timeout(60):
        while True:
            try:
                return await broker.publish(message)
            except BrokerUnavailableError:
                await asyncio.sleep(0.2)


# A Kafka that lets only those in who may.


LOGIN = {
    "kafka_security_protocol": "SASL_PLAINTEXT",
    "kafka_sasl_mechanism": "PLAIN",
    "kafka_sasl_username": "horoscope",
    "kafka_sasl_password": "right",
}


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Any:
    passwords = {"horoscope": "right", "guest": "guest"}
    server = strict_kafka(tmp_path_factory.mktemp("guarded"), passwords, "horoscope")
    yield server.address
    server.stop()


async def test_with_the_right_login_all_works(guarded: str) -> None:
    settings = kafka_settings(guarded, **LOGIN)
    async with connected(settings) as broker, subscribed(broker, HoroscopeRequest) as requests:
        await published(broker, request(1))
        assert await take(requests, 1)


async def test_a_wrong_password_is_said_without_saying_it(
    impatient: None, guarded: str, caplog: pytest.LogCaptureFixture
) -> None:
    settings = kafka_settings(guarded, **LOGIN | {"kafka_sasl_password": "hush-hush"})
    async with connected(settings) as broker:
        with pytest.raises(BrokerUnavailableError, match="HOROSCOPE_KAFKA_SASL") as said:
            await broker.publish(request(1))
    assert "hush-hush" not in str(said.value) + caplog.text


def grant(address: str, login: str, settings: Settings) -> None:
    """The rights that docs/protocol.md names."""
    topics = (ResourceType.TOPIC, settings.kafka_topic_prefix)
    groups = (ResourceType.GROUP, settings.kafka_group_prefix)
    rights = [(topics, getattr(AclOperation, n)) for n in ("DESCRIBE", "READ", "WRITE", "CREATE")]
    rights.append((groups, AclOperation.READ))
    prefixed, allow = ResourcePatternType.PREFIXED, AclPermissionType.ALLOW
    bindings = [
        AclBinding(*what, prefixed, f"User:{login}", "*", right, allow) for what, right in rights
    ]
    admin = AdminClient({"bootstrap.servers": address, **ADMIN})
    for done in admin.create_acls(bindings).values():
        done.result(10)


async def test_missing_rights_are_said_in_one_line_and_heal_when_they_are_granted(
    impatient: None, guarded: str, caplog: pytest.LogCaptureFixture
) -> None:
    guest = {"kafka_sasl_username": "guest", "kafka_sasl_password": "guest"}
    settings = kafka_settings(guarded, **LOGIN | guest)
    async with connected(settings) as broker, subscribed(broker, HoroscopeRequest) as requests:
        with pytest.raises(BrokerUnavailableError, match=r"docs/protocol\.md") as said:
            await broker.publish(request(1))
        assert "\n" not in str(said.value)
        assert len(said_by_us(caplog)) <= 1
        await asyncio.to_thread(grant, guarded, "guest", settings)
        await published(broker, request(1))
        assert [d.message.id for d in await take(requests, 1)] == ["1"]
        async with subscribed(broker, StopRequest) as stops:
            stop = StopRequest(chat_id=1, draft_id=2)
            await broker.publish(stop)
            assert [d.message for d in await take(stops, 1)] == [stop]
