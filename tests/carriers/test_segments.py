"""Segments of texts: against the table character by character, and against an implementation of others."""

from __future__ import annotations

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from zsms.carriers.segments import BASIC, EXTENSION, GSM7, PART, SINGLE, UCS2, Segments, count, split
from zsms.cli import load_command
from zsms.errors import UsageError


def of(*texts: str, bits: int = 8) -> Segments:
    raw = [text.encode() for text in texts]
    return count(b"".join(raw), [len(each) for each in raw], bits)


def one_by_one(text: str, bits: int) -> tuple[int, int, int]:
    """Encoding, units and segments, written down a character at a time."""
    gsm = all(c in EXTENSION or (c in BASIC and c != "\x1b") for c in text)
    widths = [2 if c in EXTENSION else 1 for c in text] if gsm else [len(c.encode("utf-16-le")) // 2 for c in text]
    code = GSM7 if gsm else UCS2
    if sum(widths) <= SINGLE[code]:
        return code, sum(widths), 1
    parts, used = 1, 0
    for width in widths:
        if used + width > PART[bits][code]:
            parts, used = parts + 1, 0
        used += width
    return code, sum(widths), parts


LETTERS = st.sampled_from("aZ @\n^€[~|éÄÇç`§\x1b漢😀")
TEXTS = st.one_of(st.text(LETTERS, max_size=400), st.text("ab€", min_size=150, max_size=500), st.text(max_size=100))


@given(st.lists(TEXTS, max_size=12), st.sampled_from([8, 16]))
def test_columns_are_what_the_table_says(texts: list[str], bits: int) -> None:
    texts = [text.encode("utf-8", "ignore").decode() for text in texts]
    found = of(*texts, bits=bits)
    rows = list(zip(found.encoding.tolist(), found.units.tolist(), found.segments.tolist(), strict=True))
    assert rows == [one_by_one(text, bits) for text in texts]


@given(TEXTS, st.sampled_from([8, 16]))
def test_parts_are_the_text_and_as_many_as_are_counted(text: str, bits: int) -> None:
    text = text.encode("utf-8", "ignore").decode()
    parts = split(text, bits)
    found = of(text, bits=bits)
    assert "".join(parts) == text
    assert len(parts) == found.segments[0]
    if len(parts) > 1:
        code = int(found.encoding[0])
        for part in parts:
            width = (
                sum(2 if c in EXTENSION else 1 for c in part) if code == GSM7 else len(part.encode("utf-16-le")) // 2
            )
            assert 0 < width <= PART[bits][code]


@pytest.mark.parametrize(
    ("text", "segments"),
    [
        ("", 1), ("a" * 160, 1), ("a" * 161, 2), ("a" * 306, 2), ("a" * 307, 3), ("€" * 80, 1), ("€" * 81, 2),
        ("a" * 152 + "€" + "a" * 152, 3), ("a" * 151 + "€" + "a" * 153, 2), ("漢" * 70, 1), ("漢" * 71, 2),
        ("😀" * 35, 1),
        ("😀" * 36, 2), ("漢" * 66 + "😀" + "漢" * 66, 3), ("`", 1), ("ç" + "a" * 69, 1), ("ç" + "a" * 70, 2),
    ],
)  # fmt: skip
def test_the_bounds(text: str, segments: int) -> None:
    assert of(text).segments.tolist() == [segments] == [len(split(text))]


def test_characters_that_libraries_disagree_about_follow_the_table() -> None:
    found = of("§", "\f", "`", "\x1b", "ç", "Ç", "μ")
    assert found.encoding.tolist() == [GSM7, GSM7, UCS2, UCS2, UCS2, GSM7, UCS2]
    assert found.units.tolist() == [1, 2, 1, 1, 1, 1, 1]


def test_the_default_alphabet_has_128_places() -> None:
    assert len(BASIC) == len(set(BASIC)) == 128
    assert BASIC.index("@") == 0 and BASIC.index("A") == 0x41 and BASIC.index("ß") == 0x1E and BASIC.index("à") == 0x7F


@pytest.mark.parametrize(
    ("text", "lengths", "says"),
    [
        (b"ab", [1], "1 octets in all"),
        (b"\xff", [1], "UTF-8"),
        ("é".encode(), [1, 1], "UTF-8"),
        (b"ab", [3, -1], "octets"),
    ],
)
def test_what_is_no_text_is_refused(text: bytes, lengths: list[int], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        count(text, lengths)


def test_a_reference_has_8_or_16_bits() -> None:
    with pytest.raises(UsageError, match="8 or 16"):
        count(b"", [], 7)
    assert len(count(b"", np.zeros(0, np.int64)).segments) == 0


@given(st.lists(st.text(st.sampled_from("abc XYZ09€{}^漢字😀éà"), min_size=1, max_size=350), min_size=1, max_size=4))
def test_another_implementation_agrees(texts: list[str]) -> None:
    smsutil = pytest.importorskip("smsutil")
    found = of(*texts)
    for text, units, segments in zip(texts, found.units.tolist(), found.segments.tolist(), strict=True):
        theirs = smsutil.split(text)
        assert len(theirs.parts) == segments, text
        assert units == sum(2 if c in EXTENSION else 1 for c in text) if smsutil.is_valid_gsm(text) else True


def test_a_text_of_more_parts_than_can_be_counted_is_told() -> None:
    told = [
        CliRunner().invoke(load_command("segments"), ["x" * length]).stderr for length in (153 * 255, 153 * 255 + 1)
    ]
    assert told == ["", "a text of more than 255 segments can't be sent as one: cut it\n"]
