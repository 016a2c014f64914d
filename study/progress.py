"""How a study goes on: a bar with the time left on a terminal, a line a run elsewhere; on stderr."""

from __future__ import annotations

import math
from typing import Any, Self

import click

from study.ladder import Step
from study.record import Run


class Progress:
    """A `study.runner.Watcher` for people."""

    def __init__(self) -> None:
        self._bar: Any = None
        self._task: Any = None
        self._spent = 0.0
        """Seconds that the bar counts as done."""
        self._label = ""
        self._begun_with = 0.0

    def __enter__(self) -> Self:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn

        console = Console(stderr=True)
        if console.is_terminal and not console.is_dumb_terminal:
            left = TextColumn("{task.fields[left]} left")
            self._bar = Progress(
                BarColumn(30),
                TextColumn("{task.percentage:>3.0f}%"),
                left,
                TextColumn("{task.description}"),
                console=console,
            )
            self._bar.start()
            self._task = self._bar.add_task("", total=None, left="?")
        return self

    def __exit__(self, *exception: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def begins(self, step: Step, number: int, of: int, left_s: float) -> None:
        """Run `number` of `of` begins."""
        self._label = f"{number}/{of}  {step}, repeat {step.repeat}"
        self._begun_with = left_s
        self.goes_on(left_s)

    def goes_on(self, left_s: float) -> None:
        """It is still running."""
        if self._bar is not None:
            now = self._spent + self._begun_with - left_s
            self._bar.update(
                self._task, completed=now, total=now + left_s, description=self._label, left=in_words(left_s)
            )

    def ended(self, run: Run, left_s: float) -> None:
        """It is done."""
        self._spent += run.elapsed_s
        text = f"{self._label}: {run.rate:,.0f} messages/s, efficiency {run.share:.3f}, {run.elapsed_s:.1f} s"
        if self._bar is None:
            click.echo(f"{text}; about {in_words(left_s)} left" if left_s else text, err=True)
        else:
            self._bar.console.print(text, markup=False, highlight=False)


def in_words(seconds: float) -> str:
    """A time as people say it: 40 s, 12 min, 1 h 05 min."""
    minutes = math.ceil(seconds / 60)
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"
