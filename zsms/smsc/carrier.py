"""A carrier profile as the rules of a fake SMSC: its caps, and how long it takes, and how messages end.

| of the profile | of the rules |
| --- | --- |
| cap, daily_cap | segments a second and a day of an account; above, 0x58 |
| queue | messages without their end: as many as the cap sends in so many seconds; above, 0x14 |
| delay, mean, sd | time to the answer |
| failure_rate | share of messages that end as UNDELIV |

No profile of the package has measured times or outcomes: where one says nothing, those below are assumed.
"""

from __future__ import annotations

from zsms.carriers import profiles
from zsms.smsc.rules import Rules
from zsms.stats.delay import DelayModel

ANSWER = DelayModel("lognormal", 0.05, 0.05)
"""Assumed: an answer after 50 ms, now and then much later."""
RECEIPT = DelayModel("lognormal", 4.0, 6.0)
"""Assumed: a receipt after some seconds, for some phones much later."""
FAILED, SILENT = 0.02, 0.01
"""Assumed: shares of messages that can't be delivered, and of those that nothing is heard of."""


def rules_of_carrier(name: str) -> Rules:
    """The rules of a profile, by name or by its file's path. Raises UsageError."""
    fields = profiles.find(name).fields
    failed = float(fields.get("failure_rate", FAILED))
    answer = ANSWER
    if "mean" in fields:
        sd = fields.get("sd")
        answer = DelayModel(fields.get("delay", "normal"), float(fields["mean"]), None if sd is None else float(sd))
    cap = float(fields.get("cap", 0.0))
    return Rules(
        segments=cap,
        queue=int(cap * float(fields.get("queue", 0.0))),
        daily=int(fields.get("daily_cap", 0)),
        answer=answer,
        receipt=RECEIPT,
        states=(("DELIVRD", max(0.0, 1.0 - failed - SILENT)), ("UNDELIV", failed), ("none", SILENT)),
    )
