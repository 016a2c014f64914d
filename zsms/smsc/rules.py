"""How a fake SMSC answers: accounts, limits, outcomes, receipts and faults, from Python or a TOML file.

    accounts     who may bind, with how many binds, and how many segments a second
    answers      what submit_sm is answered with, by weight or by the number, and after what time
    receipts     how messages end, by weight, after what time, in which form
    faults       what goes wrong with the connections, and when

Everything that is drawn comes from one seed. A text that begins with ``#smsc`` says its own outcome, whatever the rules
say: ``#smsc status=0x58 receipt=UNDELIV delay=2 answer=lost mo=hello``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf

from zsms.errors import UsageError
from zsms.options import checked
from zsms.stats.delay import DelayModel

STATES = {
    "ENROUTE": 1,
    "DELIVRD": 2,
    "EXPIRED": 3,
    "DELETED": 4,
    "UNDELIV": 5,
    "ACCEPTD": 6,
    "UNKNOWN": 7,
    "REJECTD": 8,
}
"""message_state by the name that a receipt's text has (SMPP 3.4, 5.2.28 and appendix B)."""
FORMS = ("kannel", "tlv", "text", "both")
"""Receipts: as Kannel wants them in the text; in TLVs with an empty text; a looser text (12-digit dates, no sub and
dlvrd); the strict text and TLVs."""
IDS = ("decimal", "hex", "mixed", "uuid", "long")
"""Message ids: the same in answer and receipt in decimal, in hex, as a UUID or of 64 octets; mixed: hex in the answer,
decimal in the receipt."""
FAULTS = ("disconnect", "refuse", "silent", "slow")
MARK = b"#smsc"
_LONGEST_S = 1e9


@checked
@dataclass(frozen=True, slots=True)
class Account:
    """Who may bind. Octets as in a bind."""

    system_id: str
    password: str = ""
    """Empty: any."""
    binds: int = 0
    """Most binds at once; 0: any number."""
    segments: float = 0.0
    """Segments a second of all its binds together; 0: no limit."""
    bind_segments: float = 0.0
    """Segments a second of each bind; 0: no limit."""
    burst: float = 1.0
    """Seconds of its rate that a limit lets through at once after a rest."""
    queue: int = 0
    """Messages that wait for their receipt, at most; above, submit_sm is answered 0x14. 0: no limit."""


@checked
@dataclass(frozen=True, slots=True)
class Outcome:
    """What happens to messages to some numbers."""

    number: str
    """As in a PDU, with `*` at the beginning, at the end, or both."""
    status: int | None = None
    """command_status of the answer."""
    receipt: str | None = None
    """A name of `STATES`, or "none"."""


@checked
@dataclass(frozen=True, slots=True)
class Fault:
    """Something that goes wrong `at` seconds after the start, for `last` seconds."""

    at: float
    what: str
    """disconnect: all connections are cut; refuse: binds are answered with `status`; silent: nothing is answered;
    slow: answers take `factor` times as long."""
    last: float = 0.0
    status: int = 0x0D
    factor: float = 10.0
    every: float = 0.0
    """Again each so many seconds; 0: once."""


@checked
@dataclass(frozen=True, slots=True)
class Rules:
    """All of it. Times in seconds; shares from 0 to 1."""

    accounts: tuple[Account, ...] = ()
    """None: anybody may bind, with any password."""
    bind_segments: float = 0.0
    """Segments a second of each bind, where its account says nothing else; 0: no limit."""
    segments: float = 0.0
    """Segments a second of all binds of who has no account of his own; 0: no limit."""
    queue: int = 0
    """His messages that wait for their receipt, at most; above, 0x14. 0: no limit."""
    daily: int = 0
    """Segments of each account in 24 hours from the start, and again in the next; 0: no limit."""
    throttle_status: int = 0x58
    """What is answered above a limit."""
    statuses: tuple[tuple[int, float], ...] = ()
    """(command_status, weight) of answers; none: all are accepted."""
    answer: DelayModel = field(default_factory=lambda: DelayModel("constant", 0.0))
    """Time to the answer."""
    lost: float = 0.0
    """Share of answers that never come."""
    repeated: float = 0.0
    """Share of answers that come twice."""
    states: tuple[tuple[str, float], ...] = (("DELIVRD", 1.0),)
    """(name of `STATES` or "none", weight) of how accepted messages end; "none": without a receipt."""
    receipt: DelayModel = field(default_factory=lambda: DelayModel("constant", 0.0))
    """Time from answer to receipt."""
    receipts_lost: float = 0.0
    receipts_repeated: float = 0.0
    form: str = "kannel"
    ids: str = "decimal"
    elsewhere: bool = False
    """Receipts go to the account's binds in turn, not to the bind of the message."""
    outcomes: tuple[Outcome, ...] = ()
    faults: tuple[Fault, ...] = ()
    window: int = 1_000
    """deliver_sm without an answer, at most, a bind."""
    system_id: str = "zsms"
    enquire_link: float = 30.0
    response: float = 60.0
    inactivity: float = 0.0
    init: float = 10.0

    def __post_init__(self) -> None:
        check(self)


def check(rules: Rules) -> None:
    """Raise UsageError for rules that can't be."""
    for name in ("lost", "repeated", "receipts_lost", "receipts_repeated"):
        if not 0 <= getattr(rules, name) <= 1:
            raise UsageError(f"{name} {getattr(rules, name)}: give a share from 0 to 1")
    if rules.lost + rules.repeated > 1 or rules.receipts_lost + rules.receipts_repeated > 1:
        raise UsageError("what is lost and what is repeated are more than all together")
    for name, known in (("form", FORMS), ("ids", IDS)):
        if getattr(rules, name) not in known:
            raise UsageError(f"{name} {getattr(rules, name)!r}: choose one of {', '.join(known)}")
    for status, weight in rules.statuses:
        _status(status)
        _weight(f"{status:#x}", weight)
    for state, weight in rules.states:
        _state(state)
        _weight(state, weight)
    for what, weights in (("answers", rules.statuses), ("receipts", rules.states)):
        if weights and not sum(weight for _, weight in weights) > 0:
            raise UsageError(f"the weights of {what} are all 0")
    names = [account.system_id for account in rules.accounts]
    for account in rules.accounts:
        _account(account)
        if names.count(account.system_id) > 1:
            raise UsageError(f"two accounts with the system_id {account.system_id!r}")
    for outcome in rules.outcomes:
        inner = outcome.number.strip("*")
        if not inner.lstrip("+") or "*" in inner or not inner.isascii():
            raise UsageError(f"number {outcome.number!r}: give digits with * at the beginning, at the end or both")
        if outcome.status is not None:
            _status(outcome.status, f" of {outcome.number!r}")
        if outcome.receipt is not None:
            _state(outcome.receipt, f" of {outcome.number!r}")
    for fault in rules.faults:
        if fault.what not in FAULTS:
            raise UsageError(f"fault {fault.what!r}: choose one of {', '.join(FAULTS)}")
        _fault(fault)
    for name in ("bind_segments", "segments", "queue", "daily"):
        if not 0 <= getattr(rules, name) < inf:
            raise UsageError(f"{name} {getattr(rules, name)}: give a number from 0 (no limit) on")
    _refusal("throttle_status", rules.throttle_status)
    for name in ("enquire_link", "response", "inactivity", "init"):
        if not 0 <= getattr(rules, name) <= _LONGEST_S:
            raise UsageError(f"{name} {getattr(rules, name)}: give seconds from 0 (never) to {_LONGEST_S:,.0f}")
    _octets("system_id", rules.system_id, 15)
    if not 1 <= rules.window <= 1_000_000:
        raise UsageError(f"window {rules.window}: give 1 to 1000000")


def _account(account: Account) -> None:
    _octets("system_id", account.system_id, 15)
    if not account.system_id:
        raise UsageError("system_id: it has 0 octets; give 1 to 15 of ASCII")
    _octets(f"password of {account.system_id!r}", account.password, 8)
    for name in ("segments", "bind_segments", "binds", "queue"):
        if not 0 <= getattr(account, name) < inf:
            raise UsageError(f"{name} {getattr(account, name)} of {account.system_id!r}: 0 (no limit) or more")
    if not 0.001 <= account.burst <= 3_600:
        raise UsageError(f"burst {account.burst} of {account.system_id!r}: give seconds from 0.001 to 3600")


def _octets(name: str, value: str, most: int) -> None:
    """Refuse what is no C-octet string of ASCII: no bind could ever be compared with it."""
    if len(value) > most or not value.isascii() or any(letter < " " for letter in value):
        octets = len(value.encode("utf-8", "surrogatepass"))
        raise UsageError(f"{name}: it has {octets} octets; give 1 to {most} of ASCII")


def _fault(fault: Fault) -> None:
    for name in ("at", "last", "every"):
        if not 0 <= getattr(fault, name) <= _LONGEST_S:
            raise UsageError(f"the fault {fault.what!r}: {name} {getattr(fault, name)}: give seconds from 0")
    if 0 < fault.every < 0.001:
        raise UsageError(f"the fault {fault.what!r}: every {fault.every}: give seconds from 0.001, or 0 for once")
    if not 0.001 <= fault.factor <= 1e6:
        raise UsageError(f"the fault {fault.what!r}: factor {fault.factor}: give 0.001 to 1,000,000")
    _refusal(f"the fault {fault.what!r}: status", fault.status)


def _refusal(name: str, status: int) -> None:
    """A status that refuses: 0 accepts."""
    if not 0 < status <= 0xFFFFFFFF:
        raise UsageError(f"{name} {status}: give 1 to 0xffffffff")


def _status(status: int, whose: str = "") -> None:
    if not 0 <= status <= 0xFFFFFFFF:
        raise UsageError(f"status {status}{whose}: give 0 to 0xffffffff")


def _state(state: str, whose: str = "") -> None:
    if state != "none" and state not in STATES:
        raise UsageError(f"receipt {state!r}{whose}: choose one of none, {', '.join(STATES)}")


def _weight(name: str, weight: float) -> None:
    if not 0 <= weight < inf:
        raise UsageError(f"the weight {weight} of {name}: give 0 or more")
