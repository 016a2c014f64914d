"""Delivery receipts in columns: what a deliver_sm says of a message, and its text.

    Messages --read--> ReceiptRows: which of them are receipts, of which id, with which outcome
    ids, states --texts--> "id:… sub:001 dlvrd:001 submit date:… done date:… stat:DELIVRD err:000 text:"

The id is taken from receipted_message_id, the state from message_state, each from the text where the parameter is
missing or says nothing. What has a receipted_message_id is a receipt where its esm_class says nothing else. One that
says "not yet" (ENROUTE, ACCEPTD, BUFFRED) is told as such: a final one follows.

Source: SMPP Protocol Specification v3.4, issue 1.2, appendix B and 5.2.12, 5.2.28, 5.3.2.12, 5.3.2.35.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from zsms.core.smpp.pdu import Messages, Tag, Tlv
from zsms.core.smpp.strings import I64, U8, Block, Bools, Strings, constant, join
from zsms.message import Delivery

NOT_YET = 254
"""The outcome of a receipt that is not the last one of its message; others are codes of `zsms.message.Delivery`."""

_D = Delivery
STATES: dict[int, tuple[str, int]] = {
    1: ("ENROUTE", NOT_YET),
    2: ("DELIVRD", _D.DELIVERED.value),
    3: ("EXPIRED", _D.EXPIRED.value),
    4: ("DELETED", 1),
    5: ("UNDELIV", 1),
    6: ("ACCEPTD", NOT_YET),
    7: ("UNKNOWN", _D.UNKNOWN.value),
    8: ("REJECTD", _D.REJECTED.value),
}
"""message_state: its word in a text, and what it means. An undelivered message is code 1."""
_WORDS = {word[:5]: outcome for word, outcome in STATES.values()} | {
    "BUFFR": NOT_YET,
    "BUFFE": NOT_YET,
    "SCHED": NOT_YET,
    "SUBMI": NOT_YET,
    "CANCE": 1,
    "FAILE": 1,
    "SKIPP": 1,
}


def _state_table() -> U8:
    table = np.full(256, _D.UNKNOWN.value, np.uint8)
    for state, (_, outcome) in STATES.items():
        table[state] = outcome
    table[0] = NOT_YET  # SCHEDULED, of SMPP 5.0
    table[9] = 1  # SKIPPED
    return table


_BY_STATE = _state_table()


def _packed(word: bytes) -> int:
    return int.from_bytes(word.ljust(8, b"\0"), "little")


_KEYS = np.array(sorted(_packed(word.encode()) for word in _WORDS), np.uint64)
_BY_KEY = np.array([_WORDS[int(key).to_bytes(8, "little").rstrip(b"\0").decode()] for key in _KEYS.tolist()], np.uint8)


@dataclass(slots=True)
class ReceiptRows:
    """The receipts among n deliver_sm, a row each."""

    rows: I64
    """Which deliver_sm it is, int64[m]."""
    ids: Strings
    """message_id as it stands there; of no octets where there is none."""
    outcome: U8
    """`Delivery`'s code, or `NOT_YET`, uint8[m]."""

    def __len__(self) -> int:
        return len(self.rows)


def is_receipt(esm_class: U8) -> Bools:
    """Whether the message type says receipt, or intermediate notification (5.2.12), or both."""
    kind = esm_class & 0x3C
    found: Bools = (kind == 0x04) | (kind == 0x20) | (kind == 0x24)
    return found


def read(messages: Messages) -> ReceiptRows:
    """The receipts among decoded deliver_sm."""
    assert isinstance(messages.esm_class, np.ndarray)
    content = messages.content
    assert isinstance(content, Strings)
    ids_told, states_told = (messages.tlv(tag) for tag in (Tag.RECEIPTED_MESSAGE_ID, Tag.MESSAGE_STATE))
    found = is_receipt(messages.esm_class)
    if ids_told is not None:
        assert ids_told.present is not None
        found |= ids_told.present & ((messages.esm_class & 0x3C) == 0)
    every = bool(found.all())
    rows = np.flatnonzero(found)
    texts = content if every else content.take(rows)
    wide = _are_wide(texts, np.asarray(messages.data_coding)[rows])
    ids, outcome = _from_texts(_narrowed(texts, np.flatnonzero(wide)) if wide.any() else texts)
    if ids_told is not None:
        told, has = _rows(ids_told, rows)
        named = Strings(told.buffer, told.begins, np.minimum(told.lengths, _until_nul(told)))
        has &= named.lengths > 0
        ids = named if has.all() else _where(has, named, ids)
    if states_told is not None:
        told, has = _rows(states_told, rows)
        has &= told.lengths > 0
        state = told.buffer[told.begins + np.maximum(told.lengths - 1, 0)]  # of a number in several octets the last
        has &= (state > 0) | (outcome == _D.UNKNOWN.value)  # 0 is none of 3.4's
        outcome = np.where(has, _BY_STATE[state], outcome)
    outcome[(messages.esm_class[rows] & 0x3C) == 0x20] = NOT_YET
    return ReceiptRows(rows, ids, outcome)


def _rows(tlv: Tlv, rows: I64) -> tuple[Strings, Bools]:
    assert isinstance(tlv.value, Strings) and tlv.present is not None
    return tlv.value.take(rows), tlv.present[rows]


def _until_nul(strings: Strings) -> I64:
    """Octets of each before a NUL; all of them where there is none."""
    matrix = strings.matrix()
    if not matrix.shape[1]:
        return strings.lengths
    nul = (matrix == 0) & (np.arange(matrix.shape[1]) < strings.lengths[:, None])
    return np.where(nul.any(axis=1), nul.argmax(axis=1), strings.lengths)


def _where(first: Bools, these: Strings, others: Strings) -> Strings:
    """Row by row the one or the other."""
    offset = 0 if these.buffer is others.buffer else len(these.buffer)
    buffer = these.buffer if not offset else np.concatenate([these.buffer, others.buffer])
    begins = np.where(first, these.begins, others.begins + offset)
    return Strings(buffer, begins, np.where(first, these.lengths, others.lengths))


def _are_wide(texts: Strings, coding: U8) -> Bools:
    """Whether these are UTF-16: some SMSCs give a receipt its message's data_coding, and write it in ASCII."""
    wide: Bools = ((coding & 0x0C) == 0x08) & (texts.lengths > 1)
    if wide.any():
        wide &= np.isin(texts.buffer[np.where(wide, texts.begins, 0)], (0x00, 0xFE))  # a letter's high octet, or a mark
    return wide


def _narrowed(texts: Strings, rows: I64) -> Strings:
    """Texts of which these are UTF-16, as some SMSCs have receipts too, with the low octet of each of their units."""
    lengths = np.zeros(len(texts), np.int64)
    lengths[rows] = texts.lengths[rows] & ~1
    low = Strings(texts.buffer, texts.begins, lengths).compact()[1::2]
    narrow = np.zeros(len(texts), np.bool_)
    narrow[rows] = True
    return _where(narrow, Strings.packed(np.ascontiguousarray(low), lengths // 2), texts)


def _from_texts(texts: Strings) -> tuple[Strings, U8]:
    """The value behind the first "id:" and "stat:" of each text."""
    count = len(texts)
    begins, lengths = np.zeros(count, np.int64), np.zeros(count, np.int64)
    outcome = np.full(count, _D.UNKNOWN.value, np.uint8)
    flat = np.concatenate([np.zeros(8, np.uint8), texts.compact(), np.full(9, 0x20, np.uint8)])
    ends = np.cumsum(texts.lengths) + 8
    colons = np.flatnonzero(flat == 0x3A)
    if not len(colons):
        return Strings(texts.buffer, begins, lengths), outcome
    owner = np.searchsorted(ends, colons, side="right")
    starts = ends - texts.lengths
    inside = owner < count
    colons, owner = colons[inside], owner[inside]
    low = flat | 0x20
    before = colons - starts[owner]
    is_id = (low[colons - 1] == 0x64) & (low[colons - 2] == 0x69) & (before >= 2)
    is_id &= (before == 2) | _ENDS[flat[colons - 3]]
    is_state = (low[colons - 4] == 0x73) & (low[colons - 3] == 0x74) & (low[colons - 2] == 0x61)
    is_state &= (low[colons - 1] == 0x74) & (before >= 4)
    apart = _ENDS[flat]
    blanks, solid = np.flatnonzero(apart), np.flatnonzero(~apart)
    at, whose = colons[is_id][::-1] + 1, owner[is_id][::-1]  # of several the first, which is assigned last
    value = np.minimum(_next(solid, at, len(flat)), ends[whose])
    stop = np.minimum(blanks[np.searchsorted(blanks, value)], ends[whose])
    stop = np.where((value > at) & (_next(colons, value, len(flat)) < stop), value, stop)  # "id: stat:...": it has none
    at = value
    begins[whose] = texts.begins[whose] + (at - starts[whose])
    lengths[whose] = stop - at
    at, whose = colons[is_state][::-1] + 1, owner[is_state][::-1]
    outcome[whose] = _by_word(flat, _next(solid, at, len(flat)), ends[whose])
    return Strings(texts.buffer, begins, lengths), outcome


_ENDS = np.zeros(256, np.bool_)
_ENDS[:0x21] = True
_ENDS[list(b"\",;'\xff")] = True  # the last one is half of a byte order mark
"""Octets that a value neither begins with nor has in it."""


def _next(places: I64, at: I64, none: int) -> I64:
    """The first of the places that is not before `at`, of each; `none` where there is none."""
    found = np.searchsorted(places, at)
    after = found < len(places)
    return np.where(after, places[np.minimum(found, max(0, len(places) - 1))], none) if len(places) else at


def _by_word(flat: U8, at: I64, ends: I64) -> U8:
    """What the words at these places mean, by their first five letters."""
    letters = flat[np.minimum(at[:, None] + np.arange(5), len(flat) - 1)] & 0xDF
    letters[(at[:, None] + np.arange(5)) >= ends[:, None]] = 0
    keys = np.zeros(len(at), np.uint64)
    for place in range(5):
        keys |= letters[:, place].astype(np.uint64) << np.uint64(8 * place)
    found = np.minimum(np.searchsorted(_KEYS, keys), len(_KEYS) - 1)
    known: U8 = np.where(_KEYS[found] == keys, _BY_KEY[found], _D.UNKNOWN.value).astype(np.uint8)
    return known


_WORD_TABLE = np.zeros((256, 7), np.uint8)
for _state, (_word, _) in STATES.items():
    _WORD_TABLE[_state] = np.frombuffer(_word.encode(), np.uint8)


def texts(
    ids: Strings,
    states: npt.NDArray[np.uint8],
    errors: npt.NDArray[np.bytes_],
    submitted: npt.NDArray[np.bytes_],
    done: npt.NDArray[np.bytes_],
) -> Strings:
    """The text of a receipt each, in the form that appendix B has and Kannel asks for.

    `states` (uint8[n]) are message_states of `STATES`; `errors` S3[n] of three digits; `submitted` and `done` S10[n] or
    S12[n], YYMMDDhhmm or with seconds.
    """
    rows = len(ids)
    delivered = np.where(states == 2, 0x31, 0x30).astype(np.uint8)
    count = np.full((rows, 3), 0x30, np.uint8)
    count[:, 2] = delivered
    blocks = [
        constant(b"id:"),
        Block(ids.matrix(), ids.lengths),
        constant(b" sub:001 dlvrd:"),
        Block(count),
        constant(b" submit date:"),
        _digits(submitted),
        constant(b" done date:"),
        _digits(done),
        constant(b" stat:"),
        Block(_WORD_TABLE[states]),
        constant(b" err:"),
        _digits(errors),
        constant(b" text:"),
    ]
    fixed = sum(each.matrix.shape[1] for each in blocks if each.lengths is None)
    return Strings.packed(join(rows, blocks), ids.lengths + fixed)


def _digits(column: npt.NDArray[np.bytes_]) -> Block:
    return Block(np.ascontiguousarray(column).view(np.uint8).reshape(len(column), column.itemsize))
