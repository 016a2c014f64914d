"""A lease that is shorter than a send: said before the start, and no message is sent twice for it."""

from __future__ import annotations

import pytest

from zsms import Mesh, Sender
from zsms.core.broker import BrokerLimits
from zsms.errors import UsageError
from zsms.scenario import MeshConfig, SenderGroup
from zsms.stats.delay import DelayModel


def test_a_run_with_a_lease_shorter_than_its_sends_says_so_and_sends_each_once() -> None:
    said: list[str] = []
    small = {"messages": 200, "senders": 2, "concurrency": 100, "mean": 1.0, "sd": 0.0}
    report = Mesh(**small, limits=BrokerLimits(lease=0.5, max_deliveries=3), say=said.append).run()
    assert said[0].startswith("group 'sender': a lease of 0.5 s is shorter than a send takes")
    assert (report.messages.sent, report.messages.redelivered, report.messages.duplicates) == (200, 0, 0)


def test_groups_and_tails_are_looked_at_too() -> None:
    groups = (
        SenderGroup("quick", mean=0.1, sd=0.01),
        SenderGroup("slow", mean=5.0, sd=0.5),
        SenderGroup("tail", delay="lognormal", mean=0.5, sd=1.0),
    )
    warnings = MeshConfig(groups=groups, limits=BrokerLimits(lease=4.0)).warnings()
    assert [warning.split(":")[0] for warning in warnings] == ["group 'slow'", "group 'tail'"]
    assert "than a send takes" in warnings[0] and "than a send may take" in warnings[1]
    assert not MeshConfig(groups=groups[:1]).warnings()


def test_a_longest_lease_that_is_shorter_than_a_send_is_told_before_the_start() -> None:
    groups = (SenderGroup("quick", mean=0.1, sd=0.01), SenderGroup("slow", mean=5.0, sd=0.5))
    for lease in (60.0, 3.0):
        limits = BrokerLimits(lease=lease, max_lease=4.0)
        said = MeshConfig(groups=groups, limits=limits).warnings()
        assert [warning.split(":")[0] for warning in said] == (["group 'slow'"] if lease < 5 else [])
        assert all("4 s is shorter than a send takes" in each and "sent again" in each for each in said)


def test_a_sender_by_hand_says_so_too(caplog) -> None:
    Sender(delay=DelayModel("constant", 5.0), lease=2.0)
    assert "a lease of 2 s is shorter than a send takes" in caplog.text
    assert Sender(delay=DelayModel("constant", 5.0)).lease >= 10.0


def test_a_coarse_tick_and_a_rate_near_the_capacity_are_told_before_the_start() -> None:
    coarse = MeshConfig(groups=(SenderGroup(mean=0.05, tick=0.1),))
    assert "coarse" in coarse.warnings()[0]
    group = SenderGroup(senders=1, concurrency=100, mean=0.2, failure_rate=0.5)
    assert MeshConfig(groups=(group,), rate=300.0).warnings() == []
    (near,) = MeshConfig(groups=(group,), rate=480.0).warnings()
    assert "96%" in near
    (beyond,) = MeshConfig(groups=(group,), rate=480.0, limits=BrokerLimits(max_attempts=2)).warnings()
    assert "333" in beyond and "waits grow" in beyond  # each failure takes a slot again


@pytest.mark.parametrize("name", ["", "x" * 63, "a\nb", "\x1b[2J"])
def test_a_group_s_name_leaves_room_for_its_senders_numbers(name: str) -> None:
    with pytest.raises(UsageError, match="give 1 to 62 printable characters"):
        SenderGroup(name=name).check()
    SenderGroup(name="x" * 62).check()
