"""Random texts of several languages and lengths, in columns: what people really send, by shares.

    en:20-160=0.7   de:100-300=0.2   zh:10-60=0.1      LANGUAGE:SHORTEST-LONGEST=SHARE, lengths in characters

Which kind a text is, how long and of which characters are independent draws of one generator, so the same seed makes
the same texts. Letters are about as frequent as in that language; what matters is in how many segments a text goes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from zsms.errors import UsageError
from zsms.fields import nearest
from zsms.message import TEXT, U8, U16, ragged

_BLANKS = " " * 18
_LATIN = "eeeeeeeeeeeetttttttttaaaaaaaaooooooooiiiiiiinnnnnnnsssssshhhhhhrrrrrrddddllllcccuuummmwwffggyyppbvk" + _BLANKS
LANGUAGES = {
    "en": _LATIN + "ETASI.,!?'0123456789",
    "de": _LATIN + "eennrrääööüüß.,!0123456789",
    "es": _LATIN + "aaeeooááéíóñ¿.,0123456789",
    "fr": _LATIN + "eeaauuééééèàçêù'.,0123456789",
    "pl": _LATIN + "aaiizzzwwąęćłńóśżź.,0123456789",
    "tr": _LATIN + "aaiill\u0131\u0131ğüşöç.,0123456789",
    "el": "ααααοοοοιιιιεεεεττττσσσσννννηηηυυυρρρππκκμμλλωςγδχθφβάέήίόύώ.,0123456789" + _BLANKS,
    "ru": "ооооооееееееаааааииииииннннттттссссррррвввлллккммддппууяяыььгзбчйхж.,0123456789" + _BLANKS,
    "ar": "ااااااللللليييييمممننووووررتتبدعسفهكقحجشصطخذثزضغظ،0123456789" + _BLANKS,
    "zh": "".join(map(chr, range(0x4E00, 0x4E00 + 600))) + "\uff0c\u3002" * 20,
    "emoji": _LATIN + "".join(map(chr, range(0x1F600, 0x1F640))),
}
"""Characters by how often they come. English and German are in GSM-7's alphabet, so are most Spanish letters; one
that is not makes the whole text UCS-2."""

_FORM = re.compile(r"(?P<language>\w+):(?P<low>\d+)-(?P<high>\d+)(?:=(?P<share>[0-9.eE+-]+))?")
DrawTexts = Callable[[np.random.Generator, int], tuple[U16, U8]]


class Kind(NamedTuple):
    """Some of the texts."""

    language: str
    low: int
    high: int
    share: float


def kinds_of(texts: Sequence[str]) -> list[Kind]:
    """Read them. Raises UsageError."""
    found = [_FORM.fullmatch(text.strip()) for text in texts]
    for text, match in zip(texts, found, strict=True):
        if match is None:
            raise UsageError(f"texts {text!r}: write LANGUAGE:SHORTEST-LONGEST=SHARE, such as en:20-160=0.7")
        if match["language"] not in LANGUAGES:
            raise UsageError(
                f"texts {text!r}: no language {match['language']!r}{nearest(match['language'], LANGUAGES)}"
            )
    shares = [None if match is None or match["share"] is None else _share(match["share"]) for match in found]
    if any(share is None for share in shares) and any(share is not None for share in shares):
        raise UsageError(f"texts {' '.join(texts)}: give all of them a share, or none")
    whole = [1 / len(shares) if share is None else share for share in shares]
    if abs(sum(whole) - 1) > 1e-6:
        raise UsageError(f"texts {' '.join(texts)}: the shares add up to {sum(whole):g}, not to 1")
    return [
        Kind(match["language"], int(match["low"]), int(match["high"]), share)
        for match, share in zip(found, whole, strict=True)
        if match is not None
    ]


def _share(text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0 < share <= 1:
        raise UsageError(f"texts: a share of {text}: give one above 0, up to 1")
    return share


def mixed(texts: Sequence[str], draw_of: Callable[[str, int, int], tuple[DrawTexts, int]]) -> tuple[DrawTexts, int]:
    """A function (rng, n) that draws n texts as (bytes of each, all bytes), and the most bytes that one can have.

    `draw_of(alphabet, shortest, longest)` is the same of one kind. Raises UsageError.
    """
    kinds = kinds_of(texts)
    draws = [draw_of(LANGUAGES[kind.language], kind.low, kind.high) for kind in kinds]
    ends = np.cumsum([kind.share for kind in kinds])
    ends[-1] = np.inf

    def draw(rng: np.random.Generator, n: int) -> tuple[U16, U8]:
        which = np.searchsorted(ends, rng.random(n), side="right")
        lengths = np.zeros(n, np.int64)
        begins = np.zeros(n, np.int64)
        parts: list[U8] = []
        so_far = 0
        for number, (draw_kind, _) in enumerate(draws):
            places = np.flatnonzero(which == number)
            if len(places):
                own, text = draw_kind(rng, len(places))
                lengths[places] = own
                begins[places] = so_far + np.cumsum(own, dtype=np.int64) - own
                parts.append(text)
                so_far += len(text)
        return lengths.astype(np.uint16), np.concatenate(parts, dtype=TEXT)[ragged(begins, lengths, 1)]

    return draw, max(widest for _, widest in draws)


def of_segments(parts: Sequence[tuple[float, float]]) -> tuple[str, ...]:
    """Texts of so many segments on average, by parts of all messages (weight, segments); (): of one each."""
    from zsms.carriers.segments import GSM7, PART

    if all(segments <= 1 for _, segments in parts):
        return ()
    whole = sum(weight for weight, _ in parts)
    shares: dict[int, float] = {}
    for weight, segments in parts:
        low, over = divmod(max(segments, 1.0), 1.0)
        for count, share in ((int(low), 1 - over), (int(low) + 1, over)):
            shares[count] = shares.get(count, 0.0) + share * weight / whole
    lengths = {count: 100 if count == 1 else count * PART[8][GSM7] for count in shares}
    return tuple(f"en:{lengths[c]}-{lengths[c]}={share:.9f}" for c, share in shares.items() if share > 1e-9)
