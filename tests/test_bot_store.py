"""What the bot remembers, in a file and in PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import asyncpg
import pytest
from postgres_server import PostgresServer

from horoscope.bot import store as store_module
from horoscope.bot.postgres import PostgresStore
from horoscope.bot.store import (
    KEEP_REQUESTS_S,
    Admission,
    Limits,
    Progress,
    SqliteStore,
    Store,
    StoreUnavailableError,
)
from horoscope.errors import InputError
from horoscope.messaging.messages import Address, HoroscopeRequest
from horoscope.zodiac import Sign

LIMITS = Limits(person=3, group=4)
GROUP = -100


class Clock:
    """Stands for the time module of the store."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def time(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(store_module, "time", clock)
    return clock


@pytest.fixture(params=["sqlite", "postgres"])
async def connect(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Store]:
    """Connects to one and the same memory each time."""
    if request.param == "sqlite":
        return lambda: SqliteStore(tmp_path / "deep" / "memory.sqlite")
    url = request.getfixturevalue("postgres")
    connection = await asyncpg.connect(url)
    await connection.execute("DROP TABLE IF EXISTS people, requests, said")
    await connection.close()
    return lambda: PostgresStore(url)


@pytest.fixture
async def store(connect: Callable[[], Store], clock: Clock) -> AsyncIterator[Store]:
    store = connect()
    await store.start()
    yield store
    await store.close()


def request(number: int, user: int = 1, chat: int | None = None) -> HoroscopeRequest:
    asked = datetime.fromtimestamp(1_000_000, UTC)
    return HoroscopeRequest(
        id=str(number),
        sign=Sign.LEO,
        date=date(2026, 8, 5),
        address=Address(chat_id=user if chat is None else chat, user_id=user),
        created_at=asked,
        expires_at=asked + timedelta(seconds=600),
    )


async def answered(store: Store, asked: HoroscopeRequest) -> Admission:
    admission = await store.admit(asked, LIMITS)
    await store.note_answered(asked.id)
    return admission


async def test_a_sign_is_remembered_changed_and_forgotten(store: Store) -> None:
    assert await store.sign_of(1) is None
    await store.remember_sign(1, Sign.LEO)
    await store.remember_sign(2, Sign.VIRGO)
    await store.remember_sign(1, Sign.ARIES)
    assert await store.sign_of(1) is Sign.ARIES
    await store.forget(1)
    assert await store.sign_of(1) is None
    assert await store.sign_of(2) is Sign.VIRGO


async def test_one_request_of_a_person_is_under_way_at_a_time(store: Store) -> None:
    assert await store.admit(request(1), LIMITS) is Admission.ADMITTED
    assert await store.admit(request(2), LIMITS) is Admission.BUSY
    assert await store.admit(request(3, user=2), LIMITS) is Admission.ADMITTED
    await store.note_answered("1")
    assert await store.admit(request(2), LIMITS) is Admission.ADMITTED


async def test_the_same_request_is_admitted_again_until_it_is_answered(store: Store) -> None:
    assert await store.admit(request(1), LIMITS) is Admission.ADMITTED
    assert await store.admit(request(1), LIMITS) is Admission.ADMITTED
    await store.note_answered("1")
    assert await store.admit(request(1), LIMITS) is Admission.ANSWERED


async def test_a_request_that_nobody_waits_for_blocks_nobody(store: Store, clock: Clock) -> None:
    await store.admit(request(1), LIMITS)
    clock.now += 601
    assert await store.admit(request(2), LIMITS) is not Admission.BUSY


async def test_a_person_has_so_many_a_minute(store: Store, clock: Clock) -> None:
    for number in range(3):
        assert await answered(store, request(number)) is Admission.ADMITTED
        clock.now += 10
    assert await store.admit(request(4), LIMITS) is Admission.PERSON_LIMIT
    assert await answered(store, request(5, user=2)) is Admission.ADMITTED
    clock.now += 31  # a minute after the first
    assert await answered(store, request(4)) is Admission.ADMITTED
    assert await store.admit(request(6), LIMITS) is Admission.PERSON_LIMIT


async def test_a_group_has_so_many_a_minute_for_all_together(store: Store, clock: Clock) -> None:
    for user in range(1, 5):
        assert await answered(store, request(user, user, GROUP)) is Admission.ADMITTED
    assert await store.admit(request(5, 5, GROUP), LIMITS) is Admission.GROUP_LIMIT
    assert await store.admit(request(5, 5, GROUP - 1), LIMITS) is Admission.ADMITTED
    clock.now += 61
    assert await store.admit(request(6, 6, GROUP), LIMITS) is Admission.ADMITTED


async def test_answers_that_cannot_reach_a_group_do_not_pile_up(store: Store, clock: Clock) -> None:
    for user in range(1, 5):
        await store.admit(request(user, user, GROUP), LIMITS)
    clock.now += 300
    assert await store.admit(request(5, 5, GROUP), LIMITS) is Admission.GROUP_LIMIT


async def test_how_far_an_answer_has_come_is_known(store: Store) -> None:
    assert await store.progress("1") == Progress()
    await store.admit(request(1), LIMITS)
    assert await store.note_placeholder("1", 77)
    assert await store.progress("1") == Progress(answered=False, placeholder=77)
    assert await store.note_answered("1") == 77
    assert (await store.progress("1")).answered
    assert await store.note_answered("1") is None
    assert not await store.note_placeholder("1", 78)
    await store.note_answered("of another bot")
    assert (await store.progress("of another bot")).answered


async def test_a_thing_is_said_once_in_a_while(store: Store, clock: Clock) -> None:
    assert await store.first_time("busy", 1, 60)
    assert not await store.first_time("busy", 1, 60)
    assert await store.first_time("busy", 2, 60)
    assert await store.first_time("limit", 1, 60)
    clock.now += 61
    assert await store.first_time("busy", 1, 60)
    assert not await store.first_time("busy", 1, 60)


async def test_who_is_forgotten_is_in_no_row_and_no_answer_comes_twice(
    store: Store,
) -> None:
    person = 123_456_789
    await store.remember_sign(person, Sign.LEO)
    await store.admit(request(1, person), LIMITS)
    await store.admit(request(2, person + 1), LIMITS)
    await store.note_answered("1")
    await store.first_time("busy", person, 60)
    await store.forget(person)
    assert (await store.progress("1")).answered
    for table in ("people", "requests", "said"):
        rows = await store._execute(f"SELECT * FROM {table}")
        assert person not in {value for row in rows for value in row}
        assert table != "requests" or len(rows) == 2


async def test_what_is_forgotten_survives_a_restart_no_more_than_the_rest(
    connect: Callable[[], Store],
) -> None:
    first = connect()
    await first.start()
    await first.remember_sign(1, Sign.LEO)
    await first.remember_sign(2, Sign.LEO)
    await first.forget(2)
    await first.close()
    second = connect()
    await second.start()
    assert await second.sign_of(1) is Sign.LEO
    assert await second.sign_of(2) is None
    await second.close()


async def test_old_requests_are_cleared_away(store: Store, clock: Clock) -> None:
    for number in range(50):
        await answered(store, request(number, user=number))
    clock.now += KEEP_REQUESTS_S + 1
    for number in range(50, 80):
        await answered(store, request(number, user=number))
    [(left,)] = await store._execute("SELECT count(*) FROM requests")
    assert left == 30


async def test_a_store_that_cannot_be_used_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreUnavailableError, match="HOROSCOPE_DATA"):
        await SqliteStore(tmp_path / "file" / "memory.sqlite").start()
    (tmp_path / "broken").write_bytes(b"no database at all" * 100)
    with pytest.raises(StoreUnavailableError, match="HOROSCOPE_DATA"):
        await SqliteStore(tmp_path / "broken").start()
    with pytest.raises(StoreUnavailableError):
        await SqliteStore().sign_of(1)


# What is particular to PostgreSQL.


@pytest.fixture
async def others(postgres: str, clock: Clock) -> AsyncIterator[list[Store]]:
    """Several bots with one memory."""
    bots: list[Store] = [PostgresStore(postgres) for _ in range(4)]
    await asyncio.gather(*(bot.start() for bot in bots))
    yield bots
    await asyncio.gather(*(bot.close() for bot in bots))


async def test_bots_that_start_at_once_make_the_tables_once(postgres: str) -> None:
    connection = await asyncpg.connect(postgres)
    await connection.execute("DROP TABLE IF EXISTS people, requests, said")
    await connection.close()
    bots = [PostgresStore(postgres) for _ in range(8)]
    await asyncio.gather(*(bot.start() for bot in bots))
    await bots[0].remember_sign(1, Sign.LEO)
    assert await bots[7].sign_of(1) is Sign.LEO
    await asyncio.gather(*(bot.close() for bot in bots))


async def test_limits_hold_for_all_bots_together(others: list[Store]) -> None:
    group = -987
    admissions = await asyncio.gather(
        *(
            others[number % 4].admit(request(1000 + number, 5000 + number, group), LIMITS)
            for number in range(40)
        )
    )
    assert admissions.count(Admission.ADMITTED) == LIMITS.group
    same_person = [others[n % 4].admit(request(2000 + n, 6000), LIMITS) for n in range(20)]
    admissions = await asyncio.gather(*same_person)
    assert admissions.count(Admission.ADMITTED) == 1
    assert admissions.count(Admission.BUSY) == 19


async def test_a_database_that_is_away_is_said_in_one_line_and_heals() -> None:
    server = PostgresServer()
    try:
        server.start()
        store = PostgresStore(server.url.replace("horoscope@", "horoscope:hush@"))
        await store.start()
        await store.remember_sign(1, Sign.LEO)
        server.stop()
        with pytest.raises(
            StoreUnavailableError, match=r"PostgreSQL cannot be used at 127"
        ) as said:
            await store.sign_of(1)
        assert "hush" not in str(said.value)
        assert "\n" not in str(said.value)
        with pytest.raises(StoreUnavailableError):
            await store.admit(request(1), LIMITS)
        server.start()
        assert await store.sign_of(1) is Sign.LEO
        await store.close()
    finally:
        server.remove()


async def test_a_url_that_cannot_be_one_is_named() -> None:
    with pytest.raises(InputError, match="HOROSCOPE_DATABASE_URL"):
        await PostgresStore("mysql://127.0.0.1/x").start()


@pytest.mark.parametrize("password", ["ж/ж", "ж#ж", "ж[ж"])
async def test_a_url_that_cannot_be_read_shows_nothing_of_its_password(password: str) -> None:
    with pytest.raises(InputError, match="HOROSCOPE_DATABASE_URL") as said:
        await PostgresStore(f"postgresql://bot:{password}@127.0.0.1:1/x").start()
    assert "ж" not in str(said.value)


async def test_of_several_hosts_that_are_away_all_are_named() -> None:
    store = PostgresStore("postgresql://bot:secret@127.0.0.1:1,127.0.0.1:2/x")
    with pytest.raises(StoreUnavailableError, match=r"at 127\.0\.0\.1:1,127\.0\.0\.1:2: "):
        await store._start()
