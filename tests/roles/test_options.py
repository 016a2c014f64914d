"""Options of another type than they may be, and options that there are not: a UsageError that names them."""

from __future__ import annotations

import inspect
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from zsms import (
    Broker,
    BrokerLimits,
    DelayModel,
    Mesh,
    MeshConfig,
    Message,
    MessageId,
    Monitor,
    Producer,
    Sender,
    SenderGroup,
    StatsCollector,
    UsageError,
)
from zsms.carriers import segments
from zsms.launch.cluster import Cluster
from zsms.plan import plan
from zsms.plan.search import solve
from zsms.scenario import Group, Scenario
from zsms.smsc import Account, FakeSmsc, Rules
from zsms.testing import StubMesh


@pytest.mark.parametrize(
    ("of", "options", "told"),
    [
        (Broker, {"bind": 5}, "bind 5: give text"),
        (Broker, {"limits": 5}, "limits 5: give a BrokerLimits"),
        (Broker, {"stats_interval": "x"}, "stats interval 'x': give a number"),
        (Broker, {"drain_timeout": "x"}, "drain timeout 'x': give a number"),
        (Broker, {"name": 5}, "name 5: give text"),
        (Broker, {"stats": 5}, "stats 5: give text"),
        (Broker, {"keys": 5}, "keys 5: give text or a path"),
        (Broker, {"insecure": "no"}, "insecure 'no': give True or False"),
        (Broker, {"nosuch": 1}, "a broker has no option 'nosuch'"),
        (Sender, {"broker": None}, "broker None: give text or a list of texts"),
        (Sender, {"broker": [5]}, "broker [5]: give text or a list of texts"),
        (Sender, {"send": 5}, "int is 5, not a function: write it as"),
        (Sender, {"transport": 5}, "transport 5: give a Transport, which has "),
        (Sender, {"context": 5}, "context 5: give a Context"),
        (Sender, {"clock": 5}, "clock 5: give a function"),
        (Sender, {"failure_rate": 10**400}, "failure rate 1000"),
        (Sender, {"seed": np.int64(-1)}, "seed or stream -1: give a whole number from 0 on"),
        (Sender, {"seed": -1}, "seed or stream -1: give a whole number from 0 on"),
        (Sender, {"caps": "x"}, "caps 'x': write PATH:"),
        (Sender, {"concurrency": "x"}, "concurrency 'x': give a whole number"),
        (Sender, {"concurrency": 1.5}, "concurrency 1.5: give a whole number"),
        (Sender, {"delay": 1.0}, "delay 1.0: give a DelayModel"),
        (Sender, {"concurency": 5}, "a sender has no option 'concurency'"),
        (Producer, {"messages": True}, "messages True: give a whole number"),
        (Producer, {"rate": "10"}, "rate '10': give a number"),
        (
            Message,
            {"id": MessageId(1, 1, 0), "recipient": "+4915112345678"},
            "a message: missing a required option: 'text'",
        ),
        (
            Message,
            {"id": MessageId(1, 1, 0), "recipient": 4915112345678, "text": "x"},
            "recipient 4915112345678: give text",
        ),
        (Message, {"id": 0, "recipient": "+4915112345678", "text": "x"}, "id 0: give a MessageId"),
        (Monitor, {"interval": "x"}, "interval 'x': give a number"),
        (Monitor, {"show": 5}, "show 5: give a function"),
        (StatsCollector, {"bind": None}, "bind None: give text"),
        (Mesh, {"config": 5}, "config 5: give a MeshConfig"),
        (Mesh, {"metrics": 5}, "metrics 5: give text"),
        (Mesh, {"log_messages": 5}, "log messages 5: give text"),
        (Mesh, {"title": 5}, "title 5: give text"),
        (Mesh, {"say": 5}, "say 5: give a function"),
        (Mesh, {"limits": 5}, "limits 5: give a BrokerLimits"),
        (Mesh, {"nosuch": 1}, "a mesh has no option 'nosuch'"),
        (Mesh, {"place": 5}, "place 5: give a Place, which has open, "),
        (Mesh, {"progress": 5}, "progress 5: give a function"),
        (Mesh, {"before": 5}, "before 5: give a Before"),
        (Mesh, {"thresholds": 5}, "thresholds 5: give a list of texts"),
        (Mesh, {"thresholds": "messages.lost==0"}, "thresholds 'messages.lost==0': give a list of texts"),
        (Mesh, {"thresholds": [5]}, "thresholds [5]: give a list of texts"),
        (Mesh, {"transport": 5}, "int is 5, not a function"),
        (Mesh, {"groups": 5}, "groups 5: give a list of SenderGroups"),
        (Mesh, {"groups": [5]}, "groups [5]: give a list of SenderGroups"),
        (Mesh, {"input": "a\0b"}, "input 'a\\x00b': a path has no zero byte"),
        (Mesh, {"log_messages": "\ud800"}, "can't write the log of messages"),
        (Mesh, {"tags": {1: "a"}}, "tags {1: 'a'}: give texts by their names"),
        (Mesh, {"tags": {"a": 1}}, "tags {'a': 1}: give texts by their names"),
        (MeshConfig, {"limits": None}, "limits None: give a BrokerLimits"),
        (SenderGroup, {"nosuch": 1}, "a sendergroup has no option 'nosuch'"),
        (DelayModel, {"mean": "x"}, "mean 'x': give a number"),
        (StubMesh, {"send": 5}, "int is 5, not a function: write it as"),
        (StubMesh, {"slots": "x"}, "slots 'x': give a whole number"),
        (StubMesh, {"transport": lambda: 1}, "transport 1: give a Transport, which has "),
        (StubMesh().put, {"messages": [1]}, "messages [1]: give a whole number or a list of (text, text)"),
        (StubMesh().put, {"messages": -1}, "messages -1: give 0 to 10,000,000"),
        (StubMesh().kill, {"sender": "x"}, "sender 'x': there are sender-1"),
        (FakeSmsc, {"rules": 5}, "rules 5: give a Rules"),
        (FakeSmsc, {"certificate": "a\0b"}, "the certificate 'a\\x00b': "),
        (Rules, {"statuses": [5]}, "statuses [5]: give a list of (a whole number, a number)"),
        (Rules, {"statuses": iter([(5, 0.1)])}, "statuses <list_iterator"),
        (MeshConfig, {"groups": iter([SenderGroup()])}, "groups <list_iterator"),
        (Account, {"system_id": 5, "password": ""}, "system id 5: give text"),
        (Cluster, {"address": 5}, "address 5: give text"),
        (Scenario, {"groups": iter([Group()])}, "groups <list_iterator"),
        (Scenario, {"groups": "x"}, "groups 'x': give a list of Groups"),
        (plan, {"scenario": 5}, "scenario 5: give a Scenario or text"),
        (plan, {"scenario": Scenario(), "mapped": 5}, "mapped 5: give a function"),
        (plan, {}, "plan: missing a required option: 'scenario'"),
        (solve, {"scenario": Scenario(), "what": "slots", "deadline": float("nan")}, "deadline nan: give seconds"),
        (segments.split, {"text": 5}, "text 5: give text"),
        (segments.count, {"text": b"a", "lengths": ["x"]}, "lengths ['x']: give whole numbers"),
    ],
)
def test_what_is_of_another_type_is_named(of: Any, options: dict[str, Any], told: str) -> None:
    with pytest.raises(UsageError) as caught:
        of(**options)
    assert str(caught.value).startswith(told)


def test_what_is_as_good_as_a_number_or_a_text_is_taken(tmp_path: Path) -> None:
    Sender("127.0.0.1:5", concurrency=np.int64(5), failure_rate=np.float32(0.5), stats_interval=1)  # type: ignore[arg-type]
    assert len(Mesh(thresholds=iter(["messages.lost==0"])).thresholds) == 1
    Broker("127.0.0.1:0", journal=tmp_path / "j", name=np.str_("b"))


CALLS: list[tuple[Any, dict[str, Any]]] = [
    (Mesh, {}), (Broker, {"bind": "tcp://127.0.0.1:0"}), (Sender, {}), (Producer, {}), (Monitor, {}),
    (StatsCollector, {}), (BrokerLimits, {}), (SenderGroup, {}), (MeshConfig, {}), (DelayModel, {}), (StubMesh, {}),
    (FakeSmsc, {}), (Rules, {}), (Account, {"system_id": "a", "password": "b"}), (Scenario, {}), (Group, {}),
    (segments.count, {"text": b"ab", "lengths": [2]}), (segments.split, {"text": "ab"}),
    (StubMesh().put, {"messages": 1}),
]  # fmt: skip
NONSENSE: list[Any] = [
    None, -1, 1.5, True, "x", "a\0b", "\ud800", b"x", [], [None], {}, {"a": 1}, object(), float("nan"), float("inf"),
    10**400, np.arange(3), np.array(5), np.int64(2), np.int32(-2), int, (1, 2), [iter("ab")],
]  # fmt: skip


@pytest.mark.parametrize(("what", "given"), CALLS, ids=[call.__name__ for call, _ in CALLS])
def test_nothing_that_is_given_is_an_error_of_python_s(what: Any, given: dict[str, Any]) -> None:
    for name, each in inspect.signature(what).parameters.items():
        for value in [] if each.kind is inspect.Parameter.VAR_KEYWORD else NONSENSE:
            with suppress(UsageError):
                what(**{**given, name: value})
