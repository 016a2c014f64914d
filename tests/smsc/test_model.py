"""What a fake SMSC decides, without a socket."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.smsc.making import decided, submits
from zsms.carriers import profiles
from zsms.cli.smsc import rules_of_options
from zsms.core.smpp.frames import Stream
from zsms.core.smpp.pdu import Command, Messages, Tag, encode_messages, messages
from zsms.core.smpp.strings import U8, Strings
from zsms.errors import UsageError
from zsms.smsc import store
from zsms.smsc.carrier import rules_of_carrier
from zsms.smsc.faults import Schedule
from zsms.smsc.files import read_rules, rules_of
from zsms.smsc.ids import ids_of, serial_of
from zsms.smsc.limits import Bucket, passing, segments_of
from zsms.smsc.model import Model, Origin, matching
from zsms.smsc.receipts import deliveries
from zsms.smsc.rules import IDS, STATES, Account, Fault, Outcome, Rules
from zsms.smsc.store import KEPT, Pending, Seen, States
from zsms.stats.delay import DelayModel


@pytest.mark.parametrize("name", profiles.names())
def test_every_carrier_profile_is_rules(name: str) -> None:
    rules, fields = rules_of_carrier(name), profiles.find(name).fields
    assert (rules.segments, rules.daily) == (fields.get("cap", 0), fields.get("daily_cap", 0))
    assert rules.answer.mean > 0 and sum(weight for _, weight in rules.states) == pytest.approx(1)


def test_a_carrier_s_cap_and_day_hold_for_who_has_no_account() -> None:
    model = Model(Rules(segments=5.0, daily=8), seed=1)
    party = model.party("anybody", "any")
    assert not isinstance(party, int)
    took = []
    for hour in (0, 1, 2, 23, 25):
        verdict = model.submitted(submits([b"x"] * 6), Origin(party), hour * 3600.0, 0.0)
        took.append(int((verdict.status == 0).sum()))
        assert set(verdict.status.tolist()) <= {0, 0x58}
    assert took == [5, 3, 0, 0, 5] and model.counts.throttled == 30 - 13


def test_everything_is_accepted_and_numbered_by_default() -> None:
    model, verdict = decided(Rules(), submits([b"a", b"b", b"c"]))
    assert verdict.status.tolist() == [0, 0, 0] and verdict.serials.tolist() == [1, 2, 3]
    assert verdict.delays is None and verdict.copies is None  # at once, and once
    rows = model.due(0.1)
    assert rows is not None and sorted(rows["serial"].tolist()) == [1, 2, 3]
    assert model.waiting == 0 and model.due(9.0) is None


def test_weights_are_kept_and_a_seed_draws_the_same() -> None:
    rules = Rules(statuses=((0, 80.0), (0x58, 15.0), (0x45, 5.0)), states=(("DELIVRD", 3.0), ("UNDELIV", 1.0)))
    texts = submits([b"x"] * 4_000, [b"1555%07d" % n for n in range(4_000)])
    first, verdict = decided(rules, texts)
    counted = {status: int((verdict.status == status).sum()) for status in (0, 0x58, 0x45)}
    assert abs(counted[0] - 3_200) < 120 and abs(counted[0x58] - 600) < 110
    assert first.counts.by_status == counted and first.counts.rejected == counted[0x58] + counted[0x45]
    rows = first.due(1.0)
    assert rows is not None and abs((rows["state"] == STATES["UNDELIV"]).mean() - 0.25) < 0.03
    assert decided(rules, texts)[1].status.tolist() == verdict.status.tolist()
    assert decided(rules, texts, seed=2)[1].status.tolist() != verdict.status.tolist()


def test_numbers_and_texts_say_their_own_outcome() -> None:
    rules = Rules(outcomes=(Outcome("*0001", 0x0B), Outcome("1777*", receipt="EXPIRED"), Outcome("15559999", 0x14)))
    numbers = [b"15550001", b"17770002", b"15559999", b"15550004", b"15550005"]
    scripted = b"#smsc status=0x58", b"#smsc receipt=UNDELIV delay=2.5 answer=twice mo=thanks status=what"
    model, verdict = decided(rules, submits([b"a", b"b", b"c", *scripted], numbers))
    assert verdict.status.tolist() == [0x0B, 0, 0x14, 0x58, 0]
    assert verdict.delays.tolist() == [0, 0, 0, 0, 2.5] and verdict.copies.tolist() == [1, 1, 1, 1, 2]
    assert verdict.wanted == [(4, b"thanks")]
    rows = model.due(5.0)
    assert rows is not None and sorted(rows["state"].tolist()) == [STATES["EXPIRED"], STATES["UNDELIV"]]


def test_a_script_is_read_in_ucs_2_and_behind_a_header() -> None:
    wide = "#smsc status=0x45 ä".encode("utf-16-be")
    texts = [
        wide,
        b"\x05\0\3\1\1\1#smsc status=0x46",
        b"\x05\0\3\1\1\1" + wide,
        b"#smsc status=0x47",
        wide,
        b"x",
        b"\xff",
    ]
    coding, kind = np.array([8, 0, 8, 0, 0, 8, 0], np.uint8), np.array([0, 64, 64, 0, 0, 0, 64], np.uint8)
    _, verdict = decided(Rules(), submits(texts, data_coding=coding, esm_class=kind))
    assert verdict.status.tolist() == [0x45, 0x46, 0x45, 0x47, 0, 0, 0]


@pytest.mark.parametrize(("asked", "receipts"), [(0, 0), (1, 1), (2, 1), (3, 0)])
def test_a_cancelled_message_has_failed_for_who_asked_of_failures(asked: int, receipts: int) -> None:
    model, verdict = decided(Rules(receipt=DelayModel("constant", 1.0)), submits([b"x"], registered_delivery=asked))
    model.states.put(verdict.serials, STATES["DELETED"])
    rows = model.due(5.0)
    assert (0 if rows is None else len(rows)) == receipts


@pytest.mark.parametrize("status", [0x58, 0x14])
def test_limits_count_segments_and_let_through_what_they_say(status: int) -> None:
    rules = Rules((Account("client", segments=10.0),), throttle_status=status)
    model = Model(rules, 1)
    party = model.party("client", "any")
    assert not isinstance(party, int)
    long = b"x" * 161
    accepted = 0
    for tick in range(50):  # five seconds, 20 submits of two segments in each
        verdict = model.submitted(submits([long[:160] + b"y", long]), Origin(party), tick / 10, 0.0)
        accepted += 2 * int((verdict.status == 0).sum())
        assert set(verdict.status.tolist()) <= {0, status}
    assert accepted in range(56, 61)  # 10 after the rest, 10 a second
    assert model.counts.throttled == 100 - accepted // 2 and model.counts.segments == accepted


@given(st.lists(st.integers(1, 9), max_size=40), st.floats(1, 50), st.floats(0.05, 2))
def test_a_bucket_never_lets_through_more_than_its_rate_and_burst(sizes: list[int], rate: float, burst: float) -> None:
    bucket = Bucket(rate, burst, 0.0)
    passed, now = 0, 0.0
    for size in sizes:
        now += 0.1
        taken = passing(np.array([size, size]), [bucket], now)
        passed += int(taken.sum()) * size
        assert taken.tolist() in ([True, True], [True, False], [False, False])
    assert passed <= rate * now + max(1.0, rate * burst) + 1e-6


def test_a_segment_is_a_part_and_a_long_text_is_several() -> None:
    texts = [b"x" * 160, b"x" * 161, b"x" * 254]
    assert segments_of(submits(texts)).tolist() == [1, 2, 2]
    assert segments_of(submits(texts, data_coding=8)).tolist() == [2, 2, 2]
    assert segments_of(submits(texts, esm_class=0x40)).tolist() == [1, 1, 1]


@pytest.mark.parametrize(
    ("coding", "segments"),
    [
        (0x00, [1, 2]),
        (0x01, [1, 2]),
        (0x10, [1, 2]),
        (0xD0, [1, 2]),
        (0xF0, [1, 2]),
        (0x04, [2, 2]),
        (0x18, [2, 2]),
        (0xF5, [2, 2]),
    ],
)
def test_septets_are_counted_in_every_coding_that_has_them(coding: int, segments: list[int]) -> None:
    assert segments_of(submits([b"a" * 160, b"a" * 161], data_coding=coding)).tolist() == segments


def test_a_queue_that_is_full_says_so_until_messages_have_ended() -> None:
    rules = Rules((Account("client", queue=3),), receipt=DelayModel("constant", 1.0))
    model = Model(rules, 1)
    party = model.party("client", "")
    assert not isinstance(party, int)
    said = [model.submitted(submits([b"a", b"b"]), Origin(party), 0.0, 0.0).status.tolist() for _ in range(3)]
    assert said == [[0, 0], [0, 0x14], [0x14, 0x14]] and model.counts.queue_full == 3
    assert model.due(2.0) is not None
    assert model.submitted(submits([b"a"]), Origin(party), 2.0, 0.0).status.tolist() == [0]


def test_receipts_come_only_to_those_who_asked() -> None:
    rules = Rules(outcomes=(Outcome("15550101", receipt="UNDELIV"), Outcome("15550102", receipt="none")))
    for wanted, numbers in ((0, []), (1, [1, 2]), (2, [2]), (3, [1]), (0x11, [1, 2])):
        model, _ = decided(rules, submits([b"a", b"b", b"c"], registered_delivery=wanted))
        rows = model.due(1.0)
        assert ([] if rows is None else sorted(rows["serial"].tolist())) == numbers


@pytest.mark.parametrize("form", ["kannel", "both", "text", "tlv"])
@pytest.mark.parametrize("ids", IDS)
def test_a_receipt_names_its_message_and_how_it_ended(form: str, ids: str) -> None:
    model, verdict = decided(Rules(), submits([b"hello, world; this is long", b"b"]))
    rows = model.due(1.0)
    assert rows is not None
    rows = rows[np.argsort(rows["serial"])]
    rows["state"][1] = STATES["UNDELIV"]
    made = deliveries(rows, form, ids, 1e9 + 60)
    named = ids_of(verdict.serials, ids, receipt=True).tolist()
    if form != "tlv":
        assert isinstance(made.short_message, Strings)
        first, second = (text.decode() for text in made.short_message.tolist())
        dates = r"\d{10}" if form != "text" else r"\d{12}"
        counts = r"sub:001 dlvrd:00(\d) " if form != "text" else ""
        shape = rf"id:(\S+) {counts}submit date:({dates}) done date:({dates}) stat:(\S+) err:(\d\d\d) [tT]ext:(.*)"
        one, two = re.fullmatch(shape, first), re.fullmatch(shape, second)
        assert one and two and one[1].encode() == named[0] and two[1].encode() == named[1]
        assert one.groups()[-3:] == ("DELIVRD", "000", "hello, world; this i")
        assert two.groups()[-3:] == ("UNDELIV", "005", "b") and one[len(one.groups()) - 3] > one[len(one.groups()) - 4]
    ended, state = made.tlv(Tag.RECEIPTED_MESSAGE_ID), made.tlv(Tag.MESSAGE_STATE)
    assert (ended is None) == (form in ("kannel", "text"))
    if ended is not None and state is not None:
        assert isinstance(ended.value, Strings) and isinstance(state.value, Strings)
        assert ended.value.tolist() == [each + b"\0" for each in named] and state.value.tolist() == [b"\2", b"\5"]


@given(st.lists(st.integers(1, 2**63), min_size=1, max_size=20), st.sampled_from(["decimal", "hex", "mixed", "long"]))
def test_an_id_is_its_serial_number_again(serials: list[int], form: str) -> None:
    made = ids_of(np.array(serials, np.uint64), form).tolist()
    assert [serial_of(each, form) for each in made] == serials and all(len(each) <= 64 for each in made)


@given(st.lists(st.binary(min_size=1, max_size=20).filter(lambda b: 0 not in b), min_size=1, max_size=12), st.data())
def test_patterns_of_numbers_match_as_strings_do(numbers: list[bytes], data: st.DataObject) -> None:
    inner = data.draw(st.text("0123456789", min_size=1, max_size=3))
    for pattern, test in (
        (f"*{inner}", lambda n: n.endswith(inner.encode())),
        (f"{inner}*", lambda n: n.startswith(inner.encode())),
        (f"*{inner}*", lambda n: inner.encode() in n),
        (inner, lambda n: n == inner.encode()),
    ):
        assert matching(Strings.of(numbers), pattern).tolist() == [test(number) for number in numbers]


def test_a_plus_in_a_pattern_need_not_be_in_the_number() -> None:
    numbers = Strings.of([b"15550001", b"+15550001", b"", b"4915550001", b"+"])
    for pattern, found in (("+1555*", [1, 1, 0, 0, 0]), ("+15550001", [1, 1, 0, 0, 0]), ("*+1555*", [1, 1, 0, 1, 0])):
        assert matching(numbers, pattern).tolist() == list(map(bool, found))
    assert matching(Strings.of([]), "+1*").tolist() == []


def test_a_refused_message_that_comes_again_is_a_duplicate_too() -> None:
    model, verdict = decided(Rules(statuses=((0x58, 1.0),)), submits([b"x"]))
    assert verdict.status.tolist() == [0x58] and model.counts.duplicates == 0
    party = model.party("anybody", "any")
    assert not isinstance(party, int)
    model.submitted(submits([b"x"]), Origin(party), 1.0, 0.0)
    assert (model.counts.duplicates, model.counts.rejected) == (1, 2)


def test_what_came_before_is_counted_as_repeated() -> None:
    seen = Seen(np.random.default_rng(1), size=1 << 16)

    def repeated(*words: list[bytes]) -> int:
        source, destination, text = map(Strings.of, words)
        number = np.zeros(len(source), np.uint32)
        seen.note(Messages(number, source=source, destination=destination, short_message=text))
        return seen.repeated()

    words = [b"a", b"a", b"b"], [b"1", b"1", b"1"], [b"x", b"x", b"x"]
    assert repeated(*words) == 1
    assert repeated(*words) == 3
    assert repeated([b"a"], [b"1"], [b"x\0"]) == 0  # longer by an octet
    assert repeated([], [], []) == 0


@given(st.lists(st.lists(st.integers(0, 40), max_size=300), max_size=8), st.booleans(), st.booleans())
def test_few_that_are_looked_at_later_are_counted_all_the_same(turns: list[list[int]], ask: bool, shared: bool) -> None:
    buffer = np.zeros(1 << 16, np.uint8)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store, "LATER_OCTETS", 1 << 12)  # what few turns bring
        _few_are_looked_at_later(turns, ask, buffer if shared else None)


def _few_are_looked_at_later(turns: list[list[int]], ask: bool, shared: U8 | None) -> None:
    seen, counted = Seen(np.random.default_rng(1), size=1 << 16), 0
    for turn in filter(None, turns):
        made = Messages(
            np.zeros(len(turn), np.uint32),
            source=b"15550199",
            short_message=Strings.of([b"%d" % each for each in turn]),
        )
        frames = Stream().feed(encode_messages(Command.SUBMIT_SM, made).tobytes())
        assert frames is not None
        if shared is not None:  # with the turns that follow
            frames.buffer, own = shared[: len(frames.buffer)], frames.buffer
            frames.buffer[:] = own
        seen.note(messages(frames))
        if ask:
            counted += seen.repeated()
        else:
            seen.catch_up()
    numbers = [each for turn in turns for each in turn]
    assert counted + seen.repeated() == len(numbers) - len(set(numbers))


@given(st.lists(st.integers(1, 3_000), max_size=12), st.randoms(use_true_random=False))
def test_places_are_used_again_and_never_twice(sizes: list[int], draw: object) -> None:
    store, held = Pending(), {}
    for number, size in enumerate(sizes):
        from zsms.smsc.store import ROW

        rows = np.zeros(size, ROW)
        rows["serial"] = np.arange(size) + 10_000 * number
        places = store.put(rows)
        assert len(set(places.tolist()) | set(held)) == len(held) + size
        held.update(zip(places.tolist(), rows["serial"].tolist(), strict=True))
        some = np.array(sorted(held)[::2], np.int64)
        assert store.take(some)["serial"].tolist() == [held.pop(place) for place in some.tolist()]
    assert len(store) == len(held)


def test_states_of_long_ago_are_forgotten() -> None:
    states, known = States(), {}
    last = 0
    for count, state in ((7, 2), (KEPT - 10, 5), (1, 1), (6, 3), (2 * KEPT + 3, 4), (5, 6)):
        each = np.arange(count, dtype=np.uint64).astype(np.uint8)
        states.put_new(count, state if count % 2 else each)
        known |= {last + 1 + row: state if count % 2 else int(each[row]) for row in range(count)}
        last += count
        states.put(np.array([last, 3], np.uint64), 9)
        known[last] = known[3] = 9
        asked = [1, 3, last - KEPT, last - KEPT + 1, last - 5, last - 1, last]
        asked = [serial for serial in asked if serial > 0]
        right = [known[serial] if serial > last - KEPT else None for serial in asked]
        assert [states.get(serial) for serial in asked] == right
        assert states.get_all(np.array(asked, np.uint64)).tolist() == [each or 0 for each in right]
        assert states.get(last + 1) is None and states.get(0) is None and states.get(-KEPT) is None


def test_faults_hold_and_come_again() -> None:
    schedule = Schedule((Fault(1.0, "refuse", 0.5, every=10.0), Fault(2.0, "disconnect", every=2.0)))
    held = [now for now in np.arange(0, 12, 0.25).tolist() if schedule.holding(now)]
    assert held == [1.0, 1.25, 1.5, 11.0, 11.25, 11.5]
    assert [schedule.cuts(now) for now in (1.9, 2.0, 2.1, 3.9, 4.0, 9.0, 9.1)] == [0, 1, 0, 0, 1, 1, 0]


@pytest.mark.parametrize(
    ("table", "why"),
    [
        ({"statuses": {"0": 1, "x": 2}}, "'x' is no status"),
        ({"states": {"DELIVERED": 1}}, "'DELIVERED': choose one of"),
        ({"states": {"DELIVRD": 0}}, "all 0"),
        ({"lost": 1.5}, "from 0 to 1"),
        ({"lost": 0.6, "repeated": 0.6}, "more than all"),
        ({"anser": 1}, "did you mean 'answer'"),
        ({"answer": {"delay": "cauchy"}}, "answer: delay model 'cauchy'"),
        ({"account": [{"system_id": "a"}, {"system_id": "a"}]}, "two accounts"),
        ({"account": [{"system_id": "x" * 16}]}, "system_id: it has 16 octets"),
        ({"account": [{"system_id": "a", "password": "x" * 9}]}, "password of 'a': it has 9 octets"),
        ({"answer": -1}, "answer: mean -1"),
        ({"receipt": {"sd": -1}}, "receipt: sd -1"),
        ({"outcome": [{"number": "1*", "status": -1}]}, "status -1 of '1*'"),
        ({"outcome": [{"number": "1*", "receipt": "x"}]}, "receipt 'x' of '1*'"),
        ({"account": [{"password": "a"}]}, "system_id"),
        ({"account": [{"system_id": "a", "sgements": 1}]}, "did you mean 'segments'"),
        ({"account": [{"system_id": "a", "segments": -1}]}, "segments -1"),
        ({"outcome": [{"number": "*"}]}, "give digits"),
        ({"fault": [{"at": 1, "what": "explode"}]}, "choose one of"),
        ({"form": "jasmin"}, "choose one of"),
        ({"window": 0}, "window 0"),
        ({"elsewhere": 1}, "true or false"),
        ({"answer": {"mean": "x"}}, "answer: mean 'x'"),
        ({"receipt": {"sd": []}}, "receipt: sd []"),
        ({"answer": {"mean": True}}, "answer: mean True"),
        ({"enquire_link": -1}, "enquire_link -1"),
        ({"response": float("nan")}, "response nan"),
        ({"init": float("inf")}, "init inf"),
        ({"system_id": "x" * 16}, "system_id: it has 16 octets"),
        ({"system_id": "größe"}, "ASCII"),
        ({"throttle_status": 0}, "throttle_status 0"),
        ({"account": [{"system_id": "ä"}]}, "ASCII"),
        ({"account": [{"system_id": "a"}, {"system_id": 5}]}, "[[account]] 2: system id 5"),
        ({"account": [{}]}, "[[account]] 1: an account: missing"),
        ({"outcome": [{"number": "1*2"}]}, "give digits"),
        ({"outcome": [{"number": "+*"}]}, "give digits"),
        ({"outcome": [{"number": "ä*"}]}, "give digits"),
        ({"fault": [{"at": float("nan"), "what": "disconnect"}]}, "at nan"),
        ({"fault": [{"at": 0, "what": "disconnect", "every": 1e-320}]}, "every 1e-320"),
        ({"fault": [{"at": 0, "what": "disconnect", "every": float("nan")}]}, "every nan"),
        ({"fault": [{"at": 0, "what": "slow", "factor": float("inf")}]}, "factor inf"),
        ({"fault": [{"at": 0, "what": "refuse", "status": 0}]}, "status 0"),
        ({"fault": [{"at": 0, "what": "refuse", "status": -1}]}, "status -1"),
    ],
)
def test_rules_that_can_not_be_are_refused_by_name(table: dict[str, object], why: str) -> None:
    with pytest.raises(UsageError, match=re.escape(why)):
        rules_of(table)


def test_what_an_option_says_goes_before_a_file_even_if_it_is_nothing(tmp_path: Path) -> None:
    (path := tmp_path / "smsc.toml").write_text("answer = 0.02\nreceipt = 3\nids = 'hex'\n")
    changes: dict[str, object] = dict.fromkeys(("answer", "receipt", "ids", "form", "segments", "throttle_status"))
    changes |= {"answer": 0.0, "status": (), "state": ()}
    rules = rules_of_options("us-short-code", str(path), changes)
    assert (rules.answer.mean, rules.receipt.mean, rules.ids) == (0.0, 3.0, "hex")
    with pytest.raises(UsageError, match="ids ''"):
        rules_of_options(None, None, changes | {"ids": ""})


def test_a_file_says_where_it_is_wrong(tmp_path) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "smsc.toml"
    path.write_text("answer = 0.5\n[states]\nDELIVRD = 80\nUNDELIV = 20\n[[account]]\nsystem-id = 'a'\nbinds = 2\n")
    rules = read_rules(path)
    assert rules.answer.mean == 0.5 and rules.states == (("DELIVRD", 80.0), ("UNDELIV", 20.0))
    assert rules.accounts == (Account("a", binds=2),)
    path.write_text("answer = = 1")
    with pytest.raises(UsageError, match=r"smsc\.toml .*line 1"):
        read_rules(path)
    with pytest.raises(UsageError, match="No such file"):
        read_rules(tmp_path / "none.toml")
