"""The soak, for a moment; and that it would find what it looks for."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import soak
from tests.soak import BROKER_KILLS, JUDGED_SAMPLES, Sample, Soak, grown


@pytest.mark.timeout(90)  # some 10 s; what is not settled by then is told, and not cut off
def test_a_short_soak_finds_nothing(tmp_path: Path) -> None:
    told: list[str] = []
    short = Soak(tmp_path, 5, told.append)
    short.run(6.0)
    print(*told, sep="\n")
    assert short.violations == []
    assert sum(short.done.values()) > short.done[BROKER_KILLS] > 0


def test_a_role_that_ends_by_itself_and_a_ledger_that_is_off_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    short = Soak(tmp_path, 5, told.append)
    monkeypatch.setattr(short, "strike", short.of("producer")[0].crash)
    monkeypatch.setattr(soak, "confirmed_of", lambda view: view.accepted + 1)
    short.run(1.5)
    assert any("producer-1 ended by itself, with -9" in text for text in short.violations)
    assert any("messages confirmed" in text for text in short.violations)


MIB = 2**20


@pytest.mark.parametrize(
    ("last", "found"),
    [
        (Sample(60 * MIB, 22), None),
        (Sample(200 * MIB, 20), "memory from 50 to 200 MiB"),
        (Sample(50 * MIB, 80), "descriptors from 20 to 80"),
    ],
    ids=["steady", "memory", "descriptors"],
)
def test_growth_is_told_from_noise(last: Sample, found: str | None) -> None:
    samples = [Sample(50 * MIB, 20)] * JUDGED_SAMPLES + [last] * JUDGED_SAMPLES
    assert grown(samples) == found
    assert grown(samples[-JUDGED_SAMPLES + 1 :]) is None  # too few to tell
