"""Messages from files: good rows arrive as they are, bad ones are named by their line."""

from __future__ import annotations

import json
import os
import re
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zsms.errors import UsageError
from zsms.lists.files import CHUNK, CHUNK_BYTES, FileSource
from zsms.lists.stream import MAX_LINE, Stream
from zsms.message import MAX_TEXT_BYTES
from zsms.sources.numbers import BadFieldError
from zsms.sources.random import Columns, Source
from zsms.sources.repeats import Repeats
from zsms.sources.tables import JsonLines
from zsms.sources.texts import read_text

GOOD = "recipient,text\n+13702000000,hello\n+4915112345678,grüß €\n"


NUMBERS = st.integers(13702000000, 13799999999)


def is_text(text: str) -> bool:
    """Whether it is one, and not what is left of files that were joined."""
    try:
        return read_text(text) == text.encode()
    except BadFieldError:
        return False


def drain(source: Source, size: int = CHUNK) -> list[tuple[int, str]]:
    rows: list[tuple[int, str]] = []
    while len(columns := source.take(size)):
        rows += rows_of(columns)
    return rows


def next_of(source: FileSource) -> Columns:
    """What a stream has next, or nothing at its end, which comes when no process holds its other side any more.

    A process that another thread starts holds what is open in this one for a moment.
    """
    end = time.monotonic() + 20
    while not len(columns := source.take(5)) and source.waiting:
        assert time.monotonic() < end
    return columns


def rows_of(columns: Columns) -> list[tuple[int, str]]:
    data = columns.text.tobytes()
    rows = []
    begin = 0
    for recipient, length in zip(columns.recipients.tolist(), columns.lengths.tolist(), strict=True):
        rows.append((recipient, data[begin : begin + length].decode()))
        begin += length
    assert begin == len(data)
    return rows


def write(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def line_of(recipient: object, text: object) -> str:
    return json.dumps({"recipient": recipient, "text": text}) + "\n"


# -- good rows ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", GOOD),
        ("a.CSV", "\ufeff" + GOOD.replace("\n", "\r\n")),
        ("a.csv", GOOD.rstrip("\n")),
        ("a.csv", '\nid, text ,"recipient"\n1,hello,+1 (370) 200-0000\n\n2,grüß €,+49.151.12345678\n\n'),
        ("a.csv", GOOD.replace("\n", "\r")),
        ("a.csv", GOOD.replace("\n", "\r\r\n")),
        ("a.csv", GOOD + "\x1a"),
        ("a.csv", GOOD.rstrip("\n") + "\x1a"),
        ("a.csv", ",,\n \n" + GOOD),
        ("a.csv", ",,\r\n" * 500 + "\n" * 500 + GOOD),
        ("a.csv", (" " * 50 + ",\n") * 12_000 + GOOD),
        ("a", (" " * 50 + "\n") * 12_000 + line_of("+13702000000", "hello") + line_of("+4915112345678", "grüß €")),
        ("a.csv", "\ufefftext,recipient\nhello,+13702000000\n\ufeffgrüß €,+4915112345678\n"),
        ("a.csv", '\ufefftext,recipient\n\ufeff"hello",+13702000000\n\ufeff"grüß €",+4915112345678\n'),
        ("a.csv", ",recipient,text\n0,+13702000000,hello\n1,+4915112345678,grüß €\n"),
        ("a.jsonl", '{"Recipient": "+13702000000", "TEXT": "hello"}\n' + line_of("+4915112345678", "grüß €")),
        ("a.tsv", GOOD.replace(",", "\t")),
        ("a.txt", ("\ufeff" + GOOD.replace(",", "\t")).encode("utf-16-le")),
        ("a", "\ufeff\n" + line_of("+13702000000", "hello") + line_of("+4915112345678", "grüß €")),
        ("a.csv", GOOD.replace(",", ";")),
        ("a.csv", GOOD.replace(",", "|")),
        ("a.csv", " recipient   | text  \n +13702000000  | hello \n +4915112345678| grüß €   \n"),
        ("a.csv", "sep=;\r\n" + GOOD.replace(",", ";")),
        ("a.csv", '\ufeff"sep=,"\n' + GOOD),
        ("a.csv", "SEP=\t\n" + GOOD.replace(",", "\t")),
        ("a.csv", GOOD.encode("utf-16")),
        ("a.csv", "\ufeff".encode("utf-16-be") + GOOD.encode("utf-16-be")),
        ("a.csv", GOOD.replace("recipient,text", "Recipient,TEXT")),
        ("a.csv", GOOD.replace("recipient,text", "\u00a0RECIPIENT , \u200eText\t")),
        ("a.csv", GOOD.replace("recipient,text", "Recipient* (E.164),text [required]:")),
        ("a.csv", GOOD.replace("recipient,text", "recipient,text,,") .replace("hello", "hello,,")),
        ("a.csv", GOOD.replace("\n", ",,\n") + ",,,\n ,\t,\u00a0,\n,,,\n"),
        ("a.csv", GOOD + " \n\u00a0\n\ufeff\n\t\n,\n"),
        ("a.csv", GOOD.replace(",", ", ")),
        ("a.csv", GOOD.replace("hello", ' "hello" ').replace("text", ' "text"')),
        ("a.csv", '"recipient","text"\n"+13702000000","hello"\n"+4915112345678","grüß €"\n'),
        ("a.csv", GOOD.replace("+1370", "'+1370").replace("+49", '="+49').replace("678,", '678",')),
        ("a.csv", GOOD.replace("+1370", "\t+1370\u00a0").replace("+49", "\u202a+49").replace("678,", "678\u202c,")),
        ("a.jsonl", '\n{"text":"hello","recipient":"+13702000000"}\n \n'
                    '{ "recipient" : "+49 151 12345678" , "text" : "gr\\u00fc\\u00df €" , "x": [1] }\n\x1a'),
        ("a.jsonl", line_of("+13702000000", "hello") + "\n" + line_of("+49 151 12345678", "grüß €")),
        ("a.ndjson", '\ufeff{"id": 1, "text": "hello", "recipient": "+13702000000"}\r\n'
                     '{"recipient": "+4915112345678", "text": "grüß €"}'),
        ("a.jsonl", "\x1e" + line_of("+13702000000", "hello") + "\x1e" + line_of("+4915112345678", "grüß €")),
    ],
)  # fmt: skip
def test_reads(tmp_path: Path, name: str, content: str | bytes) -> None:
    source = FileSource(write(tmp_path, name, content))
    assert source.total is None
    assert drain(source) == [(13702000000, "hello"), (4915112345678, "grüß €")]
    assert source.skipped == 0


@settings(max_examples=50, deadline=None)
@given(
    rows=st.lists(st.tuples(NUMBERS, st.text(min_size=1).filter(is_text)), min_size=1),
    parts=st.integers(1, 4),
    size=st.integers(1, 10),
)
def test_every_text_survives_both_formats_and_every_share(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[int, str]], parts: int, size: int
) -> None:
    folder = tmp_path_factory.mktemp("rows")
    quoted = "".join(f'+{number},"{text.replace(chr(34), chr(34) * 2)}"\n' for number, text in rows)
    for path in (
        write(folder, "a.csv", "recipient,text\n" + quoted),
        write(folder, "a.jsonl", "".join(line_of(f"+{number}", text) for number, text in rows)),
    ):
        shares = [drain(FileSource(path, share=(index, parts)), size) for index in range(parts)]
        assert shares == [rows[index::parts] for index in range(parts)]


OTHERS = st.lists(
    st.tuples(
        st.sampled_from(["id", "x-y", "Tag", "a.b", "ü", "text ", "RECIPIENT", "recipients"]),
        st.one_of(st.integers(), st.booleans(), st.none(), st.floats(allow_nan=False), st.text(), st.just(["text"])),
    ),
    max_size=3,
)


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_other_keys_are_passed_over_wherever_they_stand(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    lines, good = [], []
    for number, text, others in data.draw(
        st.lists(st.tuples(NUMBERS, st.text(min_size=1).filter(is_text), OTHERS), min_size=1)
    ):
        members = data.draw(st.permutations([("recipient", f"+{number}"), ("text", text), *others]))
        lines.append("{" + ",".join(f"{json.dumps(name)}: {json.dumps(value)}" for name, value in members) + "}\n")
        names = [name.strip().lower() if name != "Tag" else name for name, _ in members]
        if len(set(names)) == len(names):
            good.append((number, text))
    path = write(tmp_path_factory.mktemp("rows"), "a.jsonl", "".join(lines))
    if good:
        source = FileSource(path, skip_bad_rows=True)
        assert drain(source) == good and source.skipped == len(lines) - len(good)


def test_other_keys_of_plain_values_cost_no_careful_reading() -> None:
    quick = JsonLines.quick
    recipient, text = '"recipient": "+13702000000"', '"text": "hello"'
    for members in ([recipient, text], [text, recipient]):
        for place in range(3):
            line = ", ".join([*members[:place], '"id": -7.5, "ok": true', '"tag": "x"', *members[place:]])
            (found,) = quick.pattern.findall(f"{{{line}}}\n".encode())
            assert found[quick.recipient[members[0] == text]] == b"+13702000000"
            assert found[quick.text[members[0] == text]] == b"hello"


def test_a_take_is_bounded(tmp_path: Path) -> None:
    many = FileSource(write(tmp_path, "many.csv", "recipient,text\n" + "+13702000000,x\n" * (CHUNK + 1)))
    assert [len(many.take(2 * CHUNK)) for _ in range(3)] == [CHUNK, 1, 0]
    long = "x" * MAX_TEXT_BYTES
    large = FileSource(write(tmp_path, "large.csv", "recipient,text\n" + f"+13702000000,{long}\n" * 40))
    first = large.take(CHUNK)
    assert len(first.text) < CHUNK_BYTES + MAX_TEXT_BYTES
    assert len(first) + len(drain(large)) == 40


def test_a_file_is_read_as_it_is_asked_for(tmp_path: Path) -> None:
    path = write(tmp_path, "a.jsonl", line_of("+13702000000", "first") * 100_000 + "nonsense\n")
    source = FileSource(path)
    assert len(source.take(10)) == 10
    with path.open("r+b") as file:
        file.truncate(len(line_of("+13702000000", "first")) * 50_000)
    sizes = [10]
    with pytest.raises(UsageError, match=r"a.jsonl: became shorter while it was read: its last [0-9,]+ bytes did not"):
        sizes.extend(iter(lambda: len(source.take(CHUNK)), 0))
    assert sum(sizes) == 50_000


def test_a_closed_source_has_no_more(tmp_path: Path) -> None:
    source = FileSource(write(tmp_path, "a.csv", GOOD))
    assert len(source.take(1)) == 1
    source.close()
    assert not len(source.take(1))


# -- bad rows ----------------------------------------------------------------------------------------------------

BAD_CSV = [
    ("+13702000000", "1 field where the header has 2"),
    ("the north road", "1 field where the header has 2 (where the text of the row before goes on here, put that in"),
    ("+13702000000,a,b", "3 fields"),
    ("+13702000000,a,", "3 fields"),
    ("13702000000,a", "recipient '13702000000' is no E.164 number"),
    ("+13702000000.0,a", "decimal tail (.0)"),
    ("+1 370-200-0000 (12),a", "extension"),
    (",a", "recipient '' is empty"),
    ("+13702000000;a", "1 field where the header has 2 (it seems to be divided by ';', the header by ',')"),
    ("\0" * 50, "1 field where the header has 2; it has zero bytes in it"),
    (b"\xff\xfe" + "+13702000000,a".encode("utf-16-le"), "zero bytes in it, as what is damaged, or UTF-16 in part"),
    ("# +13702000000,a", "begins with a #, as a comment does"),
    ("+13702000000,", "text is empty"),
    ('+13702000000,""', "text is empty"),
    ("+13702000000," + "x" * (MAX_TEXT_BYTES + 1), "65536 bytes, over 65535"),
    ("+13702000000," + "x" * 200_000, "200000 bytes, over 65535"),
    ("+13702000000," + "x," * MAX_LINE, "over 1048576 bytes"),
    ('+13702000000,"a"b', "a quote closes before the end of its field"),
    ('+13702000000,"a \\"b\\" c"', "write a quote in a text twice, not behind a backslash"),
    ('+13702000000,"a""', "a quote opens and never closes"),
    ('"+13702000000,a', "a quote opens and never closes"),
    (b"+13702000000,caf\xe9", "not UTF-8 from character 4"),
    (b"+1370200000\xe9,cafe", "recipient '+1370200000\\udce9'"),
    ("+13702000000,断水です".encode("iso2022_jp"), "as ISO-2022-JP has"),
    ("+13702000000,\x0e0!\x0f", "as ISO-2022 has"),
    ("+13702000000,\x1b[31mred", "has an escape (U+001B)"),
    *(("+13702000000,断水".encode(code), "not UTF-8") for code in ("gb18030", "shift_jis")),
    *(("+13702000000,Вода".encode(code), "not UTF-8") for code in ("koi8_r", "cp1251", "cp866")),
    *(("+13702000000,für".encode(code), "not UTF-8") for code in ("mac_roman", "cp1252", "cp850")),
    ("+2026 11 28 10 00,a", "seems to be a date"),
    ("recipient,text", "the header once more"),
    ("\ufeffRecipient , Text", "the header once more"),
]
BAD_JSON = [
    ("nonsense", "not JSON: Expecting value at column 1"),
    ('{"Recipient": "+13702000000", "recipient": "+13702000001", "text": "a"}', "recipient comes twice, written"),
    ('{"Recipient": "+13702000000", "RECIPIENT ": "+13702000001", "text": "a"}', "recipient comes twice"),
    ('{"recipient": "+13702000000"}', "no key 'text'"),
    ('{"key": 1, "Value": {"recipient": "+13702000000", "text": "a"}}', "no key 'recipient' (there is one in 'Value'"),
    ('{"text": "a"}', "no key 'recipient'"),
    ('["+13702000000", "a"]', "is no JSON object"),
    ('{"recipient": 13702000000, "text": "a"}', "recipient 13702000000 is no"),
    ('{"recipient": "+13702000000", "text": null}', "text None is no string"),
    ('{"recipient": "+13702000000", "text": ""}', "text is empty"),
    ('{"recipient": "+13702000000", "text": "\\ud800"}', "not UTF-8 from character 1"),
    (b'{"recipient": "+13702000000", "text": "caf\xe9"}', "not UTF-8 from character 4"),
    ('{"recipient": "+13702000000", "text": "断"}'.encode("iso2022_jp"), "as ISO-2022-JP has"),
    ('{"recipient": "+13702000000", "text": "\\u00c3\\u00bc"}', "taken for Windows-1252"),
    ("[" * 100_000, "not JSON"),
    ("9" * 5_000, "not JSON"),
    ('{"recipient": "+13702000000", "text": "a"} {}', "Extra data at column 43"),
    ('{"recipient": "+13702000000", "text": "a"},', "Extra data at column 43"),
    ('{"recipient": "+13702000000.0", "text": "a"}', "decimal tail"),
    ('{"recipient": "+13702000000", "text": "a", "recipient": "+13702000001"}', "a key comes twice"),
    ('{"recipient": 13702000000.0, "text": "a"}', "is no text"),
    ('{"recipient": "+13702000000", "text": "a", "x": "' + "x" * MAX_LINE + '"}', "over 1048576 bytes"),
]


BAD_ROWS = [
    *(("a.csv", GOOD, *bad) for bad in BAD_CSV),
    *(("a.jsonl", line_of("+13702000000", "a") + "\n" + line_of("+13702000001", "b"), *bad) for bad in BAD_JSON),
]


@pytest.mark.parametrize(
    ("name", "head", "bad", "reason"), BAD_ROWS, ids=[f"{number}: {row[3]}" for number, row in enumerate(BAD_ROWS)]
)
def test_a_bad_row_stops_or_is_skipped(tmp_path: Path, name: str, head: str, bad: str | bytes, reason: str) -> None:
    bad = bad if isinstance(bad, bytes) else bad.encode()
    good = head.splitlines(keepends=True)[-1].encode()
    path = write(tmp_path, name, head.encode() + bad + b"\n" + good)

    with pytest.raises(UsageError, match=r":4: .*\(--skip-bad-rows") as caught:
        drain(FileSource(path))
    assert str(path) in str(caught.value) and reason in str(caught.value)
    assert len(str(caught.value)) < 300 + len(str(path))

    seen: list[tuple[int, str]] = []
    skipping = FileSource(path, skip_bad_rows=True, on_bad=lambda line, why: seen.append((line, why)))
    rows = drain(skipping)
    assert len(rows) == 3 and rows[1] == rows[2]
    assert skipping.skipped == skipping.skipped_lines == 1
    assert [line for line, _ in seen] == [4] and reason in seen[0][1]


def test_rows_before_a_bad_one_come_and_then_it_is_told(tmp_path: Path) -> None:
    many = 60_000
    path = write(
        tmp_path, "a.csv", "recipient,text\n" + "+13702000000,water is off\n" * many + "nonsense,a\n" + "x,y\n" * 9
    )
    source = FileSource(path)
    with pytest.raises(UsageError, match=rf":{many + 2}: recipient 'nonsense'"):
        drain(source)
    assert source.messages_taken == many
    assert source.unread == f"{path}: lines from {many + 2} on were not read"


def test_a_row_is_named_by_the_line_on_which_it_begins(tmp_path: Path) -> None:
    number = "+1370200000"
    content = (
        f'recipient,text\n{number}1,"two\nlines"\n\n"x\ny",bad\n{number}2,"a\r\nb"\r\n{number}3\n'
        f'{number}4,"never closed\n{number}5,e\n'
    )
    seen: list[tuple[int, str]] = []
    source = FileSource(write(tmp_path, "a.csv", content), skip_bad_rows=True, on_bad=lambda *bad: seen.append(bad))
    assert drain(source) == [(13702000001, "two\nlines"), (13702000002, "a\r\nb"), (13702000005, "e")]
    assert [line for line, _ in seen] == [5, 9, 10]
    assert "(lines 5 to 6)" in seen[0][1]
    assert (source.skipped, source.skipped_lines) == (3, 4)


def test_one_open_quote_costs_one_row(tmp_path: Path) -> None:
    for kind in ("{}", '"{}"', '{}"', "{} {}"):
        rows = [f"+1370555{row:04}," + kind.format(f"note {row}", '"') for row in range(2_000)]
        rows[2] = '+13705550002,"note 2'
        source = FileSource(write(tmp_path, "a.csv", "\n".join(["recipient,text", *rows, ""])), skip_bad_rows=True)
        got = [number % 10_000 for number, _ in drain(source)]
        assert source.skipped + len(got) == len(rows)
        lost = set(range(2_000)) - set(got)
        assert 2 in lost and len(lost) == source.skipped <= 3


def test_quotes_that_hold_other_rows_are_refused_with_all_their_lines(tmp_path: Path) -> None:
    rows = [f"+1370555{row:04},note {row}" for row in range(100)]
    rows[2], rows[40] = '+13705550002,"note 2', '+13705550040,note 40"'
    path = write(tmp_path, "a.csv", "\n".join(["recipient,text", *rows, ""]))
    with pytest.raises(
        UsageError, match=r"a.csv:4: .*close in line 42 hold what looks like other rows \(lines 4 to 42\)"
    ):
        FileSource(path)
    source = FileSource(path, skip_bad_rows=True)
    assert len(drain(source)) == 61
    assert (source.skipped, source.skipped_lines) == (39, 39)


@pytest.mark.parametrize(
    "inner",
    [
        "+13705550001,b",
        "13705550001,b",
        "+1 (370) 555-0001,b",
        "'+13705550001,b",
        "1.37E+10,b",
        "003705550001,b",
        "+13705550001.0,b",
        "\ufeff+13705550001,b",
        "x\n+13705550001,b\ny",
        "none,b",
        "911,b",
        "unknown,b\nnobody,c",
        "-,b",
    ],
)
def test_a_text_with_what_looks_like_a_row_is_not_sent(tmp_path: Path, inner: str) -> None:
    path = write(tmp_path, "a.csv", f'recipient,text\n+13705550000,"a\n{inner}"\n+13705550002,c\n')
    source = FileSource(path, skip_bad_rows=True)
    assert drain(source) == [(13705550002, "c")]
    assert source.skipped_lines == 2 + inner.count("\n") and 2 <= source.skipped <= source.skipped_lines


def test_columns_in_any_order_are_guarded_from_open_quotes(tmp_path: Path) -> None:
    for header, row in (
        ("text,recipient", "{},{}"),
        ("id,text,lang,recipient", "7,{},en,{}"),
        ("recipient,id,text", "{1},7,{0}"),
    ):
        rows = [row.format(f"note {n}", f"+1370555{n:04}") for n in range(300)]
        rows[100] = row.format('"note 100', "+13705550100")
        source = FileSource(write(tmp_path, "a.csv", "\n".join([header, *rows, ""])), skip_bad_rows=True)
        assert sorted({n for n, _ in drain(source)}) == [13705550000 + n for n in range(300) if n != 100]
        assert (source.skipped, source.skipped_lines) == (1, 1)


@pytest.mark.parametrize(
    "text",
    ["two\nlines", "a\r\nb", "Dear all,\nthe water is off,\nyours", "On\n2026-11-28, 10:00 to 12:00\nno water",
     "a\n\n\nb", 'say ""hi""\nand, go', "from 10, Main St\n12345, Town", "\n".join("x" * 300), "1,\n2,\n3"],
)  # fmt: skip
def test_a_line_break_that_is_plainly_meant_is_kept(tmp_path: Path, text: str) -> None:
    path = write(tmp_path, "a.csv", f'recipient,text,by\n+13705550000,"{text}",me\n+13705550001,b,me\n')
    assert drain(FileSource(path)) == [(13705550000, text.replace('""', '"')), (13705550001, "b")]


@pytest.mark.parametrize(
    "text", ["Water is off.\nBoil it, please", "About\n2,000 people", "x\n100,000 people", "a\nb, c\nd,e"]
)
def test_prose_with_commas_is_no_row(tmp_path: Path, text: str) -> None:
    path = write(tmp_path, "a.csv", f'recipient,text\n+13705550000,"{text}"\n')
    assert drain(FileSource(path)) == [(13705550000, text)]


def test_a_value_behind_the_named_columns_is_no_text_that_was_cut(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", "recipient,text,,\n+13705550000,Water is off, boil it,\n+13705550001,b,,\n")
    with pytest.raises(UsageError, match=r":2: a value behind the last column that has a name"):
        FileSource(path)


def test_a_text_that_goes_on_in_the_next_column_is_refused(tmp_path: Path) -> None:
    """It lacks its quotes, and its row the last column, which may be empty."""
    rows = {
        "Water is off, boil it": False,
        'Bring a 5" pipe, and boil it': False,
        '"Water is off", note': True,
        '"Water is off, boil it",': True,
        " Water is off, note": True,
        "a,b": True,
        "a, ": True,
    }
    content = "".join(f"+137055500{number:02},{row}\n" for number, row in enumerate(rows))
    seen: list[tuple[int, str]] = []
    source = FileSource(write(tmp_path, "a.csv", f"recipient,text,note\n{content}"), skip_bad_rows=True,
                        on_bad=lambda line, why: seen.append((line, why)))  # fmt: skip
    assert [number % 100 for number, _ in drain(source)] == [n for n, good in enumerate(rows.values()) if good]
    assert [line for line, _ in seen] == [2, 3] and "the text may go on behind its ','" in seen[0][1]
    spaced = write(tmp_path, "b.csv", "recipient, text, note\n+13705550000,Water is off, note\n")
    assert drain(FileSource(spaced)) == [(13705550000, "Water is off")]


def test_a_row_over_the_end_of_a_block_is_whole(tmp_path: Path) -> None:
    text = "a line,\n" * 400
    path = write(tmp_path, "a.csv", "recipient,text\n" + f'+13705550000,"{text}"\n+13705550001,b\n' * 200)
    assert drain(FileSource(path)) == [(13705550000, text), (13705550001, "b")] * 200


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            ['+13705550001,"a', "b,c", '"', '""', 'x"\n', "+13705550002,d\n", "\n", ",", "\r\n", '"e"\n', "é"]
        )
    )
)
def test_every_line_is_read_or_counted(tmp_path_factory: pytest.TempPathFactory, parts: list[str]) -> None:
    path = write(tmp_path_factory.mktemp("a"), "a.csv", "recipient,text\n+13705550000,first\n" + "".join(parts))
    seen: list[tuple[int, str]] = []
    source = FileSource(path, skip_bad_rows=True, on_bad=lambda *bad: seen.append(bad))
    got = drain(source)
    assert got[0] == (13705550000, "first") and {number for number, _ in got} <= {13705550000, 13705550001, 13705550002}
    assert len(seen) <= source.skipped <= source.skipped_lines
    for _, text in got[1:]:
        assert "+1370" not in text


def test_shares_skip_their_own_bad_rows_only(tmp_path: Path) -> None:
    path = write(
        tmp_path, "a.csv", "recipient,text\n" + "+13702000001,a\nbad\n+13702000002,b\n+13702000003,c\nbad,x\n" * 20
    )
    shares = [FileSource(path, skip_bad_rows=True, share=(index, 3)) for index in range(3)]
    assert sum(len(drain(share)) for share in shares) == 60
    assert sum(share.skipped for share in shares) == 40


# -- bad files ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.csv", "", "is empty"),
        ("a.csv", "\n\n", "is empty"),
        ("a.csv", "recipient,text\n", "holds no rows"),
        ("a.jsonl", "", "holds no rows"),
        ("a.csv", "number,text\n+1,a\n", "line 1 must name the columns recipient and text.*number,text"),
        ("a.csv", "text,recipient,text\n", "each once"),
        ("a.csv", '"recipient,text\n', "not CSV"),
        ("a.csv", "sep=;\n", "is empty but for a line sep="),
        ("a.csv", "+13705550100,a\n", "line 1 must name the columns recipient and text"),
        ("a.csv", "phone;message\n+13705550100;a\n", "is 'phone' perhaps recipient and 'message' perhaps text?"),
        ("a.csv", line_of("+13705550100", "a"), "seems to be JSON"),
        ("a.csv", "<!DOCTYPE html>", "seems to be a web page"),
        ("a.csv", "empf\xe4nger,text\n".encode("latin-1"), "is not UTF-8"),
        ("a.csv", "電話,本文\n".encode("shift_jis"), "is not UTF-8: save it"),
        ("a.csv", GOOD.replace("€", "").encode("cp500"), "is not UTF-8 but EBCDIC"),
        ("a.csv", "phone,message\r\n+1,a\r\n".encode("cp037"), "is not UTF-8 but EBCDIC"),
        ("a.csv", GOOD.encode("utf-16-le"), "UTF-16 without a byte order mark"),
        ("a.csv", GOOD.encode("utf-16-be"), "UTF-16 without a byte order mark"),
        ("a.csv", GOOD.encode("utf-16")[:-1], "ends in the middle of a character"),
        ("a.csv", GOOD.encode("utf-32"), "UTF-32"),
        ("a.csv", b"PK\x03\x04" + bytes(20), "is a spreadsheet or an archive"),
        ("a.csv", b"\xd0\xcf\x11\xe0" + bytes(20), "is an old spreadsheet"),
        ("a.csv", b"\x1f\x8b\x08" + bytes(20), "is compressed"),
        ("a.csv", b"7z\xbc\xaf'\x1c" + bytes(20), "is compressed"),
        ("a.csv", b"Rar!\x1a\x07" + bytes(20), "is compressed"),
        ("a.csv", b"PK\x05\x06" + bytes(18), "an archive"),
        ("a.csv", b"\x89PNG\r\n\x1a\n" + bytes(20), "is a picture"),
        ("a.csv", "People of November\n\n" + GOOD, "line 1 must name .*line 3 does: delete what is before it"),
        ("a.txt", b"\x7fELF\2\1\1\0\1\2\3\4\5\6\7\n", "is no text"),
        ("a.csv", bytes(100), "begins with zero bytes"),
        ("a.vcf", "BEGIN:VCARD\nTEL:+13705550100\nEND:VCARD\n", "contacts (vCard)"),
        ("a", "{\\rtf1\\ansi +13705550100}", "word processor"),
        ("a.csv", '<?xml version="1.0"?>', "seems to be XML"),
        (
            "a.csv",
            "| recipient | text |\n|---|---|\n| +13705550100 | a  |\n",
            "drawn for people, not CSV: line 2 is a rule",
        ),
        (
            "a.csv",
            "\n recipient | text\n-----------+------\n +13705550100 | a  \n",
            "drawn for people.*: line 3 is a rule",
        ),
        ("a.csv", "recipient    ,text \n-------------,-----\n+13705550100 ,a    \n", "drawn for people"),
        (
            "a.csv",
            "+-----------+------+\n| recipient | text |\n+-----------+------+\n",
            "seems to be a table that was drawn",
        ),
        ("a.sql", "INSERT INTO people VALUES ('+13705550100', 'a');", "seems to be SQL"),
        ("a.md", "| recipient | text |\n|:--|--:|\n| +13705550100 | a |\n", "drawn for people.*: line 2 is a rule"),
        ("a.toml", '[[people]]\nrecipient = "+13705550100"\n', "line 1 must name the columns"),
        ("a.sql", "--\n-- PostgreSQL database dump\n", "seems to be SQL, not CSV"),
        ("a.sql", "REPLACE INTO people VALUES (1);\n", "seems to be SQL"),
        ("a.sql", "PRAGMA foreign_keys=OFF;\n", "seems to be SQL"),
        ("a.yaml", "---\n- recipient: x\n", "seems to be YAML"),
        ("a.yaml", "recipients:\n  - recipient: x\n", "seems to be YAML"),
        ("a.diff", "--- a/p.csv\n+++ b/p.csv\n", "seems to be a patch"),
        ("a.csv", "version https://git-lfs.github.com/spec/v1\noid sha256:x\n", "git lfs pull fetches its file"),
        ("a.sql", "-- MySQL dump\nrecipient,text\n", "seems to be SQL, not CSV"),
        ("a.yaml", "- recipient: '+13705550100'\n  text: a\n", "seems to be YAML"),
        ("a", "MIME-Version: 1.0\n", "a web page"),
        ("a.csv", "=======\n" + GOOD, "line 2 does: delete what is before it"),
        ("a.csv", "\n" * 100 + "People\n" + GOOD, "line 101 must name .*line 102 does: delete what is before it"),
        ("a.csv", (" " * 50 + "\n") * 12_000, "is empty"),
        ("a.json", '[{"recipient": "+13705550100", "text": "a"}]', "is one list in JSON: write one object a line"),
        ("a.jsonl", '\n[{"recipient": "+13705550100", "text": "a"},\n', "is one list in JSON"),
        ("a.csv", "Name,Phone 1 - Type,Phone 1 - Value,Notes\n", "is 'Phone 1 - Value' perhaps recipient?"),
        (
            "a.csv",
            "Mobile Phone,E-mail,Message Body\n",
            "is 'Mobile Phone' perhaps recipient and 'Message Body' perhaps text?",
        ),
        ("a.csv", "Telefonnummer;Nachricht\n", "is 'Telefonnummer' perhaps recipient and 'Nachricht' perhaps text?"),
        (
            "a.csv",
            "Numéro de téléphone\tMessage\n",
            "is 'Numéro de téléphone' perhaps recipient and 'Message' perhaps text?",
        ),
        ("a.csv", '"Id","Mobile","Text"\n', "line 1 must name .*is 'Mobile' perhaps recipient?"),
        (
            "a.csv",
            "Phonetic First Name,Phone 1 - Label,Phone 1 - Value\n",
            "is 'Phone 1 - Value' perhaps recipient?",
        ),
        ("a.csv", "Name,SMS 1,SMS 1 Country\n", "is 'SMS 1' perhaps recipient?"),
        ("a.txt", "[28.11.26, 10:00:00] Anna: Water is off\n", "line 1 must name the columns"),
        ("a.ini", "[general]\nrecipient = x\n", "line 1 must name the columns"),
        ("a.csv", '[{"recipient": "+13705550100", "text": "a"}]', "is one list in JSON: write one object a line"),
        ("a.csv", '"recipient,text"\n"+13705550100,a"\n', "take away those around whole rows"),
        ("a.csv", "recipient^text\n+13705550100^a\n", "write sep= and their sign on a line before"),
        ("a.txt", "recipient      text\n-------------  ----\n", "divide columns by commas"),
        ("a.txt", "-[ RECORD 1 ]-------\nrecipient | +13705550100\n", "seems to be a table that was drawn"),
        ("a.csv", "x" + " " * 100_000 + "y,text\n", "line 1 must name the columns"),
        ("a.csv", "Photo,Phone 1 - Value\n", "is 'Phone 1 - Value' perhaps recipient?"),
        ("a.csv", "Phone Number,SMS Phone Number\n", "(is 'Phone Number' perhaps recipient?)"),
        ("a.csv", "मोबाइल नंबर,संदेश\n", "is 'मोबाइल नंबर' perhaps recipient and 'संदेश' perhaps text?"),
        ("a.csv", "Τηλέφωνο;Μήνυμα\n", "is 'Τηλέφωνο' perhaps recipient and 'Μήνυμα' perhaps text?"),
        ("a.csv", "Số điện thoại;Tin nhắn\n", "is 'Số điện thoại' perhaps recipient and 'Tin nhắn' perhaps text?"),
        ("a.csv", "'recipient','text'\n", "its quotes are single ones"),
        ("a.env", "RECIPIENT=+13705550100\nTEXT=a\n", "seems to be settings, not CSV"),
        ("a.csv", "电话,短信\n", "is '电话' perhaps recipient and '短信' perhaps text?"),
        ("a.xlsx", b"PK\x03\x04" + bytes(20), "is a spreadsheet or an archive"),
    ],
)
def test_refuses_a_file_without_messages(tmp_path: Path, name: str, content: str | bytes, reason: str) -> None:
    with pytest.raises(UsageError, match=f"{name}.*{re.sub('[?()]', '.', reason)}"):
        drain(FileSource(write(tmp_path, name, content), skip_bad_rows=True))


def test_refuses_what_it_cannot_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match=r"missing\.csv: can't be read: No such file"):
        FileSource(tmp_path / "missing.csv")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(UsageError, match=r"folder\.csv: can't be read: Is a directory"):
        FileSource(tmp_path / "folder.csv")
    with pytest.raises(UsageError, match="share 1/1"):
        FileSource(write(tmp_path, "a.csv", GOOD), share=(1, 1))

    path = write(tmp_path, "a.csv", GOOD + "+13702000000,x\n" * 100_000)
    source = FileSource(path)

    def fail(stream: object) -> bytes:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(Stream, "read", fail)
    with pytest.raises(UsageError, match="Input/output error"):  # after what was read before the disk failed
        drain(source)
    assert source.messages_taken > 1_000


def test_lists_of_other_forms_are_named(tmp_path: Path) -> None:
    for content, reason in (
        (GOOD, "seems to be CSV: give --input-format csv"),
        ('[\n{"recipient": "+13705550100", "text": "a"}\n]', "write one object a line"),
    ):
        with pytest.raises(UsageError, match=reason):
            FileSource(write(tmp_path, "a.jsonl", content))
    with pytest.raises(UsageError, match="input format 'xml': give csv or jsonl"):
        FileSource(write(tmp_path, "a.csv", GOOD), format="xml")
    assert len(drain(FileSource(write(tmp_path, "a.txt", GOOD), format="csv"))) == 2


# -- repeats, limits, shares -------------------------------------------------------------------------------------

NUMBERED = "recipient,text\n" + "".join(f"+1370555{n % 70:04},note {n}\n" for n in range(200))


def test_repeats_are_counted_and_left_out_on_demand(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", NUMBERED)
    source = FileSource(path)
    assert len(drain(source)) == 200 and source.repeated == 130
    source = FileSource(path, unique=True)
    assert drain(source) == [(13705550000 + n, f"note {n}") for n in range(70)]
    assert source.repeated == 130
    shares = [FileSource(path, unique=True, share=(i, 3)) for i in range(3)]
    assert sorted(row for share in shares for row in drain(share)) == [
        (13705550000 + n, f"note {n}") for n in range(70)
    ]
    assert sum(share.repeated for share in shares) == 130


def test_one_number_in_three_spellings_is_one(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", "recipient,text\n+13705550101,a\n+1 370 555 0101,b\n+1-370-555-0101,c\n")
    source = FileSource(path)
    assert len(drain(source)) == 3 and source.repeated == 2


@settings(max_examples=50, deadline=None)
@given(st.lists(st.lists(st.integers(1, 30), max_size=8), max_size=12), st.sampled_from([None, 5, 1000]))
def test_repeats_are_what_a_set_says(looks: list[list[int]], most: int | None) -> None:
    repeats, seen = Repeats(most), set[int]()
    for look in looks:
        expected = []
        for number in look:
            expected.append(number in seen)
            seen.add(number)
        got = repeats.seen_before(np.array(look, dtype=np.uint64)).tolist()
        assert got == expected if most != 5 else all(e or not g for g, e in zip(got, expected, strict=True))
    assert repeats.full == (most == 5 and len(seen) >= 5)


@pytest.mark.parametrize("limit", [0, 1, 10, 69, 70, 199, 200, 500])
@pytest.mark.parametrize("unique", [False, True])
def test_a_limit_takes_the_first(tmp_path: Path, limit: int, unique: bool) -> None:
    path = write(tmp_path, "a.csv", NUMBERED)
    there = 70 if unique else 200
    source = FileSource(path, limit=limit, unique=unique)
    assert [text for _, text in drain(source, 7)] == [f"note {n}" for n in range(min(limit, there))]
    assert source.unread == ""
    shares = [drain(FileSource(path, limit=limit, unique=unique, share=(i, 3))) for i in range(3)]
    assert sorted(row for share in shares for row in share) == sorted(
        drain(FileSource(path, limit=limit, unique=unique))
    )


def test_a_limit_ends_before_bad_rows_behind_it(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", "recipient,text\nbad,x\n+13705550101,a\nworse,x\n+13705550102,b\nworst,x\n")
    source = FileSource(path, limit=1, skip_bad_rows=True)
    assert drain(source) == [(13705550101, "a")] and source.skipped == 1
    good = write(tmp_path, "b.csv", "recipient,text\n+13705550101,a\nworse,x\n")
    assert drain(FileSource(good, limit=1)) == [(13705550101, "a")]
    with pytest.raises(UsageError, match="messages -1"):
        FileSource(good, limit=-1)


def test_what_was_not_read_is_told(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", NUMBERED)
    source = FileSource(path)
    assert source.unread == f"{path}: lines from 1 on were not read"
    source.take(50)
    assert source.unread == f"{path}: lines from 52 on were not read"
    drain(source)
    assert source.unread == ""


# -- streams -----------------------------------------------------------------------------------------------------


def test_a_file_that_grows_while_it_is_read_is_read_to_its_end_and_told(tmp_path: Path) -> None:
    rows = "".join(f"+1370{2_000_000 + number},{'x' * 90}\n" for number in range(20_000))
    path = write(tmp_path, "a.csv", "recipient,text\n" + rows)
    source = FileSource(path)
    assert len(source.take(10)) == 10
    with open(path, "a") as file:
        file.write("+13700000000,the last\n".replace("1370000", "1370555"))
    os.utime(path, (1.0, 1.0))
    assert drain(source)[-1] == (13705550000, "the last")
    assert source.remarks == [f"{path}: changed while it was read"]


def test_a_named_pipe_is_read_as_it_is_written(tmp_path: Path) -> None:
    path = tmp_path / "people.csv"
    os.mkfifo(path)
    source = FileSource(path)
    assert not len(source.take(5)) and source.waiting
    with open(os.open(path, os.O_WRONLY), "wb", buffering=0) as writer:
        assert not len(source.take(5)) and source.waiting
        writer.write(b"reci")
        assert not len(source.take(5)) and source.waiting
        writer.write(b"pient,text\n+13705550101,a\n+1370")
        assert rows_of(source.take(5)) == [(13705550101, "a")]
        assert not len(source.take(5)) and source.waiting
        assert source.unread == f"{path}: lines from 3 on were not read"
        writer.write(b'5550102,"b\n')
        assert not len(source.take(5)) and source.waiting
        writer.write(b'c"')
    assert rows_of(next_of(source)) == [(13705550102, "b\nc")]
    assert not len(next_of(source)) and not source.waiting and source.unread == ""


def test_a_stream_without_a_row_is_told_when_it_ends(tmp_path: Path) -> None:
    for content, reason in (
        (b"", "is empty"),
        (b"recipient,text", "holds no rows"),
        (b"\x1f\x8b", "is empty|compressed"),
    ):
        reading, writing = os.pipe()
        source = FileSource(f"/dev/fd/{reading}", format="csv")
        os.close(reading)
        os.write(writing, content)
        os.close(writing)
        with pytest.raises(UsageError, match=reason):
            next_of(source)


def test_an_open_descriptor_is_read_from_where_it_stands(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", "# a comment\n" + GOOD)
    with path.open("rb", buffering=0) as file:
        file.readline()
        assert len(drain(FileSource(f"/dev/fd/{file.fileno()}", format="csv"))) == 2


def test_a_terminal_is_no_list() -> None:
    main, terminal = os.openpty()
    with pytest.raises(UsageError, match="is a terminal"):
        FileSource(f"/dev/fd/{terminal}", format="csv")
    os.close(main)
    os.close(terminal)
