"""Bots and workers as processes of their own on a real Kafka, to be killed and started again."""

import asyncio
import os
import random
import signal
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from scripted_telegram import TOKEN, ScriptedTelegram

from horoscope.zodiac import Sign

# A worker whose writer needs no model; everything else is as in `horoscope worker`.
WORKER = """
import sys, time
sys.path.insert(0, {tests!r})
from test_worker import Quill
from horoscope.program import run_until_told
from horoscope.settings import load_settings
from horoscope.worker_command import run_worker

class Writer(Quill):
    def one(self, index, wish, on_sentence):
        time.sleep({seconds})
        self.batches.clear()
        return super().one(index, wish, on_sentence)

settings = load_settings()
run_until_told("worker", settings, lambda: run_worker(settings, Writer()))
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

    def __init__(
        self, directory: Path, telegram: ScriptedTelegram, kafka: str, **settings: object
    ) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._directory = directory
        kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        wanted = {
            "telegram_token": TOKEN,
            "telegram_api_url": telegram.url,
            "data": directory / "data",
            "kafka_bootstrap_servers": kafka,
            "kafka_topic_prefix": f"{directory.name}.",
            "kafka_group_prefix": f"{directory.name}-",
            "calls_per_second": 100,
            **settings,
        }
        self._env = kept | {
            f"HOROSCOPE_{name.upper()}": str(value) for name, value in wanted.items()
        }
        self.programs: list[Program] = []

    def bot(self, name: str = "bot", **settings: object) -> Program:
        return self._program(name, ["-m", "horoscope", "bot"], settings)

    def worker(self, name: str = "worker", seconds: float = 0.01) -> Program:
        """A worker that takes so long for each text."""
        code = WORKER.format(tests=str(Path(__file__).parent), seconds=seconds)
        return self._program(name, ["-c", code], {})

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

    def __init__(self, telegram: ScriptedTelegram) -> None:
        self._telegram = telegram
        self.wishes: dict[int, Sign] = {}

    def wish(self) -> tuple[int, str]:
        """The next person and what they write."""
        chat = len(self.wishes) + 1
        self.wishes[chat] = random.choice(list(Sign))
        return chat, f"/generate {self.wishes[chat].russian}"

    @property
    def answers(self) -> Counter[int]:
        """How many horoscopes each chat got."""
        return Counter(
            int(call.params["chat_id"])
            for call in self._telegram.of("sendMessage")
            if "entities" in call.params
        )

    @property
    def outcome(self) -> Outcome:
        answers = self.answers
        misdirected = sum(
            self.wishes[int(call.params["chat_id"])].russian not in call.params["text"]
            for call in self._telegram.of("sendMessage")
            if "entities" in call.params
        )
        return Outcome(
            asked=len(self.wishes),
            lost=len(self.wishes.keys() - answers.keys()),
            doubled=sum(answers.values()) - len(answers),
            misdirected=misdirected,
        )
