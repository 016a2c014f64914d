"""The text in its field: read as it is written, unless it is what a program leaves where there is none."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.sources.test_files import drain, write
from zsms.lists.files import FileSource
from zsms.sources.numbers import BadFieldError
from zsms.sources.texts import read_text

READ = {
    '="Water is off"': "Water is off",
    '="say ""hi"""': 'say "hi"',
    "\ufeffWater is off": "Water is off",
    **{
        text: text
        for text in (
            *(
                "=== ALERT ===",
                "= 5",
                "=B is open",
                "#Water",
                "#WATER!",
                "# 5",
                "##",
                "Nobody",
                "None of it",
                "null and void",
            ),
            *(
                "N/A for now",
                "nana",
                "NASA",
                "b'ball at 5",
                "by 'noon'",
                "#N/A!",
                "#Yok",
                "Err: 508",
                "'Water is off",
                " Water",
                "\u201cWater\u201d",
                "Water\u200b",
                "a\0b",
                "\\Name",
            ),
            *(
                "Loading",
                "+13705550100",
                "-20 degrees",
                "@all",
                "no",
                "0",
                "?",
                "\u20ac 5",
                "\U0001f600",
                "nil, they said",
                "S\u00c3O JO\u00c3O",
                "\u00c2ge et \u00e2me",
                "\u00c3\u00bc und \u00fc",
            ),
            *(
                "PĂŞTE FERICIT",
                "PĂŞUNEA",
                "25 °C ±1",
                "Её ждут",
                "Её",
                "Гі",
                "l\u2019écran",
                "l\u2019écart d\u2019été",
                "Ñandú",
                "Рёв",
            ),
            *(
                "OK?? Really?? Yes",
                "???",
                "café”…",
                "à « l\u2019école »",
                "Ð er stafur",
                "\u2013Échelle",
                "5 √2 ├ 3",
                "№ 5 \u2013 7½ µg",
            ),
        )
    },
}
REFUSED = {
    "shows instead of a value": ["#NAME?", "#N/A", "#REF!", "#VALUE!", "#DIV/0!", "#WERT!", "#\u00a1VALOR!", "########",
                                 "Err:508", "Loading...", "#NAZWA?", "#N/D", "#V\u00c6RDI!", "#\u0418\u041c\u042f?",
                                 "#YOK", "#\u00bfNOMBRE?", "#HI\u00c1NYZIK", "#BA\u015eV!", "#N\u00c1ZEV?"],
    "writes where there is none": ["NULL", "null", "\\N", "nan", "NaN", "None", "<NA>", "N/A", "undefined",
                                   "[object Object]", "NA"],
    "is bytes as Python shows them": ["b'Water is off'", 'b"It\'s off"', "b'Gr\\xc3\\xbcn'", "b''"],
    "is a formula": ["=A1", "=$B$2", '=CONCAT(A1;" off")', '=A1&" off"', '="Water"&B1', "=IF(A1,B1,C1)"],
    "shows nothing": [" ", "   ", "\u00a0", "\u200b", "\u3000", "\n\n", "\u200e \u202c", "\0\0", "\t"],
    "is empty": ["", "\ufeff"],
    "has lost letters": ["Gr\ufffdn", "\ufffd"],
    "seems to mean 'Grün'": ["Gr\u00c3\u00bcn"],
    "taken for Windows-1252": ["It\u00e2\u20ac\u2122s off", "\u00c2\u00a35 each", "\u00c3\u2030t\u00c3\u00a9"],
    "seems to mean 'Вода'": [
        "Вода".encode().decode(encoding) for encoding in ("cp1251", "mac_roman", "cp437", "cp866")
    ],
    "seems to mean 'L.été à Łódź'": [
        "L\u2019été à Łódź".encode().decode(encoding) for encoding in ("cp437", "cp850", "mac_roman")
    ],
    "seems to mean 'mañana'": ["mañana".encode().decode(encoding) for encoding in ("cp1250", "cp1251", "cp437")],
    "taken for Windows-1252, and seems to mean '供水'": ["供水".encode().decode("cp1252")],
    "has lost its letters": ["???? ?????????", "?? ??????, 12:00 - ?????"],
    "wrong encoding twice": ["Gr锟斤拷n"],
    "as Windows-1252 has": ["It\u0092s off", "a\u0085"],
    "as ISO-2022 has": ["a\x0eb\x0f"],
}  # fmt: skip


def rows(tmp_path: Path, text: str) -> list[list[tuple[int, str]]]:
    """What lists of both formats make of a text, in the middle of other rows; in quotes, and bare where it can be."""
    quoted = text.replace('"', '""')
    lists = [
        ("a.csv", f'recipient,text\n+13705550100,a\n+13705550101,"{quoted}"\n+13705550102,b\n'),
        ("b.csv", f'text,recipient\na,+13705550100\n"{quoted}",+13705550101\nb,+13705550102\n'),
        (
            "a.jsonl",
            "".join(
                json.dumps({"recipient": f"+1370555010{n}", "text": t}) + "\n" for n, t in enumerate(("a", text, "b"))
            ),
        ),
        (
            "b.jsonl",
            "".join(
                json.dumps({"text": t, "recipient": f"+1370555010{n}"}, ensure_ascii=False) + "\n"
                for n, t in enumerate(("a", text, "b"))
            ),
        ),
    ]
    if not set(text) & set('",\r\n') and text.strip(" \t\u00a0") == text:
        lists += [
            ("c.csv", f"recipient,text\n+13705550100,a\n+13705550101,{text}\n+13705550102,b\n"),
            ("d.csv", f"text,recipient\na,+13705550100\n{text},+13705550101\nb,+13705550102\n"),
            ("e.csv", f"recipient;text\n+13705550100;a\n+13705550102;b\n+13705550101;{text}"),
        ]
    found = []
    for name, content in lists:
        source = FileSource(write(tmp_path, name, content), skip_bad_rows=True)
        found.append(sorted(drain(source)))
        assert len(found[-1]) + source.skipped == 3, name
    return found


@pytest.mark.parametrize("text", READ, ids=map(ascii, READ))
def test_reads(tmp_path: Path, text: str) -> None:
    assert read_text(text) == READ[text].encode()
    for found in rows(tmp_path, text):
        assert found == [(13705550100, "a"), (13705550101, READ[text]), (13705550102, "b")]


@pytest.mark.parametrize(
    ("text", "reason"), [(text, reason) for reason, some in REFUSED.items() for text in some], ids=ascii
)
def test_refuses_what_a_program_leaves(tmp_path: Path, text: str, reason: str) -> None:
    with pytest.raises(BadFieldError, match=reason):
        read_text(text)
    for found in rows(tmp_path, text):
        assert found == [(13705550100, "a"), (13705550102, "b")]
