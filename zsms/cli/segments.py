"""`zsms segments`."""

from __future__ import annotations

import json
from typing import Any

import click

from zsms.cli import places
from zsms.errors import UsageError
from zsms.words import many


@click.command(
    "segments",
    epilog="""\b
Examples:
  zsms segments 'The river rises: leave the lower town now.'
  zsms segments --json 'The bridge is closed.'
  zsms segments --input people.csv""",
)
@click.option(
    "--input",
    metavar="FILE",
    type=places.READ,
    help="Real messages: a .csv (columns recipient, text) or .jsonl file, a named pipe, or - for standard input.",
)
@click.option("--skip-bad-rows", is_flag=True, help="Count and leave out rows that are no messages.")
@click.option(
    "--reference-bits",
    type=click.Choice(["8", "16"]),
    default="8",
    show_default=True,
    help="Bits of the reference in the header of each part of a long text.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.argument("text", required=False)
def command(input: str | None, skip_bad_rows: bool, reference_bits: str, as_json: bool, text: str | None) -> int:  # noqa: A002
    """Say how many segments a text is, or those of a file: what is sent and paid.

    Exits with 1 when no row of a file is a message.
    """
    from zsms.carriers.segments import MOST

    if (input is None) == (text is None):
        raise UsageError("give a text or --input FILE, one of the two")
    if text is not None:
        body = _of_text(text, int(reference_bits))
        messages, most = 1, body["segments"]
        lines = [
            f"{body['encoding']}, {many(body['units'], 'unit')}, {many(body['segments'], 'segment')}",
            *(f"  {number}: {part}" for number, part in enumerate(body["parts"], 1) if body["segments"] > 1),
        ]
    else:
        body = _of_file(input or "", skip_bad_rows, int(reference_bits))
        messages, most = body["messages"], body["most"]
        lines = [
            f"{many(body['messages'], 'message')}, {many(body['segments'], 'segment')}, {body['mean']:.4f} a message",
            f"  {body['ucs2']:,} in UCS-2, {body['several']:,} of several segments, at most {body['most']}",
        ]
        if left_out := body["skipped_rows"]:
            lines.append(f"  {many(left_out, 'bad row')} left out, on {many(body['skipped_lines'], 'line')}")
    click.echo(json.dumps(body, indent=2, ensure_ascii=False) if as_json else "\n".join(lines))
    if most > MOST:
        click.echo(f"a text of more than {MOST} segments can't be sent as one: cut it", err=True)
    return 0 if messages else 1


def _of_text(text: str, bits: int) -> dict[str, Any]:
    from zsms.carriers import segments

    parts = segments.split(text, bits)
    raw = text.encode()
    found = segments.count(raw, [len(raw)], bits)
    return {
        "encoding": segments.NAMES[int(found.encoding[0])],
        "units": int(found.units[0]),
        "segments": int(found.segments[0]),
        "parts": parts,
    }


def _of_file(path: str, skip: bool, bits: int) -> dict[str, Any]:
    from zsms.carriers import segments
    from zsms.lists.files import FileSource

    source = FileSource(path, skip_bad_rows=skip)
    messages = whole = wide = several = most = 0
    for columns in source.whole():
        found = segments.count(columns.text.tobytes(), columns.lengths, bits)
        messages += len(found.segments)
        whole += int(found.segments.sum())
        wide += int((found.encoding == segments.UCS2).sum())
        several += int((found.segments > 1).sum())
        most = max(most, int(found.segments.max()))
    return {
        "messages": messages,
        "segments": whole,
        "mean": whole / messages if messages else 0.0,
        "ucs2": wide,
        "several": several,
        "most": most,
        "skipped_rows": source.skipped,
        "skipped_lines": source.skipped_lines,
    }
