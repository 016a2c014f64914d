"""How a report is reckoned: from the collector's last answer, the points on the way, and what the run itself knows.

answer --View--> messages, sends, times, steady, reach --.
Course (processes, problems, series, faults) ------------+--> Report
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from math import inf
from typing import Any

from zsms.report.report import Messages, ProcessRow, Report, Sends
from zsms.stats.arrivals import Asked, Rate, asked_of, rate_of, reached_between
from zsms.stats.audit import Audit
from zsms.stats.failures import Failure
from zsms.stats.figures import SenderFigures, added
from zsms.stats.histogram import QUANTILES, Histogram
from zsms.stats.left import law_of
from zsms.stats.reach import SHARES, Part, merged_times
from zsms.stats.recovery import Struck, recoveries
from zsms.stats.row import Row
from zsms.stats.series import Series
from zsms.stats.view import View

_STEADY_SHARE = 0.15
"""A stretch in which less than this share of all was sent stands for nothing: a backlog of arrivals by chance."""
_TIMES = ("mean", *QUANTILES, "max")


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """What a run knows of itself, beside what its collector tells."""

    config: dict[str, Any]
    processes: Sequence[ProcessRow] = ()
    started: str = ""
    """When the first process was started, by the calendar, and by the monotonic clock."""
    started_at: float = 0.0
    elapsed_s: float = 0.0
    brokers_lost: Collection[str] = ()
    """What these had queued and in flight is gone and counts as lost, and so does what producers kept for them."""
    completed: bool = False
    interrupted: bool = False
    aborted: bool = False
    log_lacks_rows: bool = False
    problems: Sequence[str] = ()
    warnings: Collection[str] = ()
    """Those that were given before the start."""
    series: Series = field(default_factory=Series)
    struck: Sequence[Struck] = ()
    """The faults that were carried out."""


def make_report(answer: dict[str, Any], course: Course) -> Report:
    """Reckon a report from the collector's last answer ("all")."""
    view = View.of(answer, 0.0, course.brokers_lost)
    broker = view.totals.broker
    messages = _messages(view, course)
    asked = _asked_s(view)
    wall, slots = view.busy_s if view.settled else None, _slots(view)
    sends = broker.sends or 0
    first = view.first_accepted_at
    open_loop = asked_of((row.figures for row in view.producers), course.config.get("rate"))
    steady = _steady(view, sends, 0.0 if open_loop is None else open_loop.seconds / 2)
    rate = None if open_loop is None else _rate_of(answer, view, course, open_loop, steady)
    columns = course.series.columns(first or course.started_at)
    return Report(
        config=course.config,
        started=course.started,
        messages=messages,
        sends=_sends(view),
        wall_s=wall,
        elapsed_s=course.elapsed_s,
        first_message_s=None if first is None else max(0.0, first - course.started_at),
        rate=rate,
        throughput_per_s=view.settled / wall if wall else None,
        send_time_s=_summary(answer, "send_time", _TIMES),
        asked_time_s=asked,
        queue_time_s=_summary(answer, "queue_time", _TIMES),
        total_time_s=_summary(answer, "total_time", _TIMES),
        delivery_time_s=_summary(answer, "delivery_time", _TIMES, role="broker"),
        slot_error_s=_summary(answer, "slot_error", ("p50", "p99", "max")),
        efficiency=sends * asked / (slots * wall) if slots and wall and asked is not None else None,
        steady=steady,
        reach_s=_reach(view, messages.produced, course.series, answer.get("reach", {})),
        processes=list(course.processes),
        senders=[_sender_row(row) for row in sorted(view.senders, key=lambda row: row.name)],
        outcomes=broker.outcomes,
        receipts=_receipts(view),
        failures=[Failure(*row)._asdict() for row in answer.get("failures", [])],
        balanced=view.accounts_balance and messages.lost == 0 and not course.brokers_lost,
        completed=course.completed,
        interrupted=course.interrupted,
        aborted=course.aborted,
        log_lacks_rows=course.log_lacks_rows,
        warnings=[*course.warnings, *([] if rate is None else rate.warnings())],
        problems=list(course.problems),
        series=columns,
        faults=recoveries(course.struck, columns),
    )


def _messages(view: View, course: Course) -> Messages:
    """What became of them."""
    audit, producer = _audit(view, course.processes), view.totals.producer
    stranded = min(audit.unconfirmed, _stranded(view, course.brokers_lost))
    return Messages(
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


def histogram_of(answer: dict[str, Any], name: str, role: str = "sender") -> Histogram:
    """One of the histograms of a role in a collector's answer; empty when nobody has reported it."""
    body = answer.get("histograms", {}).get(role, {}).get(name)
    return Histogram() if body is None else Histogram.from_wire(body)


def _summary(answer: dict[str, Any], name: str, keys: Sequence[str], role: str = "sender") -> dict[str, float | None]:
    figures = histogram_of(answer, name, role).summary()
    return {key: figures[key] for key in keys}


def _rate_of(answer: dict[str, Any], view: View, course: Course, asked: Asked, steady: dict[str, float | None]) -> Rate:
    """What a run with an arrival rate is about."""
    send, origin = histogram_of(answer, "send_time"), view.first_accepted_at or 0.0
    begin, end = origin + _filled_s(view, send), origin + asked.seconds
    over = origin + view.busy_s
    reached: tuple[float | None, float | None] = None, None
    if origin:
        reached = reached_between(*course.series.settled_by_time(), begin, min(end, over), over)
    if steady["seconds"] is not None:
        reached = steady["throughput_per_s"], steady["seconds"]  # slots had no time for more
    return rate_of(
        asked,
        slots=_slots(view),
        sends_each=_per(view.totals.broker.sends or 0, view.settled),
        asked_s=_asked_s(view),
        took_s=send.mean,
        late_s=_summary(answer, "late", _TIMES),
        reached=reached,
    )


def _filled_s(view: View, send: Histogram) -> float:
    """How long the slots take to fill: nearly every send ends within that time. What some took because their sender was
    stopped meanwhile is no such time, and what had piled up until then was no arrival after it."""
    laws = [law for row in view.senders if (law := law_of(row)) is not None]
    meant = max((law.quantile(0.99) for law in laws), default=inf)
    return min(send.quantile(0.99) or 0.0, meant)


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


def _sends(view: View) -> Sends:
    """By whoever knows of more: a sender that was killed has not told its last ones, and no broker counts those whose
    message it has given to another."""
    broker, _, sender = view.totals
    ended, failed = sum(broker.outcomes.values()), sum(broker.outcomes.values()) - broker.outcomes["sent"]
    return Sends(max(sender.sends, ended), max(sender.failed or 0, failed), view.retried)


def _steady(view: View, ended_sends: int, least_s: float) -> dict[str, float | None]:
    """Of the senders that were steady long enough, when they have nine tenths of the slots or more.

    `least_s`: for so many seconds at least; with an arrival rate a backlog is the rule or a mishap, as a stall leaves.
    """
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
        mean, sends = f.mean_s, (f.sent or 0) + (f.failed or 0)
        if f.delay_model is None and f.worked_s and sends:
            mean = f.worked_s / sends  # nobody has asked a function for a time: a slot is busy until its end was seen
        rate += share * f.slots / mean
        seconds += f.steady_s * f.slots
    if not steady_slots or steady_slots < 0.9 * slots or seconds / steady_slots < least_s:
        return dict.fromkeys(("throughput_per_s", "sends_per_s", "efficiency", "seconds"))
    return {
        # What is sent again takes slots, and is no message more.
        "throughput_per_s": rate * view.settled / ended_sends if ended_sends else None,
        "sends_per_s": rate,
        "efficiency": worked / steady_slots,
        "seconds": seconds / steady_slots,
    }


def _reach(view: View, whole: int, series: Series, told: dict[str, Any]) -> dict[str, float | None]:
    """By the brokers' own counts. One that was lost has said none: then by the points of the series."""
    brokers = view.brokers
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
    nobodys = (sender.receipts_handed_on or 0) - (sender.receipts_taken_over or 0)
    for name, counted, waits in (
        ("missing", sender.receipts_missing, added(row.figures.receipts_awaited for row in rows)),
        ("unmatched", sender.receipts_unmatched, added(row.figures.receipts_early for row in rows) + max(0, nobodys)),
    ):
        told[name] = None if counted is None else counted + int(waits)
    return told


def _slots(view: View) -> float:
    """As the senders say, for the brokers have let their sessions go by now."""
    return added(row.figures.slots for row in view.senders)


def _asked_s(view: View) -> float | None:
    """How long a slot was asked to sleep for a send: of the senders that are, for past starts are in no row."""
    rows = [row.figures for row in view.senders]
    return _per(added(each.asked_s for each in rows), sum(each.sends for each in rows))


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
