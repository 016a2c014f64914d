"""What a command_status means for the message that was refused with it.

Source of the names: SMPP Protocol Specification v3.4, issue 1.2, 5.1.3. Of the consequences: which are temporary is
what Kannel 1.4.5 and others agree on; gateways differ, so the table can be edited (`Consequences.edited`).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from zsms.core.smpp.strings import every, some
from zsms.errors import UsageError
from zsms.message import Outcome

NAMES: dict[int, str] = {
    0x00: "ESME_ROK",
    0x01: "ESME_RINVMSGLEN",
    0x02: "ESME_RINVCMDLEN",
    0x03: "ESME_RINVCMDID",
    0x04: "ESME_RINVBNDSTS",
    0x05: "ESME_RALYBND",
    0x06: "ESME_RINVPRTFLG",
    0x07: "ESME_RINVREGDLVFLG",
    0x08: "ESME_RSYSERR",
    0x0A: "ESME_RINVSRCADR",
    0x0B: "ESME_RINVDSTADR",
    0x0C: "ESME_RINVMSGID",
    0x0D: "ESME_RBINDFAIL",
    0x0E: "ESME_RINVPASWD",
    0x0F: "ESME_RINVSYSID",
    0x11: "ESME_RCANCELFAIL",
    0x13: "ESME_RREPLACEFAIL",
    0x14: "ESME_RMSGQFUL",
    0x15: "ESME_RINVSERTYP",
    0x33: "ESME_RINVNUMDESTS",
    0x34: "ESME_RINVDLNAME",
    0x40: "ESME_RINVDESTFLAG",
    0x42: "ESME_RINVSUBREP",
    0x43: "ESME_RINVESMCLASS",
    0x44: "ESME_RCNTSUBDL",
    0x45: "ESME_RSUBMITFAIL",
    0x48: "ESME_RINVSRCTON",
    0x49: "ESME_RINVSRCNPI",
    0x50: "ESME_RINVDSTTON",
    0x51: "ESME_RINVDSTNPI",
    0x53: "ESME_RINVSYSTYP",
    0x54: "ESME_RINVREPFLAG",
    0x55: "ESME_RINVNUMMSGS",
    0x58: "ESME_RTHROTTLED",
    0x61: "ESME_RINVSCHED",
    0x62: "ESME_RINVEXPIRY",
    0x63: "ESME_RINVDFTMSGID",
    0x64: "ESME_RX_T_APPN",
    0x65: "ESME_RX_P_APPN",
    0x66: "ESME_RX_R_APPN",
    0x67: "ESME_RQUERYFAIL",
    0xC0: "ESME_RINVOPTPARSTREAM",
    0xC1: "ESME_ROPTPARNOTALLWD",
    0xC2: "ESME_RINVPARLEN",
    0xC3: "ESME_RMISSINGOPTPARAM",
    0xC4: "ESME_RINVOPTPARAMVAL",
    0xFE: "ESME_RDELIVERYFAILURE",
    0xFF: "ESME_RUNKNOWNERR",
}
VENDOR = range(0x400, 0x500)
"""Statuses that each SMSC defines for itself."""

FINAL_BINDS = (0x0E, 0x0F, 0x53)
"""A bind that is refused with one of these is refused for good: password, system_id or system_type are wrong."""

CONSEQUENCES: dict[int, Outcome] = {
    0x04: Outcome.TEMPORARY,  # INVBNDSTS: the fault is the link's, and no message's
    0x08: Outcome.TEMPORARY,
    0x14: Outcome.THROTTLED,
    0x58: Outcome.THROTTLED,
    0x64: Outcome.TEMPORARY,
}
"""By status; all others are `REJECTED`, and vendors' own `FAILED`: nobody else knows what those mean."""
CHOICES = {
    "temporary": Outcome.TEMPORARY,
    "throttled": Outcome.THROTTLED,
    "rejected": Outcome.REJECTED,
    "failed": Outcome.FAILED,
    "sent": Outcome.SENT,
}
"""What a user may say of a status."""

SENT = 255
"""What `Consequences.codes` says of it: no code of an outcome."""


def name_of(status: int) -> str:
    """ESME_RTHROTTLED (0x58); of a vendor's own, or of one that nobody knows, the number with what it is."""
    if status in NAMES:
        return f"{NAMES[status]} (0x{status:02X})"
    return f"vendor's status 0x{status:04X}" if status in VENDOR else f"reserved status 0x{status:08X}"


_ALL_SENT = np.full(1 << 12, SENT, np.uint8)
_ALL_SENT.flags.writeable = False


def all_sent(count: int) -> npt.NDArray[np.uint8]:
    """`count` times `SENT`, uint8; not to be written to."""
    return _ALL_SENT[:count] if count <= len(_ALL_SENT) else np.full(count, SENT, np.uint8)


def are_sent(codes: npt.NDArray[np.uint8]) -> bool:
    """Whether these are `SENT`, one and all."""
    return codes.base is _ALL_SENT or every(codes == SENT)


class Consequences:
    """Outcomes by status."""

    def __init__(self, table: Mapping[int, Outcome] | None = None) -> None:
        self.table = dict(CONSEQUENCES if table is None else table)
        self._codes = np.full(0x501, Outcome.REJECTED.code, np.uint8)
        self._codes[VENDOR.start : VENDOR.stop] = Outcome.FAILED.code
        self._codes[0x500] = Outcome.FAILED.code
        self._codes[0] = SENT
        self._beyond: dict[int, int] = {}
        """Codes of statuses that the column has no place for."""
        for status, outcome in self.table.items():
            code = SENT if outcome is Outcome.SENT else outcome.code
            if status < 0x500:
                self._codes[status] = code
            else:
                self._beyond[status] = code

    @classmethod
    def edited(cls, changes: Mapping[str, str]) -> Consequences:
        """The usual ones with a user's changes: {"0x14": "rejected", "1033": "temporary"}.

        Raises UsageError for a number that is no status from 1 on, or a word that is not in `CHOICES`.
        """
        table = dict(CONSEQUENCES)
        for key, word in changes.items():
            try:
                status = int(key, 0)
            except ValueError:
                status = 0
            if not 0 < status <= 0xFFFFFFFF:
                raise UsageError(f'status "{key}": give a number from 0x01 to 0xFFFFFFFF, such as "0x58"')
            if word not in CHOICES:
                raise UsageError(f"status {key} = {word!r}: give one of {', '.join(CHOICES)}")
            table[status] = CHOICES[word]
        return cls(table)

    def codes(self, status: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint8]:
        """The codes of `zsms.message.Outcome`, uint8[n]; `SENT` for those that count as sent."""
        if not some(status):  # as nearly always
            return all_sent(len(status))
        found: npt.NDArray[np.uint8] = self._codes[np.minimum(status, 0x500)]
        for beyond, code in self._beyond.items():
            found[status == beyond] = code
        return found
