"""figures/system-diagram.png: the roles, what flows between them, and through which sockets. This module is its source.

    producers --PUSH-->  PULL [ broker ] ROUTER <--DEALER--> senders        messages; grants, acknowledgements, credit
    producers <-DEALER-> ROUTER [ broker ]                                  confirms
    broker, producers, senders --PUB--> SUB [ stats collector ] ROUTER <--REQ-- monitors

Boxes are placed on a sheet of 100 x 58; nothing is measured from the running program.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from study.style import BLUE, GREEN, GREY, INK, ORANGE, VERMILION, save, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_WIDTH, _HEIGHT = 100.0, 58.0
_DATA, _CONTROL, _STATS = INK, GREY, "#8A3F77"
"""Colours of the flows: messages, what is said about them, and statistics."""


def draw(out: Path) -> Path:
    """Draw the diagram into the folder `out`, and return the picture's path. Raises UsageError."""
    from matplotlib.figure import Figure

    with style():
        figure = Figure(figsize=(10.0, 5.8))
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set_xlim(0, _WIDTH)
        axes.set_ylim(0, _HEIGHT)
        axes.axis("off")
        _producers(axes)
        _broker(axes)
        _senders(axes)
        _collector(axes)
        _monitor(axes)
        _flows(axes)
        _note(axes)
        return save(figure, out / "system-diagram.png")


def _box(axes: Axes, place: tuple[float, float, float, float], colour: str, name: str, stack: int = 1) -> None:
    """A role: a box (x, y, width, height) with its name at the top; `stack` of them stand behind each other."""
    from matplotlib.patches import FancyBboxPatch

    x, y, width, height = place
    for behind in reversed(range(stack)):
        axes.add_patch(
            FancyBboxPatch(
                (x + behind * 0.7, y + behind * 0.7), width, height, boxstyle="round,pad=0,rounding_size=1.0",
                facecolor="white", edgecolor=colour, linewidth=2, zorder=2,
            )
        )  # fmt: skip
    axes.text(x + width / 2, y + height - 2.6, name, ha="center", va="center", fontsize=13, weight="bold")


def _say(axes: Axes, x: float, y: float, text: str, colour: str = INK, size: float = 10) -> None:
    """Text over the flows, on white."""
    axes.text(
        x, y, text, color=colour, fontsize=size, ha="center", va="center", linespacing=1.3, zorder=4,
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.5},
    )  # fmt: skip


def _flow(axes: Axes, points: list[tuple[float, float]], colour: str, both: bool = False, thick: float = 2) -> None:
    """An arrow along `points`."""
    from matplotlib.patches import FancyArrowPatch
    from matplotlib.path import Path as Line

    axes.add_patch(
        FancyArrowPatch(
            path=Line(points), arrowstyle="<|-|>" if both else "-|>", mutation_scale=14,
            color=colour, linewidth=thick, joinstyle="round", zorder=1,
        )
    )  # fmt: skip


def _socket(axes: Axes, x: float, y: float, kind: str, colour: str) -> None:
    """A socket on the edge of a box."""
    axes.text(
        x, y, kind, color="white", fontsize=8.5, weight="bold", ha="center", va="center", zorder=5,
        bbox={"facecolor": colour, "edgecolor": "white", "boxstyle": "round,pad=0.3"},
    )  # fmt: skip


def _cells(axes: Axes, x: float, y: float, colour: str, full: int, count: int = 8) -> None:
    """Messages in a row, the last `count - full` of them missing."""
    from matplotlib.patches import Rectangle

    for index in range(count):
        there = index < full
        axes.add_patch(
            Rectangle(
                (x + index * 1.9, y), 1.5, 2.4, facecolor=colour if there else "white",
                edgecolor=colour, linewidth=1, alpha=0.85 if there else 0.4, zorder=3,
            )
        )  # fmt: skip


def _producers(axes: Axes) -> None:
    _box(axes, (2, 34, 19, 20), GREEN, "producers", stack=3)
    _cells(axes, 7.8, 45.5, GREEN, full=4, count=4)
    _say(axes, 11.5, 40.5, "random messages\nor rows of a file,\nkept until confirmed")


def _broker(axes: Axes) -> None:
    _box(axes, (39.5, 31, 21, 24), BLUE, "broker")
    _cells(axes, 42.6, 46.8, BLUE, full=6)
    _say(axes, 50, 44.8, "queue, bounded")
    _cells(axes, 42.6, 39.3, BLUE, full=8)
    _say(axes, 50, 36.3, "in flight, until\nacknowledged")


def _senders(axes: Axes) -> None:
    from matplotlib.patches import Circle

    _box(axes, (78, 34, 19, 20), VERMILION, "senders", stack=3)
    for index in range(14):
        busy = index not in (5, 9)
        axes.add_patch(
            Circle(
                (81.5 + index % 7 * 2, 48.3 - index // 7 * 2.1), 0.75, facecolor=VERMILION if busy else "white",
                edgecolor=VERMILION, linewidth=1, alpha=0.85 if busy else 0.5, zorder=3,
            )
        )  # fmt: skip
    _say(axes, 88, 40.2, "slots, each sending\none message at a\ntime, by sleeping")


def _collector(axes: Axes) -> None:
    _box(axes, (39.5, 3, 21, 12.5), _STATS, "stats collector")
    _say(axes, 50, 7.6, "the newest snapshot\nof every process")


def _monitor(axes: Axes) -> None:
    _box(axes, (78, 3, 19, 12.5), ORANGE, "monitors", stack=2)
    _say(axes, 87.7, 7.6, "sent, failed, mean\ntime, rate, queued")


def _flows(axes: Axes) -> None:
    _flow(axes, [(22, 49), (36.7, 49)], _DATA, thick=3)
    _say(axes, 29.7, 52.2, "batches\nof messages")
    _socket(axes, 22.3, 49, "PUSH", _DATA)
    _socket(axes, 38.7, 49, "PULL\n5555", _DATA)
    _flow(axes, [(38, 38), (26.0, 38)], _CONTROL)
    _say(axes, 30.5, 40.2, "confirms")
    _socket(axes, 22.9, 38, "DEALER", _CONTROL)
    _socket(axes, 38.2, 38, "ROUTER\n5556", _CONTROL)

    _flow(axes, [(61, 44.3), (74.2, 44.3)], _DATA, thick=3)
    _say(axes, 69.3, 48, "grants\nof messages")
    _flow(axes, [(75, 42.8), (64.9, 42.8)], _CONTROL)
    _say(axes, 69.7, 37.6, "acknowledge-\nments, credit,\nheartbeats")
    _socket(axes, 61.9, 43.5, "ROUTER\n5556", _DATA)
    _socket(axes, 77.3, 43.5, "DEALER", _DATA)

    for x in (11.5, 88):
        _flow_line(axes, [(x, 34), (x, 23.5), (50, 23.5)])
        _socket(axes, x, 34, "PUB", _STATS)
    _flow(axes, [(50, 31), (50, 17.0)], _STATS)
    _socket(axes, 50, 31, "PUB", _STATS)
    _socket(axes, 50, 15.8, "SUB 5557", _STATS)
    _say(axes, 30.5, 23.5, "snapshots, cumulative", _STATS)
    _flow(axes, [(75.9, 9), (63.0, 9)], _STATS, both=True)
    _say(axes, 69.5, 12.2, "totals,\non request")
    _socket(axes, 61.2, 9, "ROUTER\n5558", _STATS)
    _socket(axes, 77.6, 9, "REQ", _STATS)


def _note(axes: Axes) -> None:
    _say(axes, 16.5, 9, "A box is a process. Of those\nthat are stacked there may be\nany number, on any host.", GREY)


def _flow_line(axes: Axes, points: list[tuple[float, float]]) -> None:
    """A flow that joins another: without a head."""
    axes.plot(*zip(*points, strict=True), color=_STATS, linewidth=2, zorder=1)
