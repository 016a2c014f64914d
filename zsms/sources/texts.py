"""The text in its field: read as it is written, unless it is what a program leaves where there is none.

- At least one character that shows something, 65,535 bytes of UTF-8 at most.
- `="text"`, as spreadsheets guard a value, is that text. A formula, what a spreadsheet shows instead of a value
  (#NAME?), and a program's word for nothing (NULL, nan, [object Object]) are no texts.
- A byte order mark at the beginning is what is left where files were joined.
"""

from __future__ import annotations

import re
import unicodedata

from zsms.message import MAX_TEXT_BYTES
from zsms.sources.numbers import BadFieldError, shown

_ERRORS = (
    r"N/A|NAME\?|REF!|VALUE!|DIV/0!|NUM!|NULL!|ERROR!|SPILL!|CALC!|FIELD!|BLOCKED!|CONNECT!|BUSY!|UNKNOWN!|GETTING_DATA"
    r"|NV|WERT!|BEZUG!|ZAHL!|NOM\?|NOMBRE!|VALEUR!|VALOR!|NOME\?|VALORE!|RIF!|NAAM\?|WAARDE!|VERW!|GETAL!"
    r"|\u00a1(?:VALOR|REF|NUM|DIV/0)!|\u00bfNOMBRE\?"
)
"""What spreadsheets show behind a #, in several languages."""
_SHOWN = re.compile(rf"#(?:{_ERRORS})|#{{3,}}|(?:Err|Fehler):[0-9]{{3}}|Loading\.\.\.")
_NOTHING = (
    *("NULL", "Null", "null", "(null)", "\\N", "nan", "NaN", "None", "NaT", "<NA>", "N/A", "n/a", "nil", "undefined"),
    "[object Object]",
)
_GUARDED = re.compile(r'="((?:[^"]|"")+)"', re.DOTALL)
_FORMULA = re.compile(r'="|=\s*(?:[A-Z][A-Z0-9._]*\(|\$?[A-Z]{1,3}\$?[0-9]{1,7}(?![A-Za-z0-9]))')
_SHOWS_NOTHING = frozenset(("Cc", "Cf", "Zs", "Zl", "Zp"))

_WORDS = "|".join(re.escape(word) for word in (*_NOTHING, "Loading..."))
_BYTES = (
    r"[#=\\\x00-\x20\x7f]|\xc2[\xa0\xad]|\xe1\x9a\x80|\xe2\x80[\x80-\x8f\xa8-\xaf]|\xe2\x81[\x9f-\xaf]|\xe3\x80\x80"
    rf"|\xef\xbb\xbf|(?:Err|Fehler):|(?:{_WORDS})(?:[\",;\t|\r\n]|\Z)"
)
ODD = rf"(?=[^#=\\\x00-\x20\x7f\xc2\xe1-\xe3\xef(<\[EFLNnu]|(?!{_BYTES}))"
"""A look ahead, for patterns of bytes: what begins otherwise is a text as it is written."""


def read_text(value: object) -> bytes:
    """The text's UTF-8. Raises BadFieldError, its text a reason in a few words."""
    if not isinstance(value, str):
        raise BadFieldError(f"text {shown(value)} is no string")
    text = value.lstrip("\ufeff")
    if not text:
        raise BadFieldError("the text is empty")
    guarded = _GUARDED.fullmatch(text)
    if guarded is not None:
        text = guarded[1].replace('""', '"')
    wrong = _wrong(text)
    if wrong:
        raise BadFieldError(f"the text {shown(text)} {wrong}")
    try:
        raw = text.encode()
    except UnicodeEncodeError as error:
        raise BadFieldError(
            f"the text is not UTF-8 from character {error.start + 1} on: save the list as UTF-8"
        ) from None
    if len(raw) > MAX_TEXT_BYTES:
        raise BadFieldError(f"the text has {len(raw)} bytes, over {MAX_TEXT_BYTES}")
    return raw


def _wrong(text: str) -> str:
    """What there is against a text."""
    if text in _NOTHING:
        return "is what a program writes where there is none"
    if _SHOWN.fullmatch(text):
        return "is what a spreadsheet shows instead of a value"
    if _FORMULA.match(text):
        return "is a formula: save the list with values"
    if unicodedata.category(text[0]) in _SHOWS_NOTHING and all(unicodedata.category(c) in _SHOWS_NOTHING for c in text):
        return "shows nothing"
    return ""
