"""The number in a recipient's field: read only when it can't be another one than was written.

    field   := ( "'" number | '="' number '"' | number )       as spreadsheets guard a number
    number  := "+" digits [ [GAP] "(" area ")" [GAP] digits ] ( GAP digits )*
    GAP     := blanks, or one - or .
    area    := 1 to 5 digits, the first not 0; only behind a country's code

- 7 to 15 digits in all, the first not 0 (ITU-T E.164); behind a country's code that is assigned, 11 after +1 and +7,
  and no more than its numbers have (`_MOST`).
- Nothing stands behind a whole number (+4915112345678 679), and no date is one (+30-11-2026).
- No 0 behind the code of a country where it is dialled inside the country only.
- Every kind of blank is a blank, every hyphen a dash. Marks that are not seen are nothing around a number, as contact
  books leave them, and refused within it.
- A dot may be a decimal point. So one alone is a separator only behind the country's code (+49.15112345678), and
  several (+49.151.12345678) are, unless the last looks like .0 or .00.

Where the package phonenumbers is installed (extra `numbers`), a number of a length that its country does not have is
refused too. Whether a number is in use, nobody but its network knows.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from zsms.message import U64
from zsms.words import many

MIN_DIGITS, MAX_DIGITS = 7, 15
_MAX_FIELD = 64
_HEAD = 3
"""Digits that tell a country's code, which has 1 to 3."""


def _codes(text: str) -> frozenset[str]:
    return frozenset(text.split())


EXACT = {"1": 11, "7": 11}
"""Digits of each number of a country, its code included (North American Numbering Plan; Russia and Kazakhstan)."""
_MOST = {
    8: "290 500 682",
    9: "247 298 299 672 687",
    10: "45 47 238 239 246 248 269 291 297 592 597 673 674 676 677 678 680 683 688 690 691 692",
    11: "1 7 32 33 34 36 40 51 93 94 216 222 223 226 227 228 232 235 236 241 253 257 266 350 356 357 370 371 373 "
    "374 386 389 505 509 599 670 675 686 800 808 853 961 965 973 975 993",
    12: "20 27 44 48 52 53 58 60 64 84 95 98 211 212 213 218 220 221 224 231 233 237 240 242 244 245 249 250 251 "
    "252 255 256 258 260 261 262 264 265 268 351 354 355 376 377 382 385 387 421 423 508 590 591 594 596 681 "
    "689 962 963 967 968 979 992 994 995 998",
    13: "31 54 55 56 57 65 225 229 230 243 254 263 267 353 372 378 380 506 685 850 855 856 880 881 960 964 966 "
    "970 976 996",
    14: "30 39 41 46 61 86 92 352 375 501 502 503 504 507 593 595 679 852 886 888 974 977",
    15: "43 49 62 63 66 81 82 90 91 234 358 359 381 383 420 598 870 878 882 883 971 972",
}
LONGEST = {code: most for most, codes in _MOST.items() for code in codes.split()}
"""Of each country's code that is assigned, the most digits that its numbers have, the code included."""
_TWO_DIGIT_CODES = _codes(
    "20 27 30 31 32 33 34 36 39 40 41 43 44 45 46 47 48 49 51 52 53 54 55 56 57 58 60 61 62 63 64 65 66 81 82 84 86 "
    "90 91 92 93 94 95 98"
)
"""Country codes of two digits (ITU-T E.164, list of assigned codes); those beside 1 and 7 have three."""
TRUNK_ZERO = _codes(
    "20 27 31 32 33 40 41 43 44 46 49 51 53 54 55 57 58 60 61 62 63 64 66 81 82 84 86 90 91 92 93 94 95 98 211 212 213 "
    "218 231 232 233 234 243 249 250 251 252 254 255 256 260 261 262 263 264 265 291 353 355 358 359 370 373 374 377 "
    "380 381 382 383 385 386 387 389 421 423 508 590 591 593 594 595 596 598 686 850 855 856 880 886 961 962 963 964 "
    "966 967 970 971 972 976 977 994 995 996"
)
"""Codes of countries where a 0 before the area or the number is dialled inside the country only (ITU-T E.164, annexed
list of dialling procedures)."""

PLAIN = r"\+[1-9][0-9]{6,14}"
_NO_DATE = (
    r"(?!\+(?:(?:19|20)[0-9]{2}[ -][01]?[0-9][ -][0-3]?[0-9] |[0-3]?[0-9][ -][0-3]?[0-9][ -](?:19|20)[0-9]{2} "
    r"|20[23][0-9]{5} ))"
)
FORMATTED = (
    rf"{_NO_DATE}(?:"
    r"\+[1-9][0-9]{0,4}(?: [0-9]{1,5})+|\+[1-9][0-9]{0,8}(?:[ -][0-9]{1,9})*[ -][0-9]{3,14}"
    r"|\+[1-9][0-9]{0,2}[ -]?\([1-9][0-9]{0,4}\)[ -]?(?:[0-9]{1,9}[ -])*[0-9]{3,14})"
)
"""What most numbers look like, and no date with a time: the digits are the number's, if `all_right` has nothing
against them, and if there are more than a date has."""
DATE_DIGITS = 8

_PLAIN = re.compile(PLAIN)
_GAP = r"(?: +|[-.])"
_DAY, _MONTH, _YEAR = "[0-3]?[0-9]", "(?:0?[1-9]|1[0-2])", "(?:19|20)[0-9]{2}"
_TIME = "(?:[01]?[0-9]|2[0-3])[-. ]?[0-5][0-9](?:[-. ]?[0-5][0-9])?"
_DATE = re.compile(
    rf"\+(?:{_YEAR}([-. ]){_MONTH}\1{_DAY}|(?:{_DAY}([-. ]){_MONTH}|{_MONTH}([-. ]){_DAY})[-. ]{_YEAR})(?: +{_TIME})?"
    rf"|\+20[23][0-9](?:0[1-9]|1[0-2])[0-3][0-9] +{_TIME}"
)
"""Egypt is +20, and its mobile numbers go on with 10, 11, 12 and 15."""
_NUMBER = re.compile(rf"\+([0-9]+)(?:{_GAP}?\(([0-9]+)\){_GAP}?([0-9]+))?((?:{_GAP}[0-9]+)*)")

_HYPHENS = dict.fromkeys(map(ord, "\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe58\ufe63\uff0d"), "-")
_MARKS = frozenset(
    "\ufeff\u00ad\u061c\u200b\u200c\u200d\u200e\u200f\u2060\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
)
_BACKWARDS = "\u202e"

_EXPONENT = re.compile(r"[+-]?[0-9]+(?:[.,][0-9]*)?[eE][+-]?[0-9]+")
_DECIMAL = re.compile(r"\+?[0-9]+[.,]0*")
_TRUNK = re.compile(r"[(\[{]\s*0\s*[)\]}]")
_EXTENSION = re.compile(
    r"[0-9)]\s*[.,;/]*\s*(?:e?xt(?:n|ension)?|x|dw|durchwahl|poste|anexo|ramal|int|доб|p|w|#|\*)\s*[.:=]?\s*[0-9]+\)?\s*$",
    re.IGNORECASE,
)
_SEVERAL = re.compile(
    r"[0-9)].*\+\s*[(0-9]|[0-9)]\s*(?:[;,/|&:\t\r\n]+|\bor\b|\band\b|\bund\b|\bou\b)\s*[(0-9]", re.I | re.S
)


ZEROS = "zero bytes in it, as what is damaged, or UTF-16 in part, has"


class BadFieldError(Exception):
    """Why a field is not what it should be."""


def read_number(value: Any) -> int:
    """The number as an integer. Raises BadFieldError, its text a reason in a few words."""
    if not isinstance(value, str):
        raise BadFieldError(f"recipient {shown(value)} is no text: write it in quotes, with a plus")
    if _PLAIN.fullmatch(value):
        digits, wrong = value[1:], ""
    else:
        digits, wrong = _read(value)
    wrong = wrong or _wrong_digits(digits)
    if wrong:
        raise BadFieldError(f"recipient {shown(value)} {wrong}")
    return int(digits)


def _read(value: str) -> tuple[str, str]:
    """The digits of a field that isn't plain, and what is wrong with it as far as that shows in its form."""
    if len(value) > _MAX_FIELD:
        return "", f"is no number: it has {len(value)} characters"
    text, wrong = _unguarded(value)
    found = None if wrong else _NUMBER.fullmatch(text)
    if found is None:
        return "", wrong or _why_not(text)
    country, area, behind, rest = found.groups(default="")
    groups = [country, *filter(None, (area, behind)), *re.findall("[0-9]+", rest)]
    if area and (area.startswith("0") or len(area) > 5):
        wrong = _why_not(text)
    elif area and len(country) > 3:
        wrong = "has parentheses in its middle: they may be around an area code only"
    else:
        wrong = _wrong_dots(groups, rest, country) or _wrong_tail(groups, rest)
        if _DATE.fullmatch(text):
            wrong = "seems to be a date"
    return "".join(groups), wrong


def _wrong_dots(groups: list[str], rest: str, country: str) -> str:
    """Whether a dot may be a decimal point."""
    dots = rest.count(".")
    if not dots:
        return ""
    last = groups[-1]
    if rest.rstrip("0123456789").endswith("."):
        zeros = not last.strip("0")
        if len(last) == 1 or (zeros and len(last) < 4 and len(groups[-2]) != len(last)):
            return f"has a decimal tail (.{last})"
    behind_country = rest.startswith(".") and len(groups) == 2 and country_code("".join(groups)) == country
    if dots == 1 and not behind_country:
        return "has one dot, which may be a decimal point: write a blank or a dash"
    return ""


def _wrong_tail(groups: list[str], rest: str) -> str:
    """Whether the last group looks like an extension behind a number, or like another number."""
    if any(len(group) > 9 for group in groups[:-1]):
        return "seems to have something behind the number: give each number a row of its own"
    last = groups[-1]
    if len(groups) < 3 or len(last) > 2:
        return ""
    if len(groups[-2]) > 5 or (rest.count("-") == 1 and rest[-len(last) - 1] == "-"):
        return f"seems to have an extension ({last}), and no message can be sent to one"
    return ""


def _wrong_digits(digits: str) -> str:
    """What there is against a number of these digits."""
    if not digits.isascii() or digits.startswith("0"):
        return "is no E.164 number: no country's code begins with 0"
    code = country_code(digits)
    after = digits[len(code) :][:1]
    if after == "0" and code in TRUNK_ZERO and MIN_DIGITS <= len(digits) <= MAX_DIGITS:
        return f"has a 0 behind +{code}, which is dialled inside the country only: leave it out"
    wrong = wrong_size(digits[:_HEAD], len(digits))
    if wrong:
        return wrong
    if code == "1" and after in "01":
        return f"is no number of +1: no area code begins with {after}"
    return ""


@cache
def wrong_size(head: str, size: int) -> str:
    """What there is against numbers of so many digits that begin with these three."""
    if not MIN_DIGITS <= size <= MAX_DIGITS:
        return f"is no E.164 number: it has {many(size, 'digit')}, not {MIN_DIGITS} to {MAX_DIGITS}"
    code = country_code(head)
    if code not in LONGEST:
        return f"is impossible: there is no country code +{code}"
    if size != EXACT.get(code, size):
        return f"has {size} digits, and a number of +{code} has {EXACT[code]}"
    if size > LONGEST[code]:
        return f"has {size} digits, and a number of +{code} has {LONGEST[code]} at most"
    return _impossible(code, size)


def country_code(digits: str) -> str:
    """The country's code with which these digits begin, assigned or not."""
    return digits[: 1 if digits[0] in "17" else 2 if digits[:2] in _TWO_DIGIT_CODES else 3]


def _unguarded(value: str) -> tuple[str, str]:
    """The field without a spreadsheet's guards and what is not seen around it, and what is wrong with the rest."""
    text = "".join(" " if unicodedata.category(c) == "Zs" else c for c in value.translate(_HYPHENS)).strip()
    # Marks come in any order with blanks and guards.
    bare = _stripped(text)
    if bare.startswith('="') and bare.endswith('"') and len(bare) > 3:
        bare = _stripped(bare[2:-1])
    elif bare.startswith(("'", "\u2019", "\u2018", "`")):
        bare = _stripped(bare[1:])
    if _BACKWARDS in text:
        return bare, "holds a mark that shows digits backwards (U+202E)"
    hidden = next((c for c in bare if c in _MARKS), None)
    if hidden is not None:
        return bare, f"holds a mark that is not seen (U+{ord(hidden):04X})"
    return bare, ""


def _stripped(text: str) -> str:
    begin, end = 0, len(text)
    while begin < end and (text[begin] in _MARKS or text[begin].isspace()):
        begin += 1
    while begin < end and (text[end - 1] in _MARKS or text[end - 1].isspace()):
        end -= 1
    return text[begin:end]


_NEEDED = (
    f"is no E.164 number: a plus and {MIN_DIGITS} to {MAX_DIGITS} digits, with blanks, single dashes or dots between"
)


def _why_not(text: str) -> str:
    """What a field is that has not the form of a number, as far as one can tell."""
    if not text:
        return "is empty"
    if text.startswith("#"):
        value = re.fullmatch(r"#+|#[A-Z/0]+[!?]?", text)
        return "is what a spreadsheet shows instead of a value" if value else "begins with a #, as a comment does"
    if "\0" in text:
        return f"has {ZEROS}"
    if text.startswith("="):
        return "is a formula: save the list with values"
    if _EXPONENT.fullmatch(text):
        return "is what a spreadsheet made of a number: its last digits are lost"
    if _DECIMAL.fullmatch(text):
        return "has a decimal tail"
    if re.fullmatch(r"\+?[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]*)?", text):
        return "has commas in it, as an amount has"
    if _TRUNK.search(text):
        return "has a 0 in parentheses, which is dialled inside the country only: leave out the (0)"
    if re.search(r"\(\s*0", text):
        return (
            "has an area code that begins with 0 in parentheses: leave out the 0 or, where it belongs, the parentheses"
        )
    strange = next((c for c in text if not c.isascii() and unicodedata.category(c)[0] in "NS"), None)
    if strange is not None:
        what = "digits that are not 0 to 9" if unicodedata.category(strange)[0] == "N" else "another sign than a plus"
        return f"has {what} (U+{ord(strange):04X})"
    if re.search(r"[\t\r\n\v\f]", text):
        return "has a line break or a tab in it"
    parameter = re.search(r";\s*((?!ext\b)[a-z-]+)=", text, re.IGNORECASE)
    if parameter is not None:
        return f"has something behind the number ({parameter[0]}), as an address tel: may have: leave that out"
    coded = re.search(r"&#?\w+;|%[0-9A-Fa-f]{2}", text)
    if coded is not None:
        return f"has a character written as in {'HTML' if coded[0][0] == '&' else 'an address'} ({coded[0]})"
    if (
        _EXTENSION.search(text)
        or re.search(r"(?i)[0-9) ]\s*[(,;]?\s*(?:ex|ext|extn|extension)\b", text)
        or re.search(r"[0-9]\s*\([0-9]+\)\s*$", text)
    ):
        return "has an extension, and no message can be sent to one"
    if _SEVERAL.search(text):
        return "seems to be several numbers: give each a row of its own"
    scheme = re.match(r"(?i)(tel|sms|callto|mobile|phone|whatsapp)\s*:", text)
    if scheme is not None:
        return f"begins with {scheme[0]!r}: leave that out"
    if any(c.isalpha() for c in text):
        return "has letters in it"
    return _why_not_digits(text)


def _why_not_digits(text: str) -> str:
    """The same for one without letters."""
    abroad = re.fullmatch(r"(0011|011|00)[0-9 .()-]+", text)
    if abroad is not None:
        return f"is no E.164 number: write + in place of {abroad[1]}"
    if re.fullmatch(r"[0-9 .()-]+\+", text):
        return "has its plus at the end: write it in front"
    if re.fullmatch(r"\(?[0-9][0-9 .()-]*", text):
        return "is no E.164 number: a plus and the country's code are missing"
    if re.search(r"[-.+(]\s*[-.+]|[-.] | [-.]|\(\)|^\+[ .-]|[-. (+]$", text):
        return "has a separator too many"
    if "(" in text or ")" in text:
        return "has parentheses that are not around an area code behind the country's code"
    other = next((c for c in text if c not in "0123456789 +-."), None)
    return _NEEDED if other is None else f"{_NEEDED}, not {other!r}"


def shown(value: Any) -> str:
    """A value of a list, short enough for a line."""
    text = repr(value[:_MAX_FIELD]) if isinstance(value, str) else repr(value)
    return text if len(text) <= 40 else text[:37] + "..."


# -- columns -----------------------------------------------------------------------------------------------------

_POWERS = np.array([10**power for power in range(20)], dtype=np.uint64)
_CODES = [country_code(f"{head:03}") if head > 99 else "" for head in range(1000)]
_CODE_DIGITS = np.array([len(code) for code in _CODES], dtype=np.int64)
_NO_ZERO = np.array([code in TRUNK_ZERO or code == "1" for code in _CODES])
_NO_ONE = np.array([code == "1" for code in _CODES])


def all_right(numbers: U64) -> npt.NDArray[np.bool_]:
    """For each of these whether `read_number` would have nothing against it, written plainly."""
    sizes = np.searchsorted(_POWERS, numbers, side="right")
    right = (sizes >= MIN_DIGITS) & (sizes <= MAX_DIGITS)
    sizes = np.where(right, sizes, MIN_DIGITS)
    heads = np.where(right, numbers // _POWERS[sizes - _HEAD], 0).astype(np.int64)
    after = numbers // _POWERS[sizes - _CODE_DIGITS[heads] - 1] % np.uint64(10)
    right &= ~(((after == 0) & _NO_ZERO[heads]) | ((after == 1) & _NO_ONE[heads]))
    kinds = heads * 16 + sizes
    seen = np.zeros(1000 * 16, dtype=np.bool_)
    seen[kinds[right]] = True
    for kind in np.flatnonzero(seen).tolist():
        if wrong_size(str(kind // 16), kind % 16):
            right &= kinds != kind
    return right


# -- numbering plans ---------------------------------------------------------------------------------------------


@cache
def metadata() -> Any:
    """The package that knows every country's numbers, or None where it is not installed."""
    try:
        import phonenumbers
    except ImportError:
        return None
    return phonenumbers


def plans() -> str | None:
    """What else judges numbers, and its version; None without the extra `numbers`."""
    found = metadata()
    return None if found is None else f"phonenumbers {found.__version__}"


def _impossible(code: str, size: int) -> str:
    """What that package has against the length of a country's numbers."""
    package = metadata()
    if package is None:
        return ""
    number = package.PhoneNumber(country_code=int(code), national_number=10 ** (size - len(code) - 1))
    result = package.ValidationResult
    reasons = {
        result.INVALID_COUNTRY_CODE: f"there is no country code +{code}",
        result.TOO_SHORT: f"{size} digits are too few for +{code}",
        result.TOO_LONG: f"{size} digits are too many for +{code}",
        result.INVALID_LENGTH: f"+{code} has no numbers of {size} digits",
        result.IS_POSSIBLE_LOCAL_ONLY: f"+{code} has numbers of {size} digits inside an area only",
    }
    why = reasons.get(package.is_possible_number_with_reason(number))
    return "" if why is None else f"is impossible: {why}"


def is_valid(number: int) -> bool:
    """Whether that package knows the number's range as one in use. Needs the extra `numbers`."""
    package = metadata()
    code = country_code(str(number))
    national = str(number)[len(code) :]
    zeros = len(national) - len(national.lstrip("0"))
    return bool(
        package.is_valid_number(
            package.PhoneNumber(
                country_code=int(code),
                national_number=int(national),
                italian_leading_zero=zeros > 0 or None,
                number_of_leading_zeros=zeros if zeros > 1 else None,
            )
        )
    )
