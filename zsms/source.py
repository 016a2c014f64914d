"""Where messages come from: random ones, as columns, a pure function of a seed.

Messages are made in blocks of `BLOCK`, each by a generator of its own seeded with (seed, block). So message k
is the same whatever sizes it is asked for in, and however many producers share the work.

    recipients  uint64[n]   "+", then the prefix, then uniform digits, as an integer
    lengths     uint16[n]   UTF-8 bytes of each text
    text        uint8[...]  the texts, one after the other
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from zsms.errors import UsageError
from zsms.message import LENGTH, MAX_TEXT_BYTES, TEXT, U8, U16, U64

BLOCK = 16_384
"""Messages in a block; a producer that takes this many at a time gets whole blocks, without a copy."""

DEFAULT_ALPHABET = "".join(map(chr, range(0x20, 0x60)))
"""ASCII from space to underscore: 64 characters, so that 6 random bits are one."""

DEFAULT_PREFIXES = tuple(f"+1{area}" for area in (*range(370, 380), *range(960, 970)))
"""Area codes 37x and 96x of the North American Numbering Plan, which are set aside and assigned to nobody (NANPA,
"Area code relief planning: unavailable codes"): a number made here can reach no person."""

Generator = np.random.Generator


@dataclass(slots=True)
class Columns:
    """Messages as columns; see the module."""

    recipients: U64
    lengths: U16
    text: U8

    def __len__(self) -> int:
        return len(self.lengths)


class Source(Protocol):
    """What a producer takes messages from."""

    @property
    def total(self) -> int | None:
        """How many messages there are in all, if that is known."""

    @property
    def skipped(self) -> int:
        """Bad rows left out so far."""

    def take(self, n: int) -> Columns:
        """The next messages, at most `n`; none when there are no more."""


class RandomSource:
    """Random messages."""

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
        prefixes: Sequence[str] = DEFAULT_PREFIXES,
        digits: int = 11,
    ) -> None:
        """`total` messages (None: without end), of which this source makes share `i` of `k`.

        Texts have `min_length` to `max_length` characters of `alphabet`, numbers have `digits` digits beginning
        with one of `prefixes`; lengths, characters, prefixes and digits are independent and uniform. Raises
        UsageError.
        """
        index, parts = share
        if not 0 <= index < parts:
            raise UsageError(f"share {index}/{parts}: give I/K with I from 0 to K - 1")
        if total is not None and total < 0:
            raise UsageError(f"messages {total}: give 0 or more")
        if seed is not None and seed < 0:
            raise UsageError(f"seed {seed}: give 0 or more")
        self._seed = secrets.randbits(64) if seed is None else seed
        if total is None:
            self._next, self._end, self._stride = index * BLOCK, None, parts
            self.total = None
        else:
            self._next, self._end, self._stride = total * index // parts, total * (index + 1) // parts, 1
            self.total = self._end - self._next
        self._texts = _texts(alphabet, min_length, max_length)
        self._numbers = _numbers(prefixes, digits)
        self._block: Columns | None = None
        self._text_ends = np.zeros(0, dtype=np.int64)

    def take(self, n: int) -> Columns:
        """The next messages, at most `n`: fewer at the end of a block, none at the end."""
        begin = self._next % BLOCK
        count = min(n, BLOCK - begin)
        if self._end is not None:
            count = min(count, self._end - self._next)
        if self._block is None:
            self._block = self._make(self._next // BLOCK)
            self._text_ends = np.zeros(0, dtype=np.int64)
        block = self._block
        self._next += count
        if begin + count == BLOCK:
            self._block = None
            self._next += (self._stride - 1) * BLOCK
        if count == BLOCK:
            return block
        if not len(self._text_ends):
            self._text_ends = np.concatenate(([0], np.cumsum(block.lengths, dtype=np.int64)))
        end = begin + count
        return Columns(
            block.recipients[begin:end],
            block.lengths[begin:end],
            block.text[self._text_ends[begin] : self._text_ends[end]],
        )

    def _make(self, number: int) -> Columns:
        rng = Generator(np.random.SFC64(np.random.SeedSequence(self._seed, spawn_key=(number,))))
        recipients = self._numbers(rng)
        lengths, text = self._texts(rng)
        return Columns(recipients, lengths, text)


def _numbers(prefixes: Sequence[str], digits: int) -> Callable[[Generator], U64]:
    """A function that draws a block of numbers."""
    bare = [prefix.removeprefix("+") for prefix in prefixes]
    if not bare:
        raise UsageError("give at least one prefix of numbers")
    if not 1 <= digits <= 15:
        raise UsageError(f"numbers of {digits} digits: E.164 allows 1 to 15")
    for prefix in bare:
        if not (prefix.isascii() and prefix.isdigit()) or prefix.startswith("0"):
            raise UsageError(f"prefix {prefix!r}: give a plus and digits, the first not 0")
        if len(prefix) > digits:
            raise UsageError(f"prefix {prefix!r} is longer than the {digits} digits of a number")
    # An exchange of the North American plan begins with 2 to 9: leaving out the first fifth does that.
    spans = []
    for prefix in bare:
        rest = digits - len(prefix)
        skip = 2 * 10 ** (rest - 1) if prefix.startswith("1") and len(prefix) == 4 and rest == 7 else 0
        spans.append((int(prefix) * 10**rest + skip, 10**rest - skip))
    bases = np.array([base for base, _ in spans], dtype=np.uint64)
    if len({span for _, span in spans}) == 1:
        span = spans[0][1]
        if len(spans) * span < 2**32:
            whole = len(spans) * span
            divisor = np.uint32(span)

            def draw_small(rng: Generator) -> U64:
                drawn = rng.integers(0, whole, BLOCK, dtype=np.uint32)
                which = drawn // divisor
                drawn -= which * divisor
                return bases.take(which) + drawn

            return draw_small
    sizes = np.array([span for _, span in spans], dtype=np.uint64)

    def draw(rng: Generator) -> U64:
        which = rng.integers(0, len(bases), BLOCK)
        return bases[which] + rng.integers(0, sizes[which], dtype=np.uint64)

    return draw


def _texts(alphabet: str, low: int, high: int) -> Callable[[Generator], tuple[U16, U8]]:
    """A function that draws a block of texts: lengths in bytes, and the bytes."""
    if not alphabet:
        raise UsageError("the alphabet is empty: give at least one character")
    try:
        encoded = [character.encode() for character in alphabet]
    except UnicodeEncodeError:
        raise UsageError("the alphabet holds half a surrogate pair, which is no character") from None
    widest = max(map(len, encoded))
    if not 0 <= low <= high or high < 1:
        raise UsageError(f"texts of {low} to {high} characters: give a shortest and a longest from 0 and 1 on")
    if high * widest > MAX_TEXT_BYTES:
        raise UsageError(f"texts of {high} characters of this alphabet can be over {MAX_TEXT_BYTES} bytes long")
    draw_bytes = _fast_bytes(encoded) if widest == 1 else None

    def lengths_of(rng: Generator) -> U16:
        return rng.integers(low, high + 1, BLOCK, dtype=np.uint16).astype(LENGTH, copy=False)

    if draw_bytes is not None:

        def draw(rng: Generator) -> tuple[U16, U8]:
            lengths = lengths_of(rng)
            return lengths, draw_bytes(rng, int(lengths.sum()))

        return draw

    table = np.frombuffer(b"".join(encoded), dtype=TEXT)
    widths = np.array([len(character) for character in encoded], dtype=np.int64)
    starts = np.cumsum(widths) - widths

    def draw_wide(rng: Generator) -> tuple[U16, U8]:
        characters = lengths_of(rng).astype(np.int64)
        drawn = rng.integers(0, len(encoded), int(characters.sum()))
        width = widths[drawn]
        ends = np.concatenate(([0], np.cumsum(width)))
        # A ragged gather: byte k of the text comes from k plus the shift of its character.
        shifts = np.repeat(starts[drawn] - ends[:-1], width)
        text = table[np.arange(ends[-1]) + shifts]
        message_ends = ends[np.cumsum(characters)]
        return np.diff(message_ends, prepend=0).astype(LENGTH), text

    return draw_wide


def _fast_bytes(encoded: list[bytes]) -> Callable[[Generator, int], U8] | None:
    """A function that draws n characters of a single-byte alphabet whose size divides 256; None for any other.

    Eight characters are drawn at once as one uint64. When the alphabet is consecutive codes, masking and adding
    in these words makes the characters, at a twentieth of what a table costs.
    """
    size = len(encoded)
    if 256 % size:
        return None
    codes = [character[0] for character in encoded]
    repeated = 0x0101010101010101
    if codes == list(range(codes[0], codes[0] + size)):
        mask, first = np.uint64((size - 1) * repeated), np.uint64(codes[0] * repeated)

        def draw(rng: Generator, n: int) -> U8:
            words = rng.integers(0, 2**64, (n + 7) // 8, dtype=np.uint64)
            words &= mask
            words += first
            return words.view(TEXT)[:n]

        return draw
    table = bytes(codes) * (256 // size)

    def translate(rng: Generator, n: int) -> U8:
        words = rng.integers(0, 2**64, (n + 7) // 8, dtype=np.uint64)
        return np.frombuffer(words.tobytes().translate(table), dtype=TEXT)[:n]

    return translate
