"""A real Apache Kafka for tests: from an address, from Docker, or from its own jars."""

import hashlib
import os
import shutil
import signal
import socket
import subprocess
import time
import uuid
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from horoscope.settings import Settings

ADDRESS = os.environ.get("HOROSCOPE_TEST_KAFKA")
IMAGE = "apache/kafka:4.3.1"
POM = Path(__file__).parent / "kafka" / "pom.xml"
START_S = 60
WHAT_TO_INSTALL = (
    "These tests need Apache Kafka: install Docker, or Java 17 and Maven"
    " (Debian: default-jre-headless, maven), or name a broker with HOROSCOPE_TEST_KAFKA=host:port."
)
# Who may do everything on a strict Kafka, as librdkafka's settings.
ADMIN = {
    "security.protocol": "SASL_PLAINTEXT",
    "sasl.mechanism": "PLAIN",
    "sasl.username": "admin",
    "sasl.password": "secret",
}
PROPERTIES = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "1",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    # Topics come to be as the product makes them, and groups begin at once.
    "auto.create.topics.enable": "false",
    "group.initial.rebalance.delay.ms": "0",
}


def kafka_settings(address: str, **more: Any) -> Settings:
    """Settings with topics and groups of their own, small enough to be made quickly."""
    name = uuid.uuid4().hex[:8]
    return Settings.model_validate(
        {
            "kafka_bootstrap_servers": address,
            "kafka_topic_prefix": f"test-{name}.",
            "kafka_group_prefix": f"test-{name}-",
            "kafka_partitions": 3,
            **more,
        }
    )


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


class KafkaServer:
    """One broker on a free port, with its data in a directory; it can be killed and come back."""

    def __init__(
        self,
        directory: Path,
        protocol: str = "PLAINTEXT",
        properties: Mapping[str, str] | None = None,
    ) -> None:
        self._directory = directory
        self._port, self._controller_port = free_port(), free_port()
        self.address = f"127.0.0.1:{self._port}"
        self._process: subprocess.Popen[bytes] | None = None
        listeners = f"{protocol}://{self.address},CONTROLLER://127.0.0.1:{self._controller_port}"
        self.properties = PROPERTIES | {
            "listeners": listeners,
            "advertised.listeners": f"{protocol}://{self.address}",
            "listener.security.protocol.map": f"{protocol}:{protocol},CONTROLLER:PLAINTEXT",
            "controller.quorum.voters": f"1@127.0.0.1:{self._controller_port}",
            "log.dirs": str(directory / "data"),
            **(properties or {}),
        }

    def start(self, *, wait: bool = True) -> None:
        """Start it, or start it again with the data that it had."""
        settings = self._directory / "server.properties"
        if not settings.exists():
            self._directory.mkdir(parents=True, exist_ok=True)
            settings.write_text("".join(f"{k}={v}\n" for k, v in self.properties.items()))
            cluster = str(uuid.uuid4())
            self._java(
                "kafka.tools.StorageTool", "format", "-t", cluster, "-c", str(settings)
            ).wait()
        self._process = self._java("kafka.Kafka", str(settings))
        if wait:
            wait_for(self.address, self._process)

    def send_signal(self, number: signal.Signals) -> None:
        """SIGKILL, SIGSTOP or SIGCONT."""
        assert self._process
        self._process.send_signal(number)
        if number is signal.SIGKILL:
            self._process.wait()

    def stop(self) -> None:
        """End it; what it has is of no use any more."""
        if self._process:
            self._process.kill()
            self._process.wait()

    def _java(self, main: str, *arguments: str) -> "subprocess.Popen[bytes]":
        with (self._directory / "kafka.log").open("ab") as log:
            return subprocess.Popen(
                [
                    *("java", "-XX:TieredStopAtLevel=1", "-Xmx512m"),
                    *("-cp", str(jars() / "*"), main, *arguments),
                ],
                stdout=log,
                stderr=log,
                # A Ctrl-C in the terminal ends the tests, which end their servers.
                start_new_session=True,
            )


def strict_kafka(directory: Path, passwords: Mapping[str, str], *mighty: str) -> KafkaServer:
    """A started Kafka that knows these logins; without rights, but for ADMIN and `mighty`."""
    everyone = {ADMIN["sasl.username"]: ADMIN["sasl.password"], **passwords}
    users = " ".join(f'user_{name}="{password}"' for name, password in everyone.items())
    login = f'username="{ADMIN["sasl.username"]}" password="{ADMIN["sasl.password"]}"'
    module = "org.apache.kafka.common.security.plain.PlainLoginModule required"
    server = KafkaServer(
        directory,
        protocol="SASL_PLAINTEXT",
        properties={
            "sasl.enabled.mechanisms": "PLAIN",
            "sasl.mechanism.inter.broker.protocol": "PLAIN",
            "security.inter.broker.protocol": "SASL_PLAINTEXT",
            "listener.name.sasl_plaintext.plain.sasl.jaas.config": f"{module} {login} {users};",
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": ";".join(
                f"User:{name}" for name in (ADMIN["sasl.username"], *mighty, "ANONYMOUS")
            ),
        },
    )
    server.start(wait=False)
    wait_for(server.address, **ADMIN)
    return server


class KafkaContainer:
    """The same in a container."""

    def __init__(self) -> None:
        port, self._name = free_port(), f"horoscope-test-{uuid.uuid4().hex[:8]}"
        self.address = f"127.0.0.1:{port}"
        properties = PROPERTIES | {
            "listeners": f"PLAINTEXT://:{port},CONTROLLER://:9093",
            "advertised.listeners": f"PLAINTEXT://{self.address}",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "controller.quorum.voters": "1@localhost:9093",
        }
        names = {f"KAFKA_{name.upper().replace('.', '_')}": v for name, v in properties.items()}
        options = [f"--env={name}={value}" for name, value in names.items()]
        docker("create", f"--name={self._name}", f"--publish={port}:{port}", *options, IMAGE)

    def start(self, *, wait: bool = True) -> None:
        """Start it, or start it again with the data that it had."""
        docker("start", self._name)
        if wait:
            wait_for(self.address)

    def send_signal(self, number: signal.Signals) -> None:
        """SIGKILL, SIGSTOP or SIGCONT."""
        docker("kill", f"--signal={number.name}", self._name)

    def stop(self) -> None:
        """End it; what it has is of no use any more."""
        docker("rm", "--force", self._name)


Kafka = KafkaServer | KafkaContainer


def make_kafka(directory: Path) -> Kafka:
    """A broker that this machine can run. Raises RuntimeError that says what to install."""
    if shutil.which("docker") and docker_answers():
        return KafkaContainer()
    return KafkaServer(directory)


def docker(*arguments: str) -> None:
    subprocess.run(["docker", *arguments], check=True, stdout=subprocess.DEVNULL)


def docker_answers() -> bool:
    return not subprocess.run(["docker", "info"], check=False, capture_output=True).returncode


def wait_for(address: str, process: "subprocess.Popen[bytes] | None" = None, **config: str) -> None:
    """Wait until Kafka answers."""
    admin = AdminClient({"bootstrap.servers": address, "log_level": 0, **config})
    until = time.monotonic() + START_S
    while True:
        try:
            admin.list_topics(timeout=1)
            return
        except KafkaException:
            ended = process and process.poll() is not None
            if ended or time.monotonic() > until:
                raise RuntimeError(
                    f"Kafka at {address} does not start; see its kafka.log"
                ) from None


def jars() -> Path:
    """Kafka's jars, as Maven resolves them; once for every pom."""
    directory = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "horoscope-tests"
    there = directory / f"kafka-{hashlib.sha256(POM.read_bytes()).hexdigest()[:12]}"
    if not there.exists():
        if not (shutil.which("java") and shutil.which("mvn")):
            raise RuntimeError(WHAT_TO_INSTALL)
        directory.mkdir(parents=True, exist_ok=True)
        begun = there.with_suffix(f".{os.getpid()}")
        subprocess.run(
            [
                *("mvn", "-q", "-B", "-f", str(POM)),
                *("dependency:copy-dependencies", f"-DoutputDirectory={begun}"),
            ],
            check=True,
        )
        with suppress(OSError):  # another run was faster
            begun.rename(there)
    return there
