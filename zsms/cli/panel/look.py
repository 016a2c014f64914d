"""How the panel looks: figures in, lines of text out. No terminal, no clock.

     zsms run                                                                0:12
     ━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌  62 %  0:07 left

     rate            9,870/s  ▁▂▅▇████▇████                     peak 10,120/s
     sent             61,234      send time p50            1.01 s
     ...
     sender           rate   share      slots   busy  errors   heard
     sender-1      4,940/s  50.1 %      5,000   99 %   0.0 %   0.2 s
     sender-2      1,100/s  12.1 %      5,000   99 %   0.0 %   0.2 s  ! slow 22 %

Every figure has a place of its own, and is as wide at 9 as at 9,999,999, so that nothing moves but the figures. What
is well is plain or dim; colour and a word mark what is not, so that the word suffices. Lines are cut, never wrapped.
From the top: what must be seen is there at any height; the senders and then the events take what is left.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

from rich.cells import set_cell_size
from rich.text import Text

from zsms.formats import ago, clock, narrow, seconds, share
from zsms.stats.histogram import Histogram
from zsms.stats.trends import Event, SenderRow, Standing, natural

WIDEST = 120
"""Columns that are used at most: further apart, a label and its figure no longer belong together."""
NARROW = 72
"""Below this many columns a sender's slots and their use are left out."""
EVENTS = 6
"""Events that are shown at most."""
_LABEL, _FIGURE = 11, 12
_SLEEK = ("━", "╌", " ▁▂▃▄▅▆▇█", "▾", "▴")
_ASCII = ("#", "-", " .:-=+*#@", "v", "^")

DIM, ACCENT, WARN, BAD = "dim", "cyan", "yellow", "bold red"


class Column(NamedTuple):
    """A column of the senders table."""

    title: str
    width: int
    show: Callable[[SenderRow], str]
    key: Callable[[SenderRow], float]
    """Sorts the rows that matter most first; ignored for the name."""


def text(words: str, style: str = "") -> Text:
    """Words with a style of their own; that of a `Text` itself would spread to what is joined to it.

    Names come from other processes: what can not be seen, such as an escape sequence, becomes a question mark.
    """
    if not words.isprintable():
        words = "".join(letter if letter.isprintable() else "?" for letter in words)
    return Text.assemble((words, style))


COLUMNS = (
    Column("sender", 0, lambda row: row.name, lambda row: 0.0),
    Column("rate", 11, lambda row: f"{narrow(row.rate)}/s", lambda row: -row.rate),
    Column("share", 8, lambda row: share(row.share, 1), lambda row: -row.share),
    Column("slots", 11, lambda row: narrow(row.slots), lambda row: -row.slots),
    Column("busy", 7, lambda row: share(row.busy), lambda row: -row.busy),
    Column("errors", 8, lambda row: share(row.errors, 1), lambda row: -row.errors),
    Column("heard", 8, lambda row: ago(row.heard), lambda row: -row.heard),
)
_WIDE_ONLY = ("slots", "busy")


def columns(width: int) -> list[int]:
    """Which of `COLUMNS` there is room for."""
    return [index for index, column in enumerate(COLUMNS) if width >= NARROW or column.title not in _WIDE_ONLY]


def spark(rates: list[float], width: int, levels: str) -> str:
    """The last rates as one character each, the highest of them as a full one."""
    rates = rates[-width:]
    top = max(rates, default=0.0)
    if not top:
        return ""
    steps = len(levels) - 1
    return "".join(levels[max(1, round(steps * rate / top)) if rate > 0 else 0] for rate in rates)


class Panel:
    """One look at the mesh."""

    def __init__(
        self,
        title: str,
        figures: Standing | None,
        *,
        width: int,
        height: int,
        state: str = "",
        keys: str = "",
        sort: int = 0,
        asked: float | None = None,
        notes: list[Event] | None = None,
        stale: str = "",
        ascii_only: bool = False,
        page: int = 0,
    ) -> None:
        """`state` is a word or two on what goes on, `keys` a line on what can be pressed, `sort` an index of `COLUMNS`,
        `asked` the arrival rate that was asked for, `notes` what was logged: level and message. `stale` says why the
        figures are old, if they are. `page` counts how often somebody wanted the next senders."""
        self._figures = figures
        self._stale = stale or (figures.stale if figures is not None else "")
        self._frozen = bool(stale) or (figures is not None and figures.frozen)
        self._title, self._state, self._keys = title, state, keys
        self._width, self._height = min(width, WIDEST) - 2, height
        self._sort, self._page = sort, page
        self._asked = asked if asked is not None or figures is None else figures.view.asked_per_s
        self._pages = 1
        """Of senders, once they have been laid out."""
        self._notes = notes or []
        self._full, self._rest, self._levels, self._down, self._up = _ASCII if ascii_only else _SLEEK

    def lines(self) -> list[Text]:
        """The lines, at most `height` of them, none wider than `width`."""
        airy = self._height >= 20
        lines = [self._head()]
        figures = self._figures
        if figures is None:
            lines += [Text(), text("waiting for the first figures", DIM), Text()]
            events = self._notes
        else:
            lines += [self._progress(figures)] + ([Text()] if airy else [])
            lines += [self._rate(figures), *self._late(figures), *self._grid(figures), self._ledger(figures)]
            events = sorted([*self._unsaid(figures), *self._notes], reverse=True)
        feet = 1 if self._keys else 0
        room = self._height - len(lines) - feet
        wanted = min(len(events), EVENTS) + airy
        if figures is not None and figures.senders:
            # The senders first, but an event is never crowded out by the last of many senders.
            for_events = max(min(wanted, room // 3), room - (_rows_of(figures.senders) + 1 + airy))
            lines += ([Text()] if airy else []) + self._table(figures.senders, room - for_events - airy)
            room = self._height - len(lines) - feet
        if events and room > airy:
            lines += ([Text()] if airy else []) + self._events(events, min(room - airy, EVENTS))
        foot = [text(self._keys + ("   n next senders" if self._pages > 1 else ""), DIM)] if feet else []
        lines += [Text()] * (self._height - len(lines) - len(foot)) + foot
        return [self._cut(line) for line in lines[: self._height]]

    def _cut(self, line: Text) -> Text:
        line.truncate(self._width, overflow="ellipsis")
        return text(" ") + line

    def _ends(self, left: Text, right: Text) -> Text:
        """One at each end of the line; the left one gives way."""
        left.truncate(max(0, self._width - right.cell_len - 1), overflow="ellipsis")
        return left + text(" " * max(1, self._width - left.cell_len - right.cell_len)) + right

    def _head(self) -> Text:
        left = text(self._title, "bold")
        if self._stale:
            left += text(f"  ! {self._stale}", BAD)
        if self._state:
            left += text(f"  {self._state}", DIM)
        return self._ends(left, text("" if self._figures is None else clock(self._figures.watched_s), DIM))

    def _progress(self, figures: Standing) -> Text:
        settled, total = figures.view.settled, figures.total
        done = None if total is None else min(1.0, settled / total) if total else 1.0
        left = (
            ""
            if done is None
            else "-:-- left"
            if figures.left_s is None or self._frozen
            else f"{clock(figures.left_s)} left"
        )
        # 99.97 % is not done: rounding down keeps 100 % for the end.
        words = f"  {'total unknown' if done is None else f'{int(100 * done):>3} %'}{left:>14}"
        width = max(0, self._width - len(words))
        full = 0 if done is None else int(width * done)
        return text(self._full * full, ACCENT) + text(self._rest * (width - full), DIM) + text(words)

    def _label(self, label: str, figure: str, style: str = "") -> Text:
        return text(f"{label:<{_LABEL}}", DIM) + text(f"{figure:>{_FIGURE}}", style)

    def _rate(self, figures: Standing) -> Text:
        rate = self._label("rate", "-" if self._frozen else f"{narrow(figures.rate)}/s", style="bold")
        if self._asked is not None:
            right = f"{narrow(self._asked)}/s asked for"
        else:
            right = f"peak {narrow(max(figures.bars, default=0.0))}/s"
        right = f"{right:>18}"
        width = max(1, self._width - rate.cell_len - len(right) - 3)
        return rate + text(f"  {spark(figures.bars, width, self._levels):<{width}} ", ACCENT) + text(right, DIM)

    def _late(self, figures: Standing) -> list[Text]:
        """With an arrival rate: how late arrivals are served."""
        if self._asked is None:
            return []
        line = self._label("late p50", _quantile(figures.late, 0.5))
        return [line + text(f"{'':5}{'late p99':<17}", DIM) + text(f"{_quantile(figures.late, 0.99):>12}")]

    def _grid(self, figures: Standing) -> list[Text]:
        view, times = figures.view, figures.send_time
        failed = view.failed + view.dead
        left = [
            self._label("sent", narrow(view.sent)),
            self._label("failed", narrow(failed), style=WARN if failed else ""),
            self._label("queued", narrow(view.queued)),
            self._label("in flight", narrow(view.in_flight)),
        ]
        right = [text(f"send time {f'p{q}':<7}", DIM) + text(f"{_quantile(times, q / 100):>12}") for q in (50, 90, 99)]
        slots = sum(row.slots for row in figures.senders if row.state not in ("left", "silent"))
        busy = f"{share(figures.busy / slots)} of {narrow(slots)}" if slots and not self._frozen else "-"
        right.append(text(f"{'slots busy':<12}", DIM) + text(f"{busy:>17}"))
        return [a + text("     ") + b for a, b in zip(left, right, strict=True)]

    def _ledger(self, figures: Standing) -> Text:
        view = figures.view
        words, style = ("balanced", "") if view.balanced else ("NOT BALANCED", BAD)
        line = self._label("ledger", words, style=style)
        if view.missing:
            line += text(f"  {narrow(view.missing)} MISSING", BAD)
        line += text(f"  {'at least ' if view.untold else ''}{narrow(view.made)} produced")
        for words, value in (
            ("redelivered", view.redelivered),
            ("sends tried again", view.retried),
            ("duplicates", view.duplicates),
        ):
            if value:
                line += text(f"  {narrow(value)} {words}", WARN)
        return line

    def _table(self, rows: list[SenderRow], height: int) -> list[Text]:
        """A header and the rows; of too many those of the page, and how many more there are."""
        if height < 2:
            return []
        shown = columns(self._width)
        room = self._width - sum(COLUMNS[index].width for index in shown) - 13
        if len({row.host for row in rows}) > 1:
            rows = [replace(row, name=f"{row.name} @{row.host.partition('.')[0]}") for row in rows]
        name_width = max(8, min(room, 32, max(len(row.name) for row in rows)))
        there = sort_rows([row for row in rows if row.state != "left"], self._sort)
        there.sort(key=lambda row: row.state == "silent")  # who is there comes first
        left = len(rows) - len(there)
        hidden: list[SenderRow] = []
        if len(there) + bool(left) > height - 1:
            size = max(1, height - 2)
            self._pages = -(-len(there) // size)
            begin = self._page % self._pages * size
            there, hidden = there[begin : begin + size], there[:begin] + there[begin + size :]
        lines = [self._titles(shown, name_width)] + [self._row(row, shown, name_width) for row in there]
        words = [f"and {len(hidden)} more"] if hidden else []
        troubles = [row.trouble.words.split()[0] for row in hidden if row.trouble is not None]
        for word in ("silent", "failing", "slow"):
            if word in troubles:
                words.append(f"{troubles.count(word)} of them {word}")
        style = WARN if len(words) > 1 else DIM
        if left:
            words.append(f"{left:,} left")
        if words:
            lines.append(text(", ".join(words), style))
        return lines

    def _titles(self, shown: list[int], name_width: int) -> Text:
        line = Text()
        for index in shown:
            title = COLUMNS[index].title
            if index == self._sort:
                title = f"{title}{self._up}" if not index else f"{self._down}{title}"
            cell = f"{title:<{name_width}}" if not index else f"{title:>{COLUMNS[index].width}}"
            line += text(cell, "bold" if index == self._sort else DIM)
        return line

    def _row(self, row: SenderRow, shown: list[int], name_width: int) -> Text:
        there = row.state in ("running", "draining", "starting")
        line = text(set_cell_size(row.name, name_width), "" if there else DIM)
        for index in shown[1:]:
            column = COLUMNS[index]
            line += text(f"{column.show(row):>{column.width}}", "" if there else DIM)
        trouble = row.trouble
        if trouble is not None:
            line += text(f"  ! {trouble.words}", BAD if trouble.grave else WARN)
        elif row.state != "running":
            line += text(f"  {row.state}", DIM)
        return line

    def _unsaid(self, figures: Standing) -> list[Event]:
        """The events that were not logged too."""
        said = [note.subject for note in self._notes]
        return [e for e in figures.events if not any(f"{e.kind}: {e.subject}" in words for words in said)]

    def _events(self, events: list[Event], most: int) -> list[Text]:
        now = self._figures.view.at if self._figures else max(event.at for event in events)
        lines = []
        for event in events[:most]:
            line = text(f"{ago(now - event.at):>7} ago  ", DIM)
            style = BAD if event.kind == "error" else WARN if event.grave else ""
            line += text(f"{event.kind:<14} ", style) + text(" ".join(event.subject.split()))
            if event.messages:
                line += text(f", {narrow(event.messages)} message{'' if event.messages == 1 else 's'}")
            lines.append(line)
        return lines


def _quantile(times: Histogram | None, q: float) -> str:
    value = None if times is None else times.quantile(q)
    return "-" if value is None else seconds(value)


def _rows_of(senders: list[SenderRow]) -> int:
    """Lines that these take: one each, and one for all that left."""
    left = sum(row.state == "left" for row in senders)
    return len(senders) - left + bool(left)


def sort_rows(rows: list[SenderRow], column: int) -> list[SenderRow]:
    """By that of `COLUMNS`: names upwards, figures from the highest down, equals by name."""
    return sorted(rows, key=lambda row: (COLUMNS[column].key(row), natural(row.name)))
