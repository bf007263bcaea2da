"""Bots, workers and Kafka as real processes, killed and frozen at random moments under load."""

import asyncio
import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from failure_drill import Blow, Drill
from kafka_server import Kafka, make_kafka
from kafka_system import People, System

from horoscope.bot import texts
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


async def test_while_kafka_is_away_the_bot_says_so_keeps_the_question_and_answers_later(
    mortal_kafka: Kafka, tmp_path: Path
) -> None:
    telegram = Telegram()
    async with serving(telegram) as url:
        system = System(tmp_path / "away", url, mortal_kafka.address)
        programs = [system.bot(), system.worker()]
        people = People(telegram)
        try:
            for program in programs:
                await program.start()
            people.ask()
            await people.all_answered(60)
            mortal_kafka.send_signal(signal.SIGSTOP)
            people.ask()
            person = max(people.wishes)
            async with asyncio.timeout(30):
                while not telegram.said_by_bot(person):  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
            assert [m["text"] for m in telegram.said_by_bot(person)] == [texts.LATER]
            assert telegram.updates.pending, "the question was acknowledged and is nowhere"
            # They end in time all the same, and what they accepted is there afterwards.
            began = time.monotonic()
            assert await asyncio.gather(*(program.end() for program in programs)) == [0, 0]
            assert time.monotonic() - began < 10
            mortal_kafka.send_signal(signal.SIGKILL)
            for program in programs:
                await program.start()
            await asyncio.to_thread(mortal_kafka.start)
            await people.all_answered(60)
        finally:
            await system.stop()
    outcome = people.outcome
    assert (outcome.lost, outcome.doubled, outcome.misdirected) == (0, 0, 0)
