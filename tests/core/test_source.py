"""Random messages: the same for a seed however they are asked for, of the right shape, and evenly distributed."""

from __future__ import annotations

from collections import Counter
from math import sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zsms.errors import UsageError
from zsms.message import MAX_TEXT_BYTES
from zsms.sources import random as source
from zsms.sources.random import BLOCK, DEFAULT_ALPHABET, MAX_BLOCK_BYTES, Columns, RandomSource, Source

SMALL = 16
"""Messages in a block where a test needs many blocks."""


def small(total: int | None, seed: int, **options: tuple[int, int]) -> RandomSource:
    """A source with blocks of `SMALL` messages."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(source, "BLOCK", SMALL)
        return RandomSource(total, seed, **options)


def rows_of(columns: Columns) -> list[tuple[int, str]]:
    ends = np.cumsum(columns.lengths, dtype=np.int64)
    data = columns.text.tobytes()
    texts = [data[end - length : end].decode() for end, length in zip(ends, columns.lengths, strict=True)]
    return list(zip(columns.recipients.tolist(), texts, strict=True))


def drain(messages: Source, size: int = BLOCK) -> list[tuple[int, str]]:
    rows = []
    while len(columns := messages.take(size)):
        assert len(columns) <= size
        assert (columns.recipients.dtype, columns.lengths.dtype, columns.text.dtype) == ("<u8", "<u2", "u1")
        assert len(columns.text) == int(columns.lengths.sum())
        rows += rows_of(columns)
    return rows


def within(found: int, expected: float) -> bool:
    """Whether a Poisson count is within six standard deviations: one honest count in 5e8 is not."""
    return abs(found - expected) < 6 * sqrt(expected)


# -- the same messages -------------------------------------------------------------------------------------------


@given(
    total=st.integers(0, 5 * SMALL),
    parts=st.integers(1, 7),
    sizes=st.lists(st.integers(1, 2 * SMALL), min_size=1),
    seed=st.integers(0, 2**64),
)
def test_shares_and_sizes_of_takes_change_no_message(total: int, parts: int, sizes: list[int], seed: int) -> None:
    whole = drain(small(total, seed))
    assert len(whole) == total
    together = []
    for index in range(parts):
        share = small(total, seed, share=(index, parts))
        rows: list[tuple[int, str]] = []
        turn = 0
        while len(columns := share.take(sizes[turn % len(sizes)])):
            rows += rows_of(columns)
            turn += 1
        assert share.total == len(rows)
        together += rows
    assert together == whole


def test_endless_shares_deal_out_the_blocks() -> None:
    whole = drain(small(6 * SMALL, 5))
    shares = [small(None, 5, share=(index, 3)) for index in range(3)]
    dealt = [rows_of(share.take(SMALL)) for _ in range(2) for share in shares]
    assert [row for rows in dealt for row in rows] == whole
    assert shares[0].total is None


def test_the_seed_alone_decides() -> None:
    first, again, other = (rows_of(RandomSource(100, seed).take(100)) for seed in (1, 1, 2))
    assert first == again
    assert not set(first) & set(other)
    unseeded = RandomSource(100)
    assert rows_of(RandomSource(100, unseeded.seed).take(100)) == rows_of(unseeded.take(100))
    assert RandomSource(100).seed != unseeded.seed


def test_blocks_differ() -> None:
    messages = RandomSource(2 * BLOCK, 1)
    assert not set(rows_of(messages.take(BLOCK))) & set(rows_of(messages.take(BLOCK)))


def test_a_whole_block_is_one_take_and_parts_share_its_memory() -> None:
    messages = RandomSource(None, 1)
    assert len(messages.take(10 * BLOCK)) == BLOCK
    first, second = messages.take(BLOCK // 2), messages.take(BLOCK)
    assert len(first) == len(second) == BLOCK // 2
    assert first.text.base is not None and first.text.base is second.text.base


def test_blocks_of_long_texts_are_small() -> None:
    columns = RandomSource(None, 1, max_length=MAX_TEXT_BYTES).take(BLOCK)
    assert 0 < len(columns) * MAX_TEXT_BYTES <= MAX_BLOCK_BYTES


# -- distributions -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "alphabet",
    [
        DEFAULT_ALPHABET,
        "0123456789ABCDEF",  # a power of two, not consecutive
        "abcdefghijklmnopqrstuvwxyz0123456789",
        "x",
        "äöü€",
        "a€",
        "\0ä😀z",
        "".join(map(chr, range(0x400, 0x400 + 300))),
    ],
)
def test_lengths_and_characters_are_uniform(alphabet: str) -> None:
    texts = [text for _, text in drain(RandomSource(BLOCK, 7, min_length=3, max_length=12, alphabet=alphabet))]
    lengths = Counter(map(len, texts))
    assert sorted(lengths) == list(range(3, 13))
    assert all(within(found, BLOCK / 10) for found in lengths.values())
    everywhere = "".join(texts)
    assert set(everywhere) == set(alphabet)
    for place in ("".join(text[index] for text in texts) for index in (0, 1, 2, -1)):
        assert all(within(place.count(character), len(place) / len(alphabet)) for character in alphabet)
    assert all(within(everywhere.count(character), len(everywhere) / len(alphabet)) for character in alphabet)


def test_neighbouring_characters_are_independent() -> None:
    data = RandomSource(BLOCK, 3).take(BLOCK).text
    for distance in (1, 7, 8, 9):
        pairs = np.bincount((data[:-distance].astype(np.int64) - 32) * 64 + data[distance:] - 32, minlength=4096)
        expected = pairs.sum() / 4096
        chi_square = float(((pairs - expected) ** 2 / expected).sum())
        assert len(pairs) == 4096 and abs(chi_square - 4095) < 6 * sqrt(2 * 4095)


def test_a_character_given_twice_comes_twice_as_often() -> None:
    text = RandomSource(BLOCK, 7, alphabet="aab").take(BLOCK).text
    assert within(int((text == ord("b")).sum()), len(text) / 3)


def test_default_numbers_have_the_shape_of_the_plan_and_areas_that_nobody_has() -> None:
    numbers = [str(number) for number, _ in drain(RandomSource(BLOCK, 7))]
    assert {len(number) for number in numbers} == {11}
    assert {number[0] for number in numbers} == {"1"}
    areas = Counter(number[1:4] for number in numbers)
    assert set(areas) == {*map(str, range(370, 380)), *map(str, range(960, 970))}
    assert all(within(found, BLOCK / 20) for found in areas.values())
    for place, digits in [(4, "23456789"), *((place, "0123456789") for place in range(5, 11))]:
        found = Counter(number[place] for number in numbers)
        assert set(found) == set(digits)
        assert all(within(count, BLOCK / len(digits)) for count in found.values())


@pytest.mark.parametrize(
    ("prefixes", "digits", "shares"),
    [
        (("+447700900",), 12, {"447700900": 1.0}),
        (("49", "+4420"), 12, {"49": 100 / 101, "4420": 1 / 101}),  # all numbers are equally likely
        (("+1212", "+13735"), 11, {"1212": 8 / 9, "13735": 1 / 9}),
        (("+1",), 11, {f"1{first}": 1 / 8 for first in range(2, 10)}),
        (("+7", "+3"), 15, {"7": 0.5, "3": 0.5}),
        (("+491",), 3, {"491": 1.0}),
    ],
)
def test_numbers_are_uniform_over_all_that_the_prefixes_allow(
    prefixes: tuple[str, ...], digits: int, shares: dict[str, float]
) -> None:
    numbers = [str(number) for number, _ in drain(RandomSource(BLOCK, 7, prefixes=prefixes, digits=digits))]
    assert {len(number) for number in numbers} == {digits}
    for prefix, share in shares.items():
        assert within(sum(number.startswith(prefix) for number in numbers), share * BLOCK)
    assert all(number.startswith(tuple(shares)) for number in numbers)


def test_numbers_of_any_area_begin_area_and_exchange_with_2_to_9() -> None:
    numbers = [str(number) for number, _ in drain(RandomSource(50_000, 7, prefixes=("+1",)))]
    assert {number[1:4] for number in numbers} == {str(area) for area in range(200, 1000)}
    assert {number[4:7] for number in numbers} == {str(exchange) for exchange in range(200, 1000)}


# -- what can't be -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"total": -1}, "messages -1"),
        ({"seed": -1}, "seed -1"),
        ({"share": (2, 2)}, "share 2/2"),
        ({"share": (-1, 2)}, "share -1/2"),
        ({"share": (0, 0)}, "share 0/0"),
        ({"min_length": 0}, "at least 1"),
        ({"min_length": 5, "max_length": 4}, "texts of 5 to 4"),
        ({"max_length": MAX_TEXT_BYTES + 1}, "over 65535"),
        ({"max_length": 30_000, "alphabet": "€"}, "90000 bytes"),
        ({"alphabet": ""}, "alphabet is empty"),
        ({"alphabet": "a\ud800"}, "surrogate"),
        ({"prefixes": ()}, "no prefixes"),
        ({"prefixes": ("+",)}, "'\\+'"),
        ({"prefixes": ("+44x",)}, "44x"),
        ({"prefixes": ("+٤٤",), "digits": 12}, "give a plus and digits"),
        ({"prefixes": ("+044",)}, "the first not 0"),
        ({"prefixes": ("+441234",), "digits": 5}, "longer than the 5"),
        ({"digits": 16}, "1 to 15"),
        ({"digits": 0}, "1 to 15"),
        ({"prefixes": ("+137",), "digits": 12}, "11 digits, not 12"),
        ({"prefixes": ("+1037",)}, "begin with 2 to 9"),
        ({"prefixes": ("+13701",)}, "begin with 2 to 9"),
        ({"prefixes": ("+137", "+1375")}, "two of them"),
        ({"prefixes": ("+44", "+44")}, "two of them"),
        ({"prefixes": ("+4", "+51234567890"), "digits": 12}, "too different"),
    ],
)
def test_refuses(options: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        RandomSource(**{"total": 10, **options})  # type: ignore[arg-type]
