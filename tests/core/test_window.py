from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zsms.core.producer.window import Window


def pushed(window: Window) -> list[str]:
    """Push all that there is to push."""
    frames = []
    while (frame := window.next_frame()) is not None:
        frames.append(frame)
        window.pushed()
    return frames


def of(count: int, size: int = 10) -> Window:
    window = Window(1_000, resend_after=2.0)
    for number in range(count):
        assert window.next_number == number
        window.add(f"batch {number}", size, now=0.0)
    return window


def test_each_batch_is_pushed_once_in_order_and_kept_until_confirmed():
    window = of(3)
    assert (len(window), window.messages, window.room, window.oldest) == (3, 30, 970, 0)
    assert pushed(window) == ["batch 0", "batch 1", "batch 2"]
    assert pushed(window) == [] and len(window) == 3
    assert window.confirmed(2, 1.0) == 20
    assert (len(window), window.messages, window.confirmed_messages, window.oldest) == (1, 10, 20, 2)
    assert window.confirmed(2, 1.0) == window.confirmed(0, 1.0) == 0  # said again: nothing new
    with pytest.raises(ValueError, match="up to batch 4, but only 3"):
        window.confirmed(4, 1.0)
    assert window.resent == 0


def test_a_rewind_pushes_again_from_the_oldest_unconfirmed_on():
    window = of(4)
    pushed(window)
    window.confirmed(1, 0.0)
    window.rewind(0.0)
    assert pushed(window) == ["batch 1", "batch 2", "batch 3"]
    assert window.resent == 3
    window.rewind(0.0)
    window.pushed()
    window.confirmed(3, 0.0)  # a confirm that overtakes what is being pushed again
    assert pushed(window) == ["batch 3"] and window.resent == 5


def test_batches_that_were_never_pushed_are_not_resent():
    window = of(2)
    window.rewind(0.0)
    assert pushed(window) == ["batch 0", "batch 1"] and window.resent == 0


def test_silence_is_overdue_unless_the_broker_said_that_it_is_full():
    window = of(1)
    assert not window.overdue(100.0, False)  # nothing was pushed
    pushed(window)
    assert not window.overdue(2.0, False) and window.overdue(2.1, False)
    assert not window.overdue(50.0, True)
    assert not window.overdue(52.0, False) and window.overdue(52.1, False)  # counted anew from the last "full"
    window.rewind(60.0)
    pushed(window)
    assert not window.overdue(62.0, False) and window.overdue(62.1, False)
    window.confirmed(1, 60.0)
    assert not window.overdue(100.0, False)  # nothing is owed
    window.add("batch 1", 10, 200.0)
    pushed(window)
    assert not window.overdue(202.0, False)  # time without anything to confirm does not count


def test_progress_of_any_kind_starts_the_patience_anew():
    window = of(2)
    pushed(window)
    window.confirmed(1, 1.9)
    assert not window.overdue(3.8, False) and window.overdue(4.0, False)


def test_room_ends_at_the_bound_and_never_goes_below_zero():
    window = Window(15, resend_after=1.0)
    window.add("a", 10, 0.0)
    assert window.room == 5
    window.add("b", 10, 0.0)
    assert window.room == 0


ACTS = st.lists(st.sampled_from(["add", "push", "rewind", "deliver", "lose", "confirm"]), max_size=60)


@given(ACTS)
def test_a_receiver_in_order_gets_every_batch_whatever_is_lost(acts):
    window, wire, expected, confirm = Window(10**6, 1.0), [], 0, 0
    for act in [*acts, "rewind", *["push", "deliver"] * 60, "confirm"]:
        match act:
            case "add":
                window.add(window.next_number, 1, 0.0)
            case "push" if (frame := window.next_frame()) is not None:
                wire.append(frame)
                window.pushed()
            case "rewind":
                window.rewind(0.0)
            case "deliver" if wire:
                expected += wire.pop(0) == expected
            case "lose" if wire:
                wire.pop(0)
            case "confirm":
                confirm = expected
                window.confirmed(confirm, 0.0)
        assert confirm <= window.oldest <= expected
        assert len(window) == window.messages == window.next_number - window.oldest
    assert expected == window.next_number and not len(window)
