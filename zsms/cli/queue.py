"""`zsms queue`."""

from __future__ import annotations

import sys
from json import dumps
from typing import Any

import click

from zsms.cli import common, places
from zsms.core.broker.durability import hidden
from zsms.errors import UsageError
from zsms.formats import ago, size
from zsms.words import many


@click.command(
    "queue",
    epilog="""\b
Examples:
  zsms queue show
  zsms queue show --messages 10 --broker broker.example.org
  zsms queue show --json | jq .dead.reasons
  zsms queue kick --reason "failed 3 times" --limit 1000
  zsms queue purge --ready --dead --yes
  zsms queue show --journal /var/lib/zsms""",
)
@click.argument("action", type=click.Choice(["show", "kick", "purge"]), default="show")
@click.option(
    "--broker",
    metavar="ENDPOINT",
    default="tcp://127.0.0.1:5555",
    show_default=True,
    help="The broker: HOST, HOST:PORT, [IPV6]:PORT or ipc://PATH. It also uses PORT + 1.",
)
@click.option(
    "--journal",
    metavar="DIR",
    type=places.FOLDER,
    help="The journal of a broker that has ended, instead of one that runs.",
)
@click.option(
    "--messages",
    type=click.IntRange(0, 1_000),
    default=0,
    show_default=True,
    help="show: list the first so many ready and dead messages.",
)
@click.option("--reason", default="", help="kick, purge --dead: only dead messages with this reason.  [default: any]")
@click.option(
    "--limit",
    type=click.IntRange(0),
    default=0,
    help="kick: at most so many messages, the oldest first.  [default: all]",
)
@click.option("--ready", is_flag=True, help='purge: give up what waits; it is then dead, with the reason "purged".')
@click.option("--dead", is_flag=True, help="purge: let go of dead messages; they stay in the totals.")
@click.option("--yes", is_flag=True, help="purge: don't ask.")
@click.option("--timeout", type=float, default=5.0, show_default=True, help="Seconds to wait for the broker's answer.")
@click.option("--json", is_flag=True, help="Write a JSON object.")
@common.keys_option
@common.config_option
def command(
    action: str,
    broker: str,
    journal: str | None,
    messages: int,
    reason: str,
    limit: int,
    ready: bool,
    dead: bool,
    yes: bool,
    timeout: float,
    json: bool,
    keys: str | None,
    config: str | None,
) -> int:
    """See what a broker holds, and act on it: one that runs, or the journal of one that has ended.

    \b
    show   what is ready, in flight and dead: how much, how old, with whom, why
    kick   queue dead messages again, as if they were new
    purge  give up what is ready (--ready), let go of what is dead (--dead)
    """
    if action != "purge" and (ready or dead or yes):
        raise UsageError(f"--ready, --dead and --yes are for purge, not for {action}")
    if action == "purge" and not (ready or dead):
        raise UsageError("say what to purge: --ready, --dead or both")
    if action != "kick" and limit:
        raise UsageError(f"--limit is for kick, not for {action}")
    if action == "show" and reason:
        raise UsageError("--reason is for kick and purge, not for show")
    if action == "purge" and reason and not dead:
        raise UsageError("--reason chooses among dead messages: give --dead too")
    if action == "purge" and not yes and not sys.stdin.isatty():
        raise UsageError("purge asks before it acts, and nobody is there to ask: give --yes")
    from zsms.roles.operator import Holder, JournalHolder, Operator

    where = f"the broker at {broker}" if journal is None else f"the journal in {hidden(journal)}"
    holder: Holder = Operator(broker, timeout=timeout, keys=keys) if journal is None else JournalHolder(journal)
    with holder as operator:
        if action == "show":
            held = operator.inspect(messages)
            click.echo(dumps(held) if json else "\n".join(lines_of(held)))
        elif action == "kick":
            kicked = operator.kick(reason, limit)
            again = many(kicked, "dead message is", "dead messages are")
            click.echo(dumps({"kicked": kicked}) if json else f"{again} ready again")
        else:
            if not yes:
                _confirm(operator.inspect(), where, ready=ready, dead=dead, reason=reason)
            was_ready, was_dead = operator.purge(ready=ready, dead=dead, reason=reason)
            said = {"purged_ready": was_ready, "purged_dead": was_dead}
            text = [f"{many(was_ready, 'ready message')} given up"] * ready
            text += [f"{many(was_dead, 'dead one')} let go"] * dead
            click.echo(dumps(said) if json else ", ".join(text))
    return 0


def _confirm(held: dict[str, Any], where: str, *, ready: bool, dead: bool, reason: str) -> None:
    """Ask whether that is meant. Raises click.Abort when it is not."""
    count = held["dead"]["reasons"].get(reason, 0) if reason else held["dead"]["kept"]
    what = [f"{many(held['ready']['messages'], 'ready message')}"] * ready + [f"{many(count, 'dead one')}"] * dead
    click.confirm(f"Purge {' and '.join(what)} of {where}?", abort=True, err=True)


def lines_of(held: dict[str, Any]) -> list[str]:
    """The broker's answer for people."""
    ready, flight, dead = held["ready"], held["in_flight"], held["dead"]
    senders = many(len(flight["senders"]) + flight["more"], "sender")
    lines = [
        f"ready      {many(ready['messages'], 'message')}, {size(ready['bytes'])}{_oldest(ready)}"
        + (f", {ready['retrying']:,} of them wait for their next attempt" if ready["retrying"] else ""),
        f"in flight  {many(flight['messages'], 'message')} with {senders}"
        + (f", the longest for {ago(flight['oldest_s'])}" if flight["messages"] else ""),
    ]
    lines += [
        f"  {row['name']}: holds {row['messages']:,} (slots {row['slots']:,}), sent {row['sent']:,}, failed sends "
        f"{row['failed']:,}, last heard {ago(row['silent_s'])} ago"
        for row in flight["senders"]
    ]
    if flight["more"]:
        lines.append(f"  and {flight['more']:,} more")
    forgotten = dead["messages"] - dead["kept"]
    lines.append(
        f"dead       {many(dead['messages'], 'message')}"
        + (f", {size(dead['bytes'])}{_oldest(dead)}" if dead["kept"] else "")
        + (f"; {forgotten:,} are counted, but no longer kept" if forgotten else "")
    )
    lines += [f"  {count:,}: {reason}" for reason, count in dead["reasons"].items()]
    for title, letters in (("ready", ready["letters"]), ("dead", dead["letters"])):
        if letters:
            lines += ["", f"The first {len(letters):,} {title}:"]
            lines += [_letter(letter) for letter in letters]
    return lines


def _letter(letter: dict[str, Any]) -> str:
    more = "..." if letter["length"] > len(letter["text"]) else ""
    reason = f"; {letter['reason']}" if "reason" in letter else ""
    return (
        f"  {letter['recipient']}  {letter['text']!r}{more}  (attempt {letter['attempt']}, delivery "
        f"{letter['delivery']}, {ago(letter['age_s'])} old{reason})"
    )


def _oldest(part: dict[str, Any]) -> str:
    return f", the oldest {ago(part['oldest_s'])} old" if part["oldest_s"] > 0 else ""
