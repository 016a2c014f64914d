"""Receipts as deliver_sm, in columns, in the forms that SMSCs use.

The text of the strict form is what Kannel reads: one space between fields, ten-digit dates, three digits of err::

    id:17 sub:001 dlvrd:001 submit date:2611281200 done date:2611281201 stat:DELIVRD err:000 text:Hello

Source: SMPP 3.4, appendix B, and Kannel's gw/smsc/smsc_smpp.c.
"""

from __future__ import annotations

import time

import numpy as np
import numpy.typing as npt

from zsms.core.smpp.pdu import Messages, Tag, Tlv
from zsms.core.smpp.strings import Block, Strings, Text, block, constant, integers, join, sizes
from zsms.smsc.ids import ids_of
from zsms.smsc.rules import STATES

_RECEIPT = 0x04
"""esm_class of a receipt."""
_NAMES = np.zeros(16, "S7")
for _name, _number in STATES.items():
    _NAMES[_number] = _name.encode()
_GOOD = STATES["DELIVRD"]
_STRICT, _LOOSE = "%y%m%d%H%M", "%y%m%d%H%M%S"


def _dates(seconds: npt.NDArray[np.float64], form: str) -> npt.NDArray[np.uint8]:
    """Times of day as digits in UTC, uint8[n, 10 or 12]; there are few different ones among many."""
    whole, places = np.unique(np.floor(seconds), return_inverse=True)
    texts = [time.strftime(form, time.gmtime(each)).encode() for each in whole.tolist()]
    width = len(texts[0])
    return np.frombuffer(b"".join(texts), np.uint8).reshape(-1, width)[places]


def _texts(rows: npt.NDArray[np.void], ids: Strings, wall: float, strict: bool) -> Strings:
    form = _STRICT if strict else _LOOSE
    good = rows["state"] == _GOOD
    delivered = np.where(good, b"001", b"000")
    error = np.where(good, b"000", np.char.zfill(rows["state"].astype("S3"), 3))
    done = np.full(len(rows), wall)
    fields: list[Block] = [constant(b"id:"), block(ids)]
    if strict:
        fields += [constant(b" sub:001 dlvrd:"), _fixed(delivered)]
    fields += [
        constant(b" submit date:"),
        Block(_dates(rows["submitted"], form)),
        constant(b" done date:"),
        Block(_dates(done, form)),
        constant(b" stat:"),
        _fixed(_NAMES[rows["state"]]),
        constant(b" err:"),
        _fixed(error),
        constant(b" text:" if strict else b" Text:"),
        block(Strings.fixed(rows["text"])),
    ]
    lengths = np.zeros(len(rows), np.int64) + sizes(len(rows), fields)
    return Strings.packed(join(len(rows), fields), lengths)


def _fixed(column: npt.NDArray[np.bytes_]) -> Block:
    return block(Strings.fixed(np.ascontiguousarray(column)))


def deliveries(rows: npt.NDArray[np.void], form: str, ids: str, wall: float) -> Messages:
    """Receipts for these rows of `zsms.smsc.store.ROW` in a form of `zsms.smsc.rules.FORMS`; `wall` is the time of day.

    They go from the message's destination to its source. Sequence numbers are the session's to give.
    """
    named = ids_of(rows["serial"], ids, receipt=True)
    text: Text = b""
    tlvs: list[Tlv] = []
    if form != "tlv":
        text = _texts(rows, named, wall, strict=form != "text")
    if form in ("tlv", "both"):
        ended = Strings.packed(join(len(rows), [block(named), constant(b"\0")]), named.lengths + 1)
        tlvs = [Tlv(Tag.RECEIPTED_MESSAGE_ID, ended), Tlv(Tag.MESSAGE_STATE, integers(rows["state"], 1))]
    return Messages(
        sequence=np.zeros(len(rows), np.uint32),
        source_ton=np.ascontiguousarray(rows["destination_ton"]),
        source_npi=np.ascontiguousarray(rows["destination_npi"]),
        source=Strings.fixed(np.ascontiguousarray(rows["destination"])),
        destination_ton=np.ascontiguousarray(rows["source_ton"]),
        destination_npi=np.ascontiguousarray(rows["source_npi"]),
        destination=Strings.fixed(np.ascontiguousarray(rows["source"])),
        esm_class=_RECEIPT,
        short_message=text,
        tlvs=tlvs,
    )
