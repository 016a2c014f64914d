"""Texts as SMPP has them, against zsms.carriers.segments and the codecs of others."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zsms.carriers import segments
from zsms.carriers.segments import BASIC, EXTENSION
from zsms.core.smpp.texts import Alphabet, Encoded, Long, encode, split
from zsms.errors import UsageError

GSM = st.sampled_from([*BASIC.replace("\x1b", ""), *EXTENSION])
TEXT = st.one_of(
    st.text(GSM, max_size=500),
    st.text(st.sampled_from("ab€{}é"), max_size=500),
    st.text(st.one_of(GSM, st.sampled_from("ж日😀𐍈")), max_size=500),
    st.text(max_size=200).filter(lambda text: not any(0xD800 <= ord(c) < 0xE000 for c in text)),
)


def encoded(texts: list[str], alphabet: Alphabet = Alphabet.AUTO) -> Encoded:
    raw = [text.encode() for text in texts]
    lengths = np.array([len(each) for each in raw], np.uint16)
    return encode(np.frombuffer(b"".join(raw), np.uint8), lengths, alphabet)


def gsm7(text: str) -> bytes:
    return b"".join(bytes([0x1B, EXTENSION[c]]) if c in EXTENSION else bytes([BASIC.index(c)]) for c in text)


def expected(text: str) -> tuple[int, bytes]:
    found = segments.count(text.encode(), [len(text.encode())])
    return (0, gsm7(text)) if not found.encoding[0] else (8, text.encode("utf-16-be"))


@given(st.lists(TEXT, max_size=6))
def test_octets_and_coding(texts: list[str]) -> None:
    found = encoded(texts)
    assert list(zip(found.coding.tolist(), found.octets.tolist(), strict=True)) == [expected(text) for text in texts]
    wide = encoded(texts, Alphabet.UCS2)
    assert wide.octets.tolist() == [text.encode("utf-16-be") for text in texts] and set(wide.coding.tolist()) <= {8}
    latin = encoded(texts, Alphabet.LATIN1)
    for text, coding, octets in zip(texts, latin.coding.tolist(), latin.octets.tolist(), strict=True):
        narrow = all(ord(c) <= 0xFF for c in text)
        assert (coding, octets) == ((3, text.encode("latin-1")) if narrow else (8, text.encode("utf-16-be")))


@given(st.lists(TEXT, max_size=6), st.sampled_from([Long.UDH8, Long.UDH16, Long.SAR]))
def test_parts_are_those_that_are_counted(texts: list[str], long: Long) -> None:
    bits = 16 if long is Long.UDH16 else 8
    references = np.arange(len(texts)) + 0x1FE
    parts = split(encoded(texts), long, references)
    wanted = []
    for row, text in enumerate(texts):
        pieces = segments.split(text, bits)
        coding = expected(text)[0]
        for number, piece in enumerate(pieces, 1):
            head = b""
            if len(pieces) > 1 and long is Long.UDH8:
                head = bytes([5, 0, 3, (row + 0x1FE) & 0xFF, len(pieces), number])
            elif len(pieces) > 1 and long is Long.UDH16:
                head = bytes([6, 8, 4, *(row + 0x1FE).to_bytes(2, "big"), len(pieces), number])
            octets = gsm7(piece) if coding == 0 else piece.encode("utf-16-be")
            wanted.append((row, number, len(pieces), coding, head + octets))
    found = zip(
        *(column.tolist() for column in (parts.owner, parts.number, parts.total, parts.coding, parts.octets)),
        strict=True,
    )
    assert list(found) == wanted


def test_a_payload_is_not_cut() -> None:
    parts = split(encoded(["x" * 1000, "y"]), Long.PAYLOAD, np.arange(2))
    assert parts.total.tolist() == [1, 1] and parts.octets.lengths.tolist() == [1000, 1]


@pytest.mark.parametrize("octets", [b"\xff", b"\xc3", b"\xed\xa0\x80", b"a\x80"])
def test_what_is_no_utf_8(octets: bytes) -> None:
    with pytest.raises(UsageError):
        encode(np.frombuffer(octets, np.uint8), np.array([len(octets)], np.uint16))
    with pytest.raises(UsageError):
        encode(np.frombuffer("é".encode(), np.uint8), np.array([1, 1], np.uint16))
