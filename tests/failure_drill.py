"""Kills and freezes whatever runs, at random moments under load, and counts what becomes of it."""

import asyncio
import random
import signal
from collections.abc import Sequence
from dataclasses import dataclass

from kafka_server import Kafka
from kafka_system import People, Program

from horoscope.demo.telegram import Telegram


@dataclass(frozen=True)
class Blow:
    """What happens to whom."""

    victim: str
    """The name of a program, or "kafka"."""
    how: signal.Signals
    """SIGKILL, then it is started again; or SIGSTOP, then it goes on."""


class Drill:
    """People ask all the time, while programs die and come back."""

    def __init__(
        self,
        telegram: Telegram,
        kafka: Kafka,
        programs: Sequence[Program],
        chance: random.Random,
        per_second: float,
    ) -> None:
        self.people = People(telegram)
        self._kafka = kafka
        self._programs = {program.name: program for program in programs}
        self._chance = chance
        self._per_second = per_second
        self._load: asyncio.Task[None] | None = None

    async def begin(self) -> None:
        """Start everything, and wait for the first answer."""
        for program in self._programs.values():
            await program.start()
        self.people.ask()
        await self.people.all_answered(60)
        self._load = asyncio.create_task(self._ask_on())

    async def strike(self, blow: Blow, longest_freeze_s: float) -> None:
        """Wait a moment, do it, leave it so for a while, undo it, and wait a moment."""
        await asyncio.sleep(self._chance.uniform(0.2, 1.5))
        if blow.how is signal.SIGKILL:
            if blow.victim == "kafka":
                await asyncio.to_thread(self._kafka.send_signal, signal.SIGKILL)
            else:
                await self._programs[blow.victim].kill()
            await asyncio.sleep(self._chance.uniform(0, 1.5))
            if blow.victim == "kafka":
                await asyncio.to_thread(self._kafka.start)
            else:
                await self._programs[blow.victim].start()
        else:
            victim = self._kafka if blow.victim == "kafka" else self._programs[blow.victim]
            victim.send_signal(signal.SIGSTOP)
            await asyncio.sleep(self._chance.uniform(0.5, longest_freeze_s))
            victim.send_signal(signal.SIGCONT)
        await asyncio.sleep(self._chance.uniform(1, 3))

    async def end(self, patience: float, settle_s: float) -> None:
        """Ask no more, wait for all answers, then a while for those that are too many."""
        if self._load:
            self._load.cancel()
        await self.people.all_answered(patience)
        await asyncio.sleep(settle_s)

    async def _ask_on(self) -> None:
        while True:
            await asyncio.sleep(self._chance.expovariate(self._per_second))
            self.people.ask()
