"""Through Kafka: how many horoscopes, how fast, how soon others take over, how much memory.

    HOROSCOPE_MODEL=fast python benchmarks/kafka.py \\
        [--seconds 60] [--rate 25] [--queued 100000] [--part NAME] [--json]

Kafka, the bot, the workers and the load (people and their local Telegram) are processes of their
own on one machine. Workers are `horoscope worker` with the model `fast`, unless it is said
otherwise. The parts:

added     one request at a time: what lies between asking and answer beside the writing itself,
          through Kafka and, as the baseline, in the one process of `horoscope run` (LocalBroker)
load      fresh horoscopes, `rate` a second for `seconds`, with one worker
workers   a second worker comes, and is killed (SIGKILL), under half the rate
queue     `queued` requests wait; memory of worker and bot while they work them off for `seconds`,
          with a writer that needs no time, so that it is about the way and not the model
"""

import argparse
import asyncio
import itertools
import json
import os
import re
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from end_to_end import MeasuredTelegram, load, percentile
from kafka_server import KafkaServer
from kafka_system import Program, System

from horoscope.demo.server import serving
from horoscope.messaging.kafka.broker import KafkaBroker
from horoscope.messaging.messages import Address, HoroscopeRequest
from horoscope.settings import Settings
from horoscope.zodiac import Sign

ALONE = 60
PARTS = 4  # of the time in which a queue is worked off
WRITTEN = re.compile(r"request (\d+)-\w+ written in ([\d.]+) s")

Figures = dict[str, float]


@asynccontextmanager
async def system(
    directory: Path, telegram: MeasuredTelegram, **settings: object
) -> AsyncIterator[System]:
    """A Kafka, and the means to start bots and workers."""
    kafka = KafkaServer(directory / "kafka")
    await asyncio.to_thread(kafka.start)
    try:
        async with serving(telegram) as url:
            made = System(directory / "system", url, kafka.address, **settings)
            try:
                yield made
            finally:
                await made.stop()
    finally:
        kafka.stop()


async def ready(telegram: MeasuredTelegram, *programs: Program) -> None:
    """Start programs, and wait until all of them have had something to do."""
    for program in programs:
        await program.start()
    person = telegram.join("Первый")
    telegram.ask(person, Sign.LEO)
    await telegram.settled()
    assert not telegram.open, "no answer: see the logs"


async def added(directory: Path) -> Figures:
    figures = {}
    for name in ("kafka", "local"):
        telegram = MeasuredTelegram(rates=False)
        async with system(directory / name, telegram) as programs:
            if name == "kafka":
                writing = programs.horoscope("worker")
                await ready(telegram, programs.bot(), writing)
            else:
                writing = programs.horoscope("run")
                await ready(telegram, writing)
            telegram.done.clear()
            for sign in itertools.islice(itertools.cycle(Sign), ALONE):
                telegram.ask(telegram.join("Один"), sign)
                await telegram.settled()
            await asyncio.sleep(0.5)
            wrote = {int(n): float(s) for n, s in WRITTEN.findall(writing.log.read_text())}
            rest = [1000 * (q.answered - q.asked - wrote[q.update]) for q in telegram.done]
            figures[f"{name}_rest_ms_p50"] = statistics.median(rest)
            figures[f"{name}_rest_ms_p95"] = percentile(rest, 95)
    return figures | {
        "kafka_adds_ms_p50": figures["kafka_rest_ms_p50"] - figures["local_rest_ms_p50"]
    }


async def under_load(directory: Path, rate: float, seconds: float) -> Figures:
    telegram = MeasuredTelegram(rates=False)
    async with system(directory, telegram, calls_per_second=30) as programs:
        await ready(telegram, programs.bot(), programs.horoscope("worker"))
        people = [telegram.join(f"Человек {n}") for n in range(int(rate * seconds))]
        await load(telegram, people, rate, seconds)
        took = [question.answered - question.asked for question in telegram.done]
        first = min(question.asked for question in telegram.done)
        last = max(question.answered for question in telegram.done)
        return {
            "asked": float(len(people)),
            "lost": float(len(telegram.open)),
            "swapped": float(telegram.swapped),
            "answers_a_second": len(took) / (last - first),
            "answer_s_p50": statistics.median(took),
            "answer_s_p95": percentile(took, 95),
        }


async def workers(directory: Path, rate: float) -> Figures:
    telegram = MeasuredTelegram(rates=False)
    async with system(directory, telegram, calls_per_second=30) as programs:
        second = programs.horoscope("worker", "second")
        await ready(telegram, programs.bot(), programs.horoscope("worker", "first"))

        async def ask_on() -> None:
            for number in itertools.count():
                telegram.ask(telegram.join("Человек"), list(Sign)[number % 12])
                await asyncio.sleep(1 / rate)

        asking = asyncio.create_task(ask_on())
        await asyncio.sleep(3)
        started = time.perf_counter()
        await second.start()
        await second.says(" writes.")
        loaded = time.perf_counter()
        await second.says(" written in ")
        sharing = time.perf_counter()
        await asyncio.sleep(5)
        telegram.done.clear()
        killed = time.perf_counter()
        await second.kill()
        await asyncio.sleep(20)
        asking.cancel()
        await telegram.settled()
        around = [q for q in telegram.done if q.answered > killed]
        return {
            "second_has_a_share_after_start_s": sharing - started,
            "of_that_after_its_model_was_loaded_s": sharing - loaded,
            "longest_wait_for_an_answer_after_its_kill_s": max(
                q.answered - q.asked for q in around
            ),
            "lost": float(len(telegram.open)),
        }


async def queue(directory: Path, queued: int, seconds: float) -> Figures:
    telegram = MeasuredTelegram(rates=False)
    async with system(directory, telegram, calls_per_second=10_000) as programs:
        bot, worker = programs.bot(), programs.worker(seconds=0)
        await ready(telegram, bot, worker)
        await asyncio.sleep(2)
        figures = {f"{each.name}_mb_before": rss_mb(each) for each in (bot, worker)}
        worker.send_signal(signal.SIGSTOP)
        bot.send_signal(signal.SIGSTOP)
        await publish_many(programs.settings, telegram, queued)
        worker.send_signal(signal.SIGCONT)
        bot.send_signal(signal.SIGCONT)
        for part in range(1, PARTS + 1):
            most = {"bot": 0.0, "worker": 0.0}
            until = time.monotonic() + seconds / PARTS
            while time.monotonic() < until:
                for program in (bot, worker):
                    most[program.name] = max(most[program.name], rss_mb(program))
                await asyncio.sleep(0.2)
            figures |= {f"{name}_mb_{part}_of_{PARTS}": figure for name, figure in most.items()}
        return figures | {
            "queued": float(queued),
            "written": float(worker.log.read_text().count(" written in ")),
            "answered": float(bot.log.read_text().count(" answered after ")),
        }


async def publish_many(settings: Settings, telegram: MeasuredTelegram, count: int) -> None:
    """Requests of so many people, as if the bot had taken them."""
    broker = KafkaBroker(settings)
    await broker.start()
    now = datetime.now(UTC)
    chats = [telegram.join("Человек") for _ in range(count)]
    for chat in chats:
        telegram.chat(chat).started = True
    for at in range(0, count, 1000):
        await asyncio.gather(
            *(
                broker.publish(
                    HoroscopeRequest(
                        id=f"{chat}-queued",
                        sign=Sign.LEO,
                        date=date.today(),
                        address=Address(chat_id=chat, user_id=chat),
                        created_at=now,
                        expires_at=now + timedelta(hours=1),
                        seed=chat,
                    )
                )
                for chat in chats[at : at + 1000]
            )
        )
    await broker.close()


def rss_mb(program: Program) -> float:
    """Resident memory."""
    assert program.process
    pages = int(Path(f"/proc/{program.process.pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--rate", type=float, default=25)
    parser.add_argument("--queued", type=int, default=100_000)
    parser.add_argument("--part", choices=["added", "load", "workers", "queue"])
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    figures: dict[str, Figures] = {}
    with tempfile.TemporaryDirectory(prefix="horoscope-kafka-") as name:
        directory = Path(name)
        runs = {
            "added": lambda: added(directory / "added"),
            "load": lambda: under_load(directory / "load", options.rate, options.seconds),
            "workers": lambda: workers(directory / "workers", options.rate / 2),
            "queue": lambda: queue(directory / "queue", options.queued, options.seconds),
        }
        for part in [options.part] if options.part else list(runs):
            figures[part] = asyncio.run(runs[part]())
            if not options.json:
                for what, figure in figures[part].items():
                    print(f"{part:8} {what:45} {figure:10.2f}", flush=True)
    if options.json:
        print(json.dumps(figures))


if __name__ == "__main__":
    main()
