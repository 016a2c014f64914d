"""A wait that is on time to a fraction of a millisecond."""

from __future__ import annotations

import time

import zmq

from zsms.roles.poller import Poller


def test_a_wait_ends_at_its_time_and_not_at_the_next_whole_millisecond() -> None:
    poller, late, prompt = Poller(), [], 0
    # A busy machine wakes nobody in time, but now and then; whole milliseconds would never be in time.
    while prompt < 5 and len(late) < 2_000:
        until = time.monotonic() + 0.0013
        assert poller.poll(1.3) == []
        late.append(time.monotonic() - until)
        prompt += late[-1] < 0.0006
    assert min(late) >= 0, "never early"
    assert prompt == 5, "the next whole millisecond is 0.7 later"


def test_what_comes_ends_the_wait_whatever_its_fraction() -> None:
    context = zmq.Context()
    with context.socket(zmq.PULL) as pull, context.socket(zmq.PUSH) as push:
        pull.bind("inproc://here")
        push.connect("inproc://here")
        poller = Poller()
        poller.register(pull, zmq.POLLIN)
        for timeout in (0.4, 30_000.5, 0, None):
            push.send(b"")
            assert dict(poller.poll(timeout)) == {pull: zmq.POLLIN}
            pull.recv()
        assert poller.poll(0) == poller.poll(0.2) == []
    context.term()
