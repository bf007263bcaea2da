"""Fetches public sources once, whole and verified, into the cache."""

import csv
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import DownloadColumn, Progress, ProgressColumn

from horoscope.dataset.sources import GitHistory, HubFiles
from horoscope.errors import HoroscopeError

_GIT_PROGRESS = re.compile(r"(Receiving objects|Resolving deltas):\s+(\d+)%")


def fetch(
    name: str, origin: GitHistory | HubFiles, home: Path, endpoint: str | None = None
) -> list[Path]:
    """The files of a source in the directory `home`, which appears only when they are whole.

    What an interrupted call had fetched is used by the next. `endpoint` is another address of
    the hub. Raises HoroscopeError if the source cannot be fetched or is not what it was.
    """
    if not home.is_dir():
        partial = home.with_name(home.name + ".partial")
        try:
            partial.mkdir(parents=True, exist_ok=True)
            fresh = partial / "whole"
            shutil.rmtree(fresh, ignore_errors=True)
            fresh.mkdir()
            if isinstance(origin, HubFiles):
                _fetch_from_hub(name, origin, partial / "download", fresh, endpoint)
            else:
                _fetch_from_git(name, origin, partial / "repository", fresh)
            fresh.rename(home)
            shutil.rmtree(partial, ignore_errors=True)
        except OSError as error:
            raise _cannot_fetch(name, error.strerror or str(error)) from None
    return sorted(path for path in home.iterdir() if path.is_file())


def _cannot_fetch(name: str, reason: str) -> HoroscopeError:
    reason = " ".join(reason.split()).rstrip(".")[:200]
    return HoroscopeError(
        f"Cannot fetch {name} ({reason}). If you have a copy of it, name that: {name}=FILE."
    )


def _fetch_from_hub(
    name: str, origin: HubFiles, downloads: Path, fresh: Path, endpoint: str | None
) -> None:
    """Download (resumed where it stopped) and compare with the checksums that the hub gives.

    The hub's own client begins anew after an interruption, so it only says where things are.
    """
    import httpx2
    from huggingface_hub import HfApi, RepoFile, hf_hub_url
    from huggingface_hub.errors import HfHubHTTPError

    downloads.mkdir(exist_ok=True)
    try:
        infos = HfApi(endpoint=endpoint).get_paths_info(
            origin.dataset, list(origin.paths), revision=origin.revision, repo_type="dataset"
        )
        checksums = {i.path: i.lfs.sha256 for i in infos if isinstance(i, RepoFile) and i.lfs}
        for path in origin.paths:
            url = hf_hub_url(
                origin.dataset,
                path,
                repo_type="dataset",
                revision=origin.revision,
                endpoint=endpoint,
            )
            download = downloads / Path(path).name
            _download(url, download)
            with download.open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
            if found != checksums.get(path):
                download.unlink()
                raise _cannot_fetch(name, f"{path} came damaged; try again")
    except (HfHubHTTPError, httpx2.HTTPError) as error:
        raise _cannot_fetch(name, str(error).split("\n", 1)[0]) from None
    for path in origin.paths:
        (downloads / Path(path).name).rename(fresh / Path(path).name)


def _download(url: str, path: Path) -> None:
    """Add to `path` what is missing of the file at `url`. Raises httpx2.HTTPError."""
    import httpx2

    with _progress(DownloadColumn()) as progress:
        begin = path.stat().st_size if path.exists() else 0
        headers = {"Range": f"bytes={begin}-", "Accept-Encoding": "identity"}
        with httpx2.stream("GET", url, headers=headers, follow_redirects=True) as response:
            if response.status_code == httpx2.codes.RANGE_NOT_SATISFIABLE:
                return  # nothing is missing
            response.raise_for_status()
            if response.status_code != httpx2.codes.PARTIAL_CONTENT:
                begin = 0
            total = begin + int(response.headers.get("Content-Length", 0))
            task = progress.add_task(path.name, completed=begin, total=total or None)
            with path.open("ab" if begin else "wb") as file:
                for piece in response.iter_bytes():
                    file.write(piece)
                    progress.update(task, advance=len(piece))


def _fetch_from_git(name: str, origin: GitHistory, repository: Path, fresh: Path) -> None:
    """Fetch by commit: git checks every object against the checksum that the commit gives."""
    git = ["git", "-C", str(repository)]
    try:
        if not (repository / "HEAD").exists():
            repository.mkdir(exist_ok=True)
            subprocess.run([*git, "init", "--quiet", "--bare"], check=True, capture_output=True)
            subprocess.run(
                [*git, "remote", "add", "origin", origin.url], check=True, capture_output=True
            )
        history = [] if origin.daily else ["--depth=1", "--filter=blob:none"]
        _run_with_progress(name, [*git, "fetch", "--progress", *history, "origin", origin.commit])
        if origin.daily:
            _write_days(_versions(git, origin), fresh / "texts.csv")
        else:
            data = _output([*git, "cat-file", "blob", f"{origin.commit}:{origin.path}"])
            (fresh / Path(origin.path).name).write_bytes(data)
    except FileNotFoundError:
        raise _cannot_fetch(name, "the program git is not installed") from None
    except subprocess.CalledProcessError as error:
        said = (error.stderr or b"").decode(errors="replace").strip().splitlines()
        fatal = [line for line in said if line.startswith("fatal:")] or said
        reason = fatal[-1].removeprefix("fatal: ") if fatal else "git failed"
        raise _cannot_fetch(name, reason) from None


def _progress(*columns: ProgressColumn) -> Progress:
    return Progress(
        *Progress.get_default_columns(),
        *columns,
        console=Console(stderr=True),
        transient=True,
        disable=not sys.stderr.isatty(),
    )


def _output(command: list[str]) -> bytes:
    return subprocess.run(command, check=True, capture_output=True).stdout


def _run_with_progress(name: str, command: list[str]) -> None:
    """Run git, showing what it says of its progress. Raises CalledProcessError with its words."""
    said = b""
    with (
        _progress() as progress,
        subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as git,
    ):
        task = progress.add_task(f"Fetching {name}", total=100)
        assert git.stderr
        while piece := os.read(git.stderr.fileno(), 4096):
            said += piece
            if found := _GIT_PROGRESS.findall(piece.decode(errors="replace")):
                progress.update(task, completed=int(found[-1][1]))
    if git.returncode:
        raise subprocess.CalledProcessError(git.returncode, command, stderr=said)


def _versions(git: list[str], origin: GitHistory) -> Iterator[dict[str, Any]]:
    """The JSON file as of each commit that changed it, from the first."""
    commits = _output(
        [*git, "log", "--reverse", "--format=%H", origin.commit, "--", origin.path]
    ).decode()
    for commit in commits.split():
        try:
            version = json.loads(_output([*git, "cat-file", "blob", f"{commit}:{origin.path}"]))
        except ValueError:
            continue  # a commit with half a file; the next has the whole
        if isinstance(version, dict):
            yield version


def _write_days(versions: Iterator[dict[str, Any]], path: Path) -> None:
    """A table of all days from files of {sign: {topic: {"text": ..., "updated_at": ...}}}."""
    seen: set[tuple[str, ...]] = set()
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(["date", "sign", "topic", "text"])
        for version in versions:
            for sign, topics in version.items():
                for topic, entry in topics.items():
                    text, day = entry.get("text"), str(entry.get("updated_at", ""))[:10]
                    row = (day, sign, topic, text)
                    if text and day and row not in seen:
                        seen.add(row)
                        table.writerow(row)
