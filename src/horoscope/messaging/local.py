"""The broker inside one process: an SQLite file keeps what is durable, asyncio wakes who waits."""

import asyncio
import itertools
import sqlite3
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Generic, TypeVar, cast

from horoscope.messaging.broker import (
    BrokerUnavailableError,
    DeadLetter,
    PassingDelivery,
    Subscription,
)
from horoscope.messaging.messages import Message, UnreadableError, read

M = TypeVar("M", bound=Message)

# A best-effort subscriber that falls behind misses messages, as it would in any network.
BEST_EFFORT_BACKLOG = 1000
# How long to wait for the process that has the file: one that is about to leave, at most.
LOCK_PATIENCE_S = 3

TABLES = """
CREATE TABLE IF NOT EXISTS messages (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    schema TEXT NOT NULL,
    version INTEGER NOT NULL,
    key TEXT NOT NULL,
    body TEXT NOT NULL,
    taker INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS waiting ON messages (schema, number) WHERE taker = 0;
CREATE INDEX IF NOT EXISTS taken ON messages (schema, key) WHERE taker > 0;
CREATE TABLE IF NOT EXISTS dead_letters (
    number INTEGER PRIMARY KEY,
    schema TEXT NOT NULL,
    version INTEGER NOT NULL,
    key TEXT NOT NULL,
    body TEXT NOT NULL,
    reason TEXT NOT NULL,
    at REAL NOT NULL
);
"""
TAKE = """
UPDATE messages SET taker = :taker WHERE number IN (
    SELECT number FROM messages AS mine
    WHERE schema = :schema AND taker = 0 AND NOT EXISTS (
        SELECT 1 FROM messages AS others
        WHERE others.schema = :schema AND others.key = mine.key
        AND others.taker > 0 AND others.taker != :taker
    )
    ORDER BY number LIMIT :limit
) RETURNING number, version, body
"""
BURY = """
INSERT OR REPLACE INTO dead_letters (number, schema, version, key, body, reason, at)
SELECT number, schema, version, key, body, ?, ? FROM messages WHERE number = ?
"""


class LocalBroker:
    """A Broker for one process. With a file, what was accepted outlives a kill of the process.

    The calls of SQLite stand in the event loop as they are: they take 20 µs each. The file is in
    WAL mode without fsync: a killed process loses nothing, a power cut may lose the last moment.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None
        self._takers = itertools.count(1)
        self._changed: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)
        self._listeners: defaultdict[str, list[asyncio.Queue[Message]]] = defaultdict(list)

    async def start(self) -> None:
        """Open the file. Raises BrokerUnavailableError, also if another process has it."""
        try:
            if self._path:
                self._path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(
                self._path or ":memory:", timeout=LOCK_PATIENCE_S, isolation_level=None
            )
            # Two processes on one queue would do each other's work twice.
            self._connection.execute("PRAGMA locking_mode = EXCLUSIVE")
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = NORMAL")
            self._connection.executescript(TABLES)
            # What an earlier process took and did not finish waits again.
            self._connection.execute("UPDATE messages SET taker = 0 WHERE taker > 0")
        except (sqlite3.Error, OSError) as error:
            await self.close()
            raise BrokerUnavailableError(
                f"The queue {self._path} cannot be used: {error}. If another bot runs with it,"
                " give this one its own HOROSCOPE_DATA."
            ) from None

    async def close(self) -> None:
        """Close the file."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    async def publish(self, message: Message) -> None:
        """Put a durable message into the file; hand any other to whoever listens now."""
        if not message.DURABLE:
            for queue in self._listeners[message.SCHEMA]:
                if not queue.full():
                    queue.put_nowait(message)
            return
        self.execute(
            "INSERT INTO messages (schema, version, key, body) VALUES (?, ?, ?, ?)",
            (message.SCHEMA, message.VERSION, message.key, message.model_dump_json()),
        )
        self.wake(message.SCHEMA)

    def subscribe(self, kind: type[M], max_batch: int) -> Subscription[M]:
        """Subscribe to the messages of one kind, in batches of `max_batch` at most."""
        if kind.DURABLE:
            return _DurableSubscription(self, kind, max_batch, next(self._takers))
        listeners = cast("list[asyncio.Queue[M]]", self._listeners[kind.SCHEMA])
        return _PassingSubscription(listeners, max_batch)

    async def dead_letters(self, limit: int) -> Sequence[DeadLetter]:
        """The oldest of the messages that were rejected or could not be read."""
        rows = self.execute(
            "SELECT number, schema, version, key, body, reason, at FROM dead_letters"
            " ORDER BY number LIMIT ?",
            (limit,),
        )
        return [
            DeadLetter(str(number), schema, str(version), key, body, reason, _moment(at))
            for number, schema, version, key, body, reason, at in rows
        ]

    async def replay(self, letter: DeadLetter, body: str) -> None:
        """Put `body` into the queue in place of a dead letter."""
        self.execute(
            "INSERT INTO messages (schema, version, key, body) VALUES (?, ?, ?, ?)",
            (letter.schema, int(letter.version), letter.key, body),
        )
        self.execute("DELETE FROM dead_letters WHERE number = ?", (int(letter.origin),))
        self.wake(letter.schema)

    def execute(self, statement: str, values: Any = ()) -> list[Any]:
        """Run one statement. Raises BrokerUnavailableError."""
        if self._connection is None:
            raise BrokerUnavailableError("The broker is not started, or closed already.")
        try:
            return self._connection.execute(statement, values).fetchall()
        except sqlite3.Error as error:
            raise BrokerUnavailableError(f"The queue cannot be used: {error}.") from None

    def bury(self, number: int, reason: str) -> None:
        """Move a message to the dead letters."""
        # The copy first: killed between the two, the message comes once more.
        self.execute(BURY, (reason, time.time(), number))
        self.execute("DELETE FROM messages WHERE number = ?", (number,))

    def wake(self, schema: str) -> None:
        """Have the subscribers to a schema look again."""
        self._changed[schema].set()

    async def wait(self, schema: str) -> None:
        """Wait until there may be something new."""
        changed = self._changed[schema]
        await changed.wait()
        changed.clear()


class _LocalDelivery(Generic[M]):
    def __init__(self, broker: LocalBroker, message: M, number: int) -> None:
        self.message = message
        self.headers: Mapping[str, str] = {}
        self._broker = broker
        self._number = number

    async def done(self) -> None:
        self._broker.execute("DELETE FROM messages WHERE number = ?", (self._number,))
        self._broker.wake(self.message.SCHEMA)

    async def reject(self, reason: str) -> None:
        self._broker.bury(self._number, reason)
        self._broker.wake(self.message.SCHEMA)


class _DurableSubscription(Generic[M]):
    share = 1.0

    def __init__(self, broker: LocalBroker, kind: type[M], max_batch: int, taker: int) -> None:
        self._broker = broker
        self._kind = kind
        self._max_batch = max_batch
        self._taker = taker

    async def take(self) -> list[_LocalDelivery[M]]:
        schema = self._kind.SCHEMA
        values = {"taker": self._taker, "schema": schema, "limit": self._max_batch}
        while True:
            batch = []
            rows = sorted(self._broker.execute(TAKE, values))
            for number, version, body in rows:
                try:
                    message = read(self._kind, schema, str(version), body)
                except UnreadableError as error:
                    self._broker.bury(number, str(error))
                    continue
                batch.append(_LocalDelivery(self._broker, message, number))
            if batch:
                return batch
            if not rows:
                await self._broker.wait(schema)

    async def close(self) -> None:
        try:
            self._broker.execute(
                "UPDATE messages SET taker = 0 WHERE schema = ? AND taker = ?",
                (self._kind.SCHEMA, self._taker),
            )
        except BrokerUnavailableError:
            return  # the next start hands it back
        self._broker.wake(self._kind.SCHEMA)


class _PassingSubscription(Generic[M]):
    share = 1.0

    def __init__(self, listeners: list[asyncio.Queue[M]], max_batch: int) -> None:
        self._queue: asyncio.Queue[M] = asyncio.Queue(BEST_EFFORT_BACKLOG)
        self._max_batch = max_batch
        self._listeners = listeners
        listeners.append(self._queue)

    async def take(self) -> list[PassingDelivery[M]]:
        batch = [PassingDelivery(await self._queue.get())]
        while len(batch) < self._max_batch and not self._queue.empty():
            batch.append(PassingDelivery(self._queue.get_nowait()))
        return batch

    async def close(self) -> None:
        if self._queue in self._listeners:
            self._listeners.remove(self._queue)


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
