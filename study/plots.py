"""The charts of a study, drawn from its rows alone.

    throughput.png        messages a second against concurrent slots, beside the ideal
    throughput-per.png    the same for each slot: efficiency
    us-pop-send.png       how long the population of the United States would take; reckoned, and marked as such

A point is the median over repeats; the band around a curve goes from the lowest run to the highest. Curves carry
their names, so there are no legends.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from study import record
from study.ladder import BASELINE, MESH
from study.reach import HELD, time_to_send
from study.record import Point, Run, Spread
from study.session import Account
from study.style import (
    COLOUR,
    GREY,
    INK,
    MARKER,
    NAME,
    Label,
    name_curves,
    new_axes,
    save,
    slope,
    style,
)
from zsms.errors import UsageError
from zsms.formats import short, spoken

if TYPE_CHECKING:
    from matplotlib.axes import Axes

US_POPULATION = 340_000_000
"""Resident population of the United States, rounded (U.S. Census Bureau, Vintage 2024: 340.1 million)."""
MA_POPULATION = 7_000_000
"""Of Massachusetts, rounded (the same source: 7.1 million)."""

_TIMES = (
    (1, "1 s"), (10, "10 s"), (60, "1 min"), (3_600, "1 hour"), (86_400, "1 day"), (604_800, "1 week"),
    (2_629_800, "1 month"), (31_557_600, "1 year"), (315_576_000, "10 years"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class RealRun:
    """A run that was made with as many messages as a population, instead of being reckoned."""

    messages: int
    slots: int
    wall_s: float


def real_run(path: Path) -> RealRun | None:
    """From the report of `zsms run --json`, or None when there is no such file.

    Raises UsageError for a file that is no report, or one of a run that lost messages or did not balance.
    """
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
        run = RealRun(
            report["messages"]["sent"], sum(sender["slots"] for sender in report["senders"]), report["wall_s"]
        )
        sound = report["balanced"] and not report["messages"]["lost"] and run.slots > 0 and run.wall_s > 0
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{path} is no report of `zsms run --json` ({error}): mend or remove it") from None
    if not sound:
        raise UsageError(f"{path} reports a run that is not balanced: remove it, or make the run again")
    return run


def draw(runs: list[Run], account: Account | None, out: Path) -> list[Path]:
    """Draw every chart into `out`, and return the pictures' paths. Raises UsageError, also without any rows."""
    if not record.points(runs, MESH):
        raise UsageError(f"{out / 'data' / 'scaling.csv'} holds no run of the mesh: run bin/figures first")
    source = _source(runs, account)
    with style():
        return [
            _throughput(runs, source, out / "throughput.png"),
            _efficiency(runs, source, out / "throughput-per.png"),
            _population(runs, real_run(out / "data" / "us-340m.json"), source, out / "us-pop-send.png"),
        ]


def _source(runs: list[Run], account: Account | None) -> str:
    """Where and when it was measured, in a line."""
    repeats = sorted({point.runs for design in (MESH, BASELINE) for point in record.points(runs, design)})
    many = f"{repeats[0]}" if len(repeats) == 1 else f"{repeats[0]} to {repeats[-1]}"
    parts = ["single runs" if many == "1" else f"median of {many} runs, band from lowest to highest"]
    if account is not None:
        here = account.machine
        parts.append(f"{here['cpu']}, {here['cores']} cores, {here['memory_bytes'] / 2**30:.0f} GiB, {here['system']}")
        if account.sessions:
            parts.append(f"Python {account.sessions[-1].versions['python']}")
    newest = max(runs, key=lambda run: run.at)
    return "  ·  ".join([*parts, f"zsms {newest.version}", newest.at[:10]])


# -- throughput --------------------------------------------------------------------------------------------------


def _throughput(runs: list[Run], source: str, path: Path) -> Path:
    curves = {design: record.points(runs, design) for design in (BASELINE, MESH)}
    top = {design: best for design, curve in curves.items() if (best := record.highest(curve)) is not None}
    title = f"{spoken(top[MESH].rate.median)} messages a second"
    if record.plateau(curves[BASELINE]) is not None:
        title += f", where one asyncio process reaches {spoken(top[BASELINE].rate.median)}"
    figure, axes = new_axes(
        title,
        "Messages sent per second, against concurrent slots, which take 1 s for each (in the baseline, tasks)",
        source,
    )
    left, right = _slots_axis(axes, curves)
    axes.set_yscale("log")
    axes.set_ylim(left * 0.8, right * 1.25)
    axes.yaxis.set_major_formatter(lambda value, _: short(value))
    axes.yaxis.minorticks_off()
    axes.set_ylabel("messages a second")

    axes.plot([left, right], [left, right], color=GREY, linewidth=1.2, linestyle=(0, (5, 3)), zorder=1)
    middle = left * (right / left) ** 0.33
    axes.annotate(
        "ideal: no slot ever waits", (middle, middle), (-5, 8), textcoords="offset points", color=GREY, fontsize=10,
        rotation=slope(axes, (left, left), (right, right)), rotation_mode="anchor", ha="center",
    )  # fmt: skip
    labels = []
    for design, curve in curves.items():
        if not curve:
            continue
        _draw_curve(axes, design, curve, "rate")
        best = record.plateau(curve)
        if best is None:
            height = curve[-1].rate.median
            labels.append(Label(height, f"{NAME[design]}\n{spoken(height)}/s,\nstill rising", COLOUR[design]))
            continue
        height = best.rate.median
        axes.plot([best.slots, right], [height] * 2, color=COLOUR[design], linewidth=1.2, linestyle=(0, (1, 1.5)))
        labels.append(Label(height, f"{NAME[design]}\nplateau at\n{spoken(height)}/s", COLOUR[design]))
    name_curves(axes, labels)
    tops = {design: point.rate.median for design, point in top.items()}
    if record.plateau(curves[BASELINE]) is not None and tops[MESH] > 5 * tops[BASELINE]:
        at = right / 1.8
        axes.annotate(
            "", (at, tops[MESH]), (at, tops[BASELINE]),
            arrowprops={"arrowstyle": "<->", "color": INK, "linewidth": 1, "shrinkA": 1, "shrinkB": 3},
        )  # fmt: skip
        axes.annotate(
            f"{tops[MESH] / tops[BASELINE]:,.0f} times", (at, tops[BASELINE] * (tops[MESH] / tops[BASELINE]) ** 0.3),
            (-6, -6), textcoords="offset points", ha="right", va="center", fontweight="bold",
        )  # fmt: skip
    return save(figure, path)


def _draw_curve(axes: Axes, design: str, curve: list[Point], figure: str) -> None:
    """Medians, and the band from the lowest to the highest."""
    x = [point.slots for point in curve]
    spreads: list[Spread] = [getattr(point, figure) for point in curve]
    low, high = [spread.low for spread in spreads], [spread.high for spread in spreads]
    axes.fill_between(x, low, high, color=COLOUR[design], alpha=0.25, linewidth=0)
    axes.plot(x, [spread.median for spread in spreads], color=COLOUR[design], marker=MARKER[design], zorder=3)


def _slots_axis(axes: Axes, curves: dict[str, list[Point]], also: float = 1.0) -> tuple[float, float]:
    """The x axis that all charts have, with `also` on it; returns its limits."""
    slots = [point.slots for curve in curves.values() for point in curve]
    left, right = min(slots) / 1.3, max(*slots, also) * 1.3
    axes.set_xscale("log")
    axes.set_xlim(left, right)
    axes.xaxis.set_major_formatter(lambda value, _: short(value))
    axes.xaxis.minorticks_off()
    axes.set_xlabel("concurrent slots")
    return left, right


# -- efficiency --------------------------------------------------------------------------------------------------


def _efficiency(runs: list[Run], source: str, path: Path) -> Path:
    curves = {design: record.points(runs, design) for design in (BASELINE, MESH)}
    held = _held(curves[MESH])
    title = "How busy the slots are kept"
    if held is not None:
        title = f"Every slot is kept busy, up to {spoken(held.slots)} of them"
    figure, axes = new_axes(
        title,
        "Messages sent per second by each slot, against concurrent slots; 1 is a slot that never waits",
        source,
    )
    _slots_axis(axes, curves)
    axes.set_ylim(0, 1.1)
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1], ["0", "0.25", "0.5", "0.75", "1"])
    axes.set_ylabel("messages a second, per slot")
    labels = []
    for design, curve in curves.items():
        if not curve:
            continue
        _draw_curve(axes, design, curve, "share")
        last = curve[-1]
        share = last.share.median
        text = f"{NAME[design]}\n{share:{'.2f' if share >= 0.1 else '.2g'}} with\n{spoken(last.slots)}"
        labels.append(Label(share, text, COLOUR[design]))
        _mark_held(axes, design, curve)
    name_curves(axes, labels)
    return save(figure, path)


def _held(curve: list[Point]) -> Point | None:
    """The last point up to which efficiency never fell below `HELD`."""
    last = None
    for point in curve:
        if point.share.median < HELD:
            break
        last = point
    return last


def _mark_held(axes: Axes, design: str, curve: list[Point]) -> None:
    """A line down from there, when the curve sinks afterwards."""
    held = _held(curve)
    if held is None or held is curve[-1]:
        return
    axes.plot(
        [held.slots] * 2,
        [0, held.share.median],
        color=COLOUR[design],
        linewidth=1.2,
        linestyle=(0, (1, 1.5)),
        zorder=2,
    )
    axes.annotate(
        f"{HELD} or more\nup to {spoken(held.slots)}", (held.slots, 0.6), (-7, 0),
        textcoords="offset points", ha="right", color=COLOUR[design], fontsize=10, linespacing=1.3,
    )  # fmt: skip


# -- the population ------------------------------------------------------------------------------------------------


def _population(runs: list[Run], real: RealRun | None, source: str, path: Path) -> Path:
    curves = {design: record.points(runs, design) for design in (BASELINE, MESH)}
    if real is not None and real.messages >= US_POPULATION:
        title = f"{spoken(real.messages)} people in {duration(real.wall_s)}"
    else:
        title = f"{spoken(US_POPULATION)} people would take {duration(min(_times(US_POPULATION, curves[MESH])))}"
    figure, axes = new_axes(
        title,
        "Time until everyone has a message, tail included. Lines: reckoned from measured throughput"
        + (". Star: a real run" if real else ", not run"),
        source,
    )
    _slots_axis(axes, curves, real.slots if real else 1.0)
    axes.set_yscale("log")
    labels = []
    times = [600.0, 900.0] + ([real.wall_s] if real else [])
    for design, curve in curves.items():
        for population, who, dash in ((US_POPULATION, "US", (4, 1.6)), (MA_POPULATION, "MA", (1.2, 1.2))):
            if not curve:
                continue
            y = _times(population, curve)
            times += y
            axes.plot([point.slots for point in curve], y, color=COLOUR[design], linestyle=(0, dash), zorder=3)
            text = f"{NAME[design]}\n{who}: at best {duration(min(y))}"
            labels.append(Label(y[-1], text, COLOUR[design]))
    low, high = min(times) / 3, max(times) * 4
    axes.set_ylim(low, high)
    ticks = [(at, name) for at, name in _TIMES if low <= at <= high]
    axes.set_yticks([at for at, _ in ticks], [name for _, name in ticks])
    axes.yaxis.minorticks_off()
    for at, name, up in ((600, "10 minutes", False), (900, "15 minutes", True)):
        axes.axhline(at, color=INK, linewidth=1, zorder=2)
        axes.annotate(
            name, (axes.get_xlim()[0], at), (6, 3 if up else -4), textcoords="offset points",
            va="bottom" if up else "top", fontsize=10,
        )  # fmt: skip
    _name_populations(axes, curves[MESH])
    if real is not None:
        _mark_real(axes, real)
    name_curves(axes, labels)
    return save(figure, path)


def _name_populations(axes: Axes, curve: list[Point]) -> None:
    """Along the mesh's curves, where they begin."""
    if len(curve) < 2:
        return
    for population, name, off, side in (
        (US_POPULATION, "United States (US), 340 million", (4, 6), "bottom"),
        (MA_POPULATION, "Massachusetts (MA), 7 million", (3, -6), "top"),
    ):
        first, middle = curve[0], curve[len(curve) // 2]
        times = _times(population, [first, middle])
        start, end = (first.slots, times[0]), (middle.slots, times[1])
        axes.annotate(
            name, start, off, textcoords="offset points", fontsize=10, va=side, color=GREY,
            rotation=slope(axes, start, end), rotation_mode="anchor",
        )  # fmt: skip


def _mark_real(axes: Axes, real: RealRun) -> None:
    """A star where it is, and what it was where there is room: above all curves."""
    low, high = axes.get_ylim()
    above = low * (high / low) ** 0.72
    axes.plot([real.slots] * 2, [real.wall_s, above], color=INK, linewidth=0.8, zorder=4)
    axes.plot([real.slots], [real.wall_s], marker="*", markersize=17, color=INK, markeredgecolor="white", zorder=5)
    axes.annotate(
        f"really run:\n{real.messages:,} messages\nin {duration(real.wall_s)}\nby {spoken(real.slots)} slots",
        (axes.get_xlim()[1], above), (-4, 4), textcoords="offset points",
        ha="right", va="bottom", fontsize=10, fontweight="bold", linespacing=1.3,
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 2},
    )  # fmt: skip


def _times(population: int, curve: list[Point]) -> list[float]:
    """Seconds, by point."""
    return [time_to_send(population, point.slots, point.rate.median) for point in curve]


def duration(seconds: float) -> str:
    """In the two units that matter, or one: 12 s, 1 min 31 s, 2 h 54 min, 3 days, 11 years."""
    if seconds >= 60:
        seconds = round(seconds)
    for unit, name, below, below_name in ((3_600, "h", 60, "min"), (60, "min", 1, "s")):
        if unit <= seconds < unit * 60 and seconds < 86_400:
            whole, rest = divmod(round(seconds / below), unit // below)
            return f"{whole} {name} {rest} {below_name}"
    for unit, name in ((31_557_600, "year"), (86_400, "day")):
        if seconds >= unit:
            count = f"{seconds / unit:.2g}"
            return f"{count} {name}{'' if count == '1' else 's'}"
    return f"{seconds:.2g} s"


__all__ = ["MA_POPULATION", "US_POPULATION", "RealRun", "draw", "real_run"]
