"""What the bot remembers: people's signs, which requests are under way, what was said already."""

import sqlite3
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from horoscope.messaging.messages import HoroscopeRequest
from horoscope.patience import UnavailableError
from horoscope.zodiac import Sign

# Telegram forgets an update that nobody took after a day; so long it may come again.
KEEP_REQUESTS_S = 86_400 + 3600


class StoreUnavailableError(UnavailableError):
    """Nothing can be remembered or recalled now."""


class Admission(Enum):
    """What becomes of a request."""

    ADMITTED = "admitted"
    ANSWERED = "answered"  # it came again
    BUSY = "busy"  # the person's last request is not answered yet
    PERSON_LIMIT = "person_limit"
    GROUP_LIMIT = "group_limit"


@dataclass(frozen=True)
class Limits:
    """Requests a minute."""

    person: int
    group: int


@dataclass(frozen=True)
class Progress:
    """How far the answer to a request has come."""

    answered: bool = False
    placeholder: int | None = None
    """The message in a group that shows the growing text."""


Execute = Callable[..., Awaitable[Sequence[Sequence[Any]]]]
"""Runs one statement with its values ($1 is the first); returns the rows."""

# SQLite and PostgreSQL both understand these, and all the statements below.
TABLES = """
CREATE TABLE IF NOT EXISTS people (
    user_id BIGINT PRIMARY KEY,
    sign TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS requests (
    id TEXT PRIMARY KEY,
    user_id BIGINT,
    chat_id BIGINT,
    asked_at DOUBLE PRECISION NOT NULL,
    expires_at DOUBLE PRECISION NOT NULL,
    placeholder BIGINT,
    answered INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS requests_by_age ON requests (asked_at);
CREATE INDEX IF NOT EXISTS requests_by_person ON requests (user_id, asked_at);
CREATE INDEX IF NOT EXISTS requests_by_chat ON requests (chat_id, asked_at);
CREATE INDEX IF NOT EXISTS waiting_by_person ON requests (user_id) WHERE answered = 0;
CREATE INDEX IF NOT EXISTS waiting_by_chat ON requests (chat_id) WHERE answered = 0;
CREATE TABLE IF NOT EXISTS said (
    subject BIGINT,
    what TEXT,
    until DOUBLE PRECISION NOT NULL,
    PRIMARY KEY (subject, what)
);
CREATE INDEX IF NOT EXISTS said_by_age ON said (until);
"""


class Store(ABC):
    """The memory of all bots with one token. Everything raises StoreUnavailableError."""

    @abstractmethod
    async def start(self) -> None:
        """Connect."""

    @abstractmethod
    async def close(self) -> None:
        """Let go."""

    @abstractmethod
    async def _execute(self, statement: str, *values: Any) -> Sequence[Sequence[Any]]:
        """Run one statement."""

    @abstractmethod
    def _alone_with(self, *numbers: int) -> AbstractAsyncContextManager[Execute]:
        """Run statements in one transaction, while no other bot does for the same numbers."""

    async def sign_of(self, user_id: int) -> Sign | None:
        """The sign that a person asked to remember."""
        rows = await self._execute("SELECT sign FROM people WHERE user_id = $1", user_id)
        return Sign(rows[0][0]) if rows else None

    async def remember_sign(self, user_id: int, sign: Sign) -> None:
        """Remember a person's sign."""
        await self._execute(
            "INSERT INTO people (user_id, sign) VALUES ($1, $2)"
            " ON CONFLICT (user_id) DO UPDATE SET sign = excluded.sign",
            *(user_id, sign.value),
        )

    async def forget(self, user_id: int) -> None:
        """Delete the person's sign and notes, and take their name off their requests."""
        async with self._alone_with(user_id) as execute:
            await execute("DELETE FROM people WHERE user_id = $1", user_id)
            await execute("DELETE FROM said WHERE subject = $1", user_id)
            # A private chat has its person's number, a group has one below zero.
            await execute(
                "UPDATE requests SET user_id = NULL,"
                " chat_id = CASE WHEN chat_id < 0 THEN chat_id ELSE 0 END WHERE user_id = $1",
                user_id,
            )

    async def admit(self, request: HoroscopeRequest, limits: Limits) -> Admission:
        """Note a request that is about to be published, if it is within the limits.

        A request that was admitted before is admitted again: it may not have been published.
        """
        now = time.time()
        await self._tidy(now)
        chat_id, user_id = request.address.chat_id, request.address.user_id
        async with self._alone_with(chat_id, user_id or 0) as execute:
            rows = await execute("SELECT answered FROM requests WHERE id = $1", request.id)
            if rows:
                return Admission.ANSWERED if rows[0][0] else Admission.ADMITTED
            if user_id is not None:
                if await _waiting(execute, "user_id", user_id, now):
                    return Admission.BUSY
                if await _asked_lately(execute, "user_id", user_id, now) >= limits.person:
                    return Admission.PERSON_LIMIT
            if chat_id < 0:
                # Answers that Telegram keeps back for a group must not pile up without end.
                waiting = await _waiting(execute, "chat_id", chat_id, now)
                lately = await _asked_lately(execute, "chat_id", chat_id, now)
                if max(waiting, lately) >= limits.group:
                    return Admission.GROUP_LIMIT
            await execute(
                "INSERT INTO requests (id, user_id, chat_id, asked_at, expires_at)"
                " VALUES ($1, $2, $3, $4, $5)",
                *(request.id, user_id, chat_id, now, request.expires_at.timestamp()),
            )
        return Admission.ADMITTED

    async def progress(self, request_id: str) -> Progress:
        """How far the answer has come."""
        rows = await self._execute(
            "SELECT answered, placeholder FROM requests WHERE id = $1", request_id
        )
        return Progress(bool(rows[0][0]), rows[0][1]) if rows else Progress()

    async def note_placeholder(self, request_id: str, message_id: int) -> bool:
        """Note the message that the answer shall replace; False if the answer is there already."""
        rows = await self._execute(
            "UPDATE requests SET placeholder = $1 WHERE id = $2 AND answered = 0 RETURNING 1",
            *(message_id, request_id),
        )
        return bool(rows)

    async def note_answered(self, request_id: str) -> int | None:
        """Note that the answer was delivered; the placeholder, if this is the first note of it."""
        rows = await self._execute(
            "INSERT INTO requests (id, asked_at, expires_at, answered) VALUES ($1, $2, $2, 1)"
            " ON CONFLICT (id) DO UPDATE SET answered = 1 WHERE requests.answered = 0"
            " RETURNING placeholder",
            *(request_id, time.time()),
        )
        return rows[0][0] if rows else None

    async def first_time(self, what: str, subject: int, seconds: float) -> bool:
        """Whether `what` was not said to a person or chat in the last `seconds`; notes that."""
        now = time.time()
        rows = await self._execute(
            "INSERT INTO said (subject, what, until) VALUES ($1, $2, $3)"
            " ON CONFLICT (subject, what) DO UPDATE SET until = excluded.until"
            " WHERE said.until <= $4 RETURNING 1",
            *(subject, what, now + seconds, now),
        )
        return bool(rows)

    async def _tidy(self, now: float) -> None:
        # A few rows with each request: no pause ever, and the tables stay as large as a day is.
        await self._execute(
            "DELETE FROM requests WHERE id IN"
            " (SELECT id FROM requests WHERE asked_at < $1 ORDER BY asked_at LIMIT 3)",
            now - KEEP_REQUESTS_S,
        )
        await self._execute(
            "DELETE FROM said WHERE (subject, what) IN"
            " (SELECT subject, what FROM said WHERE until < $1 ORDER BY until LIMIT 3)",
            now,
        )


class SqliteStore(Store):
    """A Store in one file (or in memory), for one bot. The calls take microseconds."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None

    async def start(self) -> None:
        """Open the file. Raises StoreUnavailableError."""
        try:
            if self._path:
                self._path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(self._path or ":memory:", isolation_level=None)
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = NORMAL")
            # What is forgotten shall not be found in the file either.
            self._connection.execute("PRAGMA secure_delete = ON")
            self._connection.executescript(TABLES)
        except (sqlite3.Error, OSError) as error:
            raise StoreUnavailableError(
                f"{self._path} cannot be used: {error}; see HOROSCOPE_DATA."
            ) from None

    async def close(self) -> None:
        """Close the file."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    async def _execute(self, statement: str, *values: Any) -> Sequence[Sequence[Any]]:
        if self._connection is None:
            raise StoreUnavailableError("The bot's memory is not open.")
        try:
            # SQLite writes ?1 where PostgreSQL writes $1.
            return self._connection.execute(statement.replace("$", "?"), values).fetchall()
        except sqlite3.Error as error:
            raise StoreUnavailableError(f"The bot's memory cannot be used: {error}.") from None

    @asynccontextmanager
    async def _alone_with(self, *_: int) -> AsyncIterator[Execute]:
        # Nothing above waits, so nobody else in the one process comes in between.
        yield self._execute


async def _asked_lately(execute: Execute, column: str, value: int, now: float) -> int:
    rows = await execute(
        f"SELECT count(*) FROM requests WHERE {column} = $1 AND asked_at > $2", value, now - 60
    )
    return int(rows[0][0])


async def _waiting(execute: Execute, column: str, value: int, now: float) -> int:
    rows = await execute(
        f"SELECT count(*) FROM requests WHERE {column} = $1 AND answered = 0 AND expires_at > $2",
        *(value, now),
    )
    return int(rows[0][0])
