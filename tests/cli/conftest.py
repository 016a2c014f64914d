"""A command that a test runs in this process sets up logging for a whole process: that is undone after the test."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator

import pytest

from zsms import logs


@pytest.fixture(autouse=True)
def logging_as_it_was(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    root, ours = logging.getLogger(), logging.getLogger("zsms")
    levels = root.level, ours.level
    yield
    root.handlers[:] = [h for h in root.handlers if not any(isinstance(f, logs.Repeats) for f in h.filters)]
    root.setLevel(levels[0])
    ours.setLevel(levels[1])
