"""Answers of a fake SMSC to what is asked rarely: submit_multi, data_sm, query_sm, cancel_sm, replace_sm."""

from __future__ import annotations

import time

import numpy as np

from zsms.core.smpp.pdu import Command, Status, Tag
from zsms.core.smpp.record import Pdu, Unsuccessful
from zsms.smsc.ids import serial_of
from zsms.smsc.model import Model, Origin
from zsms.smsc.rules import STATES

_INVMSGID = 0x0C
_CANCELFAIL = 0x11
_REPLACEFAIL = 0x13
_QUERYFAIL = 0x67
_INVDLNAME = 0x34
_OPEN = (STATES["ENROUTE"], STATES["ACCEPTD"])


def answer_to(request: Pdu, model: Model, origin: Origin, now: float, wall: float) -> Pdu:
    """The answer, without command and sequence number."""
    match request.command:
        case Command.SUBMIT_MULTI:
            return _multi(request, model, origin, now, wall)
        case Command.DATA_SM:
            text = request.tlv(Tag.MESSAGE_PAYLOAD) or b""
            addresses = request["source_addr"][:20], request["destination_addr"][:20]
            return Pdu(0, fields={"message_id": model.one(*addresses, text, origin=origin, now=now, wall=wall)})
        case Command.QUERY_SM:
            return _query(request, model, wall)
        case Command.CANCEL_SM:
            return Pdu(0, status=_change(request, model, STATES["DELETED"], _CANCELFAIL))
        case Command.REPLACE_SM:
            return Pdu(0, status=_change(request, model, None, _REPLACEFAIL))
        case _:
            return Pdu(0, status=Status.INVCMDID)


def _multi(request: Pdu, model: Model, origin: Origin, now: float, wall: float) -> Pdu:
    """One id for all; distribution lists are not known here."""
    failed = []
    named = b""
    for target in request["dest_addresses"]:
        if target.ton is None:
            failed.append(Unsuccessful(0, 0, target.address, _INVDLNAME))
            continue
        found = model.one(
            request["source_addr"], target.address, request["short_message"], origin=origin, now=now, wall=wall
        )
        named = named or found
    status = 0 if named else _INVDLNAME
    return Pdu(0, status=status, fields={"message_id": named, "unsuccess_sme": failed})


def _state(request: Pdu, model: Model) -> tuple[int, int | None]:
    serial = serial_of(request["message_id"], model.rules.ids) or 0
    return serial, model.states.get(serial) if serial > 0 else None


def _query(request: Pdu, model: Model, wall: float) -> Pdu:
    _, state = _state(request, model)
    if state is None:
        return Pdu(0, status=_QUERYFAIL)
    final = b"" if state in _OPEN else time.strftime("%y%m%d%H%M%S000+", time.gmtime(wall)).encode()
    fields = {"message_id": request["message_id"], "final_date": final, "message_state": state, "error_code": 0}
    return Pdu(0, fields=fields)


def _change(request: Pdu, model: Model, state: int | None, refusal: int) -> int:
    """Cancel or replace a message that has not ended; the status."""
    serial, now = _state(request, model)
    if now is None:
        return _INVMSGID
    if now not in _OPEN:
        return refusal
    if state is not None:
        model.states.put(np.array([serial], np.uint64), state)
    return 0
