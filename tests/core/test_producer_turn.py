"""A producer's turns without sockets: how much is made when, and for which broker."""

from __future__ import annotations

from dataclasses import dataclass

from zsms.core.producer.turn import Turn, most_room


@dataclass
class Way:
    room: int
    ready: bool = True


def test_the_broker_with_the_most_room_of_those_that_can_take_it_is_next() -> None:
    ways = [Way(5), Way(9, ready=False), Way(7)]
    assert most_room(ways) is ways[2]
    assert most_room([Way(9, ready=False)]) is None and most_room([]) is None


def test_without_a_rate_whole_batches_are_made_at_once() -> None:
    turn = Turn(100, None, "even", 1)
    assert turn.size(3.0) == 100 and turn.due(100, 3.0) == (3.0, 0.0) and turn.next_time(3.0) == 3.0
    turn.made(60, 3.0)  # all that the source had
    assert turn.produced == 60 and turn.asked(3.0) == (None, None, None)


def test_in_the_open_loop_what_is_due_is_made_by_the_millisecond_and_never_more() -> None:
    turn = Turn(100, 10_000.0, "even", 1)
    assert turn.size(0.0) == 1 and turn.due(1, 0.0) == (0.0, 1e-4)
    turn.made(1, 0.0)
    assert turn.next_time(0.0) == 0.001 and not turn.size(0.0005)
    assert turn.size(0.0021) == 21  # what came due meanwhile, by its own times
    assert turn.due(21, 0.0021) == (1e-4, 1e-4)
    turn.made(21, 0.0021)
    assert turn.size(1.0) == 100  # a stall is caught up in whole batches, one after the other
    turn.made(100, 1.0)
    assert turn.next_time(1.0) <= 1.0 and turn.size(1.0) == 100


def test_another_rate_is_followed_from_the_next_turn_on() -> None:
    turn = Turn(100, 10.0, "even", 1)
    turn.size(0.0)
    turn.made(1, 0.0)
    turn.rate = 1_000.0
    assert turn.asked(0.0)[0] == 10.0
    turn.poll(0.05)
    assert turn.asked(0.05)[0] == 1_000.0 and turn.next_time(0.05) < 0.052
