"""The text in its field: read as it is written, unless it is what a program leaves where there is none.

- At least one character that shows something, 65,535 bytes of UTF-8 at most.
- `="text"`, as spreadsheets guard a value, is that text. A formula, what a spreadsheet shows instead of a value
  (#NAME?), a program's word for nothing (NULL, nan, [object Object]) and Python's b'...' are no texts.
- A byte order mark at the beginning is what is left where files were joined.
- What a wrong encoding leaves is no text: U+FFFD, control characters of Windows-1252 or ISO-2022, a ? for each
  letter, and UTF-8 that was taken for what Windows, a Mac or DOS wrote before (Ã¼, Гј, √º or ├╝ for ü).
"""

from __future__ import annotations

import re
import unicodedata

from zsms.message import MAX_TEXT_BYTES
from zsms.sources.numbers import BadFieldError, shown

_SHOWN_WORDS = (
    "N/A NAME? REF! VALUE! DIV/0! NUM! NULL! ERROR! SPILL! CALC! FIELD! BLOCKED! CONNECT! BUSY! UNKNOWN! PYTHON! "
    "GETTING_DATA NV WERT! BEZUG! ZAHL! ÜBERLAUF! NOM? NOMBRE! VALEUR! NUL! ¿NOMBRE? ¡VALOR! ¡REF! ¡NUM! ¡NULO! "
    "¡DIV/0! VALOR! NOME? NÚM! NULO! N/D VALORE! RIF! NULLO! N/B NAAM? WAARDE! VERW! GETAL! DEEL/0! LEEG! NAZWA? "
    "ADR! ARG! LICZBA! DZIEL/0! ZERO! NENÍ_K_DISPOZICI NÁZEV? ODKAZ! HODNOTA! ČÍSLO! DĚLENÍ_NULOU! NEDOSTUPNÝ "
    "NÁZOV? DELENIENULOU! HIÁNYZIK NÉV? HIV! ÉRTÉK! SZÁM! ZÉRÓOSZTÓ! NULLA! SAKNAS! NAMN? REFERENS! VÄRDEFEL! "
    "OGILTIGT! SKÄRNING! DIVISION/0! I/T NAVN? REFERENCE! VÆRDI! VERDI! PUUTTUU! NIMI? VIITTAUS! ARVO! LUKU! "
    "JAKO/0! TYHJÄ! YOK AD? BAŞV! DEĞER! SAYI! SAYI/0! BOŞ! Н/Д ИМЯ? ССЫЛКА! ЗНАЧ! ЧИСЛО! ДЕЛ/0! ПУСТО!"  # noqa: RUF001
)
_ERRORS = frozenset(_SHOWN_WORDS.split())
"""What spreadsheets show behind a #, in many languages."""
_SHOWN = re.compile(r"#{3,}|(?:Err|Fehler):[0-9]{3}|Loading\.\.\.")
_BYTES_SHOWN = re.compile(r"b(?:'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\")", re.DOTALL)
_NOTHING = (
    *("NULL", "Null", "null", "(null)", "\\N", "nan", "NaN", "None", "NaT", "<NA>", "N/A", "n/a", "nil", "undefined"),
    *("NA", "[object Object]"),
)
_GUARDED = re.compile(r'="((?:[^"]|"")+)"', re.DOTALL)
_FORMULA = re.compile(r'="|=\s*(?:[A-Z][A-Z0-9._]*\(|\$?[A-Z]{1,3}\$?[0-9]{1,7}(?![A-Za-z0-9]))')
_SHOWS_NOTHING = frozenset(("Cc", "Cf", "Zs", "Zl", "Zp"))

_WORDS = "|".join(re.escape(word) for word in (*_NOTHING, "Loading..."))
_BYTES = (
    r"[#=\\\x00-\x20\x7f]|\xc2[\xa0\xad]|\xe1\x9a\x80|\xe2\x80[\x80-\x8f\xa8-\xaf]|\xe2\x81[\x9f-\xaf]|\xe3\x80\x80"
    rf"|\xef\xbb\xbf|b['\"\\]|(?:Err|Fehler):|(?:{_WORDS})(?:[\",;\t|\r\n]|\Z)"
)
ODD = rf"(?=[^#=\\\x00-\x20\x7f\xc2\xe1-\xe3\xef(<\[EFLNbnu]|(?!{_BYTES}))"
"""A look ahead, for patterns of bytes: what begins otherwise is a text as it is written."""

_SIGNS = (b"\x0e", b"\x0f", b"\x1b")
_CONTROLS = re.compile(rb"\xc2[\x80-\x9f]")
_LOST = re.compile(r"\?{2,}[ ,.:;!-]+\?{2,}")
_TAKEN_FOR = {
    "cp1252": ("Windows-1252", r"[ÂÃ][^\x00-\x7f]|â€|Ð[°¾µ¸²½]|Ñ[‚€ƒ‹Œ]|[åæçèé][\xa0-\xbf][^\x00-\x7f]"),  # noqa: RUF001
    "cp1251": ("Windows-1251", r"Г[©¤¶ј±Ў§ЁЄ«®ґєЈ]|в[ЂЃ„]|Р[°ѕµёЅ»]|С[‚ЃѓЂЊ‹]"),  # noqa: RUF001
    "cp1250": ("Windows-1250", r"Ă[©ˇłĽ¶¨¤±§«®´ş]|Ĺ[‚›şĽ„‘™]"),  # noqa: RUF001
    "mac_roman": ("Mac Roman", r"√[^\x00-\x7f]|‚Ä|–[∞æµ∏Ω]|—[ÅÇÉ]"),  # noqa: RUF001
    "cp437": ("DOS (437)", r"[├╨╤][^\x00-\x7f]|ΓÇ"),
    "cp850": ("DOS (850)", r"[├╨╤][^\x00-\x7f]|ÔÇ"),
    "cp866": ("DOS (866)", r"[╨╤][^\x00-\x7f]"),
}
"""What UTF-8 is taken for, and pairs of letters that are left then: no language has these side by side, but for some
that are checked."""
_SPOILT = re.compile("|".join(pairs for _, pairs in _TAKEN_FOR.values()) + "|\ufffd|锟斤")
_SIGNS_OF_IT = (*"ÂÃÐ\ufffd√\u201a∞├╨ĂĹѕµЂ©¤¶јЎ", "â€", "æ°", "ΓÇ", "ÔÇ", "锟斤", "Г±", "Р°")  # noqa: RUF001
"""One of these is in each such pair, or in any text of some words in which there are such pairs: fast to look for."""
_WESTERN = re.compile("[\u00a0-\u017f\u2010-\u2122]")


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


def may_be_spoilt(data: bytes) -> bool:
    """Whether there is anything in texts that a wrong encoding leaves. Fast where there is not."""
    if any(sign in data for sign in _SIGNS) or (b"??" in data and _LOST.search(data.decode(errors="replace"))):
        return True
    if data.isascii():
        return False
    if _CONTROLS.search(data) is not None:
        return True
    text = data.decode(errors="replace")
    return any(sign in text for sign in _SIGNS_OF_IT) and _SPOILT.search(text) is not None


def _wrong(text: str) -> str:
    """What there is against a text."""
    if text in _NOTHING:
        return "is what a program writes where there is none"
    if _SHOWN.fullmatch(text) or (text[0] == "#" and text[1:] in _ERRORS):
        return "is what a spreadsheet shows instead of a value"
    if _FORMULA.match(text):
        return "is a formula: save the list with values"
    if _BYTES_SHOWN.fullmatch(text):
        return "is bytes as Python shows them: decode them before they are written"
    if unicodedata.category(text[0]) in _SHOWS_NOTHING and all(unicodedata.category(c) in _SHOWS_NOTHING for c in text):
        return "shows nothing"
    return _wrong_encoding(text)


def _wrong_encoding(text: str) -> str:
    """What there is against a text that was read or saved in another encoding than it has."""
    if "\ufffd" in text:
        return "has lost letters (U+FFFD), as text that was read in a wrong encoding has: save it as UTF-8"
    strange = next((c for c in text if c in "\x0e\x0f\x1b" or "\x80" <= c <= "\x9f"), None)
    if strange is not None:
        what = "ISO-2022" if strange < " " else "Windows-1252"
        return f"has a control character (U+{ord(strange):04X}), as {what} has: save the list as UTF-8"
    if "锟斤" in text:
        return "has lost letters, as text that was read in a wrong encoding twice has: save it as UTF-8"
    if _LOST.search(text) and not any(c.isalpha() for c in text):
        return "has lost its letters, a ? stands for each: save the list as UTF-8"
    for encoding, (name, pairs) in _TAKEN_FOR.items():
        meant = _meant(text, encoding) if re.search(pairs, text) else ""
        if meant:
            return f"is UTF-8 that was taken for {name}, and seems to mean {shown(meant)}: save the list as UTF-8"
    return ""


def _meant(text: str, encoding: str) -> str:
    """What the text was before its UTF-8 was taken for that encoding; "" where that is not plain."""
    try:
        meant = text.encode(encoding).decode()
    except UnicodeError:
        return ""
    found = sum(c > "\x7f" for c in meant)
    return meant if found > 1 or _WESTERN.search(meant) else ""
