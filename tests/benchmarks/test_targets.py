"""What benchmarks/targets.py needs of the program, so that it can be run."""

from __future__ import annotations

import importlib
from pathlib import Path

import numpy as np
import pytest

from zsms.wire.codec import decode
from zsms.wire.frames import Ack

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks"


def test_it_is_at_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(FOLDER))
    assert importlib.import_module("targets").TIMEOUT_S > 0


def test_what_small_senders_say_is_what_the_broker_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(FOLDER))
    ack = decode(importlib.import_module("peers").one_sent(3, 4, 9, 7))
    assert isinstance(ack, Ack) and ack[:4] == (3, 4, 9, 7)
    assert ack.sent.tolist() == [0] and not len(ack.failed) and not np.any([len(column) for column in ack[6:]])
