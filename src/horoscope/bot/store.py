"""What the bot remembers: people's signs, which requests are under way, what was said already."""

import sqlite3
import time
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, Protocol

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


class Store(Protocol):
    """The memory of all bots with one token. Everything raises StoreUnavailableError."""

    async def start(self) -> None:
        """Connect."""

    async def close(self) -> None:
        """Let go."""

    async def sign_of(self, user_id: int) -> Sign | None:
        """The sign that a person asked to remember."""

    async def remember_sign(self, user_id: int, sign: Sign) -> None:
        """Remember a person's sign."""

    async def forget(self, user_id: int) -> None:
        """Delete everything that says who the person is."""

    async def admit(self, request: HoroscopeRequest, limits: Limits) -> Admission:
        """Note a request that is about to be published, if it is within the limits.

        A request that was admitted before is admitted again: it may not have been published.
        """

    async def progress(self, request_id: str) -> Progress:
        """How far the answer has come."""

    async def note_placeholder(self, request_id: str, message_id: int) -> None:
        """Note the message that the answer shall replace."""

    async def note_answered(self, request_id: str) -> None:
        """Note that the answer was delivered."""

    async def first_time(self, what: str, subject: int, seconds: float) -> bool:
        """Whether `what` was not said to a person or chat in the last `seconds`; notes that."""


TABLES = """
CREATE TABLE IF NOT EXISTS people (
    user_id INTEGER PRIMARY KEY,
    sign TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS requests (
    id TEXT PRIMARY KEY,
    user_id INTEGER,
    chat_id INTEGER,
    asked_at REAL NOT NULL,
    expires_at REAL NOT NULL,
    placeholder INTEGER,
    answered INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS requests_by_age ON requests (asked_at);
CREATE INDEX IF NOT EXISTS requests_by_person ON requests (user_id, asked_at);
CREATE INDEX IF NOT EXISTS requests_by_chat ON requests (chat_id, asked_at);
CREATE INDEX IF NOT EXISTS waiting_by_person ON requests (user_id) WHERE NOT answered;
CREATE INDEX IF NOT EXISTS waiting_by_chat ON requests (chat_id) WHERE NOT answered;
CREATE TABLE IF NOT EXISTS said (
    subject INTEGER,
    what TEXT,
    until REAL NOT NULL,
    PRIMARY KEY (subject, what)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS said_by_age ON said (until);
"""


class SqliteStore:
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

    async def sign_of(self, user_id: int) -> Sign | None:
        """The sign that a person asked to remember."""
        rows = self._execute("SELECT sign FROM people WHERE user_id = ?", user_id)
        return Sign(rows[0][0]) if rows else None

    async def remember_sign(self, user_id: int, sign: Sign) -> None:
        """Remember a person's sign."""
        self._execute("INSERT OR REPLACE INTO people VALUES (?, ?)", user_id, sign.value)

    async def forget(self, user_id: int) -> None:
        """Delete the person's sign and notes, and take their name off their requests."""
        self._execute("DELETE FROM people WHERE user_id = ?", user_id)
        self._execute("DELETE FROM said WHERE subject = ?", user_id)
        # A private chat has its person's number, a group has one below zero.
        self._execute(
            "UPDATE requests SET user_id = NULL, chat_id = min(chat_id, 0) WHERE user_id = ?",
            user_id,
        )

    async def admit(self, request: HoroscopeRequest, limits: Limits) -> Admission:
        """Note a request that is about to be published, if it is within the limits."""
        now = time.time()
        self._tidy(now)
        rows = self._execute("SELECT answered FROM requests WHERE id = ?", request.id)
        if rows:
            return Admission.ANSWERED if rows[0][0] else Admission.ADMITTED
        chat_id, user_id = request.address.chat_id, request.address.user_id
        if user_id is not None:
            if self._waiting("user_id", user_id, now):
                return Admission.BUSY
            if self._asked_lately("user_id", user_id, now) >= limits.person:
                return Admission.PERSON_LIMIT
        if chat_id < 0:
            # Answers that Telegram keeps back for a group must not pile up without end.
            waiting = self._waiting("chat_id", chat_id, now)
            if max(waiting, self._asked_lately("chat_id", chat_id, now)) >= limits.group:
                return Admission.GROUP_LIMIT
        self._execute(
            "INSERT INTO requests (id, user_id, chat_id, asked_at, expires_at)"
            " VALUES (?, ?, ?, ?, ?)",
            *(request.id, user_id, chat_id, now, request.expires_at.timestamp()),
        )
        return Admission.ADMITTED

    async def progress(self, request_id: str) -> Progress:
        """How far the answer has come."""
        rows = self._execute("SELECT answered, placeholder FROM requests WHERE id = ?", request_id)
        return Progress(bool(rows[0][0]), rows[0][1]) if rows else Progress()

    async def note_placeholder(self, request_id: str, message_id: int) -> None:
        """Note the message that the answer shall replace."""
        self._execute("UPDATE requests SET placeholder = ? WHERE id = ?", message_id, request_id)

    async def note_answered(self, request_id: str) -> None:
        """Note that the answer was delivered."""
        now = time.time()
        self._execute(
            "INSERT INTO requests (id, asked_at, expires_at, answered) VALUES (?, ?, ?, 1)"
            " ON CONFLICT (id) DO UPDATE SET answered = 1",
            *(request_id, now, now),
        )

    async def first_time(self, what: str, subject: int, seconds: float) -> bool:
        """Whether `what` was not said to a person or chat in the last `seconds`; notes that."""
        now = time.time()
        rows = self._execute(
            "INSERT INTO said (subject, what, until) VALUES (?, ?, ?)"
            " ON CONFLICT DO UPDATE SET until = excluded.until WHERE until <= ?"
            " RETURNING 1",
            *(subject, what, now + seconds, now),
        )
        return bool(rows)

    def _asked_lately(self, column: str, value: int, now: float) -> int:
        count: int = self._execute(
            f"SELECT count(*) FROM requests WHERE {column} = ? AND asked_at > ?", value, now - 60
        )[0][0]
        return count

    def _waiting(self, column: str, value: int, now: float) -> int:
        count: int = self._execute(
            f"SELECT count(*) FROM requests WHERE {column} = ? AND NOT answered AND expires_at > ?",
            *(value, now),
        )[0][0]
        return count

    def _tidy(self, now: float) -> None:
        # A few rows with each request: no pause ever, and the file stays as large as a day is.
        self._execute(
            "DELETE FROM requests WHERE id IN"
            " (SELECT id FROM requests WHERE asked_at < ? ORDER BY asked_at LIMIT 3)",
            now - KEEP_REQUESTS_S,
        )
        self._execute(
            "DELETE FROM said WHERE (subject, what) IN"
            " (SELECT subject, what FROM said WHERE until < ? ORDER BY until LIMIT 3)",
            now,
        )

    def _execute(self, statement: str, *values: Any) -> list[Any]:
        if self._connection is None:
            raise StoreUnavailableError("The bot's memory is not open.")
        try:
            return self._connection.execute(statement, values).fetchall()
        except sqlite3.Error as error:
            raise StoreUnavailableError(f"The bot's memory cannot be used: {error}.") from None
