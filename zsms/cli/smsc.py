"""`zsms smsc`."""

from __future__ import annotations

from typing import Any

import click

from zsms.cli import common, places
from zsms.errors import UsageError


@click.command(
    "smsc",
    epilog="""\b
Examples:
  zsms smsc                                      accept everything on 127.0.0.1:2775
  zsms smsc --http 127.0.0.1:8080 --status 0=95 --status 0x58=5
  zsms smsc --bind 0.0.0.0:2775 --rules smsc.toml --record got.csv
  zsms smsc --answer 0.05 --status 0=95 --status 0x58=5
  zsms smsc --receipt 2 --state DELIVRD=80 --state UNDELIV=15 --state none=5 --ids mixed
  zsms smsc --carrier us-short-code
  zsms smsc --segments 100 --throttle-status 0x14 --stats tcp://127.0.0.1:5557""",
)
@click.option(
    "--bind",
    metavar="HOST:PORT",
    multiple=True,
    default=("127.0.0.1:2775",),
    show_default=True,
    help="Where to listen; port 0: a free one. Again for each of several.",
)
@click.option("--http", metavar="HOST:PORT", help="Take messages over HTTP there, too: Kannel's sendsms, JSON, forms.")
@click.option(
    "--carrier",
    metavar="NAME|FILE",
    help="Have the caps, latency and outcomes of a carrier profile (zsms carriers list).",
)
@click.option("--rules", metavar="FILE", type=places.READ, help="A TOML file of accounts, outcomes, faults and all.")
@click.option("--answer", type=float, metavar="SECONDS", help="Time until submit_sm is answered.  [default: 0]")
@click.option("--receipt", type=float, metavar="SECONDS", help="Time from answer to receipt.  [default: 0]")
@click.option("--status", multiple=True, metavar="STATUS=WEIGHT", help="What submit_sm is answered with, by weight.")
@click.option("--state", multiple=True, metavar="STATE=WEIGHT", help="How messages end, by weight; none: no receipt.")
@click.option("--segments", type=float, metavar="RATE", help="Segments a second that each bind may submit.")
@click.option("--throttle-status", metavar="STATUS", help="What is answered above that.  [default: 0x58]")
@click.option("--ids", help="Form of message ids: decimal, hex, mixed, uuid or long.  [default: decimal]")
@click.option("--form", help="Form of receipts: kannel, tlv, text or both.  [default: kannel]")
@click.option("--seed", type=click.IntRange(0), help="Draw the same outcomes again.")
@click.option("--record", metavar="FILE", type=places.WRITTEN, help="Write every submit_sm to this CSV file.")
@click.option("--certificate", metavar="FILE", type=places.READ, help="Speak TLS, with this certificate (PEM).")
@click.option("--private-key", metavar="FILE", type=places.READ, help="Its key, where that is another file.")
@click.option("--insecure", is_flag=True, help="Listen where other hosts can reach it.")
@click.option("--stats", metavar="ENDPOINT", help="The stats collector to report to.  [default: none]")
@common.role_options
def command(**given: Any) -> int:
    """Be a fake SMSC: accept, refuse, throttle and delay submit_sm, and send receipts.

    What an option says goes before the same setting of --rules, and that before --carrier's. A text that begins with
    #smsc says its own outcome, such as "#smsc status=0x58" or "#smsc receipt=UNDELIV wait=2 mo=hello".
    """
    how = common.how_to_run(given)
    made: list[Any] = []

    def make() -> Any:
        made.append(_make(quiet=how["quiet"], **given))
        return made[0]

    code = common.run_role(make, **how)
    for line in made[0].summary():
        click.echo(line)
    return code


def _make(*, carrier: str | None, rules: str | None, insecure: bool, quiet: bool, **given: Any) -> Any:
    """The SMSC of these options. Raises UsageError."""
    from zsms.carriers import profiles
    from zsms.smsc.server import FakeSmsc, check_public

    for address in (*given["bind"], *([] if given["http"] is None else [given["http"]])):
        check_public(address, insecure)
    if carrier is not None and not quiet:
        click.echo(f"{profiles.find(carrier).sources}; times and outcomes that it has not are assumed", err=True)
    changes = {name: given.pop(name) for name in _CHANGES}
    made = rules_of_options(carrier, rules, changes)
    if not made.answer.mean and any(fault.what == "slow" for fault in made.faults) and not quiet:
        click.echo("the fault 'slow' changes nothing: answers take no time, give them some (--answer)", err=True)
    return FakeSmsc(made, **given)


_RULES = ("answer", "receipt", "ids", "form")
_CHANGES = (*_RULES, "status", "state", "segments", "throttle_status")
"""Options that change a rule."""


def rules_of_options(carrier: str | None, path: str | None, changes: dict[str, Any]) -> Any:
    """The rules of --carrier, over them those of --rules, and over them what options say. Raises UsageError."""
    from zsms.smsc.carrier import rules_of_carrier
    from zsms.smsc.files import read_rules, rules_of
    from zsms.smsc.rules import Rules

    table: dict[str, Any] = {name: changes[name] for name in _RULES if changes[name] is not None}
    for option, name in (("status", "statuses"), ("state", "states")):
        if changes[option]:
            table[name] = dict(_weight(option, each) for each in changes[option])
    if changes["segments"] is not None:
        table["bind_segments"] = changes["segments"]
    if changes["throttle_status"] is not None:
        try:
            table["throttle_status"] = int(changes["throttle_status"], 0)
        except ValueError:
            raise UsageError(
                f"--throttle-status {changes['throttle_status']!r}: write 0x58, 0x14 or the like"
            ) from None
    base = Rules() if carrier is None else rules_of_carrier(carrier)
    if path is not None:
        base = read_rules(path, base)
    return rules_of(table, base)


def _weight(option: str, text: str) -> tuple[str, float]:
    name, equals, weight = text.rpartition("=")
    try:
        return (name, float(weight)) if equals else (text, 1.0)
    except ValueError:
        raise UsageError(f"--{option} {text!r}: write it as NAME=WEIGHT") from None
