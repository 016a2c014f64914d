"""A scenario carried out many times at once: a twin, and the faults that strike it."""

from __future__ import annotations

from zsms.core.seeds import Seed
from zsms.errors import UsageError
from zsms.plan.design import Design
from zsms.plan.outcome import Outcome
from zsms.plan.strikes import Strikes
from zsms.plan.twin import Twin

MOST = 100_000


def check_replications(replications: int) -> None:
    """Raises UsageError for a number of them that can't be asked for."""
    if not 1 <= replications <= MOST:
        raise UsageError(f"replications {replications}: give 1 to {MOST:,}")


def replicate(design: Design, replications: int = 1, seed: Seed = None) -> Outcome:
    """A block of replications."""
    twin = Twin(design, replications, seed)
    Strikes(twin)
    return twin.run()
