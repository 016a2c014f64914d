"""The names of figures: what is told comes back, what nobody told is None, every counter of the core is there."""

from __future__ import annotations

from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zsms.core.broker.ledger import Counters
from zsms.stats.figures import (
    OF_ROLE,
    OUTCOMES,
    RECEIPTS,
    BrokerFigures,
    Figures,
    ProducerFigures,
    SenderFigures,
    added,
    least,
    most,
)
from zsms.stats.row import Row
from zsms.stats.snapshot import MAX_FIGURES
from zsms.stats.view import View

KINDS = st.sampled_from(list(OF_ROLE.values()))


@given(KINDS, st.dictionaries(st.integers(0, 60), st.integers(0, 2**40)))
def test_what_is_told_comes_back_and_the_rest_is_neither_told_nor_known(kind, chosen) -> None:
    names = [field.name for field in fields(kind)]
    told = kind(**{names[place]: value for place, value in chosen.items() if place < len(names)})
    counters, gauges = told.to_wire()
    assert len(counters) + len(gauges) == sum(place < len(names) for place in chosen)
    assert None not in [*counters.values(), *gauges.values()]
    assert kind.of(counters, gauges) == told


def test_names_of_a_newer_process_are_passed_over_and_those_an_older_one_lacks_are_none() -> None:
    figures = SenderFigures.of({"sent": 0, "teleported": 5}, {"slots": 3.0, "mood": 1.0})
    assert (figures.sent, figures.failed, figures.slots, figures.busy) == (0, None, 3.0, None)
    assert figures.to_wire() == ({"sent": 0}, {"slots": 3.0})
    with pytest.raises(AttributeError):
        _ = figures.teleported  # type: ignore[attr-defined]


def test_counters_and_gauges_are_as_the_wire_has_them() -> None:
    figures = ProducerFigures(refused_frames=1, cpu_s=0.5, produced=7, confirmed=6, unconfirmed=1, rate=None)
    assert figures.to_wire() == (
        {"produced": 7, "confirmed": 6, "refused_frames": 1},
        {"unconfirmed": 1, "cpu_s": 0.5},
    )
    assert list(figures.to_wire()[0]) == ["produced", "confirmed", "refused_frames"]


def test_a_broker_tells_all_that_its_core_counts() -> None:
    names = {field.name: field.type for field in fields(BrokerFigures)}
    assert all(names.get(field.name) == "Count" for field in fields(Counters))
    assert {names.get(figure) for figure in OUTCOMES.values()} == {"Count"}
    assert BrokerFigures(failed_sends=2, receipts_expired=3).outcomes["failed"] == 2
    assert list(BrokerFigures(receipts_expired=3).receipts.values()) == [0, 0, 3, 0, 0]
    assert list(BrokerFigures().receipts) == list(RECEIPTS)


def test_no_role_has_more_figures_than_the_wire_takes_or_one_that_is_neither() -> None:
    for kind in OF_ROLE.values():
        types = [field.type for field in fields(kind)]
        assert set(types) == {"Count", "Gauge"} and len(types) <= MAX_FIGURES


def test_what_is_reckoned_of_figures_is_not_known_where_they_are_not() -> None:
    assert SenderFigures().error_share is None and SenderFigures(sent=0).send_time_s is None
    assert SenderFigures(sent=3, failed=1).error_share == 0.25
    assert SenderFigures(sent=3, failed=1).send_time_s is None, "how long they took is not known"
    assert SenderFigures(sent=3, failed=1, took_s=2.0).send_time_s == 0.5
    assert (added([1, None, 2.5]), most([None, 2, 1]), least([None, 2, 1])) == (3.5, 2, 1)
    assert (added([]), most([None]), least([])) == (0, None, None)


def test_rows_of_a_view_have_the_figures_of_their_role() -> None:
    def row(role: str, **more: object) -> dict[str, object]:
        told = {"role": role, "name": role, "state": "running", "age": 0.0, "interval": 1.0}
        return {**told, "counters": {"refused_frames": 2}, "gauges": {}, **more}

    view = View.of({"processes": [row(role) for role in ("sender", "smsc", "broker")]}, 0.0)
    assert [type(each.figures) for each in view.processes] == [SenderFigures, Figures, BrokerFigures]
    assert [each.figures.refused_frames for each in view.processes] == [2, 2, 2]
    assert (len(view.brokers), len(view.senders), view.producers) == (1, 1, [])
    silent = Row.of(row("sender", age=4.6))
    assert (silent.condition, silent.is_present, silent.is_fresh) == ("silent", False, False)
    left = Row.of(row("sender", state="done"))
    assert (left.condition, left.is_present, left.is_alive) == ("left", False, True)
    assert Row.of(row("sender", ended=True)).has_ended
