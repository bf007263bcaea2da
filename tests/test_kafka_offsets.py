"""What is committed when things are done in any order: nothing undone is skipped, ever."""

from hypothesis import given
from hypothesis import strategies as st

from horoscope.messaging.kafka.offsets import LONGEST_NOTE, Offsets


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[int], list[int]]:
    """Offsets as they come (with gaps, as transactions leave them), and those that get done."""
    steps = draw(st.lists(st.integers(1, 3), max_size=60))
    came = [sum(steps[: n + 1]) for n in range(len(steps))]
    done = draw(st.lists(st.sampled_from(came), unique=True)) if came else []
    return came, done


def seen_by_next_owner(position: tuple[int, str], log: list[int]) -> tuple[Offsets, set[int]]:
    committed, note = position
    offsets = Offsets(committed, note)
    return offsets, {o for o in log if o >= committed and offsets.begin(o)}


@given(histories())
def test_the_next_owner_gets_all_that_is_undone_and_nothing_that_is_done(
    history: tuple[list[int], list[int]],
) -> None:
    came, done = history
    offsets = Offsets()
    assert all(offsets.begin(offset) for offset in came)
    for offset in done:
        offsets.done(offset)
    _, again = seen_by_next_owner(offsets.position(), came)
    assert again == set(came) - set(done)


@given(histories(), st.data())
def test_that_holds_through_many_owners_each_of_whom_sees_only_a_part(
    history: tuple[list[int], list[int]], data: st.DataObject
) -> None:
    log, _ = history
    undone = set(log)
    position = (0, "")
    for _ in range(4):
        committed, note = position
        owner = Offsets(committed, note)
        here = [o for o in log if o >= committed]
        fetched = here[: data.draw(st.integers(0, len(here)))]
        mine = {o for o in fetched if owner.begin(o)}
        assert mine == undone & set(fetched)
        finished = set(
            data.draw(st.lists(st.sampled_from(sorted(mine)), unique=True)) if mine else []
        )
        for offset in finished:
            owner.done(offset)
        undone -= finished
        position = owner.position()
    _, left = seen_by_next_owner(position, log)
    assert left == undone


@given(histories(), st.dictionaries(st.integers(0, 60), st.integers(0, 3), max_size=5))
def test_a_partition_that_is_read_once_more_loses_nothing(
    history: tuple[list[int], list[int]], steps_back: dict[int, int]
) -> None:
    came, done = history
    offsets = Offsets()
    delivered: set[int] = set()
    for place, offset in enumerate(came):
        back = steps_back.get(place, 0)
        for each in (offset, *came[max(0, place - back) : place]):
            if offsets.begin(each):
                delivered.add(each)
        if offset in done and offset % 2:
            offsets.done(offset)
    for offset in done:
        offsets.done(offset)
    assert delivered == set(came)
    _, again = seen_by_next_owner(offsets.position(), came)
    assert again == set(came) - set(done)


def test_what_is_done_in_order_needs_no_note() -> None:
    offsets = Offsets(5)
    for offset in range(5, 10):
        offsets.begin(offset)
        assert offsets.position() == (offset, "")
        offsets.done(offset)
        assert offsets.position() == (offset + 1, "")


def test_a_note_says_which_are_not_done() -> None:
    offsets = Offsets()
    for offset in range(100, 110):
        offsets.begin(offset)
    for offset in (101, 102, 107):
        offsets.done(offset)
    assert offsets.position() == (100, "8:0-0,3-6")


def test_a_note_stays_short_and_what_does_not_fit_comes_again() -> None:
    offsets = Offsets()
    for offset in range(10_000):
        offsets.begin(offset)
    for offset in range(1, 10_000, 2):
        offsets.done(offset)
    position = offsets.position()
    assert len(position[1]) <= LONGEST_NOTE
    _, again = seen_by_next_owner(position, list(range(10_000)))
    assert again >= set(range(0, 10_000, 2))
    assert len(again) < 10_000


@given(st.integers(0, 100), st.text() | st.from_regex(r"\d{1,3}:(\d{1,2}-\d{1,2},?){0,3}"))
def test_a_note_of_another_program_does_no_harm(committed: int, note: str) -> None:
    offsets = Offsets(committed, note)
    offsets.begin(committed)
    offsets.done(committed)
    assert offsets.position()[0] >= committed
