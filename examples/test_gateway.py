"""Tests of a gateway function of one's own, in a mesh in memory: `pytest examples/test_gateway.py`."""

import asyncio

from zsms import BrokerLimits, Message, Outcome
from zsms.testing import StubMesh


async def send(message: Message) -> Outcome:
    """A gateway that takes two seconds, is busy at first, and knows no numbers of +196."""
    await asyncio.sleep(2.0)
    if message.recipient.startswith("+196"):
        return Outcome.REJECTED
    return Outcome.TEMPORARY if message.attempt == 1 else Outcome.SENT


def test_a_busy_gateway_is_tried_again() -> None:
    mesh = StubMesh(send, slots=10, limits=BrokerLimits(max_attempts=2))
    mesh.put([("+13705550100", "Leave the lower town now."), ("+19605550100", "Leave the lower town now.")])
    mesh.join()
    assert [message.recipient for message in mesh.sent()] == ["+13705550100"]
    assert [dead.message.recipient for dead in mesh.dead_letters] == ["+19605550100"]


def test_a_sender_that_dies_loses_nothing() -> None:
    mesh = StubMesh(send, senders=2, slots=10, limits=BrokerLimits(max_attempts=2))
    mesh.put([(f"+1370555{number:04}", "Leave the lower town now.") for number in range(100)])
    mesh.advance(1.0)
    mesh.kill("sender-1")
    mesh.join()
    assert mesh.counts["sent"] == 100 and mesh.counts["redelivered"] > 0
