"""Making the runs: resuming, refusing a loss, stopping; and one tiny study for real."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from study import record
from study.ladder import Plan, Step
from study.record import Run
from study.runner import Study
from study.session import Account
from zsms.errors import UsageError, ZsmsError

TINY = Plan(repeats=2, max_slots=3, baseline_max=1, mean_s=0.01)
"""Mesh and baseline of 1 sender, mesh of 3; twice."""


class Watch:
    def __init__(self, when: Callable[[Step], None] = lambda step: None) -> None:
        self.begun: list[Step] = []
        self.left: list[float] = []
        self._when = when

    def begins(self, step: Step, number: int, of: int, left_s: float) -> None:
        assert 1 <= number <= of
        self.begun.append(step)
        self._when(step)

    def goes_on(self, left_s: float) -> None:
        self.left.append(left_s)

    def ended(self, run: Run, left_s: float) -> None:
        assert run.step == self.begun[-1]
        self.left.append(left_s)


def answer(step: Step) -> dict[str, object]:
    common = {"wall_s": 1.0, "throughput_per_s": 1.0, "efficiency": 1.0}
    steady = {"throughput_per_s": 1.0, "efficiency": 1.0, "seconds": 1.0}
    if step.design == "baseline":
        return {**common, "messages": step.messages, "steady": steady, "rss_max_bytes": 1, "cpu_s": 0.1}
    messages = {"produced": step.messages, "sent": step.messages, "lost": 0}
    return {
        **common, "messages": messages, "steady": steady, "balanced": True, "processes": [], "slot_error_s": {"p99": 0},
    }  # fmt: skip


@pytest.fixture
def say(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[Step], str]], None]:
    """Let a run be this Python program, instead of a mesh or the baseline."""

    def use(program: Callable[[Step], str]) -> None:
        monkeypatch.setattr(Study, "command_of", lambda self, step, baseline: [sys.executable, "-c", program(step)])

    use(lambda step: f"print({json.dumps(answer(step))!r})")
    return use


Say = Callable[[Callable[[Step], str]], None]


def stop_at(study: Study, number: int) -> Watch:
    """Stop the study when its run `number` begins."""
    watch = Watch(lambda step: study.stop() if len(watch.begun) == number else None)
    return watch


def test_a_study_goes_on_where_it_was_stopped(tmp_path: Path, say: Say) -> None:
    first = Study(TINY, tmp_path, command="first")
    watch = stop_at(first, 3)
    first.run(watch)
    assert first.stopped
    made = [run.step for run in record.read(first.csv)]
    assert made == watch.begun[: len(made)] and 2 <= len(made) <= 3  # the third may end before it is looked at

    second, rest = Study(TINY, tmp_path, command="second"), Watch()
    second.run(rest)
    assert made + rest.begun == TINY.steps()
    assert [run.step for run in record.read(second.csv)] == TINY.steps()
    account = Account.read(second.json)
    assert account is not None
    assert [(each.command, each.runs) for each in account.sessions] == [
        ("first", len(made)),
        ("second", len(TINY.steps()) - len(made)),
    ]

    nothing = Watch()
    Study(TINY, tmp_path).run(nothing)
    assert nothing.begun == []

    again = Watch()
    Study(TINY, tmp_path, fresh=True).run(again)
    assert again.begun == TINY.steps()


def test_a_run_that_is_stopped_ends_at_once_and_leaves_no_row(tmp_path: Path, say: Say) -> None:
    say(lambda step: "import time; time.sleep(60)")
    study = Study(TINY, tmp_path)
    study.run(stop_at(study, 1))
    assert study.runs == [] and not study.csv.exists()


def test_a_run_that_loses_messages_fails_the_study(tmp_path: Path, say: Say) -> None:
    def lossy(step: Step) -> str:
        report = answer(step)
        if step.slots == 3:
            report["messages"] = {"produced": 30, "sent": 28, "lost": 2}
            report["balanced"] = False
        return f"print({json.dumps(report)!r})"

    say(lossy)
    study = Study(TINY, tmp_path)
    with pytest.raises(ZsmsError, match=r"mesh, 3 slots: lost 2 of 30 messages; .*not balanced") as caught:
        study.run(Watch())
    assert caught.value.exit_code == 1
    assert [run.slots for run in record.read(study.csv)] == [1, 1]
    (kept,) = study.csv.parent.glob("failed-*")
    assert str(kept) in str(caught.value) and '"lost": 2' in kept.read_text()


@pytest.mark.parametrize(
    ("program", "says"),
    [
        ("import sys; print('no room', file=sys.stderr); sys.exit(3)", "exited with 3 and without a report: no room"),
        ("print('{}')", "exited with 0 and without a report"),
    ],
)
def test_a_run_without_a_report_fails_the_study(tmp_path: Path, say: Say, program: str, says: str) -> None:
    say(lambda step: program)
    with pytest.raises(ZsmsError, match=says):
        Study(TINY, tmp_path).run(Watch())


def test_a_balanced_report_does_not_excuse_an_exit_code(tmp_path: Path, say: Say) -> None:
    say(lambda step: f"print({json.dumps(answer(step))!r}); raise SystemExit(1)")
    with pytest.raises(ZsmsError, match="exited with 1"):
        Study(TINY, tmp_path).run(Watch())


@pytest.mark.parametrize(
    ("old", "new", "says"), [('"cpu": "', '"cpu": "Z80 ', "cpu"), ('_s": 0.01', '_s": 2', "mean s")]
)
def test_rows_of_another_machine_or_load_are_not_added_to(
    tmp_path: Path, say: Say, old: str, new: str, says: str
) -> None:
    study = Study(TINY, tmp_path)
    study.run(Watch())
    assert old in study.json.read_text()
    study.json.write_text(study.json.read_text().replace(old, new))
    with pytest.raises(UsageError, match=f"another {says}"):
        Study(TINY, tmp_path).run(Watch())


def test_the_time_that_a_run_takes_is_learnt() -> None:
    study = Study(TINY, Path())
    big = Step("baseline", 1_000_000, 10_000_000, 1)
    guess = study.expected_s(big)
    limited = {**answer(Step("baseline", 1, 1_000_000, 1)), "throughput_per_s": 10_000.0, "efficiency": 0.1}
    limited["steady"] = {"throughput_per_s": None, "efficiency": None, "seconds": None}
    step = Step("baseline", 100_000, 1_000_000, 1)
    study.runs.append(record.run_of(step, limited, elapsed_s=101.0, at="", version=""))
    assert study.expected_s(big) == pytest.approx(1_000, rel=0.01) and guess < 500
    assert study.expected_s(Step("baseline", 100_000, 1_000_000, 2)) == 101.0


def test_a_tiny_study_for_real(tmp_path: Path) -> None:
    plan = Plan(quick=True, max_slots=10, mean_s=0.05, sd_s=0.005)
    study, watch = Study(plan, tmp_path), Watch()
    study.run(watch)
    mesh, baseline = record.read(study.csv)
    assert (mesh.design, baseline.design) == ("mesh", "baseline")
    for run in (mesh, baseline):
        assert run.balanced and run.lost == 0 and run.messages == 50
        # 5 sends of 0.05 s in turn; less would be sends that do not wait. A busy machine may take longer.
        assert 0.2 < run.wall_s < 10 and run.elapsed_s > run.wall_s
        assert 0 < run.share < 1.2
    assert mesh.slot_error_p99_s is not None and mesh.rss_max_bytes > 1 << 20
    assert watch.left[0] >= watch.left[-1] == 0
