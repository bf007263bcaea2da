"""The whole product under load: `horoscope run` in one process, people and their Telegram in this.

    HOROSCOPE_MODEL=fast python benchmarks/end_to_end.py \\
        [--json] [--seconds 60] [--rate 30] [--users 1000] [--growth]

The bot's process holds bot, broker, worker and the model `fast`, and has its ordinary settings
but for the limit of one person; this process is the local Telegram and the people, and measures
from the moment when an update waits for the bot to the moment when the answer is there. An answer
is swapped if its sign is not that of who asked. What the generator itself took comes from the
bot's log. --growth measures how time and memory for a request change with the number of people.
"""

import argparse
import asyncio
import itertools
import json
import os
import random
import re
import signal
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

from horoscope.demo.server import serving
from horoscope.demo.telegram import BOT, TOKEN, Telegram
from horoscope.zodiac import Sign, parse_sign

PATIENCE_S = 60.0  # after the last question; what is not answered by then is lost
IDLE_S = 15.0
ALONE = 60  # requests, one after the other
GROWTH_USERS = (10, 1000, 10_000)
GROWTH_RATE = 8.0  # a second: ten people may be answered once a second each
WRITTEN = re.compile(rb"request (\d+)-\w+ written in ([\d.]+) s")

Figures = dict[str, float]


@dataclass
class Question:
    sign: Sign
    update: int
    asked: float
    answered: float = 0.0


class MeasuredTelegram(Telegram):
    """Notes when each person asked and when their answer was there."""

    def __init__(self, *, rates: bool) -> None:
        super().__init__(rates=rates)
        self.open: dict[int, list[Question]] = {}
        self._all_answered = asyncio.Event()
        self.done: list[Question] = []
        self.swapped = 0
        self.other = Counter[str]()  # what the bot said that is no answer

    def ask(self, person: int, sign: Sign) -> None:
        self.write(person, sign.russian)
        update = next(reversed(self.updates.pending.values()))
        question = Question(sign, update["update_id"], time.perf_counter())
        self.open.setdefault(person, []).append(question)

    def tell(self, chat_id: int, event: dict[str, Any]) -> None:
        super().tell(chat_id, event)
        message = event.get("message")
        if event["kind"] != "message" or not message or message["from"] is not BOT:
            return
        title, _, text = message["text"].partition("\n\n")
        if not text or chat_id not in self.open:
            self.other[title[:60]] += 1
            return
        waiting = self.open[chat_id]
        sign = parse_sign(title)
        mine = next((question for question in waiting if question.sign is sign), None)
        if mine is None:
            self.swapped += 1
            return
        mine.answered = time.perf_counter()
        self.done.append(mine)
        waiting.remove(mine)
        if not waiting:
            del self.open[chat_id]
            self._all_answered.set()

    async def settled(self) -> None:
        """Wait until every question is answered, or lost."""
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE_S):
                while self.open:
                    self._all_answered.clear()
                    await self._all_answered.wait()


class Bot:
    """The bot's process."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.generated: dict[int, float] = {}  # seconds, by update
        self._reading = asyncio.create_task(self._read_log())

    async def _read_log(self) -> None:
        assert self._process.stderr
        async for line in self._process.stderr:
            if found := WRITTEN.search(line):
                self.generated[int(found[1])] = float(found[2])

    def cpu_s(self) -> float:
        """Seconds of processor time so far."""
        with open(f"/proc/{self._process.pid}/stat") as file:
            fields = file.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def rss_mb(self) -> float:
        """Resident memory."""
        with open(f"/proc/{self._process.pid}/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


@asynccontextmanager
async def bot_in(telegram: MeasuredTelegram, **settings: object) -> AsyncIterator[Bot]:
    """The bot, listening."""
    with tempfile.TemporaryDirectory() as directory:
        async with serving(telegram) as url:
            given = {"telegram_token": TOKEN, "telegram_api_url": url, "data": directory}
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "horoscope", "run"),
                cwd=directory,
                env=os.environ
                | {f"HOROSCOPE_{k.upper()}": str(v) for k, v in (given | settings).items()},
                stderr=asyncio.subprocess.PIPE,
            )
            try:
                while not telegram.calls["getUpdates"]:
                    if process.returncode is not None:
                        sys.exit("The bot ended at once: try `horoscope run` to see why.")
                    await asyncio.sleep(0.05)
                yield Bot(process)
            finally:
                process.send_signal(signal.SIGTERM)
                await process.wait()


async def measure_idle(bot: Bot) -> Figures:
    await asyncio.sleep(3)
    before = bot.cpu_s()
    await asyncio.sleep(IDLE_S)
    return {
        "idle_percent_of_a_core": 100 * (bot.cpu_s() - before) / IDLE_S,
        "idle_resident_mb": bot.rss_mb(),
    }


async def measure_alone(telegram: MeasuredTelegram, bot: Bot) -> Figures:
    """One request at a time: what bot and broker add to the generator's own time."""
    telegram.done.clear()
    for sign in itertools.islice(itertools.cycle(Sign), ALONE):
        telegram.ask(telegram.join("Один"), sign)
        await telegram.settled()
    await asyncio.sleep(0.5)  # for the last lines of the log
    whole = [question.answered - question.asked for question in telegram.done]
    generated = [bot.generated[question.update] for question in telegram.done]
    added = [both - own for both, own in zip(whole, generated, strict=True)]
    return {
        "alone_ms_p50": 1000 * statistics.median(whole),
        "alone_generator_ms_p50": 1000 * statistics.median(generated),
        "alone_added_ms_p50": 1000 * statistics.median(added),
        "alone_added_ms_p95": 1000 * percentile(added, 95),
    }


async def load(
    telegram: MeasuredTelegram, people: Sequence[int], rate: float, seconds: float
) -> None:
    """People ask evenly, `rate` a second, each in turn."""
    telegram.done.clear()
    chance = random.Random(0)
    order = list(people)
    chance.shuffle(order)
    began = asyncio.get_running_loop().time()
    for number, person in enumerate(itertools.islice(itertools.cycle(order), int(rate * seconds))):
        await asyncio.sleep(began + number / rate - asyncio.get_running_loop().time())
        telegram.ask(person, chance.choice(list(Sign)))
    await telegram.settled()


async def measure_load(
    telegram: MeasuredTelegram, bot: Bot, users: int, rate: float, seconds: float
) -> Figures:
    people = [telegram.join(f"Человек {n}") for n in range(users)]
    cpu = bot.cpu_s()
    await load(telegram, people, rate, seconds)
    took = [question.answered - question.asked for question in telegram.done]
    first = min(question.asked for question in telegram.done)
    last = max(question.answered for question in telegram.done)
    lost = sum(map(len, telegram.open.values()))
    return {
        "asked": float(int(rate * seconds)),
        "lost": float(lost),
        "swapped": float(telegram.swapped),
        "refused_by_telegram": float(telegram.refused.total()),
        "other_messages": float(telegram.other.total()),
        "answers_a_second": len(took) / (last - first),
        "answer_s_p50": statistics.median(took),
        "answer_s_p95": percentile(took, 95),
        "answer_s_max": max(took),
        "cpu_ms_an_answer": 1000 * (bot.cpu_s() - cpu) / len(took),
        "load_resident_mb": bot.rss_mb(),
    }


async def measure_growth(seconds: float) -> Figures:
    """The same rate of requests from more and more people, all known to the bot."""
    figures: Figures = {}
    for users in GROWTH_USERS:
        telegram = MeasuredTelegram(rates=False)
        async with bot_in(telegram, person_limit=10**6, calls_per_second=10**4) as bot:
            people = [telegram.join(f"Человек {n}") for n in range(users)]
            for person in people:
                telegram.write(person, "/sign лев")
            while telegram.calls["sendMessage"] < users:  # noqa: ASYNC110 (there is no event for it)
                await asyncio.sleep(0.1)
            await asyncio.sleep(3)
            cpu, rss = bot.cpu_s(), bot.rss_mb()
            await load(telegram, people, GROWTH_RATE, seconds)
            took = [question.answered - question.asked for question in telegram.done]
            figures |= {
                f"users_{users}_answer_ms_p50": 1000 * statistics.median(took),
                f"users_{users}_cpu_ms_a_request": 1000 * (bot.cpu_s() - cpu) / len(took),
                f"users_{users}_resident_mb": bot.rss_mb(),
                f"users_{users}_grown_kb_a_request": 1024 * (bot.rss_mb() - rss) / len(took),
            }
    return figures


async def measure(users: int, rate: float, seconds: float, growth: bool) -> Figures:
    telegram = MeasuredTelegram(rates=True)
    async with bot_in(telegram) as bot:
        figures = await measure_idle(bot)
        figures |= await measure_alone(telegram, bot)
        figures |= await measure_load(telegram, bot, users, rate, seconds)
    if growth:
        figures |= await measure_growth(seconds / 3)
    return figures


def percentile(values: Sequence[float], percent: int) -> float:
    return statistics.quantiles(values, n=100)[percent - 1]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print every figure as JSON")
    parser.add_argument("--seconds", type=float, default=60, help="of load (default: 60)")
    parser.add_argument("--rate", type=float, default=30, help="questions a second (default: 30)")
    parser.add_argument("--users", type=int, default=1000, help="people (default: 1000)")
    parser.add_argument("--growth", action="store_true", help="also 10 to 10,000 people")
    options = parser.parse_args()
    if options.rate * 60 > options.users * 10:
        parser.error("one person may ask ten times a minute: more --users, or a lower --rate")
    figures = asyncio.run(measure(options.users, options.rate, options.seconds, options.growth))
    figures["cores"] = len(os.sched_getaffinity(0))
    if options.json:
        print(json.dumps(figures))
        return
    table = Table("what", "figure")
    for name, figure in figures.items():
        table.add_row(name.replace("_", " "), f"{figure:,.2f}")
    Console().print(table)


if __name__ == "__main__":
    main()
