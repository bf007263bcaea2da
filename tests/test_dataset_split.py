from collections import defaultdict
from datetime import date, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from horoscope.dataset.examples import SPLITS
from horoscope.dataset.split import split
from horoscope.dataset.texts import Text
from horoscope.zodiac import Sign, Topic

FIRST = date(2026, 1, 1)


def text(words: str, day: int | None, source: str = "ours") -> Text:
    when = None if day is None else FIRST + timedelta(days=day)
    return Text(words, Sign.LEO, Topic.GENERAL, when, source, 1)


TEXTS = st.lists(
    st.builds(
        text,
        st.text(max_size=5),
        st.none() | st.integers(0, 40),
        st.sampled_from(["ours", "theirs"]),
    ),
    max_size=60,
)


@given(TEXTS, st.data())
def test_related_texts_are_never_on_two_sides(texts: list[Text], data: st.DataObject) -> None:
    groups = [data.draw(st.integers(0, 10)) for _ in texts]
    sides = defaultdict(set)
    for group, side in zip(groups, split(texts, groups, 0.1), strict=True):
        sides[group].add(side)
    assert all(len(found) == 1 for found in sides.values())


@given(TEXTS)
def test_within_a_source_training_is_before_validation_and_that_before_test(
    texts: list[Text],
) -> None:
    days = defaultdict(list)
    for each, side in zip(texts, split(texts, range(len(texts)), 0.1), strict=True):
        if each.date and len({t.date for t in texts if t.source == each.source} - {None}) > 2:
            days[each.source, side].append(each.date)
    for source in ("ours", "theirs"):
        sides = [days[source, side] for side in SPLITS if days[source, side]]
        assert all(max(a) < min(b) for a, b in pairwise(sides))
        assert len(sides) in {0, 3}


@given(st.lists(st.text(max_size=5), unique=True), st.text())
def test_a_text_without_a_date_stays_on_its_side_when_others_come(
    words: list[str], new: str
) -> None:
    texts = [text(each, None) for each in words]
    before = split(texts, range(len(texts)), 0.1)
    assert split([text(new, None), *texts], range(len(texts) + 1), 0.1)[1:] == before


def test_undated_texts_are_held_out_in_the_share_asked_for() -> None:
    sides = split([text(f"текст {n}", None) for n in range(4000)], range(4000), 0.1)
    for side in ("validation", "test"):
        assert 300 < sides.count(side) < 500


def test_the_last_days_are_the_test() -> None:
    texts = [text("а", day) for day in range(100) for _ in range(3)]
    sides = split(texts, range(300), 0.05)
    assert sides == ["train"] * 270 + ["validation"] * 15 + ["test"] * 15
