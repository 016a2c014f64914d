"""Messages copied out of many lots at once, and put in another order on the way.

Their rows come in the order of the lots, because most of what they say is read there. A text is read as so many words
as the longest one has, whatever stands behind it, so that texts move like numbers do; in its place in the new order
only its own words are left. Where a few texts are much longer than the others, word is copied by word.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from zsms.core.broker.lot import I64, MASKS, Part, gather, uniform_rows
from zsms.message import ROW, WORD, Mixed, Sources, joined, taken, words_of

U64 = npt.NDArray[np.uint64]

TOGETHER = 4_096
"""Messages that are put in order at a time, so that they stay in the caches; each so many share their memory."""
_WIDEST = 64
"""Words up to which texts are read as long as the longest is,"""
_WASTE = 3
"""where that is no more than so many times the words that they have."""


class Copies:
    """Messages of lots, uniform lots before mixed ones; at least one message."""

    def __init__(self, parts: Sequence[Part], sources: Sources) -> None:
        self._parts = parts
        self._sources = sources
        uniform = [part for part in parts if part[0].attempt]
        rows, begins, kept = uniform_rows(uniform) if uniform else (np.empty(0, dtype=ROW), [], None)
        columns, keeps = [rows], [] if kept is None else [kept]
        for lot, positions in parts[len(uniform) :]:
            whole = lot.whole
            assert isinstance(whole, Mixed)
            at = positions + lot.begin if lot.begin else positions
            columns.append(taken(whole.rows, at))
            begins.append(whole.ends.take(at) - words_of(columns[-1]["length"]))
            if whole.kept is not None:
                keeps.append(taken(whole.kept, at))
        self._begins = begins
        self._kept = joined(keeps) if keeps else None
        self.rows = joined(columns)
        """A row of each, ROW[n], in the order of the lots: to be changed before `ordered` copies it."""

    def ordered(self, order: I64) -> Iterator[Mixed]:
        """Those at `order`, in memory of their own for each `TOGETHER`."""
        words = words_of(self.rows["length"])
        longest = int(words.max())
        cuts = range(0, len(order), TOGETHER)
        if not 0 < longest <= _WIDEST or longest * len(words) > _WASTE * int(words.sum()):
            whole = Mixed(self.rows, gather(self._parts, self._sources).text, self._sources, self._kept)
            yield from (whole.take(order[begin : begin + TOGETHER]) for begin in cuts)
            return
        texts = self._filled(longest)
        own_words = (np.arange(longest) < np.arange(longest + 1)[:, np.newaxis]).view(f"V{longest}").reshape(-1)
        for begin in cuts:
            own = order[begin : begin + TOGETHER]
            rows, count = taken(self.rows, own), words.take(own)
            text = texts.take(own).view(WORD)[own_words.take(count).view(bool)]
            ends = clear_behind(text, count, rows["length"])
            yield Mixed(rows, text, self._sources, None if self._kept is None else taken(self._kept, own), ends)

    def _filled(self, words: int) -> npt.NDArray[Any]:
        """So many words from where each text begins, void[n]."""
        filled = np.empty(len(self.rows), dtype=f"V{words * WORD.itemsize}")
        done = 0
        for (lot, _), at in zip(self._parts, self._begins, strict=True):
            fill_in(filled[done : done + len(at)], lot.whole.text, at)
            done += len(at)
        return filled


def clear_behind(text: U64, words: I64, lengths: npt.NDArray[Any]) -> I64:
    """Texts of so many words and so many bytes, one after the other: what stands behind each becomes zeros.

    Where each ends in `text`, in words.
    """
    ends = lasts = np.cumsum(words)
    if not int(words.min()):
        some = words > 0
        lasts, lengths = ends[some], lengths[some]
    text[lasts - 1] &= MASKS.take(lengths & 7)
    return ends


def fill_in(filled: npt.NDArray[Any], column: npt.NDArray[Any], at: I64) -> None:
    """filled[i], void of whole words, becomes what is in `column`, of bytes or of words, from place at[i] on.

    Beyond its end there are zeros.
    """
    size, step = filled.dtype.itemsize, column.itemsize
    last = (column.nbytes - size) // step
    if int(at.max()) <= last:
        filled[:] = _windows(column, size)[at]
        return
    inside = at <= last
    if inside.any():
        filled[inside] = _windows(column, size)[at[inside]]
    late = at[~inside]
    begin = int(late.min())
    rest = np.zeros(len(column) - begin + size // step, dtype=column.dtype)
    rest[: len(column) - begin] = column[begin:]
    filled[~inside] = _windows(rest, size)[late - begin]


def _windows(column: npt.NDArray[Any], size: int) -> npt.NDArray[Any]:
    """The `size` bytes from each place on, as an overlapping view."""
    count = (column.nbytes - size) // column.itemsize + 1
    return np.ndarray((count,), dtype=f"V{size}", buffer=column.data, strides=(column.itemsize,))
