import random
import re
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from horoscope.dataset.deduplication import RELATED, SAME, find_duplicates

WORDS = [f"{a}{b}{c}" for a in "бвгдж" for b in "аеиоу" for c in "клмнр"]


def text_of(seed: int, words: int = 60) -> str:
    drawn = random.Random(seed)
    return " ".join(drawn.choices(WORDS, k=words)) + "."


def similarity(one: str, other: str) -> float:
    """The Jaccard similarity of the sets of word pairs, exactly."""
    first, second = (set(pairwise(re.findall(r"\w+", t.lower()))) for t in (one, other))
    return len(first & second) / len(first | second)


def changed(text: str, share: float, seed: int = 0) -> str:
    drawn = random.Random(seed)
    return " ".join(
        drawn.choice(WORDS) if drawn.random() < share else word for word in text.split()
    )


def test_a_text_with_another_case_or_marks_is_an_exact_duplicate() -> None:
    text = text_of(1)
    found = find_duplicates([text, text.upper(), text.replace(" ", ", "), text_of(2)])
    assert found.repeats == {1: (0, 1.0), 2: (0, 1.0)}
    assert found.groups[3] == 3


@given(st.integers(0, 10_000), st.floats(0, 1))
@settings(max_examples=60, deadline=None)
def test_what_shares_most_word_pairs_is_a_duplicate_and_what_shares_few_is_not(
    seed: int, share: float
) -> None:
    one = text_of(seed)
    other = changed(one, share, seed)
    found = find_duplicates([one, text_of(seed + 1), other])
    margin = 0.12  # four standard errors of the estimate
    if similarity(one, other) >= SAME + margin:
        assert 2 in found.repeats
        assert found.repeats[2][0] == 0
    if similarity(one, other) < SAME - margin:
        assert 2 not in found.repeats
    if similarity(one, other) >= RELATED + 2 * margin:
        assert found.groups[2] == found.groups[0]
    assert 1 not in found.repeats


@given(st.lists(st.integers(0, 5), max_size=20))
@settings(deadline=None)
def test_of_equal_texts_exactly_the_first_stands(seeds: list[int]) -> None:
    found = find_duplicates([text_of(seed) for seed in seeds])
    stand = [seed for place, seed in enumerate(seeds) if place not in found.repeats]
    assert stand == list(dict.fromkeys(seeds))
    for place, (earlier, _) in found.repeats.items():
        assert seeds[earlier] == seeds[place]
        assert earlier < place
        assert found.groups[earlier] == found.groups[place]


def test_a_text_that_resembles_two_puts_them_in_one_group() -> None:
    left, right = text_of(1, 50), text_of(2, 50)
    found = find_duplicates([left, right, text_of(3), f"{left} {right}"])
    assert found.groups[0] == found.groups[1] == found.groups[3] != found.groups[2]


@given(st.integers(0, 1000), st.integers(30, 200), st.integers(0, 100))
@settings(max_examples=60, deadline=None)
def test_a_passage_within_a_long_text_puts_both_in_one_group(
    seed: int, length: int, before: int
) -> None:
    passage, long = text_of(seed, length).rstrip("."), text_of(seed + 1, 200).split()
    found = find_duplicates([" ".join([*long[:before], passage, *long[before:]]), passage])
    assert found.groups == [0, 0]


def test_short_texts_and_none_at_all_can_be_compared() -> None:
    assert find_duplicates([]).groups == []
    assert find_duplicates(["Да", "Нет", "", "да!"]).repeats == {3: (0, 1.0)}
