"""What several bots remember together, in PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import asyncpg

from horoscope.bot.store import TABLES, Execute, Store, StoreUnavailableError
from horoscope.errors import InputError
from horoscope.patience import insist

CONNECTIONS = 10
CONNECT_S = 5.0
COMMAND_S = 5.0
# Two bots that start at once would both make the tables.
SCHEMA_LOCK = 7_310_884_251

FAILURES = (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError)


class PostgresStore(Store):
    """A Store in PostgreSQL, for any number of bots. The calls take about a millisecond."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._pool: asyncpg.Pool | None = None

    async def start(self) -> None:
        """Connect and make the tables; waits until PostgreSQL is there. Raises InputError."""
        await insist(self._start)

    async def _start(self) -> None:
        try:
            self._pool = await asyncpg.create_pool(
                self._url,
                min_size=1,
                max_size=CONNECTIONS,
                timeout=CONNECT_S,
                command_timeout=COMMAND_S,
                server_settings={"application_name": "horoscope"},
            )
            async with self._alone_with(SCHEMA_LOCK) as execute:
                for statement in TABLES.split(";"):
                    if statement.strip():
                        await execute(statement)
        except asyncpg.exceptions.ClientConfigurationError as error:
            raise InputError(f"HOROSCOPE_DATABASE_URL cannot be used: {error}.") from None
        except ValueError:  # it would quote the password
            raise InputError(
                "HOROSCOPE_DATABASE_URL cannot be read: it is postgresql://user:password@host/name,"
                " with odd characters of the password as %XX."
            ) from None
        except FAILURES as error:
            raise self._unavailable(error) from None

    async def close(self) -> None:
        """Let go of all connections."""
        if self._pool is not None:
            pool, self._pool = self._pool, None
            try:
                await asyncio.wait_for(pool.close(), CONNECT_S)
            except (TimeoutError, *FAILURES):
                pool.terminate()

    async def _execute(self, statement: str, *values: Any) -> Sequence[Sequence[Any]]:
        try:
            rows: list[Sequence[Any]] = await self._opened.fetch(statement, *values)
        except FAILURES as error:
            raise self._unavailable(error) from None
        return rows

    @asynccontextmanager
    async def _alone_with(self, *numbers: int) -> AsyncIterator[Execute]:
        try:
            async with (
                self._opened.acquire(timeout=CONNECT_S) as connection,
                connection.transaction(),
            ):
                for number in sorted(set(numbers)):  # in one order, so that nobody waits in a ring
                    await connection.execute("SELECT pg_advisory_xact_lock($1)", number)
                yield connection.fetch
        except FAILURES as error:
            raise self._unavailable(error) from None

    @property
    def _opened(self) -> asyncpg.Pool:
        if self._pool is None:
            raise StoreUnavailableError("The bots' memory is not open.")
        return self._pool

    def _unavailable(self, error: Exception) -> StoreUnavailableError:
        hosts = urlsplit(self._url).netloc.rpartition("@")[2]
        why = " ".join(str(error).split()) or type(error).__name__
        return StoreUnavailableError(f"PostgreSQL cannot be used at {hosts}: {why}.")
