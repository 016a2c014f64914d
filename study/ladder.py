"""The steps of a study: which design, how many concurrent slots, how many messages, which repeat."""

from __future__ import annotations

from dataclasses import dataclass

from zsms.errors import UsageError

MESH, BASELINE = "mesh", "baseline"

HALF_DECADES = (1, 3, 10, 30, 100, 300, 1_000, 3_000, 10_000, 30_000, 100_000, 300_000, 1_000_000)
TOP = (2_000_000, 2_500_000, 3_000_000, 4_000_000, 6_000_000, 10_000_000)
"""Where the mesh bends: closer together than half decades."""
QUICK = (10, 1_000, 100_000, 1_000_000)

ROUNDS, QUICK_ROUNDS = 10, 5
"""Messages a slot. With a mean of 1 s that many seconds is the least that a step lasts."""
BASELINE_MESSAGES, BASELINE_ROUNDS = 1_200_000, 3
"""Where more messages than that would only take minutes the baseline gets fewer rounds, though at least these: there
its processor is the limit, and the first and the last second are little of the whole."""
REPEATS, QUICK_REPEATS = 3, 1
BASELINE_MAX, QUICK_BASELINE_MAX = 2_000_000, 100_000
"""Most slots that the baseline is asked for, as in the original study."""
SPLIT_FROM = 10_000
"""From this many slots on the mesh has two sender processes, a core each."""


@dataclass(frozen=True, slots=True)
class Step:
    """One run to make."""

    design: str
    slots: int
    messages: int
    repeat: int
    """From 1."""

    @property
    def processes(self) -> int:
        """Sender processes. Every process has the same number of slots, so an odd number stays in one."""
        return 2 if self.design == MESH and self.slots >= SPLIT_FROM and self.slots % 2 == 0 else 1

    def __str__(self) -> str:
        return f"{self.design}, {self.slots:,} slot{'s' if self.slots > 1 else ''}"


@dataclass(frozen=True, slots=True)
class Plan:
    """A whole study. None leaves a figure to `quick`: the first of a pair above, or the second."""

    quick: bool = False
    repeats: int | None = None
    max_slots: int | None = None
    """The ladder's last rung."""
    baseline_max: int | None = None
    """0: no baseline."""
    mean_s: float = 1.0
    sd_s: float = 0.1

    def check(self) -> None:
        """Raises UsageError for what can't be."""
        for option, value, least in (
            ("--repeat", self.repeats, 1),
            ("--max-slots", self.max_slots, 1),
            ("--baseline-max", self.baseline_max, 0),
        ):
            if value is not None and value < least:
                raise UsageError(f"{option} {value}: give {least} or more")

    @property
    def rounds(self) -> int:
        """Messages a slot."""
        return QUICK_ROUNDS if self.quick else ROUNDS

    def messages(self, design: str, slots: int) -> int:
        """Messages of a run."""
        if design == MESH:
            return self.rounds * slots
        return slots * min(self.rounds, max(BASELINE_ROUNDS, BASELINE_MESSAGES // slots))

    @property
    def slots(self) -> list[int]:
        """The ladder, ascending. It ends with `max_slots`, be that one of its usual rungs or not."""
        rungs = list(QUICK if self.quick else HALF_DECADES + TOP)
        last = self.max_slots or rungs[-1]
        return [*(rung for rung in rungs if rung < last), last]

    def steps(self) -> list[Step]:
        """Every run, in the order in which they are made: all rungs, the designs in turn, then all over again."""
        repeats = self.repeats or (QUICK_REPEATS if self.quick else REPEATS)
        most = self.baseline_max
        if most is None:
            most = QUICK_BASELINE_MAX if self.quick else BASELINE_MAX
        return [
            Step(design, slots, self.messages(design, slots), repeat)
            for repeat in range(1, repeats + 1)
            for slots in self.slots
            for design in (MESH, BASELINE)
            if design == MESH or slots <= most
        ]
