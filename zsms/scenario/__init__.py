"""What is to be sent, by what, and what goes wrong meanwhile: one file for `zsms run` and `zsms plan`.

    [run]          as ever: messages, rate, max-attempts ...         [[group]]    slots, cap, price ... of a route
    [scenario]     name, start, text or segments, lead               [[account]]  a cap that groups share
    [[audience]]   who is to be reached, by which groups             [[faults]]   at, what, whom
    [[arrival]]    for, rate, to: stages of an open loop             [[expect]]   deadline, share
    [retries]      attempts, base, cap

The fields of each table are the entries of its dataclass (:mod:`zsms.fields`); in a file `-` and `_` are alike. A time
is a number of seconds or a text such as "90s", "10m", "1h30m", "200ms" or "2d"; a cap is in segments a second. Whatever
can't be is a UsageError of one line that says what, and where in which file.

Pure: no socket, no clock. `load` opens the one file that it is told.
"""

from zsms.fields import nearest, tables_of
from zsms.kinds import seconds
from zsms.scenario.changes import changed, names_of
from zsms.scenario.contradictions import check, first_send
from zsms.scenario.group import SenderGroup
from zsms.scenario.reading import TABLES, check_profile, load, read, table
from zsms.scenario.run import MeshConfig, config_from
from zsms.scenario.tables import Account, Audience, Expectation, Fault, Group, Retries, Stage
from zsms.scenario.whole import Scenario
from zsms.sources.choice import MessageSettings

__all__ = [
    "TABLES",
    "Account",
    "Audience",
    "Expectation",
    "Fault",
    "Group",
    "MeshConfig",
    "MessageSettings",
    "Retries",
    "Scenario",
    "SenderGroup",
    "Stage",
    "changed",
    "check",
    "check_profile",
    "config_from",
    "first_send",
    "load",
    "names_of",
    "nearest",
    "read",
    "seconds",
    "table",
    "tables_of",
]
