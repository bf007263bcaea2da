"""What tests share and is costly: started or made once, when the first test needs it."""

import os
from collections.abc import Iterator
from pathlib import Path

import kafka_server
import postgres_server
import pytest

# Most tests are about other things than the text, and the fast model is the faster one.
os.environ.setdefault("HOROSCOPE_MODEL", "fast")


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


@pytest.fixture(scope="session")
def prepared_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small directory as `horoscope data prepare` makes it."""
    from training_models import prepared

    return prepared(tmp_path_factory.mktemp("prepared"))


@pytest.fixture(scope="session")
def learned_model(tmp_path_factory: pytest.TempPathFactory, prepared_data: Path) -> Path:
    """A small model with ruGPT3-small's files, trained on `prepared_data` and exported."""
    from training_models import learned, rugpt3_like

    directory = tmp_path_factory.mktemp("learned")
    return learned(rugpt3_like(directory / "source"), prepared_data, directory / "model")


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The URL of an empty PostgreSQL database."""
    if postgres_server.URL:
        yield postgres_server.URL
        return
    server = postgres_server.PostgresServer()
    server.start()
    yield server.url
    server.remove()
