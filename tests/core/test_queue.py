from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.core.making import make_lot, seqs
from zsms.core.broker.queue import ReadyQueue

ACTS = st.lists(
    st.tuples(st.just("put"), st.integers(1, 9)) | st.tuples(st.sampled_from(["take", "put back"]), st.integers(1, 12)),
    max_size=40,
)


@given(ACTS)
def test_the_queue_is_a_list_of_messages_that_is_cut_anywhere(acts):
    queue = ReadyQueue()
    plain: list[int] = []
    sizes: list[int] = []  # of the lots, where they may be cut
    out = []
    made = 0
    for act, count in acts:
        if act == "put":
            queue.put(make_lot(count, first=made))
            plain += range(made, made + count)
            sizes.append(count)
            made += count
        elif act == "take" and plain:
            lot = queue.take(count)
            expected = min(count, sizes[0])  # never of two lots at once
            assert seqs(lot.batch) == plain[:expected] and lot.size == expected
            del plain[:expected]
            sizes[:1] = [sizes[0] - expected] if expected < sizes[0] else []
            out.append(lot)
        elif act == "put back" and out:
            lot = out.pop()
            queue.put_back(lot)
            plain[:0] = seqs(lot.batch)
            sizes.insert(0, lot.size)
        assert queue.messages == len(plain) == sum(sizes)
        assert bool(queue) == bool(plain)
        assert [seq for lot in queue.lots() for seq in seqs(lot.batch)] == plain
        assert queue.nbytes >= 10 * len(plain)  # what a message costs without its text
    while queue:
        lot = queue.take(1_000)
        assert seqs(lot.batch) == plain[: lot.size]
        del plain[: lot.size]
    assert queue.nbytes == 0 and not plain


def test_the_bytes_of_a_lot_count_until_all_of_it_has_left():
    queue = ReadyQueue()
    lot, other = make_lot(10), make_lot(5, first=10)
    queue.put(lot)
    queue.put(other)
    queue.take(9)
    assert queue.nbytes == lot.batch.nbytes + other.batch.nbytes
    queue.take(9)
    assert queue.nbytes == other.batch.nbytes
    back = queue.take(2)
    queue.put_back(back)
    assert queue.nbytes == other.batch.nbytes  # 2 put back and the 3 left, each on their own


def test_a_whole_lot_leaves_as_it_came():
    queue = ReadyQueue()
    lot = make_lot(4)
    queue.put(lot)
    assert queue.take(4) is lot
