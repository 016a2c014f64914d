from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.core.making import make_account, make_batch, seqs
from zsms.core.broker.lot import Lot, gather
from zsms.core.outcomes import Finished
from zsms.core.sender import AckFrame, SenderCore, Waiting
from zsms.message import MAX_BATCH_MESSAGES, Batch
from zsms.wire.frames import Grant

NONE = np.zeros(0, dtype=np.uint64)


def joined(slots: int = 4, prefetch: int = 2) -> SenderCore:
    core = SenderCore(slots, prefetch, seed=1)
    core.joining()
    core.welcomed(0)
    return core


def give(core: SenderCore, count: int, **changed: int) -> bool:
    grant = Grant(core.token, core.generation, core.received, 1, 1, 0.0, 0, True)._replace(**changed)
    return core.granted(grant, make_batch(count, first=grant.base), 0.0, 0.0)


def start(core: SenderCore, most: int) -> np.ndarray:
    return np.concatenate([NONE, *[waiting.handles for waiting in core.take(most)]])


def told(frames: list[AckFrame]) -> list[tuple[list[int], list[int], int]]:
    return [((f.base + f.sent).tolist(), (f.base + f.failed).tolist(), f.limit) for f in frames]


def test_credit_is_what_is_settled_plus_slots_plus_prefetch():
    core = joined()
    assert core.limit == 6
    give(core, 6)
    handles = start(core, 4)
    assert (core.held, core.in_slots, core.waiting_messages, core.limit) == (6, 4, 2, 6)
    assert told(core.finished(Finished(handles[1:2], handles[2:3]))) == [([1], [2], 8)]
    assert core.new_credit() is None  # it was just said
    assert (core.held, core.in_slots) == (4, 2)


def test_credit_that_nothing_else_says_is_said_once():
    core = SenderCore(4, 2)
    first = core.new_credit()
    assert first is not None and (first.limit, len(first.sent), len(first.failed)) == (6, 0, 0)
    assert core.new_credit() is None
    core.draining = True
    last = core.new_credit()
    assert last is not None and last.limit == core.received == 0


def test_messages_wait_for_slots_in_order_and_grants_are_cut_to_fit():
    core = joined(100)
    give(core, 3)
    give(core, 3)
    taken = core.take(4)
    assert [seqs(waiting.batch) for waiting in taken] == [[0, 1, 2], [3]]
    assert np.concatenate([waiting.handles for waiting in taken]).tolist() == [0, 1, 2, 3]
    assert [seqs(waiting.batch) for waiting in core.take(100)] == [[4, 5]]
    assert core.take(100) == []


def test_a_grant_that_is_stale_repeated_or_has_a_gap_before_it_is_refused():
    core = joined()
    assert give(core, 2)
    for changed in ({"session": 99}, {"generation": 0}, {"base": 0}, {"base": 3}):
        assert not give(core, 1, **changed)
    assert (core.received, core.waiting_messages, core.refused_grants) == (2, 2, 4)
    core.joining()  # what was granted under the join before is stale now
    assert not give(core, 1, generation=1) and give(core, 1)


def test_frames_are_said_again_after_a_join_until_the_broker_has_them():
    core = joined()
    give(core, 3)
    handles = start(core, 3)
    frames = [core.finished(Finished(handles[i : i + 1], NONE))[0] for i in range(3)]
    assert [frame.number for frame in frames] == [1, 2, 3]  # 0 said the credit after the join
    core.acknowledged(2)
    again = core.welcomed(3)
    assert [f.number for f in again] == [3, 4] and told(again) == [([2], [], 9), ([], [], 9)]


def test_another_start_of_a_broker_is_told_again_what_the_one_before_may_not_have_kept():
    core = joined()
    give(core, 3)
    core.finished(Finished(start(core, 3), NONE))
    core.joining()
    assert told(core.welcomed(1, another=True)) == [([0, 1, 2], [], 9), ([], [], 9)]
    fresh = joined()
    fresh.joining()
    assert told(fresh.welcomed(0, another=True)) == [([], [], 6)], "it was granted nothing: there is nothing to repeat"


def test_what_is_settled_between_a_join_and_its_welcome_waits_for_its_turn():
    core = joined()
    give(core, 3)
    handles = start(core, 3)
    core.finished(Finished(handles[:1], NONE))  # the connection breaks and takes this frame along
    core.joining()
    assert core.finished(Finished(handles[1:], NONE)) == []
    assert told(core.welcomed(1)) == [([0], [], 7), ([1, 2], [], 9), ([], [], 9)]


def test_a_ramp_opens_the_slots_evenly():
    core = SenderCore(1_000, 5, ramp=10.0)
    assert core.limit == 5
    opened = []
    now: float | None = 50.0
    while now is not None:
        now, before = core.poll(now), now
        opened.append((before - 50.0, core.open_slots))
    assert core.limit == 1_005 and core.poll(99.0) is None
    assert all(abs(count - 100 * elapsed) <= 11 for elapsed, count in opened) and len(opened) > 50


def test_acknowledgements_ascend_and_are_cut_to_frames():
    count = MAX_BATCH_MESSAGES + 10
    core = joined(slots=2 * count)
    give(core, 100)
    give(core, count)
    handles = start(core, 2 * count)
    shuffled = np.random.default_rng(1).permutation(handles)
    sent, failed = shuffled[50:], shuffled[:50]
    frames = core.finished(Finished(sent, failed))
    assert [len(f.sent) for f in frames] == [MAX_BATCH_MESSAGES, count + 50 - MAX_BATCH_MESSAGES]
    assert [len(f.failed) for f in frames] == [50, 0]
    assert [f.number for f in frames] == [1, 2]
    assert sorted(number for numbers, _, _ in told(frames) for number in numbers) == sorted(sent.tolist())
    assert told(frames)[0][1] == sorted(failed.tolist())
    for frame in frames:
        assert (np.diff(frame.sent.astype(int)) > 0).all()


def test_a_session_that_was_given_up_drops_what_waits_and_is_acknowledged_late():
    core = joined(slots=4, prefetch=2)
    old = core.token
    give(core, 6)
    handles = start(core, 3)
    assert core.renew() == 3
    assert core.token != old and (core.generation, core.received, core.held, core.in_slots) == (0, 0, 3, 3)
    assert core.limit == 4 - 3 + 2  # a slot that is busy with the past is no credit
    core.joining()
    core.welcomed(0)
    give(core, 3)
    new = start(core, 1)
    assert new.tolist() == [1 << 48]
    frames = core.finished(Finished(np.concatenate([new, handles[:2]]), handles[2:]))
    assert [(f.session, *told([f])[0]) for f in frames] == [(old, [0, 1], [2], 0), (core.token, [0], [], 7)]
    assert [f.session for f in core.welcomed(0)] == [core.token] * 3  # nobody waits for an answer to the past
    assert core.in_slots == 0 and core.limit == 1 + 4 + 2


def test_credit_grows_as_slots_come_back_from_a_session_that_was_given_up():
    core = joined(slots=4, prefetch=0)
    give(core, 4)
    handles = start(core, 4)
    core.renew()
    core.joining()
    core.welcomed(0)
    assert core.limit == 0
    core.finished(Finished(handles[:3], NONE))
    credit = core.new_credit()
    assert credit is not None and credit.limit == 3


def test_a_lower_limit_is_a_promise_only_when_the_broker_has_it() -> None:
    core = joined(slots=10, prefetch=0)
    core.share = 4
    lower = core.new_credit()
    assert lower is not None and (lower.limit, core.promised) == (4, 10)
    core.acknowledged(lower.number)  # it has what was said before
    assert core.promised == 10
    give(core, 7)  # and granted by that
    core.acknowledged(lower.number + 1)
    assert core.promised == core.held == 7
    core.finished(Finished(start(core, 5), NONE))
    assert (core.held, core.limit, core.promised) == (2, 5 + 4, 4)


def test_what_is_said_again_promises_no_more_than_there_is_now() -> None:
    core = joined(slots=10, prefetch=0)
    give(core, 10)
    core.finished(Finished(start(core, 3), NONE))
    core.share = 2
    core.joining()
    again = core.welcomed(0)
    assert [len(frame.sent) for frame in again] == [0, 3, 0]
    assert [frame.number for frame in again] == [0, 1, 2]  # plain credit too: a gap would be taken for a loss
    assert [frame.limit for frame in again] == [5, 5, 5]


def test_a_broker_wants_more_when_it_granted_all_that_it_knew_it_could() -> None:
    core = joined(slots=10, prefetch=0)
    assert core.credit.wants_more  # nobody knows better
    asked = core.welcomed(0)[-1].number + 1
    core.asked()
    core.answered(asked)
    assert core.credit.wants_more
    give(core, 9)
    core.asked()
    core.answered(asked)
    assert not core.credit.wants_more  # it knew of 10
    core.credit.granted(True)
    core.asked()
    core.answered(asked - 1)  # the answer to another question
    assert core.credit.wants_more
    core.answered(asked)
    assert not core.credit.wants_more


def test_a_grant_says_at_once_whether_the_broker_has_more() -> None:
    core = joined(slots=10, prefetch=0)
    give(core, 4, more=False)
    assert not core.credit.wants_more
    core.asked()
    core.answered(core.unacknowledged[-1].number + 1)
    assert not core.credit.wants_more, "whatever it could have granted"
    give(core, 1)
    assert core.credit.wants_more
    give(core, 1, more=False)
    core.joining()
    assert core.credit.wants_more, "nobody knows"


def test_answers_that_take_longer_than_the_next_question_count_all_the_same() -> None:
    core = joined(slots=10, prefetch=0)
    first = core.welcomed(0)[-1].number + 1
    for share in (9, 8, 7, 6):
        core.share = share
        credit = core.new_credit()
        assert credit is not None
        core.asked()
    give(core, 3)
    core.answered(first + 1)  # to the first question, after the first lower limit
    assert core.promised == 9 and core.credit.wants_more
    core.asked()
    core.answered(credit.number + 1)
    assert core.promised == 6 and not core.credit.wants_more


def test_handles_work_in_the_last_epoch_too():
    core = joined()
    core.epoch = 0xFFFF - 1
    core.renew()
    core.joining()
    core.welcomed(0)
    give(core, 2)
    assert told(core.finished(Finished(start(core, 2), NONE))) == [([0, 1], [], 8)]


@pytest.mark.parametrize("cut", [False, True])
def test_ages_count_from_when_each_message_was_due_in_our_own_clock(cut):
    rows = [(f"+{i}", "") for i in range(1, 5)]
    waiting = Waiting(0, Batch.of(rows, due=1_000.0, step=0.5), 0.0, 900.0, 1, 1)  # the broker is 900 s ahead
    if cut:
        waiting = waiting.part(1, 4)
        assert np.asarray(waiting.ages(102.0)).tolist() == [1.5, 1.0, 0.5]
        waiting.batch = waiting.batch.take(np.array([0, 2]))
        assert np.asarray(waiting.ages(102.0)).tolist() == [1.5, 0.5]
    else:
        assert np.asarray(waiting.ages(102.0)).tolist() == [2.0, 1.5, 1.0, 0.5]
        assert Waiting(0, Batch.of(rows, due=1_000.0), 0.0, 900.0, 1, 1).ages(102.0) == 2.0


def test_to_another_start_of_the_broker_the_numbers_go_on():
    core = joined(slots=4, prefetch=0)
    for share in (3, 2, 1):
        core.share = share
        assert core.new_credit() is not None
    core.acknowledged(2)
    core.joining()
    again = core.welcomed(0, another=True)
    assert [frame.number for frame in again] == [4]
    give(core, 1)
    assert [frame.number for frame in core.finished(Finished(start(core, 1), NONE))] == [5]


def test_a_sender_is_astray_when_another_start_of_the_broker_had_its_old_words_first():
    core = joined(slots=4, prefetch=0)
    core.share = 3
    assert core.new_credit() is not None  # numbers 0 and 1 are on their way when the broker starts again
    core.joining()
    assert [frame.number for frame in core.welcomed(0, another=True)] == [2]
    assert not core.astray, "as far as it knows, nothing was said to that start before"
    core.joining()
    core.welcomed(1)  # it had number 0, and waits for 1 for ever
    assert core.astray
    core.renew()
    core.joining()
    core.welcomed(0)
    assert not core.astray
    core.acknowledged(1)
    core.welcomed(0)  # an older word, late
    assert not core.astray


def test_outcomes_follow_their_failures_in_whatever_order_these_finish():
    core = joined(slots=4, prefetch=0)
    give(core, 4)
    handles = start(core, 4)
    (frame,) = core.finished(Finished(handles[:1], handles[[3, 1, 2]], np.array([3, 1, 2], dtype=np.uint8)))
    assert (frame.failed + frame.base).tolist() == [1, 2, 3] and frame.outcomes.tolist() == [1, 2, 3]


@pytest.mark.parametrize("step", [0.0, 0.001])
def test_no_message_comes_before_it_is_due_whatever_the_offset_of_the_clocks_says(step: float) -> None:
    batch = Batch.of([("+13705550100", "x")] * 3, producer=1, epoch=1, first=0, due=1_000.0, step=step)
    waiting = Waiting(0, batch, 100.0, 899.997, 1, 1)  # the offset is 900 s, and estimated 3 ms too low
    mixed = gather([(Lot(batch, make_account(0), 0.0, 1), np.arange(3))], [make_account(0)])
    mixed.rows["attempt"] = mixed.rows["delivery"] = 1
    for each in (waiting, replace(waiting, batch=mixed)):
        assert np.all(np.asarray(each.ages(100.0)) == 0)
        assert np.all(np.asarray(each.late(100.0)) == 0)
