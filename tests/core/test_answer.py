"""Answers of a collector that nobody trusts: what is no answer is refused, and one bad row costs itself."""

from __future__ import annotations

import copy
import json
import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.test_view import BROKER, PRODUCERS, SENDERS, book_of, view
from tests.web.snapshots import times
from zsms.stats.answer import checked
from zsms.stats.histogram import Histogram
from zsms.stats.trends import Trends
from zsms.stats.view import View


def good() -> dict[str, Any]:
    senders = [replace(sender, histograms={"send_time": times(0.5, 1.0)}) for sender in SENDERS]
    answer: dict[str, Any] = copy.deepcopy(book_of(BROKER, *PRODUCERS, *senders).answer("all", 1.0))
    return answer


def used(answer: dict[str, Any]) -> None:
    """As whoever watches uses it."""
    seen = View.of(answer, 1.0)
    text = json.dumps(seen.to_json(), allow_nan=False)
    assert "Infinity" not in text
    Trends(None, 1.0).take(seen)
    for histograms in (seen.histograms or {}).values():
        for body in histograms.values():
            assert math.isfinite(Histogram.from_wire(body).sum)


def test_a_good_answer_stays_as_it_is() -> None:
    answer = good()
    read = checked(copy.deepcopy(answer))
    assert read["processes"] == answer["processes"] and read["totals"] == {
        role: {name: count for name, count in counters.items() if count} for role, counters in answer["totals"].items()
    }
    assert View.of(read, 1.0).to_json() == View.of(answer, 1.0).to_json()
    assert read["histograms"] == answer["histograms"] and read["rows_left_out"] == 0


HOSTILE: list[Any] = [
    None, True, -1, 2**63, 2**64, 1e308, -1e308, math.nan, math.inf, "", "x" * 100_000, "\x1b[2J", "a\nb", b"x",
    [], [[]], {}, {"": {}}, {"role": "broker"}, [0] * 20_000,
]  # fmt: skip


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, each in inner for place in places(each, (*path, key)))]


PLACES = places(good())


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(PLACES[1:]), st.sampled_from(HOSTILE)), min_size=1, max_size=3))
def test_no_answer_brings_down_who_watches(changes: list[tuple[tuple[Any, ...], Any]]) -> None:
    answer = good()
    for (*way, last), hostile in changes:
        at: Any = answer
        try:
            for key in way:
                at = at[key]
            at[last] = hostile
        except (KeyError, IndexError, TypeError):
            continue
    try:
        read = checked(answer)
    except ValueError:
        return
    used(read)


@pytest.mark.parametrize("hostile", [1e308, math.inf, math.nan, "x", None, [], 2**70])
def test_one_bad_row_costs_itself(hostile: Any) -> None:
    answer = good()
    answer["processes"][0]["gauges"]["queued"] = hostile
    read = checked(answer)
    assert len(read["processes"]) == len(answer["processes"]) - 1 and read["rows_left_out"] == 1
    used(read)


@pytest.mark.parametrize("body", [{}, {"totals": {}}, {"processes": []}, {"processes": [None, 1, [], {}]}])
def test_an_answer_of_nothing_is_one(body: dict[str, Any]) -> None:
    used(checked(body))


@pytest.mark.parametrize(
    "body", [{"processes": {}}, {"processes": [{}] * 10_001}, {"totals": []}, {"failures": 1}, {"histograms": [1]}]
)
def test_what_is_no_answer_is_refused(body: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        checked(body)


def test_the_rate_is_not_known_while_a_broker_is_silent() -> None:
    fresh, silent = view(BROKER, *SENDERS, at=1.0), view(BROKER, *SENDERS, at=60.0)
    assert fresh.to_json()["rate_per_s"] == 6.6 and silent.to_json(fresh)["rate_per_s"] is None
    assert silent.to_json(fresh)["sent"] == 60
