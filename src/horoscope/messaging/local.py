"""The broker inside one process: an SQLite file keeps what is durable, asyncio wakes who waits."""

import asyncio
import sqlite3
from collections import defaultdict
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from horoscope.messaging.broker import BrokerUnavailableError, Delivery
from horoscope.messaging.messages import Message

M = TypeVar("M", bound=Message)

# A best-effort subscriber that falls behind misses messages, as it would in any network.
BEST_EFFORT_BACKLOG = 1000

TABLES = """
CREATE TABLE IF NOT EXISTS messages (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    schema TEXT NOT NULL,
    body TEXT NOT NULL,
    taken INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS waiting ON messages (schema, number) WHERE taken = 0;
CREATE TABLE IF NOT EXISTS dead_letters (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    schema TEXT NOT NULL,
    body TEXT NOT NULL,
    reason TEXT NOT NULL
);
"""


class LocalDelivery(Delivery[M]):
    """A row of the messages table on its way; a message without a row is best effort."""

    def __init__(
        self,
        message: M,
        table: "_Table | None" = None,
        number: int = 0,
        out: set[int] | None = None,
    ) -> None:
        self._message = message
        self._table = table
        self._number = number
        self._handed_out = out if out is not None else set()

    @property
    def message(self) -> M:
        """The message itself."""
        return self._message

    async def done(self) -> None:
        """Forget the message."""
        self._handed_out.discard(self._number)
        if self._table:
            self._table.remove(self._number)

    async def reject(self, reason: str) -> None:
        """Move the message to the dead letters."""
        self._handed_out.discard(self._number)
        if self._table:
            self._table.bury(self._number, reason)


class _Table:
    """The messages table; the calls stand in the event loop as they are, 20 µs each.

    WAL without fsync: a killed process loses nothing, a power cut may lose the last moment.
    """

    def __init__(self, path: Path | None) -> None:
        self.connection = sqlite3.connect(path or ":memory:", isolation_level=None)
        self.connection.execute("PRAGMA journal_mode = WAL")
        self.connection.execute("PRAGMA synchronous = NORMAL")
        self.connection.executescript(TABLES)
        # What an earlier process took and did not finish waits again.
        self.connection.execute("UPDATE messages SET taken = 0 WHERE taken = 1")

    def add(self, schema: str, body: str) -> None:
        self.connection.execute("INSERT INTO messages (schema, body) VALUES (?, ?)", (schema, body))

    def take(self, schema: str, limit: int) -> list[tuple[int, str]]:
        rows = self.connection.execute(
            "UPDATE messages SET taken = 1 WHERE number IN (SELECT number FROM messages"
            " WHERE schema = ? AND taken = 0 ORDER BY number LIMIT ?) RETURNING number, body",
            (schema, limit),
        ).fetchall()
        return sorted(rows)

    def hand_back(self, number: int) -> None:
        self.connection.execute("UPDATE messages SET taken = 0 WHERE number = ?", (number,))

    def remove(self, number: int) -> None:
        self.connection.execute("DELETE FROM messages WHERE number = ?", (number,))

    def bury(self, number: int, reason: str) -> None:
        self.connection.execute(
            "INSERT INTO dead_letters (schema, body, reason)"
            " SELECT schema, body, ? FROM messages WHERE number = ?",
            (reason, number),
        )
        self.remove(number)


class LocalBroker:
    """A Broker for one process. With a file, what was accepted outlives a kill of the process."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._opened: _Table | None = None
        self._arrived: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)
        self._listeners: defaultdict[str, list[asyncio.Queue[Message]]] = defaultdict(list)

    async def start(self) -> None:
        """Open the file."""
        try:
            self._opened = _Table(self._path)
        except sqlite3.Error as error:
            raise BrokerUnavailableError(f"Cannot open the queue {self._path}: {error}.") from None

    async def close(self) -> None:
        """Close the file."""
        if self._opened is not None:
            self._opened.connection.close()
            self._opened = None

    async def publish(self, message: Message) -> None:
        """Put a durable message into the file; hand any other to whoever listens now."""
        if message.DURABLE:
            try:
                self._table.add(message.SCHEMA, message.model_dump_json())
            except sqlite3.Error as error:
                raise BrokerUnavailableError(f"Cannot write the queue: {error}.") from None
            self._arrived[message.SCHEMA].set()
            return
        for queue in self._listeners[message.SCHEMA]:
            if not queue.full():
                queue.put_nowait(message)

    def subscribe(self, kind: type[M], max_batch: int) -> AsyncGenerator[list[Delivery[M]]]:
        """Batches of waiting messages; close the generator to hand back what is not done."""
        return self._durable(kind, max_batch) if kind.DURABLE else self._passing(kind, max_batch)

    @property
    def _table(self) -> _Table:
        if self._opened is None:
            raise BrokerUnavailableError("The broker is not started, or closed already.")
        return self._opened

    async def _durable(self, kind: type[M], max_batch: int) -> AsyncGenerator[list[Delivery[M]]]:
        arrived = self._arrived[kind.SCHEMA]
        handed_out: set[int] = set()
        try:
            while True:
                # Cleared before the look, so that what comes during the look wakes us again.
                arrived.clear()
                rows = self._table.take(kind.SCHEMA, max_batch)
                batch: list[Delivery[M]] = []
                for number, body in rows:
                    try:
                        message = kind.model_validate_json(body)
                    except ValidationError as error:
                        self._table.bury(number, f"not a {kind.SCHEMA} of today: {error}")
                        continue
                    handed_out.add(number)
                    batch.append(LocalDelivery(message, self._table, number, handed_out))
                if batch:
                    yield batch
                elif not rows:
                    await arrived.wait()
        finally:
            if self._opened is not None:
                for number in handed_out:
                    self._opened.hand_back(number)
                arrived.set()

    async def _passing(self, kind: type[M], max_batch: int) -> AsyncGenerator[list[Delivery[M]]]:
        queue: asyncio.Queue[M] = asyncio.Queue(BEST_EFFORT_BACKLOG)
        self._listeners[kind.SCHEMA].append(queue)  # type: ignore[arg-type]
        try:
            while True:
                batch: list[Delivery[M]] = [LocalDelivery(await queue.get())]
                while len(batch) < max_batch and not queue.empty():
                    batch.append(LocalDelivery(queue.get_nowait()))
                yield batch
        finally:
            self._listeners[kind.SCHEMA].remove(queue)  # type: ignore[arg-type]
