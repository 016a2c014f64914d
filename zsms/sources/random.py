"""Where messages come from: random ones, as columns, a pure function of a seed.

    message k  ->  block k // B  ->  a generator seeded with (seed, block)  ->  the block's columns

- A block is made as a whole, by a generator of its own. So message k is the same whatever sizes it is asked for
  in, and however many producers share the work.
- Within a block come, in this order, its numbers, its lengths and its characters, each draw independent and
  uniform, with no modulo bias: what doesn't divide evenly is drawn again.
- A take that is not a whole block is views of it.

The columns are those of a batch (zsms/message.py). Nearly all of the time goes into the generator's own words: one
for each eight characters. So eight characters are made of each word at once wherever the alphabet allows it.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import gcd, isqrt
from typing import Protocol

import numpy as np

from zsms.errors import UsageError
from zsms.message import LENGTH, MAX_TEXT_BYTES, RECIPIENT, TEXT, U8, U16, U64
from zsms.sources.mix import mixed

BLOCK = 16_384
"""Messages in a block; a producer that takes this many at a time gets whole blocks, without a copy."""

MESSAGES = 100_000
"""Random messages, unless a number is given."""

MOST_MESSAGES = 10**15
"""What figures can tell of."""

MAX_BLOCK_BYTES = 8 * 2**20
"""Most bytes of text in a block: half of a frame. Blocks of very long texts have fewer messages."""

DEFAULT_ALPHABET = "".join(map(chr, range(0x20, 0x60)))
"""ASCII from space to underscore: 64 characters, so that 6 random bits are one."""

DEFAULT_PREFIXES = ("+137", "+196")
"""Area codes 370 to 379 and 960 to 969 of the North American Numbering Plan, so that no number made here can reach a
person: two blocks of ten codes that the Industry Numbering Committee has set aside and that are assigned to nobody
(NANPA, "Area codes"; ATIS-0300055, "NPA Allocation Plan and Assignment Guidelines")."""

MAX_DIGITS = 15
"""Most digits of a number, its country code included (ITU-T E.164)."""

_SAMPLE = 16_384

Generator = np.random.Generator


@dataclass(slots=True)
class Columns:
    """Messages as columns: recipients uint64[n], lengths uint16[n] (bytes), text uint8[sum of the lengths]."""

    recipients: U64
    lengths: U16
    text: U8

    def __len__(self) -> int:
        return len(self.lengths)

    @classmethod
    def of(cls, recipients: Sequence[int], texts: Sequence[bytes]) -> Columns:
        """The columns of such rows, each text UTF-8 of at most `MAX_TEXT_BYTES`."""
        return cls(
            np.array(recipients, dtype=RECIPIENT),
            np.array([len(text) for text in texts], dtype=LENGTH),
            np.frombuffer(b"".join(texts), dtype=TEXT),
        )


class Source(Protocol):
    """What a producer takes messages from."""

    @property
    def total(self) -> int | None:
        """How many messages there are in all, if that is known."""

    @property
    def skipped(self) -> int:
        """Bad rows left out so far."""

    def take(self, n: int) -> Columns:
        """The next messages, at most `n` but maybe fewer; none when there are no more."""


class RandomSource:
    """Random messages: the same for the same seed, alphabet, lengths, prefixes and digits."""

    skipped = 0

    def __init__(
        self,
        total: int | None,
        seed: int | None = None,
        *,
        share: tuple[int, int] = (0, 1),
        min_length: int = 1,
        max_length: int = 100,
        alphabet: str = DEFAULT_ALPHABET,
        texts: Sequence[str] = (),
        prefixes: Sequence[str] = DEFAULT_PREFIXES,
        digits: int = 11,
    ) -> None:
        """`total` messages (None: without end), of which this source makes share `i` of `k`, counted from 0.

        Texts have `min_length` to `max_length` characters of `alphabet`; a character that is in it twice comes twice
        as often; or they are those of `texts` (:mod:`zsms.sources.mix`), if there are any. Numbers have `digits` digits
        and begin with one of `prefixes`, every such number as likely as any other; those of +1 have 11 digits, their
        area code and exchange begin with 2 to 9. A `seed` of None is drawn. Raises UsageError.
        """
        check_total(total)
        if seed is not None and seed < 0:
            raise UsageError(f"seed {seed}: give 0 or more")
        check_share(share)
        self.seed = secrets.randbits(64) if seed is None else seed
        self._numbers = _numbers(prefixes, digits)
        self._texts, widest = mixed(texts, _texts) if texts else _texts(alphabet, min_length, max_length)
        self._size = BLOCK
        while self._size * widest > MAX_BLOCK_BYTES:
            self._size //= 2
        index, parts = share
        self.total: int | None = None
        self._next, self._end, self._stride = index * self._size, -1, parts
        if total is not None:
            self._next, self._end, self._stride = total * index // parts, total * (index + 1) // parts, 1
            self.total = self._end - self._next
        self._block: Columns | None = None
        self._text_ends = np.zeros(0, dtype=np.int64)

    def take(self, n: int) -> Columns:
        """The next messages, at most `n`: fewer at the end of a block, none at the end."""
        begin = self._next % self._size
        count = min(n, self._size - begin)
        if self.total is not None:
            count = min(count, self._end - self._next)
        if count <= 0:
            return Columns.of((), ())
        block = self._make(self._next // self._size) if self._block is None else self._block
        end = begin + count
        self._next += count
        if end < self._size:
            self._block = block
        else:
            self._block = None
            self._next += (self._stride - 1) * self._size
        return block if count == self._size else self._part(block, begin, end)

    def _make(self, number: int) -> Columns:
        rng = Generator(np.random.SFC64(np.random.SeedSequence(self.seed, spawn_key=(number,))))
        recipients = self._numbers(rng, self._size)
        lengths, text = self._texts(rng, self._size)
        self._text_ends = np.zeros(0, dtype=np.int64)
        return Columns(recipients, lengths, text)

    def _part(self, block: Columns, begin: int, end: int) -> Columns:
        if not len(self._text_ends):
            self._text_ends = np.zeros(self._size + 1, dtype=np.int64)
            np.cumsum(block.lengths, out=self._text_ends[1:])
        text = block.text[self._text_ends[begin] : self._text_ends[end]]
        return Columns(block.recipients[begin:end], block.lengths[begin:end], text)


def mean_segments(texts: Sequence[str]) -> float:
    """Segments of such a text, on average over a sample that is always the same. Raises UsageError."""
    from zsms.carriers.segments import count

    columns = RandomSource(_SAMPLE, 0, texts=texts).take(_SAMPLE)
    return float(count(columns.text.tobytes(), columns.lengths).segments.mean())


def check_total(total: int | None) -> None:
    """Raises UsageError for a number of messages (None: no limit) that can't be."""
    if total is not None and not 0 <= total <= MOST_MESSAGES:
        raise UsageError(f"messages {total}: give 0 or more, up to {MOST_MESSAGES:,}")


def check_share(share: tuple[int, int]) -> None:
    """Raise UsageError unless `share` is (i, k) with i from 0 to k - 1."""
    index, parts = share
    if not 0 <= index < parts:
        raise UsageError(f"share {index}/{parts}: give I/K with I from 0 to K - 1")


# -- numbers -----------------------------------------------------------------------------------------------------

_MAX_CHUNKS = 65_536


def _numbers(prefixes: Sequence[str], digits: int) -> Callable[[Generator, int], U64]:
    """A function (rng, n) that draws n numbers, uniform over all that begin with one of the prefixes.

    The numbers are some ranges of integers, cut into chunks of one size: u drawn from 0 to the count of all numbers
    is in chunk u // size, and the number is u and what lies below that chunk but is not drawn from.
    """
    if not 1 <= digits <= MAX_DIGITS:
        raise UsageError(f"numbers of {digits} digits: E.164 allows 1 to {MAX_DIGITS}")
    ranges = sorted(found for prefix in prefixes for found in _ranges(prefix, digits))
    if not ranges:
        raise UsageError("no prefixes: give at least one beginning of numbers, such as +137")
    for (start, count), (after, _) in pairwise(ranges):
        if start + count > after:
            raise UsageError(f"prefixes {', '.join(prefixes)}: +{after} begins with two of them; leave one out")
    size = gcd(*(count for _, count in ranges))
    total = sum(count for _, count in ranges)
    if total // size > _MAX_CHUNKS:
        raise UsageError(f"prefixes {', '.join(prefixes)}: their lengths are too different to be drawn evenly")
    starts = np.concatenate([np.arange(start, start + count, size, dtype=RECIPIENT) for start, count in ranges])
    below = starts - np.arange(0, total, size, dtype=RECIPIENT)
    dtype = np.uint32 if total <= 2**32 else np.uint64
    divisor = dtype(size)

    def draw(rng: Generator, n: int) -> U64:
        drawn = rng.integers(0, total, n, dtype=dtype)
        recipients = below.take((drawn // divisor).astype(np.intp))
        recipients += drawn
        return recipients

    return draw


def _ranges(prefix: str, digits: int) -> Iterator[tuple[int, int]]:
    """The numbers of so many digits that begin with the prefix, as (first number, count)."""
    known = prefix.removeprefix("+")
    if not (known.isascii() and known.isdigit()) or known.startswith("0"):
        raise UsageError(f"prefix {prefix!r}: give a plus and digits, the first not 0")
    if len(known) > digits:
        raise UsageError(f"prefix {prefix!r}: longer than the {digits} digits of a number")
    if not known.startswith("1"):
        rest = 10 ** (digits - len(known))
        yield int(known) * rest, rest
        return
    # North America: 1 NXX NXX XXXX, N from 2 to 9.
    if digits != 11:
        raise UsageError(f"prefix {prefix!r}: numbers of +1 have 11 digits, not {digits}")
    if any(known[place : place + 1] in ("0", "1") for place in (1, 4)):
        raise UsageError(f"prefix {prefix!r}: an area code and an exchange of +1 begin with 2 to 9")
    if len(known) > 4:
        rest = 10 ** (digits - len(known))
        yield int(known) * rest, rest
        return
    for area in range(200, 1000):
        if f"1{area}".startswith(known):
            yield (1_000 + area) * 10**7 + 2 * 10**6, 8 * 10**6


# -- texts -------------------------------------------------------------------------------------------------------

_DrawTexts = Callable[[Generator, int], tuple[U16, U8]]
_DrawBytes = Callable[[Generator, int], U8]


def _texts(alphabet: str, low: int, high: int) -> tuple[_DrawTexts, int]:
    """A function (rng, n) that draws n texts as (bytes of each, all bytes), and the most bytes a text can have."""
    if not alphabet:
        raise UsageError("the alphabet is empty: give at least one character")
    try:
        characters = [character.encode() for character in alphabet]
    except UnicodeEncodeError:
        raise UsageError("the alphabet holds half a surrogate pair, which is no character") from None
    if not 1 <= low <= high:
        raise UsageError(f"texts of {low} to {high} characters: give at least 1, and the shorter first")
    widest = max(map(len, characters)) * high
    if widest > MAX_TEXT_BYTES:
        raise UsageError(f"texts of {high} characters: {widest} bytes in this alphabet, over {MAX_TEXT_BYTES}")

    def draw_lengths(rng: Generator, n: int) -> U16:
        return rng.integers(low, high, n, dtype=np.uint16, endpoint=True).astype(LENGTH, copy=False)

    if max(map(len, characters)) > 1 or len(characters) > 256:
        return _any_texts(characters, draw_lengths), widest
    draw_bytes = _words(b"".join(characters)) or _bytes(b"".join(characters))

    def draw(rng: Generator, n: int) -> tuple[U16, U8]:
        lengths = draw_lengths(rng, n)
        return lengths, draw_bytes(rng, int(lengths.sum()))

    return draw, widest


def _words(codes: bytes) -> _DrawBytes | None:
    """A function (rng, n) that draws n of these codes, eight at a time by arithmetic on uint64.

    None unless they are 1, 2, 4, ... 128 consecutive codes of ASCII: then no sum carries into the next byte.
    """
    size, first = len(codes), codes[0]
    if size & (size - 1) or codes != bytes(range(first, first + size)):
        return None
    each_byte = 0x01_01_01_01_01_01_01_01
    mask, base = np.uint64((size - 1) * each_byte), np.uint64(first * each_byte)

    def draw(rng: Generator, n: int) -> U8:
        words = rng.bit_generator.random_raw((n + 7) // 8)
        words &= mask
        words += base
        return words.view(TEXT)[:n]

    return draw


def _bytes(values: bytes) -> _DrawBytes:
    """A function (rng, n) that draws n of these 1 to 256 values, by a table from random bytes.

    The table holds the values as often as they fit into 256; a random byte beyond that is left out.
    """
    used = 256 - 256 % len(values)
    table, unused = (values * (256 // len(values))).ljust(256), bytes(range(used, 256))

    def draw(rng: Generator, n: int) -> U8:
        drawn = b""
        while (missing := n - len(drawn)) > 0:
            # Six standard deviations more than needed on average, so that a second round is rare.
            enough = missing * 256 // used + 6 * isqrt(missing) + 8 if unused else missing
            drawn += rng.bit_generator.random_raw((enough + 7) // 8).tobytes().translate(table, unused)
        return np.frombuffer(drawn, dtype=TEXT, count=n)

    return draw


_NO_UTF8 = b"\xff"
"""A byte that UTF-8 never has (RFC 3629)."""


def _any_texts(characters: list[bytes], draw_lengths: Callable[[Generator, int], U16]) -> _DrawTexts:
    """A function (rng, n) that draws n texts of any characters.

    Each character stands in a table as four bytes, filled up with one that UTF-8 never has; the filling is taken out
    of the finished text.
    """
    size = len(characters)
    table = np.frombuffer(b"".join(character.ljust(4, _NO_UTF8) for character in characters), dtype=np.uint32)
    widths = np.array([len(character) for character in characters], dtype=LENGTH)
    draw_bytes = _bytes(bytes(range(size))) if size <= 256 else None

    def draw(rng: Generator, n: int) -> tuple[U16, U8]:
        lengths = draw_lengths(rng, n)
        ends = np.cumsum(lengths, dtype=np.int64)
        count = int(ends[-1])
        drawn = draw_bytes(rng, count) if draw_bytes else rng.integers(0, size, count, dtype=np.uint32)
        text = table.take(drawn).tobytes().translate(None, _NO_UTF8)
        return np.add.reduceat(widths.take(drawn), ends - lengths, dtype=LENGTH), np.frombuffer(text, dtype=TEXT)

    return draw
