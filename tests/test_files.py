"""Messages from files: good rows arrive as they are, bad ones are named by their line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zsms import files
from zsms.errors import UsageError
from zsms.files import CHUNK, CHUNK_BYTES, MAX_LINE, FileSource
from zsms.message import MAX_TEXT_BYTES
from zsms.source import Columns, Source

GOOD = "recipient,text\n+13702000000,hello\n+4915112345678,grüß €\n"


def drain(source: Source, size: int = CHUNK) -> list[tuple[int, str]]:
    rows: list[tuple[int, str]] = []
    while len(columns := source.take(size)):
        rows += rows_of(columns)
    return rows


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
        ("a.jsonl", line_of("+13702000000", "hello") + "\n" + line_of("+49 151 12345678", "grüß €")),
        ("a.ndjson", '\ufeff{"id": 1, "text": "hello", "recipient": "+13702000000"}\r\n'
                     '{"recipient": "+4915112345678", "text": "grüß €"}'),
    ],
)  # fmt: skip
def test_reads(tmp_path: Path, name: str, content: str) -> None:
    source = FileSource(write(tmp_path, name, content))
    assert source.total is None
    assert drain(source) == [(13702000000, "hello"), (4915112345678, "grüß €")]
    assert source.skipped == 0


@settings(max_examples=50, deadline=None)
@given(
    rows=st.lists(st.tuples(st.integers(1, 10**15 - 1), st.text(min_size=1)), min_size=1),
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


def test_a_take_is_bounded(tmp_path: Path) -> None:
    many = FileSource(write(tmp_path, "many.csv", "recipient,text\n" + "+13702000000,x\n" * (CHUNK + 1)))
    assert [len(many.take(2 * CHUNK)) for _ in range(3)] == [CHUNK, 1, 0]
    long = "x" * MAX_TEXT_BYTES
    large = FileSource(write(tmp_path, "large.csv", "recipient,text\n" + f"+13702000000,{long}\n" * 40))
    first = large.take(CHUNK)
    assert CHUNK_BYTES <= len(first.text) < CHUNK_BYTES + MAX_TEXT_BYTES
    assert len(first) + len(large.take(CHUNK)) + len(large.take(CHUNK)) == 40


def test_a_file_is_read_as_it_is_asked_for(tmp_path: Path) -> None:
    path = write(tmp_path, "a.jsonl", line_of("+1", "first") * 100_000 + "nonsense\n")
    source = FileSource(path)
    assert len(source.take(10)) == 10
    with path.open("r+b") as file:
        file.truncate(len(line_of("+1", "first")) * 50_000)
    assert len(drain(source)) == 50_000 - 10


def test_a_closed_source_has_no_more(tmp_path: Path) -> None:
    source = FileSource(write(tmp_path, "a.csv", GOOD))
    assert len(source.take(1)) == 1
    source.close()
    assert not len(source.take(1))


# -- bad rows ----------------------------------------------------------------------------------------------------

BAD_CSV = [
    ("+13702000000", "1 fields where the header has 2"),
    ("+13702000000,a,b", "3 fields"),
    ("13702000000,a", "recipient '13702000000' is no E.164 number"),
    ("+03702000000,a", "E.164"),
    ("+1234567890123456,a", "E.164"),
    ("+1370200000x,a", "E.164"),
    ("+١٢٣,a", "E.164"),
    (",a", "recipient '' is no"),
    ("+13702000000,", "text is empty"),
    ("+13702000000," + "x" * (MAX_TEXT_BYTES + 1), "65536 bytes, over 65535"),
    ("+13702000000," + "x" * 200_000, "not CSV: field larger"),
    ("+13702000000," + "x," * MAX_LINE, "over 1048576 characters"),
    ('+13702000000,"a"b', "not CSV"),
    (b"+13702000000,caf\xe9", "not UTF-8 from character 4"),
    (b"+1370200000\xe9,cafe", "E.164"),
]
BAD_JSON = [
    ("nonsense", "not JSON: Expecting value at column 1"),
    ('{"recipient": "+13702000000"}', "no key 'text'"),
    ('{"text": "a"}', "no key 'recipient'"),
    ('["+13702000000", "a"]', "is no JSON object"),
    ('{"recipient": 13702000000, "text": "a"}', "recipient 13702000000 is no"),
    ('{"recipient": "+13702000000", "text": null}', "text None is no string"),
    ('{"recipient": "+13702000000", "text": ""}', "text is empty"),
    ('{"recipient": "+13702000000", "text": "\\ud800"}', "not UTF-8 from character 1"),
    (b'{"recipient": "+13702000000", "text": "caf\xe9"}', "not UTF-8 from character 4"),
    ("[" * 100_000, "not JSON"),
    ("9" * 5_000, "not JSON"),
    ('{"recipient": "+13702000000", "text": "a", "x": "' + "x" * MAX_LINE + '"}', "over 1048576 characters"),
]


BAD_ROWS = [
    *(("a.csv", GOOD, *bad) for bad in BAD_CSV),
    *(("a.jsonl", line_of("+1", "a") + "\n" + line_of("+1", "b"), *bad) for bad in BAD_JSON),
]


@pytest.mark.parametrize(
    ("name", "head", "bad", "reason"), BAD_ROWS, ids=[f"{number}: {row[3]}" for number, row in enumerate(BAD_ROWS)]
)
def test_a_bad_row_stops_or_is_skipped(tmp_path: Path, name: str, head: str, bad: str | bytes, reason: str) -> None:
    bad = bad if isinstance(bad, bytes) else bad.encode()
    good = head.splitlines(keepends=True)[-1].encode()
    path = write(tmp_path, name, head.encode() + bad + b"\n" + good)

    stopping = FileSource(path)
    with pytest.raises(UsageError, match=r":4: .*\(--skip-bad-rows") as caught:
        stopping.take(CHUNK)
    assert str(path) in str(caught.value) and reason in str(caught.value)
    assert len(str(caught.value)) < 300 + len(str(path))
    assert not len(stopping.take(CHUNK))

    seen: list[tuple[int, str]] = []
    skipping = FileSource(path, skip_bad_rows=True, on_bad=lambda line, why: seen.append((line, why)))
    rows = drain(skipping)
    assert len(rows) == 3 and rows[1] == rows[2]
    assert skipping.skipped == 1
    assert [line for line, _ in seen] == [4] and reason in seen[0][1]


def test_a_row_is_named_by_the_line_on_which_it_begins(tmp_path: Path) -> None:
    content = 'recipient,text\n+1,"two\nlines"\n\n"x\ny",bad\n+2,"a\r\nb"\r\n+3\n+4,"never closed\n+5,e\n'
    lines: list[int] = []
    source = FileSource(
        write(tmp_path, "a.csv", content), skip_bad_rows=True, on_bad=lambda line, _: lines.append(line)
    )
    assert drain(source) == [(1, "two\nlines"), (2, "a\r\nb")]
    assert lines == [5, 9, 10]
    assert source.skipped == 3


def test_shares_skip_their_own_bad_rows_only(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", "recipient,text\n" + "+1,a\nbad\n+2,b\n+3,c\nbad,x\n" * 20)
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
        ("a.txt", GOOD, "name ends in .csv, .jsonl, .ndjson"),
    ],
)
def test_refuses_a_file_without_messages(tmp_path: Path, name: str, content: str, reason: str) -> None:
    with pytest.raises(UsageError, match=f"{name}.*{reason}"):
        FileSource(write(tmp_path, name, content), skip_bad_rows=True)


def test_refuses_what_it_cannot_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match=r"missing\.csv: can't be read: No such file"):
        FileSource(tmp_path / "missing.csv")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(UsageError, match=r"folder\.csv: can't be read: Is a directory"):
        FileSource(tmp_path / "folder.csv")
    with pytest.raises(UsageError, match="share 1/1"):
        FileSource(write(tmp_path, "a.csv", GOOD), share=(1, 1))

    source = FileSource(write(tmp_path, "a.csv", GOOD))

    def fail(lines: object) -> bool:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(files._Lines, "was_cut", fail)
    drained = source.take(1)  # read before the disk failed
    assert len(drained) == 1
    with pytest.raises(UsageError, match="Input/output error"):
        source.take(1)


def test_a_trunk_zero_in_parentheses_is_no_digit_to_keep(tmp_path):
    path = tmp_path / "people.csv"
    path.write_text("recipient,text\n+44 (0)20 7946 0000,hi\n")
    with pytest.raises(UsageError, match=r"people.csv:2.*leave out the \(0\)"):
        FileSource(path).take(1)
