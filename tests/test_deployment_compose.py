"""compose.yaml and the Dockerfile: valid, and in step with the programs."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import compose_spec
import pytest
import yaml
from kafka_server import IMAGE, KafkaServer
from kubernetes_tools import render

from horoscope.cli import COMMANDS
from horoscope.messaging.kafka.broker import KafkaBroker
from horoscope.messaging.messages import StopRequest
from horoscope.settings import Settings

ROOT = Path(__file__).parent.parent
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
KNOWN = {f"HOROSCOPE_{name.upper()}" for name in Settings.model_fields}


def kafka_of_compose() -> dict[str, str]:
    environment: dict[str, str] = COMPOSE["services"]["kafka"]["environment"]
    return environment


def kafka_of_kubernetes() -> dict[str, str]:
    manifests = render(ROOT / "kube" / "overlays" / "single")
    (kafka,) = [each for each in manifests if each["kind"] == "StatefulSet"]
    (container,) = kafka["spec"]["template"]["spec"]["containers"]
    return {each["name"]: each["value"] for each in container["env"]}


def read(text: str) -> compose_spec.PyCompose:
    options = compose_spec.PyOptions()
    options.apply_merge = True
    return options.from_yaml(text)


def test_the_compose_file_keeps_the_compose_specification() -> None:
    compose = read((ROOT / "compose.yaml").read_text(encoding="utf-8"))
    compose.validate()
    assert {"bot", "generator", "kafka"} <= set(compose.service_names())


def test_every_file_that_the_compose_file_mounts_is_there() -> None:
    volumes = [
        each for service in COMPOSE["services"].values() for each in service.get("volumes", [])
    ]
    files = [volume.split(":")[0] for volume in volumes if volume.startswith("./")]
    assert files
    assert [file for file in files if not (ROOT / file).is_file()] == []


def test_a_compose_file_with_a_misspelt_key_is_refused() -> None:
    text = (ROOT / "compose.yaml").read_text(encoding="utf-8").replace("healthcheck:", "health:")
    with pytest.raises(ValueError, match="health"):
        read(text).validate()


def test_every_setting_in_the_compose_file_is_one() -> None:
    for service in ("bot", "generator"):
        assert COMPOSE["services"][service]["environment"].keys() <= KNOWN


def test_any_number_of_generators_can_run_beside_each_other() -> None:
    generator = COMPOSE["services"]["generator"]
    assert not generator.keys() & {"container_name", "ports", "volumes"}


def test_programs_start_when_kafka_is_healthy_and_what_it_keeps_is_on_a_volume() -> None:
    kafka = COMPOSE["services"]["kafka"]
    assert kafka["image"] == IMAGE
    assert kafka["healthcheck"]["test"]
    assert kafka["volumes"] == [f"kafka:{kafka['environment']['KAFKA_LOG_DIRS']}"]
    for service in ("bot", "generator"):
        waits = COMPOSE["services"][service]["depends_on"]["kafka"]
        assert waits == {"condition": "service_healthy"}


@pytest.mark.parametrize("environment", [kafka_of_compose, kafka_of_kubernetes])
async def test_kafka_starts_with_what_it_is_told_and_carries_messages(
    environment: Any, tmp_path: Path
) -> None:
    """As the image apache/kafka does: KAFKA_LOG_DIRS is log.dirs, and so on."""
    told = {
        name.removeprefix("KAFKA_").lower().replace("_", "."): value
        for name, value in environment().items()
        if name != "KAFKA_HEAP_OPTS"
    }
    address, controller = (part.rpartition(":")[2] for part in told["listeners"].split(","))
    assert told["advertised.listeners"].endswith(f":{address}")
    assert told["controller.quorum.voters"] == f"1@localhost:{controller}"
    # Addresses and directories are this test's; everything else stands.
    here = ("listeners", "advertised.listeners", "controller.quorum.voters", "log.dirs")
    server = KafkaServer(tmp_path / "kafka")
    server.properties = told | {name: server.properties[name] for name in here}
    server.start()
    try:
        broker = KafkaBroker(Settings(kafka_bootstrap_servers=server.address))
        await broker.start()
        try:
            assert broker.reachable
            await broker.publish(StopRequest(chat_id=1, draft_id=1))
        finally:
            await broker.close()
    finally:
        server.stop()


def test_the_dockerfile_passes_the_linter() -> None:
    linter = Path(sys.executable).parent / "hadolint"
    linted = subprocess.run(
        [linter, ROOT / "Dockerfile"], capture_output=True, text=True, check=False
    )
    assert linted.returncode == 0, linted.stdout


def test_the_dockerfile_starts_commands_that_there_are_and_names_settings_that_there_are() -> None:
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    assert re.findall(r'^CMD \["(.+)"\]$', text, re.MULTILINE) == ["bot", "worker"]
    assert {"bot", "worker"} <= COMMANDS.keys()
    assert set(re.findall(r"HOROSCOPE_\w+", text)) <= KNOWN


def test_the_base_image_is_pinned() -> None:
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    (base,) = re.findall(r"^ARG BASE_IMAGE=(\S+)$", text, re.MULTILINE)
    assert re.fullmatch(r"python:3\.\d+-slim-\w+", base)


def test_all_that_names_a_version_names_that_of_the_package() -> None:
    version = re.search(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert version
    for program in ("bot", "generator"):
        assert COMPOSE["services"][program]["image"] == f"horoscope-{program}:{version[1]}"
        for overlay in ("single", "cluster"):
            text = (ROOT / "kube" / "overlays" / overlay / "kustomization.yaml").read_text()
            assert f"{{name: horoscope-{program}, newTag: {version[1]}}}" in text
    assert f"ARG VERSION={version[1]}\n" in (ROOT / "Dockerfile").read_text()
