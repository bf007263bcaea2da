"""A real PostgreSQL for tests: from an address, or from Debian's programs."""

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from kafka_server import free_port

URL = os.environ.get("HOROSCOPE_TEST_POSTGRES")
WHAT_TO_INSTALL = (
    "These tests need PostgreSQL: install it (Debian: postgresql), or name an empty database with"
    " HOROSCOPE_TEST_POSTGRES=postgresql://user:password@host/name."
)


class PostgresServer:
    """One server on a free port, with its data in a temporary directory; it can be killed."""

    def __init__(self) -> None:
        self._port = free_port()
        self.url = f"postgresql://horoscope@127.0.0.1:{self._port}/postgres"
        self._process: subprocess.Popen[bytes] | None = None
        self._directory = Path(tempfile.mkdtemp(prefix="horoscope-postgres-"))
        # It refuses to be root.
        self._user = None
        if os.getuid() == 0:
            users = {entry.pw_name for entry in pwd.getpwall()}
            self._user = "postgres" if "postgres" in users else "nobody"
            shutil.chown(self._directory, self._user)
        options = ("--username=horoscope", "--auth=trust", "--no-sync", "--encoding=UTF8")
        self._run("initdb", "-D", str(self._directory / "data"), *options).wait()

    def start(self) -> None:
        """Start it, or start it again with the data that it had."""
        options = {"listen_addresses": "127.0.0.1", "port": self._port, "fsync": "off"}
        settings = [f"-c{name}={value}" for name, value in options.items()]
        sockets = "-cunix_socket_directories="
        data = str(self._directory / "data")
        self._process = self._run("postgres", "-D", data, sockets, *settings)
        until = time.monotonic() + 30
        while self._run("pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self._port)).wait():
            if self._process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"PostgreSQL does not start: {self._log.read_text()[-500:]}")
            time.sleep(0.1)

    def stop(self) -> None:
        """End it at once; start brings it back."""
        if self._process:
            self._process.send_signal(3)  # SIGQUIT: all its processes, without ceremony
            self._process.wait()

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self._directory, ignore_errors=True)

    @property
    def _log(self) -> Path:
        return self._directory / "log"

    def _run(self, program: str, *arguments: str) -> "subprocess.Popen[bytes]":
        with self._log.open("ab") as log:
            return subprocess.Popen(
                [programs() / program, *arguments],
                stdout=log,
                stderr=log,
                user=self._user,
                extra_groups=[] if self._user else None,
                start_new_session=True,
                cwd=self._directory,
            )


def programs() -> Path:
    """Where initdb and postgres are. Raises RuntimeError that says what to install."""
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    in_path = shutil.which("pg_ctl")
    for directory in [*debian, *([Path(in_path).resolve().parent] if in_path else [])]:
        if (directory / "initdb").exists():
            return directory
    raise RuntimeError(WHAT_TO_INSTALL)
