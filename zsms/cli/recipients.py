"""`zsms recipients`."""

from __future__ import annotations

import json

import click


@click.group("recipients", epilog="\b\nExamples:\n  zsms recipients check people.csv")
def command() -> None:
    """Check a list of recipients without sending anything."""


@command.command(
    "check",
    epilog="""\b
Examples:
  zsms recipients check people.csv
  zsms recipients check --json people.jsonl | jq .bad
  zcat people.csv.gz | zsms recipients check -""",
)
@click.argument("file", metavar="FILE", type=click.Path(allow_dash=True))
@click.option(
    "--input-format",
    type=click.Choice(("csv", "jsonl")),
    help="What FILE is.  [default: what its name says, else what it begins with]",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of lines for people.")
def check(file: str, input_format: str | None, as_json: bool) -> int:
    """Say which rows of FILE would be sent: good ones, bad ones by reason, repeats, and segments.

    FILE is what `zsms run --input` takes; - is standard input. A segment is what is sent and paid of a text: 160
    characters of GSM-7 or 70 of UCS-2, 153 or 67 each where a text needs several. Exits with 1 when there are bad rows.
    """
    from zsms.lists.checking import check, lines_of
    from zsms.lists.stream import name_of
    from zsms.words import in_line, writable

    findings = check(file, input_format)
    if as_json:
        click.echo(json.dumps({"list": file, **findings.to_json()}, indent=2))
    else:
        click.echo("\n".join(lines_of(findings, in_line(writable(name_of(file))))))
    return 1 if findings.bad_rows else 0
