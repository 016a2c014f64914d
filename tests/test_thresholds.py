"""Thresholds: what they are written like, when they hold, and when a run can't keep one any more."""

from __future__ import annotations

from typing import Any

import pytest

from zsms import Mesh, UsageError
from zsms.core.broker import BrokerLimits
from zsms.report.report import THRESHOLD_FAILED
from zsms.report.thresholds import Threshold, fields_of, parse_all, split


def body(**messages: int) -> dict[str, Any]:
    return {
        "messages": {"settled": 5_000, **messages},
        "send_time_s": {"p99": 1.2, "max": 3.0},
        "senders": [{"name": "a.b-1", "sent": 7}],
        "balanced": True,
        "throughput_per_s": 500.0,
        "series": {"sent": [1, 2]},
        "version": "1",
    }


def test_fields_are_numbers_and_truth_values_by_path() -> None:
    assert fields_of(body(lost=0)) == {
        "messages.settled": 5_000,
        "messages.lost": 0,
        "send_time_s.p99": 1.2,
        "send_time_s.max": 3.0,
        "senders.a.b-1.sent": 7,
        "balanced": True,
        "throughput_per_s": 500.0,
    }


@pytest.mark.parametrize(
    ("text", "ok"),
    [
        ("send_time_s.p99<1.5", True),
        ("send_time_s.p99 < 1.2", False),
        ("send_time_s.p99 <= 1.2", True),
        (" send_time_s.p99>=1.2 ", True),
        ("send_time_s.p99>1.2", False),
        ("messages.settled==5e3", True),
        ("messages.settled!=5_000", False),
        ("balanced==true", True),
        ("balanced!=true", False),
        ("senders.a.b-1.sent>6", True),
        ("senders.gone.sent>=0", False),
    ],
)
def test_the_end_is_judged(text: str, ok: bool) -> None:
    assert Threshold.parse(text).judge(body()).ok is ok


@pytest.mark.parametrize(
    ("text", "broken"),
    [
        ("messages.failed<10", True),  # what only grows does not come back
        ("messages.failed<=12", False),
        ("messages.failed==10", True),
        ("messages.failed==20", False),
        ("messages.failed>100", False),  # it may still become so
        ("send_time_s.max<2", True),
        ("send_time_s.p99<1", True),
        ("send_time_s.p99>2", False),
        ("throughput_per_s<100", False),
        ("messages.settled>1e6", False),
        ("balanced==false", False),
    ],
)
def test_before_the_end_a_threshold_can_only_be_broken(text: str, broken: bool) -> None:
    assert Threshold.parse(text).broken(body(failed=12)) is broken


def test_a_percentile_of_few_messages_breaks_nothing() -> None:
    few = body()
    few["messages"]["settled"] = 999
    assert not Threshold.parse("send_time_s.p99<1").broken(few)
    assert Threshold.parse("send_time_s.max<1").broken(few)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("send_time.p99<1", "did you mean 'send_time_s.p99'?"),
        ("p99<1", "'send_time_s.p99' or 'queue_time_s.p99'"),
        ("senders.sender-3.sent>0", "did you mean 'senders.sender-"),
        ("send_time_s.p99", "FIELD OPERATOR VALUE"),
        ("send_time_s.p99<fast", "'fast' is no number"),
        ("send_time_s.p99<nan", "nan is no bound"),
        ("send_time_s.p99<=inf", "inf is no bound"),
        ("send_time_s.p99>-1e999", "-1e999 is no bound"),
        ("send_time_s.p99<1<2", "FIELD OPERATOR VALUE"),
        ("config.alphabet<3", "no figure 'config.alphabet'"),
        ("balanced>true", "by == and != only"),
        ("balanced==1", "balanced is true or false"),
        ("wall_s==true", "wall_s is a number"),
        ("series.sent>0", "no figure 'series.sent'"),
    ],
)
def test_a_wrong_one_is_told_before_the_run(text: str, told: str) -> None:
    with pytest.raises(UsageError, match=r"^threshold ") as raised:
        Mesh(senders=2, thresholds=[text])
    assert told in str(raised.value)


def test_what_was_not_measured_is_not_as_expected() -> None:
    unmeasured = body()
    unmeasured["send_time_s"]["p99"] = None
    for text in ("send_time_s.p99<1.5", "send_time_s.p99>=0", "send_time_s.p99!=1"):
        verdict = Threshold.parse(text).judge(unmeasured)
        assert (verdict.ok, verdict.value) == (False, None)
        assert not Threshold.parse(text).broken(unmeasured)
    assert parse_all(["send_time_s.p99<1.5"], lambda: unmeasured), "a run may measure it yet"
    with pytest.raises(UsageError, match=r"send_time_s\.p99 is a number"):
        parse_all(["send_time_s.p99==true"], lambda: unmeasured)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("send_time_s.p99 < 1.5", ["send_time_s.p99 < 1.5"]),
        ("a.b<1 c==true", ["a.b<1", "c==true"]),
        (" a.b >= 1\n c != 2  d<3 ", ["a.b >= 1", "c != 2", "d<3"]),
        ("a.b<1, c<2", ["a.b<1,", "c<2"]),
        ("a.b < ", ["a.b < "]),
        ("a b<1", ["a b<1"]),
        ("", [""]),
    ],
)
def test_several_in_one_variable(text: str, parts: list[str]) -> None:
    assert split(text) == parts


def test_a_run_that_can_not_keep_a_threshold_drains_and_ends() -> None:
    mesh = Mesh(
        messages=10**9,
        senders=1,
        concurrency=200,
        mean=0.02,
        sd=0.0,
        batch=500,
        window=1_000,
        limits=BrokerLimits(max_messages=4_000),  # so that draining is quick
        thresholds=["messages.sent<3000", "messages.lost==0"],
        abort_on_fail=True,
    )
    report = mesh.run()
    assert report.aborted and not report.interrupted and not report.completed
    assert [verdict.ok for verdict in report.thresholds] == [False, True]
    assert report.balanced and not report.messages.unsettled, "it drained"
    assert report.exit_code == THRESHOLD_FAILED
    assert "messages.sent < 3000" in report.problems[0]


def test_the_codes_of_other_ends_come_first() -> None:
    report = Mesh(messages=10, senders=1, concurrency=10, mean=0.01, sd=0, thresholds=["messages.sent>10"]).run()
    assert report.exit_code == THRESHOLD_FAILED
    report.messages.unsettled = 1
    assert report.exit_code == 1
    report.interrupted = True
    assert report.exit_code == 130
