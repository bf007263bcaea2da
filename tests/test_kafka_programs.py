"""`horoscope bot` and `horoscope worker` as processes, together through Kafka."""

import asyncio
import itertools
import socket
import subprocess
import sys
import time
import tomllib
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from kafka_server import free_port
from kafka_system import People, Program, System
from local_telegram import until

from horoscope.demo.server import serving
from horoscope.demo.telegram import Telegram

ROOT = Path(__file__).parent.parent


@pytest.fixture
def telegram() -> Telegram:
    return Telegram()


@pytest.fixture
async def make_system(
    telegram: Telegram, kafka: str, tmp_path: Path
) -> AsyncIterator[Callable[..., System]]:
    made: list[System] = []
    async with serving(telegram) as url:

        def make(**settings: object) -> System:
            made.append(System(tmp_path / tmp_path.name, url, kafka, **settings))
            return made[-1]

        yield make
        for system in made:
            await system.stop()


async def start(*programs: Program) -> None:
    for program in programs:
        await program.start()


def test_a_bot_needs_no_engine() -> None:
    code = (
        "import sys\n"
        "for name in ('openvino', 'tokenizers', 'numpy', 'pymorphy3', 'torch', 'transformers'):\n"
        "    sys.modules[name] = None\n"
        "import horoscope.bot.command, horoscope.bot.service, horoscope.bot.postgres\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_what_a_bot_needs_is_a_part_of_what_the_package_needs() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    needed = set(project["project"]["dependencies"])
    bot = {each for each in project["dependency-groups"]["bot"] if isinstance(each, str)}
    assert bot < needed


async def test_the_programs_tell_how_they_are(make_system: Callable[..., System]) -> None:
    system = make_system()
    ports = free_port(), free_port()
    bot = system.bot(http_port=ports[0], http_host="127.0.0.1")
    worker = system.worker(http_port=ports[1], http_host="127.0.0.1")
    await start(bot, worker)
    async with aiohttp.ClientSession() as client:

        async def status(port: int, path: str) -> int:
            try:
                async with client.get(f"http://127.0.0.1:{port}/{path}") as answer:
                    return answer.status
            except aiohttp.ClientError:
                return 0

        async with asyncio.timeout(60):
            for port in ports:
                while await status(port, "ready") != 200:  # noqa: ASYNC110
                    await asyncio.sleep(0.1)
                assert await status(port, "live") == 200


async def test_a_port_that_is_taken_is_one_line(make_system: Callable[..., System]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        worker = make_system().worker(http_port=port, http_host="127.0.0.1")
        await worker.start()
        assert worker.process
        assert await asyncio.wait_for(worker.process.wait(), 60) == 1
    assert "HOROSCOPE_HTTP_PORT" in worker.log.read_text().splitlines()[-1]


async def test_the_text_grows_and_is_stopped_across_kafka(
    make_system: Callable[..., System], telegram: Telegram
) -> None:
    system = make_system()
    await start(system.bot(), system.worker(seconds=1.5))
    people = People(telegram)
    people.ask()
    [person] = people.wishes
    async with asyncio.timeout(60):
        while not telegram.chat(person).draft:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    telegram.stop(person)
    await people.all_answered(30)
    [answer] = people.horoscopes(person)
    assert "0." in answer
    assert "2." not in answer


async def test_sigterm_leaves_nothing_undone_and_nothing_done_twice(
    make_system: Callable[..., System], telegram: Telegram
) -> None:
    system = make_system()
    bot, worker = system.bot(), system.worker(seconds=0.02)
    await start(bot, worker)
    people = People(telegram)
    people.ask()
    await people.all_answered(60)
    for program in (worker, bot):
        for _ in range(60):
            people.ask()
        async with asyncio.timeout(30):
            while people.waiting > 50:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        began = time.monotonic()
        assert await program.end() == 0
        assert time.monotonic() - began < 10
        await program.start()
    await people.all_answered(60)
    await asyncio.sleep(1)
    outcome = people.outcome
    assert (outcome.lost, outcome.doubled, outcome.misdirected) == (0, 0, 0)


@asynccontextmanager
async def balancing(ports: list[int]) -> AsyncIterator[str]:
    """What stands before several bots: passes each call of Telegram on to one that answers."""
    turns = itertools.cycle(ports)

    async def forward(request: web.Request) -> web.Response:
        body = await request.read()
        for port in itertools.islice(turns, len(ports)):
            url = f"http://127.0.0.1:{port}{request.path}"
            try:
                async with client.post(url, data=body, headers=request.headers) as answer:
                    return web.Response(status=answer.status)
            except aiohttp.ClientError:
                continue
        return web.Response(status=502)

    application = web.Application()
    application.router.add_post("/{path:.*}", forward)
    runner = web.AppRunner(application, shutdown_timeout=0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    async with aiohttp.ClientSession() as client:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/telegram"
    await runner.cleanup()


def answered_by(bot: Program) -> int:
    return bot.log.read_text().count(" answered after ")


async def test_several_bots_share_the_work_the_rate_and_the_memory(
    make_system: Callable[..., System], telegram: Telegram, postgres: str
) -> None:
    rate = 24
    sent: Counter[int] = Counter()
    send = telegram.new_message

    def counted(*arguments: Any, **more: Any) -> Any:
        message = send(*arguments, **more)
        if message["from"]["is_bot"]:
            sent[int(time.monotonic() * 4)] += 1  # quarters of a second
        return message

    telegram.new_message = counted  # type: ignore[method-assign]
    ports = [free_port(), free_port()]
    async with balancing(ports) as url:
        system = make_system(
            updates="webhook",
            webhook_url=url,
            webhook_host="127.0.0.1",
            database_url=postgres,
            calls_per_second=rate,
        )
        bots = [system.bot(f"bot-{n}", webhook_port=port) for n, port in enumerate(ports)]
        await start(*bots, system.worker())
        people = People(telegram)
        people.ask()
        await people.all_answered(60)
        await asyncio.sleep(5)  # both have their share of the partitions
        for _ in range(150):
            people.ask()
        await people.all_answered(60)
        assert all(answered_by(bot) > 20 for bot in bots)
        most = max(sum(sent[at + more] for more in range(4)) for at in list(sent))
        assert most <= rate * 5 / 4  # the window of four quarters is a little longer than a second

        for _ in range(40):
            people.ask()
        await until(lambda: people.waiting < 30)
        await bots[0].kill()
        await people.all_answered(60)
    outcome = people.outcome
    assert (outcome.lost, outcome.misdirected) == (0, 0)
    assert outcome.doubled <= 1
