"""The report of a run: what was asked for, what became of every message, and how long it took.

docs/report.schema.json is the published form of `Report.to_json`; `SCHEMA` names its version. A field may be
added within a version; one that changes its meaning changes the version.
"""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from zsms import __version__
from zsms.report.machine import machine, versions
from zsms.report.thresholds import Verdict
from zsms.stats.arrivals import Rate, asked_of, rate_of, reached_between
from zsms.stats.audit import Audit
from zsms.stats.failures import SIMULATED, Failure
from zsms.stats.figures import SenderFigures, added
from zsms.stats.histogram import QUANTILES, Histogram
from zsms.stats.reach import SHARES, SPOKEN, Part, merged_times
from zsms.stats.recovery import Struck, recoveries
from zsms.stats.row import Row
from zsms.stats.series import Series
from zsms.stats.view import View
from zsms.words import writable, writable_in

SCHEMA = "zsms-report/2"
_STEADY_SHARE = 0.15
"""A stretch in which less than this share of all was sent stands for nothing: a backlog of arrivals by chance."""
WIDTH = 80
"""Columns of a summary."""
_LABEL = 12
THRESHOLD_FAILED = 99
"""The exit code of a run that is not as it was expected to be."""


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
    """Counts of sends, by the senders' own count: of a message there may be several."""

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
        """What `zsms run` exits with: 130 interrupted (Ctrl-C or SIGTERM); 1 unbalanced, unfinished, failed, or nothing
        was sent; 99 not as expected; 0."""
        if self.interrupted:
            return 130
        if not self.balanced or not (self.aborted or (self.completed and not self.messages.unsettled)):
            return 1
        if not all(verdict.ok for verdict in self.thresholds):
            return THRESHOLD_FAILED
        return 1 if self.nothing_sent else 0

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
        else:
            why = f"{m.skipped_rows:,} rows, and none of them good" if m.skipped_rows else "the input has no rows"
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


def make_report(
    answer: dict[str, Any],
    *,
    config: dict[str, Any],
    processes: list[ProcessRow],
    elapsed_s: float,
    started: str,
    started_at: float,
    brokers_lost: Collection[str],
    completed: bool,
    interrupted: bool,
    aborted: bool,
    problems: list[str],
    series: Series,
    warnings: Collection[str] = (),
    struck: Sequence[Struck] = (),
) -> Report:
    """Reckon a report from the collector's last answer ("all") and the points that were taken on the way.

    `started` and `started_at` are when the first process was started, by the calendar and by the monotonic clock. What
    the brokers named in `brokers_lost` had queued and in flight is gone and counts as lost, and so does what producers
    kept for them. `warnings` are those that were given before the start.
    """
    view = View.of(answer, 0.0, brokers_lost)
    broker, producer, sender = view.totals
    audit = _audit(view, processes)
    stranded = min(audit.unconfirmed, _stranded(view, brokers_lost))
    messages = Messages(
        produced=audit.made,
        sent=view.sent,
        failed=view.failed,
        dead=view.dead,
        unsettled=audit.held + audit.unconfirmed - stranded,
        lost=audit.lost + stranded,
        duplicates=view.duplicates,
        redelivered=view.redelivered,
        skipped_rows=producer.skipped_rows or 0,
        skipped_lines=producer.skipped_lines or 0,
        repeated_rows=producer.repeated_rows or 0,
    )

    def summary(name: str, *keys: str, role: str = "sender") -> dict[str, float | None]:
        figures = histogram_of(answer, name, role).summary()
        return {key: figures[key] for key in keys}

    times = ("mean", *QUANTILES, "max")
    sends = sender.sends
    asked = _asked_s(view) / sends if sends else None
    wall = view.busy_s if view.settled else None
    slots = _slots(view)
    ended_sends = broker.sends or 0
    first_accepted = view.first_accepted_at or 0.0
    steady, sends_each = _steady(view, ended_sends), _per(ended_sends, view.settled)
    rate = _rate_of(answer, config, view, series, origin=first_accepted, sends_each=sends_each, steady=steady)
    return Report(
        config=config,
        started=started,
        messages=messages,
        sends=Sends(sends, sender.failed or 0, view.retried),
        wall_s=wall,
        elapsed_s=elapsed_s,
        first_message_s=max(0.0, first_accepted - started_at) if first_accepted else None,
        rate=rate,
        throughput_per_s=view.settled / wall if wall else None,
        send_time_s=summary("send_time", *times),
        asked_time_s=asked,
        queue_time_s=summary("queue_time", *times),
        total_time_s=summary("total_time", *times),
        delivery_time_s=summary("delivery_time", *times, role="broker"),
        slot_error_s=summary("slot_error", "p50", "p99", "max"),
        efficiency=ended_sends * asked / (slots * wall) if slots and wall and asked is not None else None,
        steady=steady,
        reach_s=_reach(view, messages, series, answer.get("reach", {})),
        processes=processes,
        senders=[_sender_row(row) for row in sorted(view.senders, key=lambda row: row.name)],
        outcomes=broker.outcomes,
        receipts=_receipts(view),
        failures=[Failure(*row)._asdict() for row in answer.get("failures", [])],
        balanced=view.accounts_balance and messages.lost == 0 and not brokers_lost,
        completed=completed,
        interrupted=interrupted,
        aborted=aborted,
        warnings=[*warnings, *([] if rate is None else rate.warnings())],
        problems=problems,
        series=(columns := series.columns(first_accepted or started_at)),
        faults=recoveries(struck, columns),
    )


def histogram_of(answer: dict[str, Any], name: str, role: str = "sender") -> Histogram:
    """One of the histograms of a role in a collector's answer; empty when nobody has reported it."""
    body = answer.get("histograms", {}).get(role, {}).get(name)
    return Histogram() if body is None else Histogram.from_wire(body)


def _rate_of(
    answer: dict[str, Any],
    config: dict[str, Any],
    view: View,
    series: Series,
    *,
    origin: float,
    sends_each: float | None,
    steady: dict[str, float | None],
) -> Rate | None:
    """What a run with an arrival rate is about; None without one."""
    asked = asked_of((row.figures for row in view.producers), config.get("rate"))
    if asked is None:
        return None
    send, late = histogram_of(answer, "send_time"), histogram_of(answer, "late").summary()
    sends = send.count
    begin, end = origin + (send.quantile(0.99) or 0.0), origin + asked.seconds
    over = origin + view.busy_s
    reached = reached_between(*series.settled_by_time(), begin, min(end, over), over) if origin else None
    seconds: float | None = end - begin
    if steady["seconds"] is not None and steady["seconds"] > asked.seconds / 2:
        reached, seconds = steady["throughput_per_s"], steady["seconds"]  # slots had no time for more
    return rate_of(
        asked,
        slots=_slots(view),
        sends_each=sends_each,
        asked_s=_per(_asked_s(view), sends),
        took_s=send.mean,
        late_s={key: late[key] for key in ("mean", *QUANTILES, "max")},
        reached=(reached, None if reached is None else seconds),
    )


def _per(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def _audit(view: View, processes: Collection[ProcessRow]) -> Audit:
    """The audit; of producers that ended well, and have said so, nothing is untold, whatever brokers say."""
    ended = all(process.exit_code == 0 for process in processes if process.role == "producer")
    return replace(view.audit, told=True) if processes and ended and view.producers_done else view.audit


def _stranded(view: View, brokers_lost: Collection[str]) -> int:
    """Unconfirmed messages that producers keep for brokers that are lost."""
    if not brokers_lost:
        return 0
    if any(row.name not in brokers_lost for row in view.brokers):
        return int(added(row.figures.unreachable for row in view.producers))
    return int(added(row.figures.unconfirmed for row in view.producers))


def _steady(view: View, ended_sends: int) -> dict[str, float | None]:
    """Of the senders that were steady long enough, when they have nine tenths of the slots or more."""
    steady_slots, rate, worked, seconds = 0.0, 0.0, 0.0, 0.0
    slots = _slots(view)
    for row in view.senders:
        f = row.figures
        if not f.steady_s or not f.steady_slot_s or not f.mean_s or not f.slots:
            continue
        if (f.steady_worked_s or 0.0) < _STEADY_SHARE * (f.worked_s or 0.0):
            continue
        share = (f.steady_worked_s or 0.0) / f.steady_slot_s
        steady_slots += f.slots
        worked += share * f.slots
        rate += share * f.slots / f.mean_s
        seconds += f.steady_s * f.slots
    if not steady_slots or steady_slots < 0.9 * slots:
        return dict.fromkeys(("throughput_per_s", "sends_per_s", "efficiency", "seconds"))
    return {
        # What is sent again takes slots, and is no message more.
        "throughput_per_s": rate * view.settled / ended_sends if ended_sends else None,
        "sends_per_s": rate,
        "efficiency": worked / steady_slots,
        "seconds": seconds / steady_slots,
    }


def _reach(view: View, messages: Messages, series: Series, told: dict[str, Any]) -> dict[str, float | None]:
    """By the brokers' own counts. One that was lost has said none: then by the points of the series."""
    brokers, whole = view.brokers, messages.produced
    if len(brokers) == 1 and brokers[0].figures.reach_of == whole:
        return brokers[0].figures.reach_s
    origin = view.first_accepted_at
    parts = _reach_parts(view, told)
    if parts and origin is not None and whole:
        return merged_times(parts, whole)
    at, sent = series.sent_by_time()
    found: dict[str, float | None] = {}
    for name, share in SHARES.items():
        wanted = whole * share
        index = next((index for index, count in enumerate(sent) if count >= wanted), None)
        if origin is None or index is None or not whole:
            found[name] = None
            continue
        before, begun = (sent[index - 1], at[index - 1]) if index else (0, origin)
        part = (wanted - before) / (sent[index] - before) if sent[index] > before else 1.0
        found[name] = round(max(0.0, begun + part * (at[index] - begun) - origin), 2)
    return found


def _reach_parts(view: View, told: dict[str, Any]) -> list[Part]:
    """The counts of every broker, if all that have sent anything have told them."""
    began = {row.name: row.figures.first_accepted_at for row in view.brokers if row.figures.first_accepted_at}
    first = view.first_accepted_at or 0.0
    try:
        return [Part.of_wire(told[name], at - first) for name, at in began.items()]
    except (KeyError, ValueError):
        return []


def _receipts(view: View) -> dict[str, int | None]:
    told: dict[str, int | None] = {**view.totals.broker.receipts}
    # The senders have left: what they still waited for does not come any more.
    sender, rows = view.totals.sender, view.senders
    for name, counted, waits in (
        ("missing", sender.receipts_missing, added(row.figures.receipts_awaited for row in rows)),
        ("unmatched", sender.receipts_unmatched, added(row.figures.receipts_early for row in rows)),
    ):
        told[name] = None if counted is None else counted + int(waits)
    return told


def _slots(view: View) -> float:
    """As the senders say, for the brokers have let their sessions go by now."""
    return added(row.figures.slots for row in view.senders)


def _asked_s(view: View) -> float:
    """How long slots were asked to sleep, in all."""
    return added(row.figures.asked_s for row in view.senders)


def _sender_row(row: Row[SenderFigures]) -> dict[str, Any]:
    figures = row.figures
    return {
        "name": row.name,
        "slots": int(figures.slots or 0),
        "sends": figures.sends,
        "failed_sends": figures.failed or 0,
        "send_time_s": figures.send_time_s,
        "blocked_s": figures.blocked_s,
    }


def summary_lines(report: Report) -> list[str]:
    """The report in a dozen lines, for people."""
    m, steady = report.messages, report.steady

    def times(figures: dict[str, float | None]) -> str:
        told = ((name, value) for name in _SUMMED if (value := figures.get(name)) is not None)
        return "  ".join(f"{name} {_seconds(value)}" for name, value in told) or _NOTHING

    rows = [("title", report.title)] if report.title else []
    if report.tags:
        rows.append(("tags", "  ".join(f"{name}={value}" for name, value in report.tags.items())))
    if report.interrupted or report.aborted:
        rows.append(("run", _early_end(report)))
    rows += [
        (
            "messages",
            f"{m.produced:,} produced, {m.sent:,} sent, {m.failed:,} failed, {m.dead:,} dead"
            + (f"; {m.skipped_rows:,} bad rows ({m.skipped_lines:,} lines) left out" if m.skipped_rows else "")
            + (f"; {m.repeated_rows:,} rows to a recipient that came before" if m.repeated_rows else ""),
        ),
        (
            "ledger",
            f"{'balanced' if report.balanced else 'NOT BALANCED'}: {m.lost:,} lost, {m.unsettled:,} unsettled, "
            f"{m.redelivered:,} redelivered, {m.duplicates:,} duplicates",
        ),
        *_sends_rows(report.sends),
        *_rate_rows(report.rate, times),
        ("wall", _NOTHING if report.wall_s is None else f"{report.wall_s:.2f} s from the first message to the last"),
        ("throughput", _rate(report.throughput_per_s, report.efficiency)),
    ]
    if steady["seconds"] is not None:
        rows.append(("steady", f"{_rate(steady['throughput_per_s'], steady['efficiency'])}, {steady['seconds']:.1f} s"))
    if report.reach_s["p50"] is not None:
        parts = (f"{SPOKEN[name]} {at:.2f} s" for name, at in report.reach_s.items() if at is not None)
        rows.append(("reach", "  ".join(parts)))
    cpu = sum(process.cpu_s for process in report.processes)
    memory = sum(process.rss_max_bytes for process in report.processes)
    rows += [
        ("send time", times(report.send_time_s)),
        ("queue time", times(report.queue_time_s)),
        ("total time", times(report.total_time_s)),
        *_told_by_gateways(report, times),
        ("slot error", times(report.slot_error_s)),
        (
            "processes",
            f"{len(report.processes)}, {cpu:.1f} s of processor, at most {memory / 2**20:,.0f} MiB in all",
        ),
    ]
    rows += [("failures", _failure(row)) for row in report.failures if row["reason"] != SIMULATED]
    rows += [("warning", warning) for warning in report.warnings]
    rows += [("threshold", _verdict(verdict)) for verdict in report.thresholds]
    rows += [("problem", problem) for problem in report.problems]
    return [line for label, text in rows for line in wrapped(label, text)]


def wrapped(label: str, text: str) -> list[str]:
    """A row in lines of at most `WIDTH`; only a word that is longer, such as a path, goes beyond."""
    return textwrap.wrap(
        f"{label:<{_LABEL}}{writable(text)}",
        WIDTH,
        subsequent_indent=" " * _LABEL,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _sends_rows(sends: Sends) -> list[tuple[str, str]]:
    """Where there are more sends than messages, or failed ones."""
    if not sends.failed:
        return []
    return [("sends", f"{sends.ended:,}, {sends.failed:,} of them failed, {sends.retried:,} of these sent again")]


def _rate_rows(rate: Rate | None, times: Callable[[dict[str, float | None]], str]) -> list[tuple[str, str]]:
    """The headline of a run with an arrival rate."""
    if rate is None:
        return []
    reached = (
        "too short to say what was reached" if rate.reached_per_s is None else f"{rate.reached_per_s:,.6g}/s reached"
    )
    return [("rate", f"{rate.asked_per_s:,.6g} messages/s asked for, {reached}"), ("late", times(rate.late_s))]


def _told_by_gateways(report: Report, times: Callable[[dict[str, float | None]], str]) -> list[tuple[str, str]]:
    """The lines on outcomes beyond sent and failed, and on receipts, where there are any."""
    rows = []
    beyond = {name: count for name, count in report.outcomes.items() if count and name not in ("sent", "failed")}
    if beyond:
        rows.append(("outcomes", ", ".join(f"{count:,} {name}" for name, count in report.outcomes.items() if count)))
    if any(report.receipts.values()):
        rows.append(("receipts", ", ".join(f"{count:,} {name}" for name, count in report.receipts.items() if count)))
        rows.append(("delivery", times(report.delivery_time_s)))
    return rows


def _early_end(report: Report) -> str:
    who = "interrupted" if report.interrupted else "ended early by a threshold"
    left = report.messages.unsettled
    rest = f"{left:,} messages were not settled" if left else "all that had been made was settled"
    return f"{who} after {report.elapsed_s:.1f} s; {rest}"


def _failure(row: dict[str, Any]) -> str:
    return f"{row['sends']:,} {row['reason']}" + (f", such as: {row['example']}" if row["example"] else "")


_NOTHING = "nothing measured"
_SUMMED = ("mean", "p50", "p90", "p99", "max")
"""Of the percentiles, those that a line of 80 characters has room for."""


def _rate(messages: float | None, efficiency: float | None) -> str:
    if messages is None:
        return _NOTHING
    share = "" if efficiency is None else f", efficiency {efficiency:.3f}"
    return f"{messages:,.0f} messages/s{share}"


def _verdict(verdict: Verdict) -> str:
    value = verdict.value
    measured = (
        "nothing measured" if value is None else str(value).lower() if isinstance(value, bool) else f"{value:,.6g}"
    )
    return f"{'pass' if verdict.ok else 'FAIL'}  {verdict.threshold}: {measured}"


def _seconds(value: float) -> str:
    """At most seven characters of it, up to a day: five such and their names are a line."""
    if value >= 1:
        return f"{value:.{_decimals(value, 100)}f} s"
    return f"{value * 1e3:.{_decimals(value * 1e3, 10)}f} ms" if value >= 1e-3 else f"{value * 1e6:.0f} us"


def _decimals(value: float, many: float) -> int:
    return 2 if value < many else 1 if value < 10 * many else 0
