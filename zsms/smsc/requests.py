"""Answers of a fake SMSC to what is asked rarely: submit_multi, data_sm, query_sm, cancel_sm, replace_sm."""

from __future__ import annotations

import time

import numpy as np

from zsms.core.smpp.pdu import Command, Status, Tag
from zsms.core.smpp.record import Pdu, Target, Unsuccessful
from zsms.smsc.ids import serial_of
from zsms.smsc.model import Model, Origin
from zsms.smsc.rules import STATES

_INVMSGID = 0x0C
_CANCELFAIL = 0x11
_REPLACEFAIL = 0x13
_QUERYFAIL = 0x67
_INVNUMDESTS = 0x33
_INVDLNAME = 0x34
_OPEN = (STATES["ENROUTE"], STATES["ACCEPTD"])


def answer_to(request: Pdu, model: Model, origin: Origin, now: float, wall: float) -> Pdu:
    """The answer, without command and sequence number."""
    match request.command:
        case Command.SUBMIT_MULTI:
            return _multi(request, model, origin, now, wall)
        case Command.DATA_SM:
            text = request.tlv(Tag.MESSAGE_PAYLOAD) or b""
            to = Target(request["dest_addr_ton"], request["dest_addr_npi"], request["destination_addr"])
            named, told = model.apart(request, [to], text, origin=origin, now=now, wall=wall)
            return Pdu(0, status=told[0], fields={"message_id": named})
        case Command.QUERY_SM:
            return _query(request, model, origin)
        case Command.CANCEL_SM:
            return Pdu(0, status=_change(request, model, origin, _CANCELFAIL, wall))
        case Command.REPLACE_SM:
            return Pdu(0, status=_change(request, model, origin, _REPLACEFAIL))
        case _:
            return Pdu(0, status=Status.INVCMDID)


def _multi(request: Pdu, model: Model, origin: Origin, now: float, wall: float) -> Pdu:
    """One id for all; distribution lists are not known here."""
    targets = [each for each in request["dest_addresses"] if each.ton is not None]
    lists = [each for each in request["dest_addresses"] if each.ton is None]
    named = b""
    failed = [Unsuccessful(0, 0, each.address, _INVDLNAME) for each in lists]
    if targets:
        text = request["short_message"] or request.tlv(Tag.MESSAGE_PAYLOAD) or b""
        named, told = model.apart(request, targets, text, origin=origin, now=now, wall=wall)
        failed += [
            Unsuccessful(each.ton or 0, each.npi or 0, each.address, code)
            for each, code in zip(targets, told, strict=True)
            if code
        ]
    status = 0 if named else failed[0].status if failed else _INVNUMDESTS
    return Pdu(0, status=status, fields={"message_id": named, "unsuccess_sme": failed})


def _state(request: Pdu, model: Model, origin: Origin) -> tuple[int, int | None]:
    """Its serial number, and how it stands; None: no message of this account."""
    serial = serial_of(request["message_id"], model.rules.ids) or 0
    state = model.states.get(serial) if serial > 0 else None
    return serial, None if state is None or model.states.owner(serial) != origin.party.number else state


def _query(request: Pdu, model: Model, origin: Origin) -> Pdu:
    serial, state = _state(request, model, origin)
    if state is None:
        return Pdu(0, status=_QUERYFAIL)
    fields = {"message_id": request["message_id"], "final_date": b"", "message_state": state, "error_code": 0}
    if state not in _OPEN:
        ended = time.gmtime(model.states.ended(serial))
        fields["final_date"] = time.strftime("%y%m%d%H%M%S000+", ended).encode()
        fields["error_code"] = 0 if state == STATES["DELIVRD"] else state  # as its receipt has it
    return Pdu(0, fields=fields)


def _change(request: Pdu, model: Model, origin: Origin, refusal: int, ended: float | None = None) -> int:
    """Replace a message that has not ended, or cancel it (`ended`: the time of day in seconds); the status."""
    serial, now = _state(request, model, origin)
    if now is None:
        return _INVMSGID
    if now not in _OPEN:
        return refusal
    if ended is not None:
        model.states.put(np.array([serial], np.uint64), STATES["DELETED"], ended)
    return 0
