"""The commands, by purpose and as modules, and what they exit with."""

from __future__ import annotations

from importlib import import_module

import click

SECTIONS = {
    "Run and measure": {
        "run": "Run a whole mesh on this machine, and report.",
        "plan": "Compute a run in virtual time: when, what limits it, at what price.",
        "sweep": "Plan or run a scenario at each combination of some settings.",
        "compare": "Say how the reports of runs differ, and whether that is chance.",
    },
    "Roles, one process each": {
        "broker": "Queue messages and balance them over senders.",
        "producer": "Make messages, or read them from a file, and hand them to a broker.",
        "sender": "Take messages from a broker and send them through slots.",
        "stats": "Collect every process's statistics and answer monitors.",
        "smsc": "Be a fake SMSC, for gateways and clients to be tested against.",
    },
    "Watch": {
        "monitor": "Say how a mesh stands, every interval.",
        "queue": "Show, kick or purge what a broker holds.",
        "dashboard": "Show how a mesh stands on a web page, live.",
        "health": "Say whether a process is well, for probes.",
    },
    "Prepare": {
        "recipients": "Check a list of recipients without sending anything.",
        "carriers": "Show what carriers are known to allow, and since when.",
        "segments": "Count the segments of texts: what is sent and paid.",
        "keys": "Make and list the keys with which processes prove who they are.",
    },
    "Settings and help": {
        "config": "Show every effective setting, and where it comes from.",
        "completion": "Let bash, zsh or fish complete commands and options.",
    },
}
"""The commands by purpose, with a line for the help."""

COMMANDS = {name: line for commands in SECTIONS.values() for name, line in commands.items()}

INTERRUPTED = 130
UNREAD = 3
"""A producer was stopped before it had read all of its list."""
EXIT_CODES = {
    0: "it went well; what was told to leave has left",
    1: "it failed: the ledger does not balance, something is left, nothing was sent, or a report, or a row of the log "
    "of messages, was not written",
    2: "it was used wrongly, and nothing was started; `zsms compare --fail-if-worse`: too few runs to judge",
    UNREAD: "a producer was stopped before it had read all of its list",
    99: "a threshold does not hold",
    INTERRUPTED: "it was interrupted: by Ctrl-C, and a run by any other signal that asks it to end too",
}
"""What commands exit with."""


def load_command(name: str) -> click.Command:
    """One of `COMMANDS`, imported."""
    command: click.Command = import_module(f"zsms.cli.{name}").command
    return command
