"""Going on with an interrupted run: what it was to do stands beside its journal, how far it was is in it.

    DIR/run.json         the run's configuration, and what its list was like
    DIR/journal.sqlite   how many messages of each producer the broker took over, and what became of them

A producer makes its messages again in the same order, so that the first so many of them are those that the broker has.
With several brokers they are not, and what a pipe had said is gone: such runs can't be gone on with.
"""

from __future__ import annotations

import json
import os
import time
from dataclasses import asdict, dataclass, replace
from math import inf
from typing import Any

from zsms.core.broker import BrokerLimits
from zsms.core.broker.durability import is_on_servers
from zsms.errors import UsageError
from zsms.journal import Store, about_dropped, open_journal
from zsms.journal.lock import InUse
from zsms.reading import json_of
from zsms.saving import is_special, save
from zsms.scenario import MeshConfig, SenderGroup
from zsms.scenario.caps import SharedCap
from zsms.scenario.lines import Line
from zsms.words import many

_FILE = "run.json"
_LEAVE_S = 10.0
_SCHEMA = "zsms-interrupted-run/1"


@dataclass(frozen=True, slots=True)
class Before:
    """What an interrupted run had come to."""

    started: str
    """ISO 8601, UTC."""
    taken: dict[str, int]
    """Messages that the broker took over, by producer."""
    settled: int
    dropped: str = ""
    """What could not be read of its journal, as a line."""

    @property
    def come_to(self) -> str:
        """How far it was, in words."""
        taken = many(sum(self.taken.values()), "message was", "messages were")
        lost = f" ({self.dropped})" if self.dropped else ""
        return f"the run of {self.started}, of which {taken} taken over and {self.settled:,} settled{lost}"

    @property
    def remark(self) -> str:
        """What makes the figures of the rest mean something else than one would think."""
        return (
            f"goes on with {self.come_to}: counts are of all of it, wall and throughput include the time between, "
            "sends and their times are of what came after"
        )


def note(config: MeshConfig, started: str) -> None:
    """Write down what a run with a journal in a folder is to do. Raises UsageError."""
    if config.journal is None or is_on_servers(config.journal):
        return
    said = {"schema": _SCHEMA, "started": started, "config": _plain(config), "list": _like(config.input)}
    try:
        os.makedirs(config.journal, exist_ok=True)
        path = os.path.join(config.journal, _FILE)
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))  # texts are nobody else's business
        save(path, json.dumps(said, indent=2).encode() + b"\n")
    except OSError as error:
        raise UsageError(f"no journal can be kept in {config.journal}: {error.strerror}") from None


def _plain(config: MeshConfig) -> dict[str, Any]:
    path = None if config.input is None else _absolute(config.input)
    return asdict(replace(config, input=path, journal=None))


def _absolute(path: str) -> str:
    from zsms.lists.stream import is_stream

    return path if is_stream(path) else os.path.abspath(path)


def _like(path: str | None) -> list[int] | None:
    """By what a list is known again."""
    if path is None:
        return None
    try:
        found = os.stat(path)
    except OSError:
        return None
    return [found.st_size, found.st_mtime_ns]


def load(directory: str) -> tuple[MeshConfig, Before]:
    """The configuration of the run whose journal is in this folder, and how far it was. Raises UsageError for one that
    can't be gone on with, JournalError for a journal that can't be read."""
    if is_on_servers(directory):
        raise UsageError(
            "--resume goes on with runs of one broker whose journal is a folder; with NATS servers a standby takes "
            "its place (zsms broker --standby); what is held goes on by itself: zsms broker --journal nats://..."
        )
    path = os.path.join(directory, _FILE)
    try:
        if is_special(path):
            raise UsageError("it is no file")
        said = json_of(path)
        if said["schema"] != _SCHEMA:
            raise UsageError(f"it says schema {said['schema']!r}, and this one reads {_SCHEMA!r}")
        fields = said["config"]
        limits = BrokerLimits(**fields.pop("limits"))
        groups = tuple(SenderGroup(**group) for group in fields.pop("groups"))
        lists = {name: tuple(fields.pop(name, ())) for name in ("prefixes", "texts")}
        caps = tuple(SharedCap(**{**cap, "groups": tuple(cap["groups"])}) for cap in fields.pop("caps", ()))
        lines = tuple(
            Line(tuple(line["groups"]), line["messages"], tuple(line["texts"])) for line in fields.pop("lines", ())
        )
        for name in ("faults", "stages"):  # of a time that is over
            fields.pop(name, None)
        config = MeshConfig(
            **{
                **fields,
                "limits": limits,
                "groups": groups,
                "caps": caps,
                "lines": lines,
                **lists,
                "journal": directory,
            }
        )
        like, started = said["list"], str(said["started"])
    except OSError as error:
        raise UsageError(f"no interrupted run in {directory}: {path}: {error.strerror}") from None
    except (UsageError, ValueError) as error:
        raise UsageError(f"{path} is not of a run that this program knows: {error}") from None
    except (TypeError, KeyError, AttributeError):
        raise UsageError(f"{path} is not of a run that this program knows: parts of it are missing") from None
    _check(config, like, directory)
    return config, _before(directory, config, started)


def may_go_on(config: MeshConfig) -> bool:
    """Whether a run of this configuration can be gone on with, once it was interrupted."""
    from zsms.lists.stream import is_stream

    kept = config.journal is not None and not is_on_servers(config.journal) and len(config.broker_names) == 1
    return kept and (config.input is None or not is_stream(config.input))


def _check(config: MeshConfig, like: list[int] | None, directory: str) -> None:
    from zsms.lists.stream import is_stream

    if kept := [cap.name for cap in config.caps if cap.budget is not None or cap.hours]:
        raise UsageError(
            f"the run in {directory} had a daily cap or hours ({kept[0]}), and nobody knows what is left of them"
        )
    by_hand = f"go on with what the brokers hold: zsms broker --journal {directory}"
    if len(config.broker_names) > 1:
        raise UsageError(
            f"the run in {directory} had several brokers, so nobody knows what is still to make; {by_hand}"
        )
    if config.input is not None and is_stream(config.input):
        raise UsageError(f"the run in {directory} read its list from a stream, whose rest is gone; {by_hand}")
    if config.input is not None and _like(config.input) != like:
        raise UsageError(
            f"{config.input} is not what it was when the run in {directory} began, so nobody knows which of its rows "
            f"were taken over; {by_hand}"
        )


def _opened(directory: str) -> Store:
    """The journal, once it is free: processes of a run that was killed take a moment to leave. Raises JournalError."""
    until = time.monotonic() + _LEAVE_S
    while True:
        try:
            return open_journal(directory, create=False)
        except InUse:
            if time.monotonic() > until:
                raise
            time.sleep(0.05)


def _before(directory: str, config: MeshConfig, started: str) -> Before:
    from zsms.core.broker.replay import rebuild

    with _opened(directory) as store:
        core = rebuild(store.load(), now=inf)
    taken, totals = dict.fromkeys(config.producer_names, 0), core.totals()
    for account in core.accounts():
        if account.name in taken:
            taken[account.name] += account.accepted
    if sum(taken.values()) != totals["accepted"]:
        raise UsageError(f"the journal in {directory} has messages of other producers than its run's")
    if config.total is not None and totals["accepted"] > config.total:
        taken_over = many(totals["accepted"], "message was", "messages were")
        raise UsageError(
            f"the journal in {directory} is of another run: {taken_over} taken over, and its run has {config.total:,}"
        )
    settled = sum(totals[name] for name in ("sent", "failed", "dead"))
    return Before(started, taken, settled, about_dropped(store.dropped) if store.dropped else "")
