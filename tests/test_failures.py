"""Bots, workers and Kafka as real processes, killed and frozen at random moments under load."""

import random
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from failure_drill import Blow, Drill
from kafka_server import Kafka, make_kafka
from kafka_system import System

from horoscope.demo.server import serving
from horoscope.demo.telegram import Telegram


@pytest.fixture(scope="module")
def mortal_kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kafka]:
    """A Kafka of its own, that may be killed."""
    server = make_kafka(tmp_path_factory.mktemp("mortal-kafka"))
    server.start()
    yield server
    server.stop()


async def test_whoever_dies_or_freezes_nothing_is_lost_and_each_gets_their_own_answer(
    mortal_kafka: Kafka, tmp_path: Path
) -> None:
    telegram = Telegram()
    async with serving(telegram) as url:
        system = System(tmp_path / "whoever", url, mortal_kafka.address)
        programs = [system.bot(), system.worker("worker-1"), system.worker("worker-2")]
        blows = [
            Blow(victim, how)
            for victim in ("bot", "worker-1", "kafka")
            for how in (signal.SIGKILL, signal.SIGSTOP)
        ]
        chance = random.Random()
        chance.shuffle(blows)
        drill = Drill(telegram, mortal_kafka, programs, chance, per_second=10)
        try:
            await drill.begin()
            for blow in blows:
                await drill.strike(blow, longest_freeze_s=2)
            await drill.end(patience=60, settle_s=1)
        finally:
            await system.stop()
    outcome = drill.people.outcome
    assert outcome.lost == 0
    assert outcome.misdirected == 0
    assert outcome.doubled <= 1  # the bot was killed once
