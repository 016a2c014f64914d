"""Random texts of a length and language mix."""

from __future__ import annotations

import re

import numpy as np
import pytest

from zsms.carriers.segments import count
from zsms.errors import UsageError
from zsms.sources.choice import MessageSettings, check_messages
from zsms.sources.mix import LANGUAGES, kinds_of
from zsms.sources.random import RandomSource, mean_segments

MIX = ("en:20-160=0.6", "de:200-300=0.2", "zh:10-60=0.1", "emoji:1-200=0.1")


def texts(source: RandomSource, n: int) -> list[str]:
    found = []
    while len(taken := source.take(n)):
        ends = np.cumsum(taken.lengths, dtype=np.int64)
        begins = ends - taken.lengths
        found += [taken.text[b:e].tobytes().decode() for b, e in zip(begins.tolist(), ends.tolist(), strict=True)]
    return found


def test_texts_have_their_shares_lengths_and_characters_whoever_makes_them() -> None:
    whole = texts(RandomSource(20_000, 5, texts=MIX), 16_384)
    parts = [text for i in range(3) for text in texts(RandomSource(20_000, 5, texts=MIX, share=(i, 3)), 1_000)]
    assert parts == whole and texts(RandomSource(20_000, 6, texts=MIX), 16_384) != whole
    zh = [text for text in whole if set(text) <= set(LANGUAGES["zh"])]
    assert len(zh) == pytest.approx(2_000, rel=0.12) and {len(text) for text in zh} == set(range(10, 61))
    long = [text for text in whole if len(text) > 200]
    assert len(long) == pytest.approx(4_000, rel=0.08) and all(set(text) <= set(LANGUAGES["de"]) for text in long)


def test_the_mean_of_segments_is_that_of_the_texts() -> None:
    columns = RandomSource(16_384, 1, texts=MIX).take(16_384)
    measured = count(columns.text.tobytes(), columns.lengths).segments.mean()
    assert mean_segments(MIX) == pytest.approx(measured, rel=0.02)
    assert mean_segments(["en:1-160"]) == 1 and mean_segments(["ru:71-134"]) == 2 and mean_segments(["de:161-300"]) == 2


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        (["en"], "write LANGUAGE:SHORTEST-LONGEST=SHARE"),
        (["eng:1-2"], "did you mean 'en'?"),
        (["en:1-2=0.5", "de:1-2=0.4"], "add up to 0.9"),
        (["en:1-2=0.5", "de:1-2"], "all of them a share, or none"),
        (["en:1-2=2"], "a share of 2"),
        (["en:9-2"], "the shorter first"),
        (["zh:1-99999"], "bytes"),
    ],
)
def test_a_mix_that_can_not_be_is_refused(wrong: list[str], why: str) -> None:
    with pytest.raises(UsageError, match=re.escape(why)):
        check_messages(MessageSettings(texts=tuple(wrong)))


def test_a_mix_is_not_beside_an_alphabet() -> None:
    with pytest.raises(UsageError, match="--alphabet means nothing beside --texts"):
        check_messages(MessageSettings(texts=("en:1-2",), alphabet="ab"))
    assert [kind.share for kind in kinds_of(["en:1-2", "de:3-4"])] == [0.5, 0.5]
