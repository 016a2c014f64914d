"""What a broker tells the collector of itself: the figures of its core."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from zsms.core.broker import BrokerCore
from zsms.core.broker.durability import DURABILITIES
from zsms.stats.figures import BrokerFigures

if TYPE_CHECKING:
    from zsms.roles.journaling import Journaling


def broker_figures(
    core: BrokerCore, journaling: Journaling | None, now: float, *, durability: str, **others: Any
) -> BrokerFigures:
    """The figures of a broker; `others` are those that neither its core nor its journal knows."""
    totals = core.totals()
    progress = core.progress
    first, last = progress.first_accepted, progress.last_settled
    due = core.retries.span()
    first_due, last_due = (None, None) if due is None else (max(0.0, at - now) for at in due)
    reach: dict[str, Any] = {f"reach_{name}_s": at for name, at in progress.reach.times(totals["accepted"]).items()}
    return BrokerFigures(
        accepted=totals["accepted"],
        sent=totals["sent"],
        failed=totals["failed"],
        dead=totals["dead"],
        **asdict(core.counters),
        sends=progress.sends,
        queued=totals["queued"],
        in_flight=totals["in_flight"],
        queue_bytes=core.queue.nbytes,
        retrying=core.retries.messages,
        senders=len(core.sessions),
        slots=sum(s.slots for s in core.sessions.values()),
        full=float(core.full),
        first_accepted_at=first or 0.0,
        first_accepted_ago=0.0 if first is None else now - first,
        busy_s=0.0 if first is None or last is None else last - first,
        balanced=float(all(account.balanced for account in core.accounts())),
        reach_of=float(totals["accepted"]),
        **reach,
        attempts=float(core.limits.max_attempts),
        retry_base_s=core.limits.retry_base,
        retry_cap_s=core.limits.retry_cap,
        retry_first_s=first_due,
        retry_last_s=last_due,
        journal_groups=None if journaling is None else float(journaling.groups),
        journal_full=None if journaling is None else float(bool(journaling.no_room)),
        durability=float(DURABILITIES[::-1].index(durability)),
        **others,
    )
