"""The report of a run: what was asked for, what became of every message, and how long it took.

docs/report.schema.json is the published form of `Report.to_json`; `SCHEMA` names its version. A field may be
added within a version; one that changes its meaning changes the version.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from zsms import __version__
from zsms.errors import UsageError
from zsms.report.machine import machine, versions
from zsms.report.thresholds import Verdict
from zsms.stats.arrivals import Rate
from zsms.stats.series import Series
from zsms.words import in_line, many, writable, writable_in

SCHEMA = "zsms-report/2"
THRESHOLD_FAILED = 99
"""The exit code of a run that is not as it was expected to be."""


MOST_WORDS = 200
"""Characters of a title, or of a tag."""
MOST_TAGS = 50


def check_words(title: str, tags: Mapping[str, str]) -> dict[str, str]:
    """The tags. Raises UsageError for a title or tags that not every terminal and page can show."""
    for what, text in (("title", title), *((f"tag {name:.20}", f"{name}={value}") for name, value in tags.items())):
        if len(text) > MOST_WORDS or not writable(text).isprintable():
            raise UsageError(f"{in_line(what)}: give at most {MOST_WORDS} characters that can be shown, in one line")
    if len(tags) > MOST_TAGS:
        raise UsageError(f"{len(tags)} tags: give at most {MOST_TAGS}")
    return dict(tags)


_SPEAK_OF_SUCCESS = {f"messages.{name}" for name in ("sent", "failed", "dead", "settled", "produced", "skipped_rows")}
"""Whoever has a threshold on one of these has said what to make of a run that sends nothing."""


@dataclass(slots=True)
class Messages:
    """Counts of messages."""

    produced: int = 0
    """Made by the producers, by their own count."""
    sent: int = 0
    failed: int = 0
    dead: int = 0
    """Given up after several attempts or deliveries."""
    unsettled: int = 0
    """Of a run that ended early: queued or in flight in a broker that lived, or unconfirmed at a producer."""
    lost: int = 0
    """Confirmed to producers, and neither settled nor held by a broker that lived; with a lost broker also what
    producers kept for it. Below 0: settled, but by no producer's count."""
    duplicates: int = 0
    """Acknowledgements beyond the one that settled a message."""
    redelivered: int = 0
    """Taken back from a sender that died or held them too long, and given to another."""
    skipped_rows: int = 0
    """Bad rows of a list that were left out."""
    skipped_lines: int = 0
    """The lines of it that they were."""
    repeated_rows: int = 0
    """Rows of a list whose recipient had come before; left out too, where each was to come once."""

    @property
    def settled(self) -> int:
        """Messages whose fate is final."""
        return self.sent + self.failed + self.dead


@dataclass(slots=True)
class Sends:
    """Sends, by the senders' or the brokers' count, whichever is higher: of a message there may be several."""

    ended: int = 0
    """Whatever came of them."""
    failed: int = 0
    retried: int = 0
    """Failed sends whose message was sent again, by the brokers' count."""


@dataclass(slots=True)
class ProcessRow:
    """What one process cost."""

    role: str
    name: str
    pid: int
    cpu_s: float
    rss_max_bytes: int
    exit_code: int | None = None
    """Negative: killed by that signal. None: it was still running, or is this process."""
    host: str = ""
    """The machine that it ran on."""


@dataclass(slots=True)
class Report:
    """One run, as measured. Times in seconds."""

    config: dict[str, Any]
    started: str
    """When the first process was started, ISO 8601."""
    messages: Messages
    sends: Sends
    wall_s: float | None
    """From the first message that a broker accepted to the last that was settled."""
    elapsed_s: float
    """From the start of the first process to the end of the last but the collector."""
    first_message_s: float | None
    """From the start of the first process to the first message that a broker accepted."""
    rate: Rate | None
    """Of a run with an arrival rate: asked for against reached, and how late arrivals were served."""
    throughput_per_s: float | None
    """Settled messages / wall_s."""
    send_time_s: dict[str, float | None]
    """In a slot, as measured."""
    asked_time_s: float | None
    """The mean time that slots were asked to sleep: what the efficiencies are reckoned with."""
    queue_time_s: dict[str, float | None]
    """Of sends: from when the message was queued, or queued again, to the slot."""
    total_time_s: dict[str, float | None]
    """Of messages: from when one was due to its final outcome, through all attempts."""
    delivery_time_s: dict[str, float | None]
    """From a gateway's acceptance to the receipt that told of the delivery."""
    slot_error_s: dict[str, float | None]
    """How far a real sleep was from the one asked for, either way."""
    efficiency: float | None
    """Settled sends x asked_time_s / (slots x wall_s); the study's per-sender throughput when the mean is 1 s."""
    steady: dict[str, float | None]
    """While there was always more to send, the start and the tail left out: messages and sends a second, and efficiency
    (:mod:`zsms.stats.steady`), and for how many seconds. None where too little was sent meanwhile."""
    reach_s: dict[str, float | None]
    """When so many of the messages produced had been sent, from the first that was accepted, to 10 ms."""
    processes: list[ProcessRow]
    senders: list[dict[str, Any]]
    """By sender: name, slots, sends, failed_sends, send_time_s, blocked_s."""
    outcomes: dict[str, int]
    """How sends ended, by the brokers' count: sent, failed, temporary, throttled, rejected, uncertain."""
    receipts: dict[str, int | None]
    """What gateways told of messages later, outside of the accounts, by :data:`zsms.stats.figures.RECEIPTS`;
    and `missing`, those that were asked for and have not come, and `unmatched`, those of no message of their sender's:
    None where no sender awaits any."""
    failures: list[dict[str, Any]]
    """Why sends failed, the most frequent first: reason, sends, and an example or None."""
    balanced: bool
    """Whether produced = sent + failed + dead (+ unsettled, when it ended early) and the broker's accounts agree."""
    completed: bool = True
    """Whether the run came to its own end: not interrupted, and no process lost that it can't do without."""
    interrupted: bool = False
    aborted: bool = False
    """Whether a failed threshold, and nothing else, ended the run early."""
    nothing_sent: bool = False
    """Whether there was something to send, nothing was sent, and nobody had allowed for that."""
    log_lacks_rows: bool = False
    """Whether messages were settled of which the log of messages has no row."""
    thresholds: list[Verdict] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    """What makes figures mean something else than one would think."""
    problems: list[str] = field(default_factory=list)
    """What went wrong, in the order in which it was noticed."""
    faults: list[dict[str, Any]] = field(default_factory=list)
    """What went wrong on purpose, and how the run got over it (:func:`zsms.stats.recovery.recoveries`)."""
    plan: list[dict[str, Any]] = field(default_factory=list)
    """Of a run with --plan: when so many were to be sent, and when they were (:class:`zsms.plan.against.Row`)."""
    series: dict[str, list[Any]] = field(default_factory=lambda: Series().columns())
    """How it went over time: the columns of :mod:`zsms.stats.series`, t_s from the first message."""
    title: str = ""
    tags: dict[str, str] = field(default_factory=dict)
    """What the user calls this run, and what else is to be known of it."""
    machine: dict[str, Any] = field(default_factory=machine)
    versions: dict[str, str] = field(default_factory=versions)
    schema: str = SCHEMA
    version: str = __version__

    @property
    def exit_code(self) -> int:
        """What `zsms run` exits with: 130 interrupted (Ctrl-C or SIGTERM); 1 unbalanced, unfinished, failed, nothing
        was sent, or the log of messages lacks rows; 99 not as expected; 0."""
        if self.interrupted:
            return 130
        if not self.balanced or not (self.aborted or (self.completed and not self.messages.unsettled)):
            return 1
        if not all(verdict.ok for verdict in self.thresholds):
            return THRESHOLD_FAILED
        return int(self.nothing_sent or self.log_lacks_rows)

    def ask_for_success(self) -> None:
        """Note that nothing was sent, unless there was nothing to send or a threshold speaks of what came of them."""
        m = self.messages
        spoken = {verdict.threshold.partition(" ")[0] for verdict in self.thresholds}
        asked = m.produced or m.skipped_rows or self.config.get("input") is not None
        if m.sent or not asked or self.interrupted or spoken & _SPEAK_OF_SUCCESS:
            return
        self.nothing_sent = True
        if m.produced:
            fates = ((m.failed, "failed"), (m.dead, "dead"), (m.unsettled, "unsettled"), (m.lost, "lost"))
            why = ", ".join(f"{count:,} {fate}" for count, fate in fates if count)
        elif m.skipped_rows:
            why = f"{many(m.skipped_rows, 'row')}, and none of them good"
        else:
            why = "the input has no rows" if self.completed else "no message was made"
        self.problems.append(f"nothing was sent: {why} (--allow-failures lets such a run end well)")

    def to_json(self) -> dict[str, Any]:
        """The report as a JSON object, `schema` first."""
        body = writable_in(asdict(self))
        body["messages"]["settled"] = self.messages.settled
        return {"schema": body.pop("schema"), "version": body.pop("version"), **body}

    def dumps(self) -> str:
        """`to_json` as text, ending with a newline."""
        text = json.dumps(self.to_json(), indent=2)
        # A list of numbers on one line: a thousand points in each of a dozen columns are no reading matter.
        return re.sub(r"\[[-+.\deE,\snul]+\]", lambda found: " ".join(found[0].split()), text) + "\n"
