"""The images as Buildah builds them, and containers of them without a container engine.

A container is the image's file system mounted read-only, in namespaces of its own, with the
environment, the user and the command that the image names.
"""

import json
import os
import shlex
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
BASE = os.environ.get("HOROSCOPE_TEST_BASE_IMAGE", "localhost/horoscope-test-base:bookworm")
TAG = "test"
CERTIFICATES = "/etc/ssl/certs"
BUILDAH = {**os.environ, "BUILDAH_ISOLATION": "chroot", "STORAGE_DRIVER": "vfs"}
CACHE = Path("~/.cache/pip").expanduser()
START = """
set -e
mount --bind {root} {root}
mount -o remount,bind,ro {root}
mount -t tmpfs -o mode=1777 tmp {root}/tmp
mount -t tmpfs -o uid=10001,gid=10001 data {root}/data
mount -t proc proc {root}/proc
mount --rbind /dev {root}/dev
mount --bind /etc/resolv.conf {root}/etc/resolv.conf 2>/dev/null || true
exec chroot --userspec={user} {root} env --ignore-environment --chdir={directory} {command}
"""


def buildah(*arguments: str) -> str:
    done = subprocess.run(
        ["buildah", *arguments], env=BUILDAH, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


@cache
def build_images() -> None:
    """Build both images, as `make images` does, on a base that is made of Debian's packages."""
    if BASE not in buildah("images", "--format", "{{.Name}}:{{.Tag}}").split():
        subprocess.run([ROOT / "docker" / "debian_base.sh", BASE], env=BUILDAH, check=True)
    CACHE.mkdir(parents=True, exist_ok=True)
    shared = [f"--volume={CERTIFICATES}:{CERTIFICATES}:ro", f"--volume={CACHE}:/root/.cache/pip"]
    env = BUILDAH | {
        "BUILDER": "buildah",
        "BASE_IMAGE": BASE,
        "TAG": TAG,
        "BUILD_OPTIONS": f"--quiet {' '.join(shared)}",
    }
    subprocess.run(["make", "--silent", "images"], cwd=ROOT, env=env, check=True)
    buildah("rmi", "--prune")  # those that had the tag before


class Image:
    """An image that was built, and its file system."""

    def __init__(self, name: str) -> None:
        self._container = buildah("from", "--pull-never", name)
        self.root = Path(buildah("mount", self._container))
        inspected = json.loads(buildah("inspect", "--type=image", name))
        self.config: dict[str, Any] = inspected["Docker"]["config"]

    @property
    def unpacked_bytes(self) -> int:
        """All its files together."""
        said = subprocess.run(
            ["du", "--summarize", "--apparent-size", "--block-size=1", self.root],
            check=True,
            capture_output=True,
        )
        return int(said.stdout.split()[0])

    def remove(self) -> None:
        """Let go of the file system; the image stays."""
        buildah("umount", self._container)
        buildah("rm", self._container)

    @contextmanager
    def running(
        self, env: Mapping[str, str], command: Sequence[str] | None = None
    ) -> Iterator["Container"]:
        """Start what the image starts, or another command of the program."""
        container = Container(self, env, command)
        try:
            yield container
        finally:
            container.kill()

    def run(self, *command: str) -> "subprocess.CompletedProcess[str]":
        """Run one command of the program to its end."""
        with self.running({}, command) as container:
            out, err = container.process.communicate(timeout=60)
        return subprocess.CompletedProcess(command, container.process.returncode, out, err)


class Container:
    """A process that has an image for its world."""

    def __init__(self, image: Image, env: Mapping[str, str], command: Sequence[str] | None) -> None:
        config = image.config
        given = [f"{name}={value}" for name, value in env.items()]
        arguments = config["Cmd"] if command is None else command
        words = [*config["Env"], *given, *config["Entrypoint"], *arguments]
        script = START.format(
            root=image.root,
            user=config["User"],
            directory=config["WorkingDir"],
            command=shlex.join(words),
        )
        self.process = subprocess.Popen(
            ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", script],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    @property
    def pid(self) -> int:
        """The program, which is the first process in its namespace."""
        return self._children()[0]

    def status(self, url: str) -> int:
        """The status of a GET, 0 if nobody answers."""
        try:
            with urllib.request.urlopen(url, timeout=5) as response:
                return int(response.status)
        except urllib.error.HTTPError as error:
            return error.code
        except OSError:
            return 0

    def wait_for(self, url: str, status: int = 200, patience: float = 60) -> None:
        """Wait until a GET has a status."""
        until = time.monotonic() + patience
        while (got := self.status(url)) != status:
            ended = self.process.poll() is not None
            assert not ended, self.process.stderr and self.process.stderr.read()
            assert time.monotonic() < until, f"{url} says {got}"
            time.sleep(0.05)

    def stop(self) -> int:
        """Send the signal that engines send; the exit status."""
        os.kill(self.pid, signal.SIGTERM)
        return self.process.wait(timeout=30)

    def kill(self) -> None:
        """End it whatever it does."""
        if self.process.poll() is None:
            # The program itself: that `unshare` ends does not reach it once it changed its user.
            for pid in self._children():
                os.kill(pid, signal.SIGKILL)
            self.process.kill()
        self.process.wait()

    def _children(self) -> list[int]:
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(pid) for pid in children.read_text().split()]
