"""How a program runs: its log, its parts side by side, and its end when it is told to stop."""

import asyncio
import logging
import os
import signal
import threading
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from typing import Any

from horoscope.observability.logs import start_logging
from horoscope.observability.tracing import start_tracing, stop_tracing
from horoscope.settings import Settings

# Ten seconds are ours after SIGTERM; what is left of them is for letting go.
STOP_S = 6.0
GRACE_S = 0.5


def run_until_told(
    name: str, settings: Settings, program: Callable[[], Coroutine[Any, Any, None]]
) -> None:
    """Run until SIGTERM or Ctrl-C cancels the program, with its log on standard error."""
    start_logging(settings.log_format)
    start_tracing(settings.tracing_url, name)
    with suppress(asyncio.CancelledError):
        asyncio.run(_listen_for_the_end(program))
    stop_tracing()
    _leave_behind_who_waits()


def _leave_behind_who_waits() -> None:
    """End now, if a library's thread waits for a Kafka that is away: Python would wait for it."""
    for thread in threading.enumerate():
        if thread is not threading.main_thread() and not thread.daemon:
            thread.join(GRACE_S)
            if thread.is_alive():
                logging.shutdown()
                os._exit(0)


async def _listen_for_the_end(program: Callable[[], Coroutine[Any, Any, None]]) -> None:
    this = asyncio.current_task()
    assert this is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, this.cancel)
    await program()


async def run_in_order(stages: Sequence[Coroutine[Any, Any, None]]) -> None:
    """Run stages side by side until cancelled or one fails, then end them one after the other.

    A stage that is cancelled finishes what it has begun; STOP_S after the end began, all that
    are left are cancelled once more, and leave at once.
    """
    tasks = [asyncio.create_task(stage) for stage in stages]
    try:
        ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in ended:
            await task
    finally:
        until = asyncio.get_running_loop().time() + STOP_S
        for task in tasks:
            task.cancel()
            left = until - asyncio.get_running_loop().time()
            await asyncio.wait([task], timeout=max(0.0, left))
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks, timeout=1.0)
