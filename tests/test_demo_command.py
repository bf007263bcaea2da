"""`horoscope demo` as a person starts it."""

import asyncio
import os
import re
import signal
import socket
import sys
from pathlib import Path

import aiohttp
import pytest

from horoscope.demo.bot_api import BotApi
from horoscope.demo.command import DEFAULT_PORT, demo
from horoscope.demo.telegram import Telegram
from horoscope.demo.trouble import Trouble


async def start(directory: Path, *options: str, **settings: str) -> asyncio.subprocess.Process:
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    given = {f"HOROSCOPE_{name.upper()}": value for name, value in settings.items()}
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "horoscope", "demo", "--no-browser", *options),
        cwd=directory,
        env=kept | given | {"TMPDIR": str(directory)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def last_words(process: asyncio.subprocess.Process) -> str:
    _, said = await asyncio.wait_for(process.communicate(), 60)
    return said.decode()


@pytest.mark.parametrize("way_out", [signal.SIGINT, signal.SIGTERM])
async def test_the_page_is_served_until_one_ends_it_and_nothing_is_left(
    tmp_path: Path, way_out: signal.Signals
) -> None:
    # A webhook or a token of one's own in the environment is not for the demo.
    settings = {"updates": "webhook", "webhook_url": "https://x.example", "telegram_token": "1:x"}
    process = await start(tmp_path, "--port", "0", **settings)
    assert process.stdout
    line = (await asyncio.wait_for(process.stdout.readline(), 60)).decode()
    found = re.search(r"http://127\.0\.0\.1:\d+", line)
    assert found, line
    async with aiohttp.ClientSession() as session:
        async with session.get(found.group()) as answer:
            assert "Звёзды" in await answer.text()
        async with session.ws_connect(f"{found.group()}/tab?name=Аня") as tab:
            assert (await tab.receive_json())["me"]["first_name"] == "Аня"
            await tab.send_json({"do": "write", "text": "/start"})
            async with asyncio.timeout(60):
                while (event := await tab.receive_json()) and event["kind"] != "message":
                    pass
                while (event := await tab.receive_json())["kind"] != "message":
                    pass
            assert "гороскопы" in event["message"]["text"]
            process.send_signal(way_out)
            assert await last_words(process) == ""
    assert process.returncode == 0
    assert os.listdir(tmp_path) == []


def test_every_option_and_every_trouble_is_documented() -> None:
    document = (Path(__file__).parent.parent / "docs" / "demo.md").read_text()
    options = {f"--{option.name}".replace("_", "-") for option in demo.params}
    assert options <= set(re.findall(r"`(--[a-z-]+)", document))
    assert str(DEFAULT_PORT) in document
    assert set(Trouble.model_fields) <= set(re.findall(r"^\| `(\w+)` ", document, re.MULTILINE))
    methods = set(re.findall(r"`([a-z]+[A-Z]\w+)`", document))
    assert methods == set(BotApi(Telegram()).methods)


async def test_a_port_in_use_is_one_clear_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        process = await start(tmp_path, "--port", port)
        said = await last_words(process)
    assert process.returncode == 1
    assert said.count("\n") == 1
    assert port in said
    assert "--port" in said


async def test_a_model_that_is_none_is_one_clear_line(tmp_path: Path) -> None:
    process = await start(tmp_path, "--port", "0", "--model", str(tmp_path / "nowhere"))
    said = await last_words(process)
    assert process.returncode == 2
    assert said.count("\n") == 1
    assert "nowhere" in said


async def test_a_directory_for_data_that_cannot_be_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    process = await start(tmp_path, "--port", "0", "--data", str(tmp_path / "file" / "data"))
    said = await last_words(process)
    assert process.returncode == 1
    assert said.count("\n") == 1
