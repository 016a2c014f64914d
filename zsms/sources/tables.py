"""Rows of a list: CSV as spreadsheets write it, and JSON Lines. Pure: lines in, rows out.

A quote that is not closed must not swallow what follows. So a field goes over several lines only where that is plainly
meant: its quotes close before another field or the end of a line, the row has as many fields as the header, it is no
longer than `MAX_LINES` lines and `MAX_TEXT_BYTES`, and none of its lines looks like a row of its own. Otherwise

- quotes that close, but hold what looks like rows: all those lines are refused, for nobody can tell what was meant;
- a quote that does not close, or closes before something else: its line is refused, and reading goes on behind it.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable, Sequence
from json.decoder import scanstring  # type: ignore[attr-defined]
from typing import Any, NamedTuple, Protocol

from zsms.message import MAX_TEXT_BYTES
from zsms.sources.numbers import FORMATTED, PLAIN, ZEROS, BadFieldError, read_number, shown
from zsms.sources.texts import ODD
from zsms.words import many

_NUMBER = f"{PLAIN}|{FORMATTED}"
DELIMITERS = (",", ";", "\t", "|")
MAX_LINE = 2**20
"""Most bytes of a line: enough for the longest text with each byte escaped."""
MAX_LINES = 500
"""Most lines of a row."""

_MARKS = "\ufeff\u00ad\u061c\u200b-\u200f\u202a-\u202e\u2060\u2066-\u2069"
_NOTHING = re.compile(rf"[\s\x1a{_MARKS}]*")
"""Of a blank line: U+001A is the end of a file as DOS programs write it."""
_NO_HEADER = re.compile(rf'[\s\x1a,;|"{_MARKS}]*')
"""Of a line before the header that holds nothing."""


class Row(NamedTuple):
    """A row as it stands in the list, on the lines from `line` to `last`."""

    line: int
    last: int
    recipient: Any
    text: Any
    wrong: str = ""
    """Why it is no row."""
    rows: int = 1
    """How many rows it seems to be, where it is none."""


class Quick(NamedTuple):
    """A pattern that finds each line of a table, and the fields of the plainest of them: where in its groups, each in
    one of two. Of any other line those groups are empty."""

    pattern: re.Pattern[bytes]
    recipient: tuple[int, int]
    text: tuple[int, int]
    escape: bytes
    """What stands in a text for something else, so that it must go through `meant`."""
    meant: Callable[[bytes], bytes]
    both: bool
    """Whether that is so in both of the text's groups, not in the first alone."""


_OTHER_LINE = r"[^\r\n]*(?:\r?\n|\r)|[^\r\n]+\Z"


def _lines(line: str) -> re.Pattern[bytes]:
    """The pattern that finds each line, those of this form with their fields."""
    return re.compile(f"{line}(?:\\r?\\n|\\r)|{_OTHER_LINE}".encode("latin-1"))


class Table(Protocol):
    """A format."""

    quick: Quick

    def row(self, lines: Sequence[bytes], at: int, first: int, ended: bool) -> tuple[Row | None, int] | None:
        """The row that begins with `lines[at]` (None: a blank line) and where the next one does; `lines[0]` is line
        `first`. None when its end is not there yet; never with `ended`."""


class NotATableError(Exception):
    """Why a list can't be read at all."""


def decode(line: bytes) -> str:
    """Text of which bytes that are not UTF-8 are kept as surrogates, so that they spoil only their own field."""
    return line.decode("utf-8", "surrogateescape")


def _joined(line: bytes) -> str:
    """The same without the mark with which a file begins, where several were joined."""
    return decode(line).lstrip("\ufeff")


def holds_nothing(line: bytes) -> bool:
    """Whether there is nothing in a line before the header."""
    return _NO_HEADER.fullmatch(decode(line[:MAX_LINE])) is not None


def _unreadable(line: bytes) -> str:
    """Why nothing can be read of a line; "" where that is not so."""
    if len(line) > MAX_LINE:
        return f"over {MAX_LINE} bytes in a line"
    if b"\x1b" in line:  # commas and quotes are not what they seem to be
        return "has an escape (U+001B), as ISO-2022-JP has: save the list as UTF-8"
    return ""


def _is_blank(text: str) -> bool:
    return _NOTHING.fullmatch(text) is not None


# -- CSV ---------------------------------------------------------------------------------------------------------


class _OpenQuoteError(Exception):
    """The text ends within quotes; how many fields came before, and where the quoted one begins."""

    def __init__(self, before: int, begin: int) -> None:
        self.before = before
        self.begin = begin


class _StrayQuoteError(Exception):
    """Quotes close before something that is no delimiter."""


def split_fields(text: str, delimiter: str) -> list[str]:
    """The fields of a row without its end of line.

    Blanks before a field are not the field's, nor are those behind its quotes. A quote in the middle of a field is
    itself. Raises for a quote that doesn't close, or closes before something else.
    """
    blanks = " \u00a0" if delimiter == "\t" else " \t\u00a0"
    if '"' not in text:
        return [field.lstrip(blanks) for field in text.split(delimiter)]
    fields: list[str] = []
    at, end = 0, len(text)
    while True:
        while at < end and text[at] in blanks:
            at += 1
        if at < end and text[at] == '"':
            field, at = _quoted(text, at, len(fields))
            while at < end and text[at] in blanks:
                at += 1
            if at < end and text[at] != delimiter:
                raise _StrayQuoteError
        else:
            found = text.find(delimiter, at)
            found = end if found < 0 else found
            field, at = text[at:found], found
        fields.append(field)
        if at >= end:
            return fields
        at += 1


def _quoted(text: str, begin: int, before: int) -> tuple[str, int]:
    """The field whose quotes open at `begin`, and where the text goes on."""
    at = begin + 1
    while True:
        close = text.find('"', at)
        if close < 0:
            raise _OpenQuoteError(before, begin + 1)
        if text[close + 1 : close + 2] != '"':
            return text[begin + 1 : close].replace('""', '"'), close + 1
        at = close + 2


def _single_quotes(text: bytes) -> bytes:
    return text.replace(b'""', b'"')


class Csv:
    """Comma-separated values, or those that semicolons, tabs or bars separate."""

    def __init__(self, lines: Sequence[bytes], first: int = 1) -> None:
        """Read the header, `lines[0]` being line `first`; `used` of them were needed. Raises NotATableError."""
        texts = [decode(line[:MAX_LINE]) for line in lines]
        filled = [place for place, text in enumerate(texts) if _NO_HEADER.fullmatch(text) is None]
        delimiters: tuple[str, ...] = DELIMITERS
        # A line for Excel, which takes it away again; it may be saved as a field in quotes, or with more of them.
        said = re.fullmatch(rf'[\s{_MARKS}"]*sep=(.)"?[,;\s]*', texts[filled[0]], re.IGNORECASE) if filled else None
        if said is not None:
            del filled[0]
            delimiters = (said[1], *DELIMITERS) if said[1] not in '"\r\n' else DELIMITERS
        if not filled:
            raise NotATableError("is empty" if said is None else "is empty but for a line sep=")
        try:
            self._delimiter, self._header = _read_header(texts[filled[0]].rstrip("\r\n"), delimiters, first + filled[0])
        except NotATableError as error:
            later = next((place for place in filled[1:] if _is_header(texts[place], delimiters)), None)
            if later is None or _kind_of(texts[filled[0]]):
                raise
            raise NotATableError(f"{error} (line {first + later} does: delete what is before it)") from None
        if len(filled) > 1 and _RULER.fullmatch(texts[filled[1]]):
            raise NotATableError(f"seems to be {_DRAWN}, not CSV: line {first + filled[1]} is a rule")
        self._recipient, self._text = self._header.index("recipient"), self._header.index("text")
        named = [place for place, name in enumerate(self._header) if name]
        self._least = named[-1] + 1
        """Columns without a name behind these are empty, or left out of a row as spreadsheets do."""
        self.used = filled[0] + 1
        d = re.escape(self._delimiter)
        self._fields = re.compile(rf'[ \t\u00a0]*(?:"(?:[^"]|"")*"[^{d}]*|[^{d}]*)(?:{d}|\Z)')
        """Each as it is written, with what divides it from the next."""
        header = self._fields.findall(texts[filled[0]])
        self._spaced = self._delimiter == "\t" or any(field[:1].isspace() for field in header[1 : len(self._header)])
        """Whether a blank may stand behind what divides columns."""
        self._padded = self._delimiter == "|" and any(field.endswith(" |") for field in header)
        """Whether blanks only fill columns up."""
        self.quick = self._quick()

    def _quick(self) -> Quick:
        d = re.escape(self._delimiter)
        quoted = r'"([^"\r\n]*(?:""[^"\r\n]*)*)"'
        # A quote that is not a field's first character is itself. What begins with another blank needs a look.
        bare = rf'(?!\xc2\xa0|\xef\xbb\xbf)[^"\s{d}][^\r\n{d}]*'
        other = f"(?:{quoted.replace('(', '(?:', 1)}|(?:{bare})?)"
        fields = [other] * self._least + ['(?:"" *)?'] * (len(self._header) - self._least)
        fields[self._recipient] = f'(?:"({_NUMBER})"|({_NUMBER}))'
        fields[self._text] = f'(?:"{ODD}{quoted[1:]}|{ODD}({bare}))'
        recipient, text = ((0, 1), (2, 3)) if self._recipient < self._text else ((2, 3), (0, 1))
        if not self._spaced and self._text + 1 < len(fields):
            fields[self._text + 1] = f"(?! ){fields[self._text + 1]}"  # a blank there needs a look
        if self._padded:
            fields[self._text] += "(?!)"  # each needs a look
        gaps = [f"{d}" if field.startswith("(?! )") else f"{d} *" for field in fields[1:]]
        line = "".join(part for pair in zip(["", *gaps], fields, strict=True) for part in pair)
        return Quick(_lines(f" *{line}"), recipient, text, b'""', _single_quotes, both=False)

    def row(self, lines: Sequence[bytes], at: int, first: int, ended: bool) -> tuple[Row | None, int] | None:
        """See `Table`."""
        line = first + at
        if why := _unreadable(lines[at]):
            return _bad(line, line, why), at + 1
        text = _joined(lines[at])
        try:
            fields = split_fields(text.rstrip("\r\n"), self._delimiter)
            if not self._spaced and self._may_go_on(text):
                why = (
                    f"the text may go on behind its {self._delimiter!r}: put it in quotes, or leave out the blank there"
                )
                return _bad(line, line, why), at + 1
            return self._made(fields, line, line), at + 1
        except _StrayQuoteError:
            twice = " (write a quote in a text twice, not behind a backslash)" if '\\"' in text else ""
            return _bad(line, line, f"not CSV: a quote closes before the end of its field{twice}"), at + 1
        except _OpenQuoteError as error:
            opened = error
        if self._looks_like_rest(text[opened.begin :].rstrip("\r\n"), opened.before):
            return _bad(line, line, "not CSV: a quote opens, and fields of the row are behind it"), at + 1
        return self._over_lines(lines, at, first, ended)

    def _over_lines(self, lines: Sequence[bytes], at: int, first: int, ended: bool) -> tuple[Row | None, int] | None:
        """The same for a row whose first line ends within quotes."""
        line = first + at
        text, size, inner, like_rows = _joined(lines[at]), len(lines[at]), 0, 0
        for end in range(at + 1, len(lines)):
            size += len(lines[end])
            if size > MAX_TEXT_BYTES or end - at > MAX_LINES:
                why = f"not CSV: a quote opens and does not close within {MAX_LINES} lines and {MAX_TEXT_BYTES} bytes"
                return _bad(line, line, why), at + 1
            more = decode(lines[end])
            inside, closes = _inside(more)
            inner += self._looks_like_row(inside)
            like_rows += self._has_a_row_s_form(inside, closes)
            text += more
            if not closes:
                continue
            try:
                fields = split_fields(text.rstrip("\r\n"), self._delimiter)
            except _OpenQuoteError:
                continue  # another field's quotes
            except _StrayQuoteError:
                why = f"not CSV: a quote opens, and the next one, in line {first + end}, is before something else"
                return _bad(line, line, why), at + 1
            if not inner and like_rows == end - at and (like_rows > 1 or _like_junk(inside, self._delimiter)):
                inner = like_rows
            if inner:
                why = f"not CSV: quotes that open here and close in line {first + end} hold what looks like other rows"
                return _bad(line, first + end, why, inner + 1), end + 1
            return self._made(fields, line, first + end), end + 1
        return (_bad(line, line, "not CSV: a quote opens and never closes"), at + 1) if ended else None

    def _made(self, fields: list[str], line: int, last: int) -> Row | None:
        if not self._least <= len(fields) <= len(self._header):
            if all(map(_is_blank, fields)):
                return None
            return _bad(
                line, last, f"{many(len(fields), 'field')} where the header has {len(self._header)}{self._hint(fields)}"
            )
        if not all(map(_is_blank, fields[self._least :])):
            return _bad(line, last, "a value behind the last column that has a name")
        recipient = fields[self._recipient]
        if _is_blank(recipient) and all(map(_is_blank, fields)):
            return None
        if _name(recipient) == "recipient" and _name(fields[self._text]) == "text":
            return _bad(line, last, "the header once more")
        text = fields[self._text]
        return Row(line, last, recipient, text.rstrip(" ") if self._padded else text)

    def _may_go_on(self, text: str) -> bool:
        """Whether a blank behind the text, and nowhere else, makes the next column look like the rest of a sentence."""
        if f"{self._delimiter} " not in text:
            return False
        fields = self._fields.findall(text)[: len(self._header)]
        blank = [place for place, field in enumerate(fields) if place and field[:1].isspace() and field.strip()]
        return blank == [self._text + 1] and not fields[self._text].lstrip().startswith('"')

    def _hint(self, fields: list[str]) -> str:
        """Why a row has not as many fields as the header, perhaps."""
        text = self._delimiter.join(fields)
        if "\0" in text:
            return f"; it has {ZEROS}"
        others = [each for each in DELIMITERS if each != self._delimiter and text.count(each) == len(self._header) - 1]
        if others:
            return f" (it seems to be divided by {others[0]!r}, the header by {self._delimiter!r})"
        if len(fields) == 1 and self._text == len(self._header) - 1 and not _like_number(text):
            return " (where the text of the row before goes on here, put that in quotes)"
        return ""

    def _looks_like_row(self, text: str) -> bool:
        fields = text.rstrip("\r\n").split(self._delimiter)
        return len(fields) > max(1, self._recipient) and _like_number(fields[self._recipient])

    def _has_a_row_s_form(self, text: str, last: bool) -> bool:
        """Whether a line has as many fields as a row, set as no sentence is: nothing blank beside what divides them."""
        line = text.rstrip("\r\n")
        wanted = self._text if last else len(self._header) - 1
        d = self._delimiter
        if line.count(d) != wanted or not wanted:
            return False
        return not any(not field or field[0].isspace() or field[-1].isspace() for field in line.split(d))

    def _looks_like_rest(self, text: str, before: int) -> bool:
        """Whether what is behind a quote in field `before` holds the recipient's column."""
        fields, place = text.split(self._delimiter), self._recipient - before
        return 0 < place < len(fields) and _like_number(fields[place])


def _read_header(header: str, delimiters: tuple[str, ...], line: int) -> tuple[str, list[str]]:
    """What separates the columns, and their names. Raises NotATableError."""
    quotes = True
    for delimiter in delimiters:
        try:
            names = [_name(field) for field in split_fields(header, delimiter)]
        except (_OpenQuoteError, _StrayQuoteError):
            continue
        quotes = False
        if names.count("recipient") == 1 and names.count("text") == 1:
            return delimiter, names
    kind = _kind_of(header)
    if kind:
        raise NotATableError(f"seems to be {kind}, not CSV")
    begin = header.lstrip("\ufeff \t")
    if like_json(begin):
        one = begin[0] == "["
        raise NotATableError(
            ONE_LIST if one else "seems to be JSON: give --input-format jsonl, or a name that ends in .jsonl"
        )
    if any(c < " " and c not in "\t\x1a\x1e\f\v" for c in header):
        raise NotATableError("is no text, so no list: save it as CSV in UTF-8")
    if quotes:
        raise NotATableError(f"line {line} is not CSV: a quote opens there and does not close well")
    told = "must name the columns recipient and text, each once"
    if any("\udc80" <= c <= "\udcff" for c in header):
        kind = " but EBCDIC" if _is_ebcdic(header) else ""
        raise NotATableError(f"is not UTF-8{kind}: save it as UTF-8; line {line} {told}")
    raise NotATableError(f"line {line} {told}; it is {shown(header)}{_renamed(header) or _undivided(header)}")


ONE_LIST = "is one list in JSON: write one object a line (jq -c '.[]' does)"


def like_json(begin: str) -> bool:
    """Whether a list that begins so is JSON, and no log or settings file, which have brackets too."""
    return re.match(r"\{\s*(?:[\"'}]|\w+\s*:|\Z)|\[\s*(?:[{\"\]]|\[\s*[\[{\"\]]|\Z)", begin) is not None


def _undivided(header: str) -> str:
    """What is wrong with a header that has both names, but not as columns."""
    if not re.search(r"\brecipient\b", header, re.IGNORECASE) or not re.search(r"\btext\b", header, re.IGNORECASE):
        return ""
    if header.count("'") > 1 and _is_header(header.replace("'", '"'), DELIMITERS):
        return " (its quotes are single ones: write double ones)"
    if header.count('"') == 2 and _is_header(header.replace('"', ""), DELIMITERS):
        return " (its quotes make it one column: take away those around whole rows)"
    if any(delimiter in header for delimiter in DELIMITERS):
        return ""
    return " (divide columns by commas, semicolons, tabs or bars, or write sep= and their sign on a line before)"


def _is_ebcdic(text: str) -> bool:
    """Whether bytes are text as mainframes write it: with its letters, and with none of its blanks and digits in
    ASCII."""
    letters = text.encode("utf-8", "surrogateescape").decode("cp037")[:_EBCDIC_SEEN]
    return sum(c.isascii() and c.isprintable() for c in letters) > 0.9 * len(letters)


def _is_header(text: str, delimiters: tuple[str, ...]) -> bool:
    try:
        _read_header(text.rstrip("\r\n"), delimiters, 1)
    except NotATableError:
        return False
    return True


_EBCDIC_SEEN = 200
_DRAWN = "a table that was drawn for people"
_RULER = re.compile(
    r"[\s|:+,;]*[-=\u2500-\u257f]{3}[\s|:+,;=\u2500-\u257f-]*|\s*\|?(?:\s*:?-+:?\s*\|)+(?:\s*:?-+:?)?\s*"
)
"""The line under the header of such a table."""
_KINDS = (
    (r"begin:vcard", "contacts (vCard)"),
    (r"begin:vcalendar", "a calendar"),
    (r"\{\\rtf", "a document of a word processor (RTF)"),
    (r"<\?xml", "XML"),
    (r"<|mime-version:", "a web page"),
    (r"%!ps", "a document to print (PostScript)"),
    (r"sqlite format", "a database"),
    (r"par1", "a Parquet file"),
    (r"--- \S|diff --git ", "a patch"),
    (r"---$|- *(recipient|text) *:|(recipient|text) *: +\S|[a-z]+: *$", "YAML"),
    (r"(insert|replace) into|(create|drop) (table|database)|copy .* from stdin|--( |$)|/\*|pragma \w|set names", "SQL"),
    (r"version https://git-lfs", "a pointer of Git LFS (git lfs pull fetches its file)"),
    (r"-----begin ", "encrypted or signed"),
    (r"(recipient|text) *= *\S", "settings"),
    (r"id;p", "a spreadsheet (SYLK)"),
    (r"-\[ record [0-9]+ \]", _DRAWN),
    (r"[+|\u2500-\u257f][\s+|:=\u2500-\u257f-]{2,}$", _DRAWN),
)
"""What else lists are kept in, by how it begins."""
_OTHER_NAMES = {
    "recipient": r"sms\d|recip|phone|mobil|cell|msisdn|gsm|tel|handy|movil|móvil|celular|portable|numb|numer|númer"
    r"|numér|nummer|rufnum|empf|destinat|^(?:send|sms)?to$|^dst|điệnthoại|τηλέφ|κινητ|电话|電話|手机|手機|号码|전화|휴대|телефон|номер"
    r"|הטלפון|טלפון|נייד|هاتف|جوال|تلفن|موبایل|फ़ोन|फोन|मोबाइल|โทรศัพท์|มือถือ|simu",
    "text": r"text|mess|mesaj|mensaj|mensag|nachricht|sms(?!\d)|body|content|msg|treść|zpráv|správ|üzenet|bericht"
    r"|meddelan|melding|viesti|besked|pesan|žinut|tinnhắn|nộidung|ujumbe|μήνυμα|κείμεν|短信|内容|內容|本文|メッセージ|메시지|내용|消息"
    r"|сообщ|текст|повідомл|порука|съобщ|הודעה|رسالة|نص|پیام|संदेश|ข้อความ",
}
_NO_NAME = re.compile(r"type|phonetic|label|country|ext|typ|date|time|id$|lang")


def _kind_of(header: str) -> str:
    """What else a list is, by its first line; "" where that does not say."""
    begin = header.lstrip("\ufeff \t").rstrip().casefold()
    return next((what for pattern, what in _KINDS if re.match(pattern, begin)), "")


def _renamed(header: str) -> str:
    """Which columns are perhaps meant."""
    fields = [re.sub(rf"[{_MARKS}\"'*]", "", field).strip() for field in re.split(r"[,;\t|]", header)]
    # Letters, digits, and the marks on letters, without which others are no words (फ़ोन).
    names = ["".join(c for c in field.casefold() if unicodedata.category(c)[0] in "LMN") for field in fields]
    hints, taken = [], set[str]()
    for name, others in _OTHER_NAMES.items():
        seems = [f for f, n in zip(fields, names, strict=True) if re.search(others, n) and not _NO_NAME.search(n)]
        if name not in names:
            hints += [f"{other!r} perhaps {name}" for other in seems if other not in taken][:1]
        taken.update(seems)
    return f" (is {' and '.join(hints)}?)" if hints else ""


def _bad(line: int, last: int, wrong: str, rows: int = 1) -> Row:
    return Row(line, last, None, None, wrong, rows=rows)


_JUNK = re.compile(r"(?i)(?:n/?a|nan|none|null|nil|unknown|no|[-#?.]+|[0-9]{3,6})")


def _like_junk(line: str, delimiter: str) -> bool:
    """Whether a line begins with what stands in place of a number, or with too short a one."""
    first, _, rest = line.partition(delimiter)
    return _JUNK.fullmatch(first.strip()) is not None and not rest[:1].isdigit()


def _inside(line: str) -> tuple[str, bool]:
    """What of a line is still within quotes that were open before it, and whether they close in it."""
    at = 0
    while True:
        close = line.find('"', at)
        if close < 0:
            return line, False
        if line[close + 1 : close + 2] != '"':
            return line[:close], True
        at = close + 2


def _name(field: str) -> str:
    """A column's name, as it is compared: without what forms add, as in `recipient* (E.164):`."""
    name = re.sub(rf'[{_MARKS}"]', "", field).strip()
    return _ADDED.sub("", name).casefold() if len(name) <= _LONG_NAME else name


_LONG_NAME = 80
_ADDED = re.compile(r"[\s*:]*(?:\([^()]*\)|\[[^\[\]]*\])?[\s*:]*\Z")


_DATE = re.compile(r"[0-9]{4}[-./][0-9]{1,2}[-./][0-9]{1,2}\b.*|[0-9]{1,2}[-./][0-9]{1,2}[-./][0-9]{2,4}\b.*")
_DIGITS = re.compile(r"[(+]*[0-9][0-9 ./()+-]*(?:[eE][+-]?[0-9]+)?")


def _like_number(field: str) -> bool:
    """Whether somebody may have written a field as a recipient, for better or worse."""
    text = re.sub(rf'[{_MARKS}"=\'\u2019]', "", field).strip()
    if not text or len(text) > 40:
        return False
    try:
        read_number(text)
    except BadFieldError:
        pass
    else:
        return True
    digits = sum(c.isdigit() for c in text)
    if text[0] == "+" and digits > 3:
        return True
    if re.fullmatch(r"[0-9]+[.,][0-9]+[eE]\+?[0-9]+", text):
        return True
    return digits > 6 and _DATE.fullmatch(text) is None and _DIGITS.match(text) is not None


# -- JSON Lines --------------------------------------------------------------------------------------------------


def _quick_json() -> Quick:
    recipient = rf'"recipient"\s*:\s*"({_NUMBER})"'
    text = rf'"text"\s*:\s*"{ODD}([^"\\\x00-\x1f]*(?:\\[^\x00-\x1f][^"\\\x00-\x1f]*)*)"'
    orders = [_members(1, recipient, text), _members(6, text, recipient)]
    pattern = rf"\{{ ?(?:{'|'.join(orders)}) ?\}}".replace(r"\s", "[ \t]")
    return Quick(_lines(pattern), (1, 8), (3, 6), b"\\", _json_string, both=True)


def _members(group: int, first: str, second: str) -> str:
    """These two members of an object with others before, between and behind them, whose names are groups from `group`
    on: each of a name that comes once, with a plain string, a number of some digits, true, false or null; so few and
    short that a line of them is not over `MAX_LINE`."""
    value = r'"[^"\\\x00-\x1f]{0,9999}"|-?(?:0|[1-9][0-9]{0,15})(?:\.[0-9]{1,16})?|true|false|null'
    others = [
        rf'"((?!(?i:recipient|text)")[A-Za-z0-9_.-]{{1,40}})"(?![^\r\n]*"\{number}"\s*:)\s*:\s*(?:{value})'
        for number in (group, group + 2, group + 4)
    ]
    before, between = (rf"(?:{other}\s*,\s*){{0,20}}+" for other in others[:2])
    return rf"{before}{first}\s*,\s*{between}{second}(?:\s*,\s*{others[2]}){{0,20}}+"


def _json_string(text: bytes) -> bytes:
    """What a string in JSON means; b"" where that must be looked at."""
    try:
        meant: str = scanstring(text.decode() + '"', 0)[0]
        return meant.encode()
    except ValueError:
        return b""


class _TwiceError(ValueError):
    pass


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise _TwiceError("a key comes twice")
    return found


_raw_decode = json.JSONDecoder(object_pairs_hook=_object).raw_decode


class JsonLines:
    """A JSON object a line (jsonlines.org)."""

    quick = _quick_json()

    def row(self, lines: Sequence[bytes], at: int, first: int, ended: bool) -> tuple[Row | None, int] | None:
        """See `Table`."""
        line = first + at
        if why := _unreadable(lines[at]):
            return _bad(line, line, why), at + 1
        text = decode(lines[at])
        if text.isspace() or (text[0] != "{" and _is_blank(text)):
            return None, at + 1
        return _of_json(line, text if text[0] == "{" else text.lstrip("\ufeff\x1e \t")), at + 1


def _of_json(line: int, text: str) -> Row:
    try:
        value, end = _raw_decode(text)
        if end < len(text) and not text[end:].isspace():
            raise json.JSONDecodeError("Extra data", text, end)
    except json.JSONDecodeError as error:
        return _bad(line, line, f"not JSON: {error.msg} at column {error.colno}{_instead(line, text)}")
    except _TwiceError as error:
        return _bad(line, line, str(error))
    except (ValueError, RecursionError) as error:  # an integer of thousands of digits, lists in lists in lists
        return _bad(line, line, f"not JSON: {error}")
    if not isinstance(value, dict):
        return _bad(line, line, f"{shown(value)} is no JSON object")
    names = [_name(key) for key in value]
    for key in ("recipient", "text"):
        if names.count(key) > 1:
            return _bad(line, line, f"the key {key} comes twice, written in two ways")
    found = dict(zip(names, value.values(), strict=True))
    for key in ("recipient", "text"):
        if key not in found:
            inside = next((name for name, each in value.items() if isinstance(each, dict) and key in each), None)
            where = f" (there is one in {shown(inside)}: write each message as an object of its own)" if inside else ""
            return _bad(line, line, f"no key {key!r}{where}")
    return Row(line, line, found["recipient"], found["text"])


def _instead(line: int, text: str) -> str:
    """What a file is whose first line is no JSON."""
    if line > 1:
        return ""
    try:
        _read_header(text.rstrip("\r\n"), DELIMITERS, line)
    except NotATableError:
        return " (write an object on one line)" if text.strip() == "{" else ""
    return " (it seems to be CSV: give --input-format csv)"
