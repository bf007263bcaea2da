"""`horoscope run` as a person starts it."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from scripted_telegram import TOKEN, ScriptedTelegram

from horoscope.messaging.local import LocalBroker
from horoscope.settings import load_settings


@pytest.fixture
async def telegram() -> AsyncIterator[ScriptedTelegram]:
    async with ScriptedTelegram() as telegram:
        yield telegram


Start = Callable[..., "asyncio.Future[asyncio.subprocess.Process]"]


@pytest.fixture
def start(tmp_path: Path) -> Start:
    def start(**settings: str) -> "asyncio.Future[asyncio.subprocess.Process]":
        kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        ours = {f"HOROSCOPE_{name.upper()}": value for name, value in settings.items()}
        return asyncio.ensure_future(
            asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "horoscope", "run"),
                cwd=tmp_path,
                env=kept | {"HOROSCOPE_DATA": str(tmp_path / "data")} | ours,
                stderr=asyncio.subprocess.PIPE,
            )
        )

    return start


async def last_words(process: asyncio.subprocess.Process) -> list[str]:
    _, said = await asyncio.wait_for(process.communicate(), 60)
    return said.decode().splitlines()


async def line_with(process: asyncio.subprocess.Process, words: str) -> str:
    assert process.stderr
    async with asyncio.timeout(60):
        while words not in (line := (await process.stderr.readline()).decode()):
            assert line, f"ended without saying {words!r}"
    return line


async def test_without_a_token_three_lines_say_what_to_do(start: Start) -> None:
    process = await start()
    said = await last_words(process)
    assert process.returncode == 2
    assert len(said) == 3
    assert "BotFather" in said[0]
    assert "HOROSCOPE_TELEGRAM_TOKEN" in said[1]
    assert "horoscope demo" in said[2]


@pytest.mark.parametrize("token", ["nonsense", "43:WRONG"])
async def test_a_wrong_token_is_one_clear_line(
    start: Start, telegram: ScriptedTelegram, token: str
) -> None:
    process = await start(telegram_token=token, telegram_api_url=telegram.url)
    [said] = await last_words(process)
    assert process.returncode == 2
    assert said.startswith("Error: Telegram knows no bot with this HOROSCOPE_TELEGRAM_TOKEN")
    assert token not in said


async def test_a_token_from_an_env_file_is_used(
    start: Start, telegram: ScriptedTelegram, tmp_path: Path
) -> None:
    lines = f"HOROSCOPE_TELEGRAM_TOKEN=43:WRONG\nHOROSCOPE_TELEGRAM_API_URL={telegram.url}\n"
    (tmp_path / ".env").write_text(lines)
    [said] = await last_words(await start())
    assert "Telegram knows no bot" in said


async def test_no_network_is_one_line_and_the_bot_waits(start: Start) -> None:
    async with ScriptedTelegram() as telegram:
        closed = telegram.url
    process = await start(telegram_token=TOKEN, telegram_api_url=closed)
    said = await line_with(process, closed)
    assert "Trying again" in said
    assert TOKEN not in said
    process.send_signal(signal.SIGTERM)
    assert await last_words(process) == []
    assert process.returncode == 0


async def test_a_queue_in_use_is_one_clear_line(
    start: Start, telegram: ScriptedTelegram, tmp_path: Path
) -> None:
    broker = LocalBroker(tmp_path / "data" / "queue.sqlite")
    await broker.start()
    process = await start(telegram_token=TOKEN, telegram_api_url=telegram.url)
    [said] = await last_words(process)
    assert process.returncode == 1
    assert "HOROSCOPE_DATA" in said
    await broker.close()


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("person_limit", "0", "HOROSCOPE_PERSON_LIMIT"),
        ("timezone", "Mars/Phobos", "no time zone is called 'Mars/Phobos'"),
        ("updates", "pigeons", "HOROSCOPE_UPDATES"),
        ("updates", "webhook", "HOROSCOPE_WEBHOOK_URL"),
        ("telegram_api_url", "localhost:8081", "HOROSCOPE_TELEGRAM_API_URL"),
        ("tracing_url", "http://[::1", "HOROSCOPE_TRACING_URL"),
    ],
)
async def test_a_setting_that_cannot_be_used_is_named(
    start: Start, name: str, value: str, said: str
) -> None:
    process = await start(telegram_token=TOKEN, **{name: value})
    [line] = await last_words(process)
    assert process.returncode == 2
    assert said in line


def test_the_log_has_what_we_say_and_what_libraries_warn_of() -> None:
    code = (
        "import logging; from horoscope.observability.logs import start_logging\n"
        "start_logging('text')\n"
        "logging.getLogger('horoscope.bot').info('ours')\n"
        "logging.getLogger('library').info('theirs')\n"
        "logging.getLogger('library').warning('beware')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert [line.split()[-1] for line in done.stderr.splitlines()] == ["ours", "beware"]


def test_all_types_of_aiogram_can_be_built_when_they_are_used() -> None:
    code = (
        "import horoscope.bot\n"
        "from aiogram import methods, types\n"
        "assert not types.Update.__pydantic_complete__, 'nothing is gained any more'\n"
        "for module in (types, methods):\n"
        "    for name in module.__all__:\n"
        "        each = getattr(module, name)\n"
        "        if hasattr(each, 'model_rebuild'):\n"
        "            each.model_rebuild()\n"
        "            assert each.__pydantic_complete__, name\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_secrets_do_not_show_in_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOROSCOPE_TELEGRAM_TOKEN", TOKEN)
    monkeypatch.setenv("HOROSCOPE_WEBHOOK_SECRET", "hush-hush")
    shown = repr(load_settings())
    assert TOKEN not in shown
    assert "hush-hush" not in shown
