"""Scenario files: what they say, and one line for what can't be."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.mesh.processes import zsms
from zsms.cli import load_command
from zsms.errors import UsageError
from zsms.scenario import Fault, Group, Retries, Scenario, Stage, first_send, read, seconds

GROUP = '[[group]]\nname = "a"\n'
BAD = {
    "cap of 0": (GROUP + "cap = 0", "[[group]] 1: cap = 0"),
    "cap of nan": (GROUP + "cap = nan", "[[group]] 1: cap = nan"),
    "negative price": (GROUP + "price = -1", "[[group]] 1: price = -1"),
    "a share of 2": (GROUP + "failure-rate = 2", "failure-rate = 2"),
    "failures above 1": (GROUP + "failure-rate = 0.7\npermanent-rate = 0.4", "add up to 1.1"),
    "burst without a cap": (GROUP + "burst = 5", "a burst needs a cap"),
    "queue without a cap": (GROUP + 'queue = "10h"', "needs a cap"),
    "another word": (GROUP + 'hours = "08:00-21:00"', "unknown key 'hours'; did you mean 'quiet'?"),
    "another word, misspelt": (GROUP + "latencey = 1", "did you mean 'mean'?"),
    "unknown key": (GROUP + "capp = 5", "unknown key 'capp'; did you mean 'cap'?"),
    "twice by two names": (GROUP + "slots = 5\nconcurrency = 6", "given twice"),
    "unknown profile": (GROUP + 'profile = "us-shrt-code"', "there is no such carrier profile"),
    "unknown account": (GROUP + 'account = "x"', "there is no [[account]] 'x'"),
    "unused account": (GROUP + '[[account]]\nname = "x"\ncap = 5', "no group has it"),
    "account without a cap": (GROUP + 'account = "x"\n[[account]]\nname = "x"', "give it a cap"),
    "account without a name": ("[[account]]\ncap = 5", "'name' is missing"),
    "unknown zone": (GROUP + 'zone = "Mars/North"', "give a time zone"),
    "a zone that is a folder": (GROUP + 'zone = "America"', "give a time zone"),
    "a zone with a path": (GROUP + 'zone = "../etc/passwd"', "give a time zone"),
    "daily cap without a start": (GROUP + "daily-cap = 5", "needs the [scenario]'s start"),
    "daily cap below a message": (
        '[scenario]\nsegments = 9\nstart = 2026-11-28T00:00:00Z\n' + GROUP + "daily-cap = 5", "less than one message"),
    "start without an offset": ("[scenario]\nstart = 2026-11-28T00:00:00", "with its offset"),
    "closes before it opens": (GROUP + 'from = "5m"\nuntil = "1m"', "it closes"),
    "hours of nothing": (GROUP + 'quiet = "08:00-08:00"', "the hours begin when they end"),
    "hour 25": (GROUP + 'quiet = "08:00-25:00"', "give a time of day"),
    "two groups of a name": (GROUP + GROUP, "two [[group]] are called 'a'"),
    "both lists of groups": (GROUP + '[[run.groups]]\nname = "b"', "are the same"),
    "a group that is a table": ("[group]\ncap = 5", "write each group as a table [[group]]"),
    "no such delay": (GROUP + 'delay = "cauchy"', "choose one of"),
    "slots of 0": (GROUP + "slots = 0", "whole number from 1 to"),
    "audience shares": ('[[audience]]\nname = "x"\nshare = 0.6\n[[audience]]\nname = "y"\nshare = 0.6',
                        "the shares add up to 1.2, not to 1"),
    "audience of both": ('[[audience]]\nname = "x"\nshare = 1\nmessages = 5', "all of them a share"),
    "audience messages": ('[run]\nmessages = 9\n[[audience]]\nname = "x"\nmessages = 5', "they have 5 messages"),
    "route shares": (GROUP + '[[audience]]\nname = "x"\nshare = 1\nroutes = {a = 0.5}', "add up to 0.5"),
    "group called broker": ('[[group]]\nname = "broker"', "[[group]] 1: name = 'broker': that is what other"),
    "group called as a process": (
        '[[group]]\nname = "a"\n[[group]]\nname = "a-1"', "[[group]] 2: name = 'a-1': a process of the group 'a' is"
    ),
    "group called as another's process": ('[[group]]\nname = "producer-1"', "that is what other processes are called"),
    "slots that open too slowly": (GROUP + "ramp = 5000", "[[group]] 1 (a): ramp 5000.0: give seconds from 0 to 3600"),
    "group of lines": ('[[group]]\nname = "a\\nb"', "[[group]] 1: group name"),
    "group with a long name": (f'[[group]]\nname = "{"x" * 63}"', "give 1 to 62 printable characters"),
    "too many brokers": ("[run]\nbrokers = 1000", "brokers = 1000: give 1 to 64"),
    "a year that can't be": ('[scenario]\nstart = "9999-12-31T23:00:00+00:00"', "give a year from 1970 to 9000"),
    "the first year": ('[scenario]\nstart = "0001-01-01T00:00:00+00:00"', "give a year from 1970 to 9000"),
    "a part of a segment": ("[scenario]\nsegments = 0.5", "a message of 0.5 segments: 1 to 255 can be"),
    "too many segments": ("[scenario]\nsegments = 256", "a message of 256 segments: 1 to 255 can be"),
    "a cap that is none": (GROUP + "cap = 1e-9", "[[group]] 1 (a): cap 1e-09"),
    "an account's cap that is none": (
        GROUP + 'account = "x"\n[[account]]\nname = "x"\ncap = 1e11', "[[account]] 'x': cap"
    ),
    "an account's burst": (
        GROUP + 'account = "x"\n[scenario]\nstart = 2026-01-01T00:00:00Z\n[[account]]\nname = "x"\ndaily_cap = 5\n'
        "burst = 1", "[[account]] 'x': a burst needs a cap"
    ),
    "an account's day": (
        GROUP + 'account = "x"\n[scenario]\nsegments = 9\nstart = 2026-01-01T00:00:00Z\n[[account]]\nname = "x"\n'
        "daily_cap = 5", "[[account]] 'x': daily_cap = 5: less than one message of 9 segments"
    ),
    "throttled for ever": (GROUP + "throttled_rate = 1", "[[group]] 1 (a): throttled_rate = 1: it would be tried"),
    "slower than ever": (
        GROUP + '[[faults]]\nat = 1\nwhat = "slow"\nwhom = "a"\nfactor = 1e12', "[[faults]] 1: factor = 1e+12"
    ),
    "killed twice": (
        GROUP + '[[faults]]\nat = 1\nwhat = "kill"\nwhom = "a"\n[[faults]]\nat = 2\nwhat = "slow"\nwhom = "a-1"\n'
        "factor = 2", "[[faults]] 2: slow of 'a-1' at 2 s: it was killed before"
    ),
    "stopped twice": (
        GROUP + '[[faults]]\nat = 2\nwhat = "stop"\nwhom = "a"\nfor = 2\n[[faults]]\nat = 1\nwhat = "restart"\n'
        'whom = "a-1"\nfor = 2', "[[faults]] 1: stop of 'a' at 2 s: the restart of 'a-1' at 1 s is not over by then"
    ),
    "queue of nothing": ('[[group]]\nname = "a"\ncap = 2\nqueue = 0.1', "[[group]] 1 (a): a route's queue of 0.1 s"),
    "queue of less than a message": (
        '[scenario]\nsegments = 3\n[[group]]\nname = "a"\ncap = 2\nqueue = 1', "less than one message of 3 segments"
    ),
    "queue and burst": ('[[group]]\nname = "a"\ncap = 2\nqueue = 9\nburst = 3', "a burst beside a route's queue"),
    "part of a queue": (
        '[[group]]\nname = "a"\ncap = 2\nqueue = 9\n[[faults]]\nat = 1\nwhat = "throttle"\nwhom = "a-1"\ncap = 1',
        "[[faults]] 1: the queue of 'a' is one",
    ),
    "unused group": (
        GROUP + '[[group]]\nname = "b"\n[[audience]]\nname = "x"\nshare = 1\nroutes = ["a"]',
        "[[group]] 2 (b): no audience's messages go by it",
    ),
    "a route twice": (GROUP + '[[audience]]\nname = "x"\nshare = 1\nroutes = ["a", "a"]', "'a' is there twice"),
    "unknown route": (GROUP + '[[audience]]\nname = "x"\nshare = 1\nroutes = ["b"]', "there is no group 'b'"),
    "text and segments": ('[scenario]\ntext = "x"\nsegments = 2', "give one or the other"),
    "fault on nobody": (GROUP + '[[faults]]\nat = 5\nwhat = "kill"\nwhom = "a-3"', "[[faults]] 1: whom = 'a-3'"),
    "fault on broker-2": ('[[faults]]\nat = 5\nwhat = "stop"\nfor = 5\nwhom = "broker-2"', "there is no 'broker-2'"),
    "fault of no kind": ('[[faults]]\nat = 5\nwhat = "explode"\nwhom = "broker"', "choose one of kill"),
    "stop without an end": ('[[faults]]\nat = 5\nwhat = "stop"\nwhom = "sender"', "a stop needs 'for'"),
    "slow without a factor": ('[[faults]]\nat = 5\nwhat = "slow"\nwhom = "sender"', "a slow needs 'factor'"),
    "slow broker": ('[[faults]]\nat = 5\nwhat = "slow"\nfactor = 2\nwhom = "broker"', "only senders can be struck"),
    "factor of a kill": ('[[faults]]\nat = 5\nwhat = "kill"\nfactor = 2\nwhom = "sender"', "says nothing of a kill"),
    "throttle without a cap": ('[[faults]]\nat = 5\nwhat = "throttle"\nfactor = 0.5\nwhom = "sender"', "has no cap"),
    "a third of two": ('[[faults]]\nat = 5\nwhat = "kill"\nshare = 0.3\nwhom = "sender"', "no whole number"),
    "share of a process": ('[[faults]]\nat = 5\nwhat = "kill"\nshare = 0.5\nwhom = "sender-1"', "is of a group"),
    "fault without a time": ('[[faults]]\nwhat = "kill"\nwhom = "sender"', "'at' is missing"),
    "a deadline before the first send": ('[scenario]\nlead = "20m"\n[[expect]]\ndeadline = "10m"', "before the first"),
    "a deadline before a route opens": (GROUP + 'from = "20m"\n[[expect]]\ndeadline = "10m"', "before the first send"),
    "a deadline before arrivals": (
        '[[arrival]]\nfor = "20m"\nrate = 0\n[[arrival]]\nfor = 9\nrate = 5\n[[expect]]\ndeadline = "10m"',
        "before the first send"),
    "a deadline of 0": ("[[expect]]\ndeadline = 0", "give a time above 0"),
    "a share of 0": ("[[expect]]\ndeadline = 5\nshare = 0", "give a share above 0"),
    "stages of nothing": ("[[arrival]]\nfor = 5\nrate = 0", "nothing ever arrives"),
    "stages of less than a message": ("[[arrival]]\nfor = 5\nrate = 0.05", "the stages bring 0.25 messages in all"),
    "a duration of less than a message": ("[scenario]\nduration = 5\n[run]\nrate = 0.05", "[run]: the rate and the"),
    "a duration without a rate": ('[scenario]\nduration = "5s"', "[run]: a duration needs a rate"),
    "stages and a rate": ("[run]\nrate = 5\n[[arrival]]\nfor = 5\nrate = 1", "give one or the other"),
    "more messages than arrive": ("[run]\nmessages = 50\n[[arrival]]\nfor = 5\nrate = 1", "[[arrival]] bring 5"),
    "a time of nonsense": ('[[arrival]]\nfor = "soon"\nrate = 1', "give a time"),
    "a number that is true": ("[[arrival]]\nfor = 5\nrate = true", "rate = true: give a number"),
    "a count that is true": (GROUP + "slots = true", "slots = true: give a whole number from 1 to"),
    "a time of day without its quotes": (GROUP + "quiet = 21:00:00", "quiet = 21:00:00: give hours such as"),
    "the same unit twice": ('[[expect]]\ndeadline = "5m5m"', "give a time, such as 90"),
    "units in no order": ('[[expect]]\ndeadline = "5s1m"', "give a time, such as 90"),
    "attempts of 0": ("[retries]\nattempts = 0", "whole number from 1 to"),
    "a profile that is a number": (GROUP + "profile = 5", "profile = 5: give a text"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_what_can_t_be_is_told_in_one_line_with_its_place(name: str) -> None:
    text, words = BAD[name]
    with pytest.raises(UsageError) as caught:
        read(tomllib.loads(text), "x.toml")
    assert words in str(caught.value) and str(caught.value).startswith("x.toml: ")
    assert "\n" not in str(caught.value)


def test_a_command_says_it_too_and_exits_with_2(tmp_path: Path) -> None:
    file = tmp_path / "bad.toml"
    file.write_text(GROUP + "cap = 0")
    for words in (["config", "check"], ["plan"]):
        done = zsms(*words, file)
        assert done.returncode == 2 and done.stdout == ""
        assert done.stderr == f"zsms: {file}: [[group]] 1: cap = 0: give a number above 0, up to 1,000,000,000,000\n"


def test_any_of_the_brokers_can_be_struck() -> None:
    fault = '[[faults]]\nat = 5\nwhat = "stop"\nfor = 5\nwhom = "broker-%d"'
    assert read(tomllib.loads("[run]\nbrokers = 12\n" + fault % 12)).faults[0].whom == "broker-12"
    with pytest.raises(UsageError, match="there is no 'broker-13'; did you mean 'broker-"):
        read(tomllib.loads("[run]\nbrokers = 12\n" + fault % 13))


def test_a_plan_of_a_file_has_its_duration(tmp_path: Path) -> None:
    file = tmp_path / "x.toml"
    file.write_text('[scenario]\nduration = "3s"\n[run]\nrate = 100\n')
    done = CliRunner().invoke(load_command("plan"), [str(file), "--jobs", "1", "--replications", "1", "--json", "-"])
    assert json.loads(done.output)["messages"] == 300


def test_a_run_refuses_what_only_a_plan_can_carry_out(tmp_path: Path) -> None:
    file = tmp_path / "caps.toml"
    file.write_text("[[expect]]\ndeadline = 60\nshare = 0.85")
    done = zsms("run", "--config", file)
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1


def test_all_of_a_scenario_is_read() -> None:
    text = """
[scenario]
name = "flood"
start = "2026-11-28T09:00:00-05:00"
lead = "4m"
text = "Überflutung"
[run]
max-attempts = 3
mean = 0.5
seed = 7
[[arrival]]
for = "1m"
rate = 10
to = 20
[[group]]
name = "a"
processes = 3
slots = 10
profile = "us-short-code"
price = 1
[[group]]
name = "b"
mean = 2
[[faults]]
at = "1m30s"
what = "stop"
for = "500ms"
whom = "a-2"
[[expect]]
deadline = "1h"
"""
    found = read(tomllib.loads(text))
    assert (found.messages, found.retries.attempts, found.seed, found.segments) == (900, 3, 7, 1.0)
    a, b = found.groups
    assert (a.senders, a.concurrency, a.cap, a.price, a.mean) == (3, 10, 100.0, 1.0, 0.5)
    assert (b.senders, b.mean, b.cap) == (2, 2.0, None)
    assert found.faults == (Fault(90.0, "stop", "a-2", lasts=0.5),)
    assert found.stages == (Stage(60.0, 10.0, 20.0),) and first_send(found) == 240.0
    assert found.relied_on[0].startswith("us-short-code: as of 2026-11-27")


def test_the_files_of_today_say_what_they_said() -> None:
    root = Path(__file__).parents[2]
    found = read(tomllib.loads((root / "examples/scenarios/three-gateways.toml").read_text()))
    assert [group.name for group in found.groups] == ["aggregator", "carrier", "modems"]
    assert found.messages == 60_000 and found.retries.attempts == 3


@pytest.mark.parametrize(("text", "value"), [("90s", 90), ("1h30m", 5400), ("200ms", 0.2), ("2d", 172_800), (5, 5)])
def test_times_are_numbers_or_texts(text: str | int, value: float) -> None:
    assert seconds(text) == pytest.approx(value)


@pytest.mark.parametrize("text", ["", "5", "5 weeks", "-5s", "5s!", True, None, float("inf"), -1, "400d"])
def test_what_is_no_time_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match="give"):
        seconds(text)


def test_a_scenario_of_values_is_one_too() -> None:
    scenario = Scenario(messages=5, groups=(Group(name="a"),))
    assert scenario.group("a").slots == 10_000 and scenario.slots == 10_000


def test_the_longest_wait_doubles_with_each_attempt_up_to_its_cap() -> None:
    retries = Retries(attempts=9, base=0.5, cap=6.0)
    assert [retries.ceiling(attempt) for attempt in (1, 2, 3, 4, 5, 2_000)] == [0.5, 1.0, 2.0, 4.0, 6.0, 6.0]
