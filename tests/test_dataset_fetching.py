import csv
import hashlib
import json
import os
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest

from horoscope.dataset.fetching import fetch
from horoscope.dataset.sources import GitHistory, HubFiles
from horoscope.errors import HoroscopeError

PATHS = ("data/train-0.parquet", "data/test-0.parquet")
REVISION = "a" * 40


class Hub(ThreadingHTTPServer):
    """As much of the Hugging Face hub's interface as a download of dataset files asks for."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _HubHandler)
        self.files = {path: os.urandom(3_000_000) for path in PATHS}
        self.checksums = {p: hashlib.sha256(data).hexdigest() for p, data in self.files.items()}
        self.break_after: int | None = None
        self.sent = 0
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _HubHandler(BaseHTTPRequestHandler):
    server: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        pass

    def do_POST(self) -> None:
        asked = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        assert self.path == f"/api/datasets/someone/horoscopes/paths-info/{REVISION}"
        infos = [
            {
                "type": "file",
                "path": path,
                "oid": "b" * 40,
                "size": len(self.server.files[path]),
                "lfs": {
                    "oid": self.server.checksums[path],
                    "size": len(self.server.files[path]),
                    "pointerSize": 130,
                },
            }
            for path in asked["paths"]
        ]
        self._answer(json.dumps(infos).encode())

    def do_GET(self) -> None:
        path = self.path.split("?")[0].removeprefix(
            f"/datasets/someone/horoscopes/resolve/{REVISION}/"
        )
        data = self.server.files[path]
        begin = int(self.headers.get("Range", "bytes=0-").split("=")[1].split("-")[0])
        if begin >= len(data):
            self.send_response(416)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(206)
        self.send_header("Content-Length", str(len(data) - begin))
        self.send_header("Content-Range", f"bytes {begin}-{len(data) - 1}/{len(data)}")
        self.end_headers()
        end = len(data)
        if self.server.break_after is not None:
            end = min(end, begin + self.server.break_after)
        self.wfile.write(data[begin:end])
        self.server.sent += end - begin
        if end < len(data):
            self.close_connection = True

    def _answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    server = Hub()
    yield server
    server.shutdown()
    server.server_close()


ON_HUB = HubFiles("someone/horoscopes", REVISION, PATHS)


def test_files_come_from_the_hub_whole_and_only_once(hub: Hub, tmp_path: Path) -> None:
    home = tmp_path / "rambler"
    paths = fetch("rambler", ON_HUB, home, hub.address)
    assert {path.read_bytes() for path in paths} == set(hub.files.values())
    sent = hub.sent
    assert fetch("rambler", ON_HUB, home, hub.address) == paths
    assert hub.sent == sent
    assert [path.name for path in tmp_path.iterdir()] == ["rambler"]


def test_a_download_that_broke_off_goes_on_where_it_stopped(hub: Hub, tmp_path: Path) -> None:
    home = tmp_path / "rambler"
    hub.break_after = 1_000_000  # a third of each file
    for _ in range(4):
        with pytest.raises(HoroscopeError, match="Cannot fetch rambler"):
            fetch("rambler", ON_HUB, home, hub.address)
        assert not home.exists()
    paths = fetch("rambler", ON_HUB, home, hub.address)
    assert {path.read_bytes() for path in paths} == set(hub.files.values())
    assert hub.sent == sum(map(len, hub.files.values()))


def test_a_damaged_file_is_refused_and_fetched_anew(hub: Hub, tmp_path: Path) -> None:
    home = tmp_path / "rambler"
    good = hub.files[PATHS[1]]
    hub.files[PATHS[1]] = good[:-1] + bytes([good[-1] ^ 1])
    with pytest.raises(HoroscopeError, match=r"data/test-0\.parquet came damaged; try again"):
        fetch("rambler", ON_HUB, home, hub.address)
    assert not home.exists()
    hub.files[PATHS[1]] = good
    paths = fetch("rambler", ON_HUB, home, hub.address)
    assert {path.read_bytes() for path in paths} == set(hub.files.values())


def git(repository: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=Аня", "-c", "user.email=anya@example.org"]
    return subprocess.run(
        ["git", "-C", str(repository), *identity, *arguments],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()


def commit(repository: Path, path: str, content: str) -> str:
    (repository / path).parent.mkdir(exist_ok=True, parents=True)
    (repository / path).write_text(content, encoding="utf-8")
    git(repository, "add", path)
    git(repository, "commit", "--quiet", "-m", "Новый день")
    return git(repository, "rev-parse", "HEAD")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    path = tmp_path / "published"
    path.mkdir()
    git(path, "init", "--quiet")
    for setting in ("allowFilter", "allowAnySHA1InWant"):  # as public hosts have it
        git(path, "config", f"uploadpack.{setting}", "true")
    return path


def test_a_file_comes_from_a_git_repository_as_it_was_at_the_commit(
    repository: Path, tmp_path: Path
) -> None:
    wanted = commit(repository, "files/old/texts.csv", "sign,text\nleo,да\n")
    commit(repository, "files/old/texts.csv", "sign,text\nleo,нет\n")
    origin = GitHistory(repository.as_uri(), wanted, "files/old/texts.csv")
    (path,) = fetch("mailru", origin, tmp_path / "cache" / "mailru")
    assert path.name == "texts.csv"
    assert path.read_text("utf-8") == "sign,text\nleo,да\n"
    assert [each.name for each in (tmp_path / "cache").iterdir()] == ["mailru"]


def day_of(day: int, text: str) -> str:
    entry = {"text": text, "updated_at": f"2026-05-{day:02}T01:30:00+00:00", "title": "Лев"}
    nothing = {"type": "love", "error": "timeout", "text": None}
    return json.dumps({"leo": {"general": entry, "love": nothing}}, ensure_ascii=False)


def test_a_file_that_changes_daily_gives_the_texts_of_all_days(
    repository: Path, tmp_path: Path
) -> None:
    commit(repository, "now.json", day_of(1, "первый"))
    commit(repository, "README.md", "гороскоп")
    commit(repository, "now.json", '{"leo": {"gene')
    commit(repository, "now.json", day_of(2, "второй"))
    wanted = commit(repository, "now.json", day_of(2, "второй") + "\n")
    commit(repository, "now.json", day_of(3, "третий"))
    origin = GitHistory(repository.as_uri(), wanted, "now.json", daily=True)
    (path,) = fetch("goroskop1001", origin, tmp_path / "cache")
    with path.open(encoding="utf-8", newline="") as file:
        assert list(csv.reader(file)) == [
            ["date", "sign", "topic", "text"],
            ["2026-05-01", "leo", "general", "первый"],
            ["2026-05-02", "leo", "general", "второй"],
        ]


@pytest.mark.parametrize(
    "origin",
    [
        GitHistory("file:///nowhere/at/all", "a" * 40, "texts.csv"),
        GitHistory("http://127.0.0.1:9/nobody", "a" * 40, "texts.csv", daily=True),
        ON_HUB,
    ],
)
def test_without_a_network_one_line_names_the_way_to_read_a_copy(
    origin: GitHistory | HubFiles, tmp_path: Path
) -> None:
    with pytest.raises(HoroscopeError) as caught:
        fetch("mailru", origin, tmp_path / "mailru", "http://127.0.0.1:9")
    message = str(caught.value)
    assert message.startswith("Cannot fetch mailru (")
    assert message.endswith("). If you have a copy of it, name that: mailru=FILE.")
    assert len(message.splitlines()) == 1
    assert not (tmp_path / "mailru").exists()


def test_a_commit_that_is_gone_is_one_line(repository: Path, tmp_path: Path) -> None:
    commit(repository, "texts.csv", "sign,text\nleo,да\n")
    origin = GitHistory(repository.as_uri(), "a" * 40, "texts.csv")
    with pytest.raises(HoroscopeError, match="Cannot fetch mailru") as caught:
        fetch("mailru", origin, tmp_path / "mailru")
    assert len(str(caught.value).splitlines()) == 1
