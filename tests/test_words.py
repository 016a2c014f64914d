"""Text that no encoding has, in what is written."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

import zsms
from zsms.formats import size
from zsms.report.csv import csv_of
from zsms.words import in_line, lines_named, many, writable, writable_in

ANY = st.text(st.characters() | st.characters(categories=["Cs"]), max_size=20)


@given(ANY)
def test_every_text_becomes_one_that_can_be_written(text: str) -> None:
    shown = writable(text)
    shown.encode()
    if not any(0xD800 <= ord(letter) <= 0xDFFF for letter in text):
        assert shown == text


def test_a_path_that_is_not_utf_8_shows_its_bytes() -> None:
    assert writable(b"andr\xe9.csv".decode("utf-8", "surrogateescape")) == "andr\\xe9.csv"
    assert writable_in({"\udce9": ["\udcff", {"x": ("\ud800",)}], "n": [1, None]}) == {
        "\\xe9": ["\\xff", {"x": ["\\ud800"]}],
        "n": [1, None],
    }


BEGINNINGS = ("=", "+", "-", "@", "\t", "\r", "\n", "|", "%", "\uff1d", "\uff0b", "\uff0d", "\uff20")


@given(st.lists(st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=2, max_size=2), max_size=5))
def test_csv_is_read_as_it_was_and_no_text_is_a_formula(rows: list[list[str]]) -> None:
    text = csv_of(("a", "b"), rows)
    read = list(csv.reader(io.StringIO(text, newline="")))[1:]
    for row, back in zip(rows, read, strict=True):
        for value, cell in zip(row, back, strict=True):
            assert cell in (value, f"'{value}") and not cell.lstrip(" ").startswith(BEGINNINGS)


def test_formulas_in_any_cell_of_any_dialect() -> None:
    for hostile in ("=1+1", "+1", "-1-1", "@SUM(1)", "\t=1", " =1", "\uff1d1", "\n=1", "|calc", "%0a=1"):
        (_, line) = next(iter([csv_of(("name",), [(hostile,)]).split("\n", 1)]))
        assert line.strip('"').startswith("'")
    # A spreadsheet that divides by semicolons sees no second cell in it.
    assert csv_of(("x",), [("a;=1+1",), ('a"\t=1',)]) == 'x\n"a;=1+1"\n"a""\t=1"\n'
    assert csv_of(("x", "y"), [(-1.5, None), (True, 2)]) == "x,y\n-1.5,\ntrue,2\n"
    assert json.dumps(csv_of(("x",), [("",)])) == '"x\\n\\n"'


@given(ANY)
def test_a_line_is_one_line_and_moves_no_terminal(text: str) -> None:
    line = in_line(text)
    assert all(c.isprintable() or 0xD800 <= ord(c) <= 0xDFFF for c in line)
    if text.isprintable():
        assert line == text
    assert in_line("a\nb\x1b[2J\u202e") == r"a\nb\x1b[2J\u202e"


def test_one_is_not_several() -> None:
    assert [many(n, "row") for n in (0, 1, 2, 1_234)] == ["0 rows", "1 row", "2 rows", "1,234 rows"]
    assert many(1, "process", "processes") == "1 process" and many(2, "process", "processes") == "2 processes"
    assert (lines_named(1, [9]), lines_named(2, [3, 9]), lines_named(7, [3, 9])) == (
        "line 9",
        "lines 3, 9",
        "lines 3, 9, ...",
    )
    assert size(1) == "1 byte" and size(2) == "2 bytes"


COUNTED = re.compile(r"(?:\{[^{}\"]*:,\}|\{(?:len|sum)\([^{}\"]*\)\}|%d) [a-z-]+(?: [a-z]+)?s\b")
"""A count in a text, and what it counts: of one there are several."""


def test_what_people_read_counts_with_the_one_function() -> None:
    # What refuses a value whose bound is far above one, or a protocol's octets, may say it plainly.
    plain = (
        "wire/",
        "core/",
        "journal/log.py",
        "smsc/rules.py",
        "stats/snapshot.py",
        "message.py",
        "carriers/segments.py",
    )
    plainly = re.compile(r"raise \w+|is no number|have (?:room|too)|there are too|MAX|its probability is")
    root = Path(zsms.__file__).parent
    found = [
        f"{path.relative_to(root)}:{number}: {line.strip()}"
        for path in sorted(root.rglob("*.py"))
        if not str(path.relative_to(root)).startswith(plain)
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if COUNTED.search(line) and not plainly.search(line)
    ]
    assert not found
