"""The servers that tests share: each is started once, when the first test needs it."""

from collections.abc import Iterator

import kafka_server
import pytest


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of an Apache Kafka."""
    if kafka_server.ADDRESS:
        yield kafka_server.ADDRESS
        return
    server = kafka_server.make_kafka(tmp_path_factory.mktemp("kafka"))
    server.start()
    yield server.address
    server.stop()
