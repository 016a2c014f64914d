"""Text files that people write, as their editors and shells leave them: with a byte order mark or without, and UTF-16
from those who have it (`>` in PowerShell, Notepad). What can't be read is a UsageError that names the file."""

from __future__ import annotations

import codecs
import json
import re
import tomllib
from typing import Any

from zsms.errors import UsageError
from zsms.saving import check_name
from zsms.words import in_line

PACKED = (
    (b"\x1f\x8b", "is compressed (gzip): unpack it first"),
    (b"BZh", "is compressed (bzip2): unpack it first"),
    (b"\xfd7zXZ", "is compressed (xz): unpack it first"),
    (b"\x28\xb5\x2f\xfd", "is compressed (zstd): unpack it first"),
    (b"7z\xbc\xaf", "is compressed (7z): unpack it first"),
    (b"Rar!", "is compressed (rar): unpack it first"),
)
"""How files begin that hold another one."""
MOST_BYTES = 2**28
"""No report is larger; /dev/zero is."""
_UTF16 = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}


def text_of(path: str, *, most: int = MOST_BYTES) -> str:
    """The file's text. Raises UsageError, and OSError where it can't be read; of more than `most` bytes it is none."""
    try:
        check_name(path)
    except OSError as error:
        raise UsageError(f"{path!r} is no file: {error.strerror}") from None
    with open(path, "rb") as file:
        data = file.read(most + 1)
    if len(data) > most:
        raise UsageError(f"{path} is too large: it has over {most:,} bytes")
    packed = next((what for magic, what in PACKED if data.startswith(magic)), None)
    if packed is not None:
        raise UsageError(f"{path} {packed}")
    encoding = _UTF16.get(data[:2], "utf-8-sig")
    if encoding != "utf-8-sig":
        data = data[2:]
    elif b"\0" in data:
        raise UsageError(
            f"{path} is no text: it has zero bytes (UTF-16, without its mark, has them too: save it as UTF-8)"
        )
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        if encoding == "utf-8-sig":
            line = data.count(b"\n", 0, error.start) + 1
            raise UsageError(f"{path} is not UTF-8 in line {line}: save it as UTF-8") from None
        raise UsageError(f"{path} begins as UTF-16 and is none: save it as UTF-8") from None


def toml_of(path: str) -> dict[str, Any]:
    """The tables of a TOML file. Raises as `text_of` does."""
    text = text_of(path, most=2**22)
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path} is not TOML: {error}{_line_of(text, str(error))}") from None
    except RecursionError:
        raise UsageError(f"{path} is not TOML that anybody would write: its brackets are too deep") from None


_SECRET = re.compile("(?i)passw|secret|token|key")


def _line_of(text: str, error: str) -> str:
    """The line of which an error speaks."""
    found = re.search(r"at line ([0-9]+)", error)
    lines = text.splitlines()
    if found is None or not 0 < int(found[1]) <= len(lines):
        return ""
    line = lines[int(found[1]) - 1].strip()
    return "" if _SECRET.search(line) else f": {in_line(line)[:60]}"


def json_of(path: str) -> Any:
    """The value of a JSON file. Raises as `text_of` does."""
    text = text_of(path)
    try:
        return json.loads(text)
    except RecursionError:
        raise UsageError(f"{path} is not JSON that anybody would write: its brackets are too deep") from None
    except ValueError as error:  # an integer of thousands of digits, too
        raise UsageError(f"{path} is not JSON: {error}") from None
