"""A scenario carried out many times at once: a twin, and the faults that strike it."""

from __future__ import annotations

from zsms.core.seeds import Seed
from zsms.plan.design import Design
from zsms.plan.outcome import Outcome
from zsms.plan.strikes import Strikes
from zsms.plan.twin import Twin


def replicate(design: Design, replications: int = 1, seed: Seed = None) -> Outcome:
    """A block of replications."""
    twin = Twin(design, replications, seed)
    Strikes(twin)
    return twin.run()
