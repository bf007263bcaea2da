"""`horoscope ...` as a process of its own, without importing torch anew each time.

A server that has imported torch forks for each command, so tests can afford to start, to kill and
to start again many times.
"""

import multiprocessing
import os
import sys
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(
    ["nncf", "peft", "horoscope.training.export", "horoscope.training.run"]
)


def start(
    output: Path, *arguments: object, before: Callable[..., None] | None = None, given: Any = None
) -> BaseProcess:
    """Start a command; what it prints goes to the file `output`. `before(given)` runs first."""
    process = _FORKS.Process(target=_run, args=(output, [str(a) for a in arguments], before, given))
    process.start()
    return process


def run(
    output: Path, *arguments: object, before: Callable[..., None] | None = None, given: Any = None
) -> tuple[int | None, str]:
    """Run a command to its end: exit code and what it printed."""
    process = start(output, *arguments, before=before, given=given)
    process.join()
    return process.exitcode, output.read_text(encoding="utf-8")


def _run(
    output: Path, arguments: list[str], before: Callable[..., None] | None, given: Any
) -> None:
    import torch

    from horoscope.cli import main

    file = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(file, 1)
    os.dup2(file, 2)
    torch.set_num_threads(1)
    sys.argv = ["horoscope", *arguments]
    if before:
        before(given)
    main()
