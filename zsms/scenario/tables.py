"""The tables of a scenario file, each a dataclass whose fields are entries (:mod:`zsms.fields`)."""

from __future__ import annotations

from dataclasses import MISSING, dataclass
from datetime import datetime

from zsms import kinds
from zsms.fields import entry
from zsms.options import checked
from zsms.scenario.group import SenderGroup

ALL = MISSING
"""The default of a field that must be given."""


@checked
@dataclass(frozen=True, slots=True)
class Group(SenderGroup):
    """A route: sender processes that are alike, and what it may be given."""

    profile: str | None = entry(
        None, "A carrier profile that says what is not given here (`zsms carriers list`).", kinds.TEXT
    )
    account: str | None = entry(None, "The [[account]] whose caps it shares.", kinds.TEXT)
    daily_cap: int | None = entry(None, "Segments a day.", kinds.COUNT, like=("quota", "per_day", "daily_limit"))
    daily_reset: float = entry(0.0, 'When the day begins in `zone`, such as "07:30".', kinds.CLOCK)
    zone: str = entry(
        "UTC", 'A time zone, such as "America/New_York".', kinds.ZONE, like=("timezone", "tz", "time_zone")
    )
    quiet: tuple[float, float] | None = entry(
        None,
        'Hours of the day, in `zone`, in which nothing may be sent, such as "21:00-08:00".',
        kinds.HOURS,
        like=("hours", "opening_hours", "night", "silence", "closed"),
    )
    price: float = entry(0.0, "Of an accepted segment.", kinds.FROM_0, like=("cost", "costs", "fee"))
    begins: float = entry(0.0, "It opens so many seconds after the start,", kinds.SECONDS, key="from")
    ends: float | None = entry(None, "and closes then.", kinds.SOME_SECONDS, unless="never", key="until")


@checked
@dataclass(frozen=True, slots=True)
class Account:
    """Caps that several groups share."""

    name: str = entry(ALL, "Of the account.", kinds.TEXT)
    cap: float | None = entry(None, "Segments a second.", kinds.ABOVE_0)
    burst: float = entry(0.0, "Segments that may go at once after a pause.", kinds.FROM_0)
    daily_cap: int | None = entry(None, "Segments a day.", kinds.COUNT)
    daily_reset: float = entry(0.0, "When the day begins in `zone`.", kinds.CLOCK)
    zone: str = entry("UTC", "A time zone.", kinds.ZONE)


@checked
@dataclass(frozen=True, slots=True)
class Audience:
    """People who are to be reached."""

    name: str = entry(ALL, "Of the audience.", kinds.TEXT)
    messages: int | None = entry(None, "How many messages,", kinds.WHOLE)
    share: float | None = entry(None, "or which share of the run's.", kinds.SOME_SHARE)
    text: str | None = entry(None, "What they get,", kinds.TEXT)
    segments: float | None = entry(None, "or how many segments that is.", kinds.ABOVE_0, unless="the scenario's")
    routes: tuple[tuple[str, float | None], ...] = entry(
        (),
        "Names of groups, or their fixed shares, such as {a = 0.7, b = 0.3}.",
        kinds.ROUTES,
        unless="all groups",
        like=("groups", "via"),
    )


@checked
@dataclass(frozen=True, slots=True)
class Stage:
    """A stretch of an open loop: arrivals go from `rate` to `to`, in messages a second."""

    lasts: float = entry(ALL, "For so many seconds.", kinds.SOME_SECONDS, key="for")
    rate: float = entry(ALL, "Messages a second at its beginning.", kinds.FROM_0)
    to: float | None = entry(
        None, "Messages a second at its end.", kinds.FROM_0, unless="as at its beginning", reported=True
    )

    @property
    def messages(self) -> float:
        """Arrivals in it."""
        return self.lasts * (self.rate + (self.rate if self.to is None else self.to)) / 2


@checked
@dataclass(frozen=True, slots=True)
class Retries:
    """Who is tried again, and when: full jitter up to min(cap, base 2^(attempt - 1)) seconds."""

    attempts: int = entry(
        1,
        "Sends of a message before it is given up.",
        kinds.COUNT,
        like=("retries", "tries", "max_attempts", "max_retries"),
    )
    base: float = entry(0.5, "Longest wait before the second attempt, seconds; doubles with each.", kinds.SECONDS)
    cap: float = entry(60.0, "Longest wait before any attempt, seconds.", kinds.SECONDS)

    def ceiling(self, attempt: int) -> float:
        """The longest wait after that attempt failed."""
        return float(min(self.cap, self.base * 2.0 ** min(attempt - 1, 60)))


FAULTS = ("kill", "stop", "restart", "slow", "fail", "throttle")


@checked
@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong, when, and with whom; times in seconds from the first arrival."""

    at: float = entry(ALL, "When it begins.", kinds.SECONDS, like=("time", "when", "start"))
    what: str = entry(ALL, "What is done.", kinds.one_of(*FAULTS), like=("type", "kind", "action"))
    whom: str = entry(
        ALL, "A process, a group, a broker or the collector.", kinds.TEXT, like=("target", "process", "who")
    )
    lasts: float | None = entry(
        None, "For how long; a stop and a restart need it.", kinds.SOME_SECONDS, unless="to the end", key="for"
    )
    factor: float | None = entry(None, "Of the delay (slow) or of the cap (throttle).", kinds.ABOVE_0)
    rate: float | None = entry(None, "Share of sends that fail (fail).", kinds.SHARE)
    cap: float | None = entry(None, "Segments a second together (throttle).", kinds.ABOVE_0)
    share: float = entry(1.0, "The part of a group's processes that it strikes.", kinds.SOME_SHARE)

    @property
    def until(self) -> float:
        """When it is over; infinite when it is not."""
        return float("inf") if self.lasts is None else self.at + self.lasts

    def __str__(self) -> str:
        some = "" if self.share == 1 else f"{self.share:.0%} of "
        lasts = "" if self.lasts is None else f" for {self.lasts:g} s"
        return f"{self.what} {some}{self.whom} at {self.at:g} s{lasts}"


@checked
@dataclass(frozen=True, slots=True)
class Expectation:
    """So many of all messages within that time."""

    deadline: float = entry(ALL, "Seconds from the decision on.", kinds.SOME_SECONDS)
    share: float = entry(0.99, "Of all messages.", kinds.SOME_SHARE)


@checked
@dataclass(frozen=True, slots=True)
class Head:
    """The scenario as a whole."""

    name: str = entry("scenario", "What it is called.", kinds.TEXT)
    start: datetime | None = entry(  # a field, and datetimes are immutable
        None, "When it begins by the clock, with its offset: daily caps and quiet hours need it.", kinds.MOMENT
    )
    lead: float = entry(0.0, "Seconds that people take before the first message is made.", kinds.SECONDS)
    text: str | None = entry(None, "What is sent,", kinds.TEXT)
    segments: float | None = entry(None, "or how many segments that is.", kinds.ABOVE_0, unless="1")
    duration: float | None = entry(
        None, "Seconds that messages arrive for at the rate of [run], instead of a count.", kinds.SOME_SECONDS
    )
