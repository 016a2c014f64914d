"""Messages as records of one width, which move without being looked at: a row, and a text filled up to the width.

    a batch, mixed messages --collect--> records by width --take, joined, sliced, ...--> mixed

Between a failure and the next attempt a message is moved several times. A text of its own length moves word by word,
and each word needs an index; texts of one width move like numbers do, at a tenth of the cost. So those of similar
lengths are kept together: less than half of a width is empty, but for the shortest one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from zsms.core.broker.lot import I64, MASKS, Part, uniform_rows
from zsms.message import ROW, WORD, Mixed, Sources, joined, taken, words_of

U64 = npt.NDArray[np.uint64]

SHORTEST = 8
"""Words of the first width; each is twice the one before."""
_SHORT = 2
"""Texts up to that width are copied out together, whatever the longest of them."""


def width_of(words: I64) -> npt.NDArray[np.int8]:
    """In which width texts of so many words are kept: 0 up to `SHORTEST` words, 1 up to twice as many, ..."""
    width: npt.NDArray[np.int8] = np.frexp(np.maximum(words - 1, 0) // SHORTEST)[1].astype(np.int8)
    return width


class Records:
    """Rows ROW[n], texts uint64[n, words] and, under a journal, kept KEPT[n]. Treat as immutable.

    What stands behind a text in its record is anything.
    """

    __slots__ = ("kept", "rows", "text")

    def __init__(self, rows: npt.NDArray[Any], text: U64, kept: npt.NDArray[Any] | None = None) -> None:
        self.rows = rows
        self.text = text
        self.kept = kept

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def nbytes(self) -> int:
        """Bytes of the columns."""
        return int(self.rows.nbytes + self.text.nbytes + (0 if self.kept is None else self.kept.nbytes))

    def take(self, indices: I64) -> Records:
        """Those at `indices` (any order), copied, their texts cut to the longest."""
        return self.split(indices, [0, len(indices)])[0]

    def split(self, indices: I64, cuts: Sequence[int]) -> list[Records]:
        """Those at `indices` (any order), copied in parts of which `cuts` has begins and ends; texts as in `take`."""
        longest = int(words_of(self.rows["length"][indices]).max(initial=0))
        texts = windows(self.text, self.text.strides[0], longest) if longest else np.zeros(len(self), dtype="V8")
        found = []
        for begin, end in pairwise(cuts):
            own = indices[begin:end]
            text = texts[own].view(WORD)[: longest * len(own)]
            kept = None if self.kept is None else taken(self.kept, own)
            found.append(Records(taken(self.rows, own), text.reshape(end - begin, longest), kept))
        return found

    @classmethod
    def join(cls, parts: Sequence[Records]) -> Records:
        """All of these (at least one), in their order."""
        if len(parts) == 1:
            return parts[0]
        widest = max(part.text.shape[1] for part in parts)
        if all(part.text.shape[1] == widest for part in parts):
            text = np.concatenate([part.text for part in parts])
        else:
            text = np.empty((sum(map(len, parts)), widest), dtype=WORD)
            begin = 0
            for part in parts:
                text[begin : begin + len(part), : part.text.shape[1]] = part.text
                begin += len(part)
        kept = [part.kept for part in parts if part.kept is not None]
        return cls(joined([part.rows for part in parts]), text, joined(kept) if kept else None)

    def mixed(self, sources: Sources) -> Mixed:
        """The same messages, ready for the wire; rows are shared."""
        lengths = self.rows["length"]
        words = words_of(lengths)
        longest = self.text.shape[1]
        if longest and int(words.min()) == longest:
            text = self.text.reshape(-1).copy()
        else:
            text = self.text[np.arange(longest) < words[:, np.newaxis]]
        ends = np.cumsum(words)
        if int(words.min()):
            text[ends - 1] &= MASKS[lengths & 7]
        else:
            some = words > 0
            text[ends[some] - 1] &= MASKS[lengths[some] & 7]
        return Mixed(self.rows, text, sources, self.kept)


def windows(column: npt.NDArray[Any], stride: int, words: int) -> npt.NDArray[Any]:
    """The `words` words (at least one) from each step of `stride` bytes on, as an overlapping view: void[...]."""
    size = words * WORD.itemsize
    count = max(0, (column.nbytes - size) // stride + 1)
    return np.ndarray((count,), dtype=np.dtype((np.void, size)), buffer=column.data, strides=(stride,))


def fill_in(text: U64, column: npt.NDArray[Any], at: I64) -> None:
    """text[i] becomes what is in `column`, of bytes or of words, from place at[i] on; beyond its end, zeros."""
    words = text.shape[1]
    if not words or not len(at):
        return
    step = column.itemsize
    last = (column.nbytes - words * WORD.itemsize) // step
    if int(at.max()) <= last:
        text[:] = windows(column, step, words)[at].view(WORD).reshape(text.shape)
        return
    inside = at <= last
    if inside.any():
        text[inside] = windows(column, step, words)[at[inside]].view(WORD).reshape(-1, words)
    late = at[~inside]
    begin = int(late.min())
    rest = np.zeros(len(column) - begin + words * WORD.itemsize // step, dtype=column.dtype)
    rest[: len(column) - begin] = column[begin:]
    text[~inside] = windows(rest, step, words)[late - begin].view(WORD).reshape(-1, words)


def collect(parts: Sequence[Part]) -> Iterator[tuple[Any, int, Records]]:
    """Copy messages out of lots (at least one, uniform lots before mixed ones); long texts come apart from short ones.

    Which messages, as an index of columns in the order of `parts`; the greatest width among them; and their records.
    """
    uniform = [part for part in parts if part[0].attempt]
    rows, begins, kept = uniform_rows(uniform) if uniform else (np.empty(0, dtype=ROW), [], None)
    columns, keeps = [rows], [] if kept is None else [kept]
    texts = [lot.whole.text for lot, _ in parts]
    for lot, positions in parts[len(uniform) :]:
        whole = lot.whole
        assert isinstance(whole, Mixed)
        at = positions + lot.begin if lot.begin else positions
        columns.append(taken(whole.rows, at))
        begins.append(whole.ends.take(at) - words_of(columns[-1]["length"]))
        if whole.kept is not None:
            keeps.append(taken(whole.kept, at))
    rows = joined(columns)
    kept = joined(keeps) if keeps else None
    words = words_of(rows["length"])
    width = width_of(words)
    widest = int(width.max())
    if widest <= _SHORT:
        yield slice(None), widest, Records(rows, _texts(texts, begins, int(words.max())), kept)
        return
    counts = [len(part[1]) for part in parts]
    for group in np.unique(np.maximum(width, _SHORT)).tolist():
        own = width <= group if group == _SHORT else width == group
        places = np.flatnonzero(own)
        cuts = np.cumsum([0, *counts]).tolist()
        some = [begin[own[cut : cut + len(begin)]] for begin, cut in zip(begins, cuts, strict=False)]
        text = _texts(texts, some, int(words[places].max()))
        widest = int(width[places].max())
        yield places, widest, Records(taken(rows, places), text, None if kept is None else taken(kept, places))


def _texts(texts: Sequence[npt.NDArray[Any]], begins: Sequence[I64], words: int) -> U64:
    """The texts that begin there, one after the other."""
    filled = np.empty((sum(map(len, begins)), words), dtype=WORD)
    done = 0
    for text, at in zip(texts, begins, strict=True):
        fill_in(filled[done : done + len(at)], text, at)
        done += len(at)
    return filled
