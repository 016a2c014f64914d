"""Options of another type than they may be, and options that there are not: a UsageError that names them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from zsms import Broker, Mesh, Monitor, Producer, Sender, StatsCollector, UsageError


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
        (Sender, {"broker": None}, "endpoint None: give text"),
        (Sender, {"broker": [5]}, "endpoint 5: give text"),
        (Sender, {"concurrency": "x"}, "concurrency 'x': give a whole number"),
        (Sender, {"concurrency": 1.5}, "concurrency 1.5: give a whole number"),
        (Sender, {"delay": 1.0}, "delay 1.0: give a DelayModel"),
        (Sender, {"concurency": 5}, "a sender has no option 'concurency'"),
        (Producer, {"messages": True}, "messages True: give a whole number"),
        (Producer, {"rate": "10"}, "rate '10': give a number"),
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
        (Mesh, {"tags": {1: "a"}}, "tags {1: 'a'}: give texts by their names"),
        (Mesh, {"tags": {"a": 1}}, "tags {'a': 1}: give texts by their names"),
    ],
)
def test_what_is_of_another_type_is_named(of: Any, options: dict[str, Any], told: str) -> None:
    with pytest.raises(UsageError) as caught:
        of(**options)
    assert str(caught.value).startswith(told)


def test_what_is_as_good_as_a_number_or_a_text_is_taken(tmp_path: Path) -> None:
    Sender("127.0.0.1:5", concurrency=np.int64(5), failure_rate=np.float32(0.5), stats_interval=1)  # type: ignore[arg-type]
    Broker("127.0.0.1:0", journal=tmp_path / "j", name=np.str_("b"))
