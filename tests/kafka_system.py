"""Bots and workers as processes of their own on a real Kafka, to be killed and started again."""

import asyncio
import os
import random
import signal
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from horoscope.demo.telegram import TOKEN, Telegram
from horoscope.settings import Settings
from horoscope.zodiac import Sign

# A worker whose writer needs no model; everything else is as in `horoscope worker`.
WORKER = """
import sys, time
from collections import deque
sys.path.insert(0, {tests!r})
from test_worker import Quill
from horoscope.program import run_until_told
from horoscope.settings import load_settings
from horoscope.worker_command import run_worker

writer = Quill(lambda index, sentence: time.sleep({seconds}))
writer.batches = deque(maxlen=1)
settings = load_settings()
run_until_told("worker", settings, lambda: run_worker(settings, writer))
"""


class Program:
    """A process that can die and come back."""

    def __init__(self, name: str, arguments: list[str], env: Mapping[str, str], log: Path) -> None:
        self.name = name
        self._arguments = arguments
        self._env = dict(env)
        self.log = log
        self.process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                *(sys.executable, *self._arguments),
                env=self._env,
                cwd=self.log.parent,
                stderr=log,
                stdout=log,
            )

    async def kill(self) -> None:
        await self.end(signal.SIGKILL)

    async def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """End it; returns its exit status."""
        assert self.process
        if self.process.returncode is None:
            self.process.send_signal(number)
        return await self.process.wait()

    def send_signal(self, number: signal.Signals) -> None:
        assert self.process
        self.process.send_signal(number)

    async def says(self, words: str, patience: float = 60) -> None:
        """Wait until its log has some words."""
        async with asyncio.timeout(patience):
            while words not in self.log.read_text():  # noqa: ASYNC110
                await asyncio.sleep(0.05)


class System:
    """Makes the programs of one installation."""

    def __init__(self, directory: Path, telegram_url: str, kafka: str, **settings: object) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._directory = directory
        kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        self._settings = {
            "telegram_token": TOKEN,
            "telegram_api_url": telegram_url,
            "data": directory / "data",
            "kafka_bootstrap_servers": kafka,
            "kafka_topic_prefix": f"{directory.name}.",
            "kafka_group_prefix": f"{directory.name}-",
            "calls_per_second": 100,
            **settings,
        }
        self._env = kept | {
            f"HOROSCOPE_{name.upper()}": str(value) for name, value in self._settings.items()
        }
        self.programs: list[Program] = []

    @property
    def settings(self) -> Settings:
        """The settings that all of them have."""
        return Settings.model_validate(self._settings)

    def horoscope(self, command: str, name: str = "", **settings: object) -> Program:
        """`horoscope COMMAND`."""
        return self._program(name or command, ["-m", "horoscope", command], settings)

    def bot(self, name: str = "bot", **settings: object) -> Program:
        return self.horoscope("bot", name, **settings)

    def worker(self, name: str = "worker", seconds: float = 0.003, **settings: object) -> Program:
        """A worker that takes so long for each of the three sentences of a text."""
        code = WORKER.format(tests=str(Path(__file__).parent), seconds=seconds)
        return self._program(name, ["-c", code], settings)

    async def stop(self) -> None:
        for program in self.programs:
            if program.process:
                await program.kill()

    def _program(self, name: str, arguments: list[str], settings: Mapping[str, object]) -> Program:
        more = {f"HOROSCOPE_{key.upper()}": str(value) for key, value in settings.items()}
        log = self._directory / f"{name}.log"
        self.programs.append(Program(name, arguments, self._env | more, log))
        return self.programs[-1]


@dataclass
class Outcome:
    """What became of all requests."""

    asked: int
    lost: int
    doubled: int
    misdirected: int


class People:
    """They ask, each in a chat of their own, and look at what they get."""

    def __init__(self, telegram: Telegram) -> None:
        self._telegram = telegram
        self.wishes: dict[int, Sign] = {}
        self._waiting: set[int] = set()

    def ask(self) -> None:
        """One more person asks."""
        person = self._telegram.join("Аня")
        self.wishes[person] = random.choice(list(Sign))
        self._waiting.add(person)
        self._telegram.write(person, f"/generate {self.wishes[person].russian}")

    def horoscopes(self, person: int) -> list[str]:
        """What a person got; other things that the bot says have no title in bold."""
        said = self._telegram.said_by_bot(person)
        return [message["text"] for message in said if "entities" in message]

    @property
    def waiting(self) -> int:
        """How many have no answer yet."""
        self._waiting = {person for person in self._waiting if not self.horoscopes(person)}
        return len(self._waiting)

    async def all_answered(self, patience: float) -> None:
        """Wait for that, or until `patience` is over."""
        until = time.monotonic() + patience
        while self.waiting and time.monotonic() < until:  # noqa: ASYNC110
            await asyncio.sleep(0.05)

    @property
    def outcome(self) -> Outcome:
        got = {person: self.horoscopes(person) for person in self.wishes}
        return Outcome(
            asked=len(got),
            lost=sum(not texts for texts in got.values()),
            doubled=sum(len(texts) - 1 for texts in got.values() if texts),
            misdirected=sum(
                self.wishes[person].russian not in text
                for person, texts in got.items()
                for text in texts
            ),
        )
