"""The images, built without a container engine and started with a read-only file system.

They take minutes to build, so this runs where HOROSCOPE_TEST_IMAGES is set, as root, with Buildah.
"""

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from built_images import BASE, TAG, Image, build_images
from kafka_server import free_port
from local_telegram import answers

from horoscope.demo.server import serving
from horoscope.demo.telegram import TOKEN, Telegram
from horoscope.zodiac import Sign

pytestmark = pytest.mark.skipif(
    not os.environ.get("HOROSCOPE_TEST_IMAGES"), reason="HOROSCOPE_TEST_IMAGES is not set"
)
MEGABYTE = 1_000_000


@pytest.fixture(scope="module", params=["bot", "generator"])
def image(request: pytest.FixtureRequest) -> Iterator[Image]:
    yield from opened(request.param)


@pytest.fixture(scope="module")
def bot() -> Iterator[Image]:
    yield from opened("bot")


@pytest.fixture(scope="module")
def generator() -> Iterator[Image]:
    yield from opened("generator")


def opened(program: str) -> Iterator[Image]:
    build_images()
    image = Image(f"localhost/horoscope-{program}:{TAG}")
    yield image
    image.remove()


def title(image: Image) -> str:
    return str(image.config["Labels"]["org.opencontainers.image.title"])


def test_an_image_says_what_it_is_and_how_it_is_run(image: Image) -> None:
    labels = image.config["Labels"]
    assert re.fullmatch("[0-9a-f]{40}", labels["org.opencontainers.image.revision"])
    assert labels["org.opencontainers.image.version"]
    assert labels["org.opencontainers.image.licenses"] == "MIT"
    assert labels["org.opencontainers.image.description"]
    assert image.config["User"] == "10001:10001"
    assert image.config["StopSignal"] == "SIGTERM"
    assert image.config["Healthcheck"]["Test"][0] == "CMD"


def test_an_image_adds_little_to_its_base(image: Image) -> None:
    base = Image(BASE)
    added = image.unpacked_bytes - base.unpacked_bytes
    base.remove()
    most = 80 if title(image) == "horoscope-bot" else 250 + 60  # 60 for the best model
    assert added < most * MEGABYTE


def test_no_tool_no_cache_and_no_secret_is_in_an_image(image: Image) -> None:
    root = image.root
    for tool in ("usr/bin/gcc", "usr/bin/strip", "opt/horoscope/bin/pip", "usr/bin/pip3"):
        assert not (root / tool).exists(), tool
    assert not any((root / "var/cache/apt/archives").glob("*.deb"))
    assert not any((root / "var/lib/apt/lists").glob("*Packages*"))
    assert not [path for path in (root / "root/.cache").rglob("*") if path.is_file()]
    assert not [path for path in root.glob("**/.env") if path.is_file()]
    assert not (root / "build").exists()


def test_the_bot_carries_no_engine_and_the_generator_no_telegram(
    bot: Image, generator: Image
) -> None:
    def packages(image: Image) -> set[str]:
        (directory,) = (image.root / "opt/horoscope/lib").glob("python3*/site-packages")
        return {path.name for path in directory.iterdir()}

    assert not packages(bot) & {"openvino", "numpy", "tokenizers", "pymorphy3", "torch"}
    assert not packages(generator) & {"aiogram", "asyncpg", "torch"}
    assert not (bot.root / "model").exists()


def test_the_generator_writes_with_the_model_that_is_in_it(generator: Image) -> None:
    written = generator.run("generate", "лев")
    assert written.returncode == 0, written.stderr
    assert len(written.stdout.split()) > 10
    other = generator.run("generate", "лев", "--model", "/nowhere")
    assert other.returncode == 2
    assert "Traceback" not in other.stderr


def test_an_image_lives_on_a_read_only_disk_passes_its_health_check_and_ends_when_told(
    image: Image,
) -> None:
    port = free_port()
    env = {
        "HOROSCOPE_TELEGRAM_TOKEN": TOKEN,
        "HOROSCOPE_TELEGRAM_API_URL": "http://127.0.0.1:9",  # nobody is there
        "HOROSCOPE_KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:9",
        "HOROSCOPE_HTTP_PORT": str(port),
    }
    with image.running(env) as container:
        container.wait_for(f"http://127.0.0.1:{port}/live")
        assert container.status(f"http://127.0.0.1:{port}/ready") == 503
        assert container.status(f"http://127.0.0.1:{port}/metrics") == 200
        process = Path(f"/proc/{container.pid}")
        assert process.stat().st_uid == 10001
        mounts = (process / "mounts").read_text().splitlines()
        (root,) = [line.split() for line in mounts if line.split()[1] == "/"]
        assert "ro" in root[3].split(",")
        command = image.config["Healthcheck"]["Test"][1:]
        healthy = subprocess.run(
            [
                *("nsenter", f"--target={container.pid}", "--mount", "--root"),
                *("env", "-i", *image.config["Env"], f"HOROSCOPE_HTTP_PORT={port}", *command),
            ],
            check=False,
        )
        assert healthy.returncode == 0
        assert container.stop() == 0


async def test_a_person_in_telegram_gets_an_answer_by_both_images(
    bot: Image, generator: Image, kafka: str
) -> None:
    telegram = Telegram()
    async with serving(telegram) as url:
        env = {
            "HOROSCOPE_TELEGRAM_TOKEN": TOKEN,
            "HOROSCOPE_TELEGRAM_API_URL": url,
            "HOROSCOPE_KAFKA_BOOTSTRAP_SERVERS": kafka,
            "HOROSCOPE_KAFKA_TOPIC_PREFIX": "images.",
            "HOROSCOPE_KAFKA_GROUP_PREFIX": "images-",
        }
        ports = [{"HOROSCOPE_HTTP_PORT": str(free_port())} for _ in range(2)]
        with bot.running(env | ports[0]), generator.running(env | ports[1]):
            person = telegram.join("Аня")
            telegram.write(person, "/generate лев")
            [answer] = await answers(telegram, person, 1, patience=60)
    assert Sign.LEO.russian in answer["text"]
