"""How so many messages are divided, for each replication at once: int64[parts, replications]."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

I64 = npt.NDArray[np.int64]
F64 = npt.NDArray[np.float64]


def fill(want: I64, available: I64, weights: F64, rng: np.random.Generator) -> I64:
    """Max-min fair parts of `available` (int64[r]) by `weights` (float64[parts]), none above its `want`.

    This is what a broker does that deals in turn over processes; `weights` are how many each part has.
    """
    given = np.zeros_like(want)
    left = np.minimum(available, want.sum(axis=0))
    for _ in range(len(want) + 1):
        active = weights[:, None] * (given < want)
        whole = active.sum(axis=0)
        if not ((whole > 0) & (left > 0)).any():
            return given
        step = np.minimum((left * active / np.maximum(whole, 1e-300)).astype(np.int64), want - given)
        if not step.any():
            break
        given += step
        left -= step.sum(axis=0)
    # A few are left: to some, each as likely as its weight.
    active = weights[:, None] * (given < want)
    whole = active.sum(axis=0)
    chances = np.where(whole > 0, active / np.maximum(whole, 1e-300), 1 / len(want))
    drawn = rng.multinomial(left, chances.T).T
    step = np.minimum(drawn, want - given)
    given += step
    left -= step.sum(axis=0)
    for part in range(len(want)):
        if not left.any():
            break
        more = np.minimum(left, want[part] - given[part])
        given[part] += more
        left -= more
    return given


def portion(counts: I64, wanted: I64) -> I64:
    """`wanted` (int64[r]) of `counts` (int64[parts, r]), in proportion; no more than there are."""
    whole = counts.sum(axis=0)
    wanted = np.minimum(wanted, whole)
    found: I64 = (counts * (wanted / np.maximum(whole, 1))).astype(np.int64)
    left = wanted - found.sum(axis=0)
    for part in range(len(counts)):
        if not left.any():
            break
        more = np.minimum(left, counts[part] - found[part])
        found[part] += more
        left -= more
    return found


def deal(counts: I64, parts: I64, turn: int) -> I64:
    """Kinds for parts: `counts` (int64[r, kinds]) cut in order into `parts` (int64[n, r], which sum to as many).

    Returns int64[n, r, kinds]. The order of the parts goes round with `turn`, that of the kinds is the last first.
    """
    if len(parts) == 1:
        return counts[None].copy()
    order = [(place - turn) % len(parts) for place in range(len(parts))]
    ends = np.cumsum(parts[order], axis=0)[:, :, None]
    tops = np.cumsum(counts[:, ::-1], axis=1)[None]
    upto = np.minimum(ends, tops)  # of the first so many kinds, up to the end of this part
    upto[1:] -= upto[:-1].copy()
    upto[:, :, 1:] -= upto[:, :, :-1].copy()
    dealt = np.empty_like(upto)
    dealt[order] = upto[:, :, ::-1]
    return dealt
