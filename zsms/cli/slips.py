"""What somebody meant who wrote something else than a plain number (a unit, separators, another language's point), or
than an option's name."""

from __future__ import annotations

import re
from collections.abc import Sequence

import click

_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1, "sec": 1, "second": 1, "seconds": 1, "m": 60,
            "min": 60, "minutes": 60, "h": 3_600, "hours": 3_600, "d": 86_400, "days": 86_400}  # fmt: skip
_OTHERS = {"%": 0.01, "k": 1e3, "m": 1e6, "g": 1e9, "mio": 1e6, "million": 1e6, "kb": 1e3, "mb": 1e6, "gb": 1e9,
           "kib": 2**10, "mib": 2**20, "gib": 2**30, "/s": 1, "/sec": 1, "/min": 1 / 60, "/h": 1 / 3_600, "tps": 1,
           "msg/s": 1, "messages": 1, "x": 1}  # fmt: skip
_MOST = 1e15
_NUMBER = re.compile(r"([+-]?(?:\d[\d_ ,.'\u00a0\u202f]*|[.,]\d+)(?:[eE][+-]?\d+)?)\s*(\D*)")


def meant(text: str, *, whole: bool, seconds: bool) -> str:
    """The number to write instead, or "" where nobody can tell. `seconds`: that is its unit."""
    found = _NUMBER.fullmatch(text.strip())
    if found is None:
        return ""
    factor = (_SECONDS if seconds else _OTHERS).get(found[2].strip().lower(), None if found[2] else 1)
    digits = _plain(re.sub(r"[_ '\u00a0\u202f]", "", found[1]), whole)
    if factor is None or digits is None or not abs(digits * factor) < _MOST:
        return ""
    value = digits * factor
    if whole:
        return f"{round(value)}" if abs(value - round(value)) < 1e-9 * max(1.0, abs(value)) else ""
    return f"{value:.12g}"


def _plain(digits: str, whole: bool) -> float | None:
    """What digits with commas and points are; None where they may be two numbers."""
    if re.fullmatch(r"[+-]?\d{1,3}([.,])\d{3}(?:\1\d{3})+", digits) or (
        whole and re.fullmatch(r"\d{1,3},\d{3}", digits)
    ):
        digits = re.sub("[.,]", "", digits)
    elif digits.count(",") == 1 and "." not in digits and not re.fullmatch(r"\d{1,3},\d{3}", digits):
        digits = digits.replace(",", ".")
    try:
        return float(digits)
    except ValueError:
        return None


def advice(text: str, *, whole: bool, seconds: bool) -> str:
    """What to write instead of such a text, as the end of a sentence."""
    kind = ("a whole number" if whole else "a number") + (" of seconds" if seconds else "")
    instead = meant(text, whole=whole, seconds=seconds)
    return f"give {kind}, such as {instead}" if instead else f"give {kind}, without a unit"


_NO_NUMBER = re.compile(r"'(.*)' is not a valid (integer|float).*", re.S)


def instead(option: click.Parameter, message: str) -> str:
    """What was wrong with a value; of one that is no number, what to write instead and what it would mean."""
    found = _NO_NUMBER.fullmatch(message)
    if found is None:
        return message
    about = re.split(r"[.;]", getattr(option, "help", None) or "")[0]
    seconds = re.search(r"(?i)(?<!\ba )\bseconds?\b", about) is not None
    text = found[1].rstrip("% ") if option.metavar == "PERCENT" else found[1]
    told = advice(text, whole=found[2] == "integer", seconds=seconds)
    return f"'{found[1]}' is no number: {told}{f' ({about})' if about else ''}"


def option_meant(name: str, command: click.Command, words: Sequence[str]) -> str:
    """A hint at the option of the command that was meant by `name`, which is none of its; `words` were typed."""
    from zsms.fields import nearest, perhaps

    known = [option for option in command.params if isinstance(option, click.Option) and not option.hidden]
    names = [each for option in known for each in option.opts]
    one_dash = [f"-{word.partition('=')[0]}" for word in words if word.startswith(name) and word[:2] != "--"]
    if found := [word for word in one_dash if word in names]:
        return perhaps(found[:1])
    like = {f"--{word.replace('_', '-')}": option.opts[0] for option in known for word in getattr(option, "like", ())}
    return nearest(name, names, like=like, cutoff=0.65)


_LONG_DASH = re.compile(r"[-\u2010-\u2015\u2212]*[\u2010-\u2015\u2212][-\u2010-\u2015\u2212]*([a-z-]+)")


def dash_meant(words: Sequence[str]) -> str:
    """A hint at an option that a word processor has given another dash."""
    found = next((word for word in words if _LONG_DASH.match(word)), None)
    return "" if found is None else f": {found!r} begins with another dash than an option: type --"


def given_twice(command: click.Command, words: Sequence[str]) -> str:
    """The option for a file that these words of a command line have twice, of which the first would be lost; or ""."""
    from zsms.cli.places import Name

    words = [word.partition("=")[0] for word in words]
    words = words[: words.index("--")] if "--" in words else words
    single = [each for each in command.params if isinstance(each, click.Option) and not each.multiple]
    names = (each.opts[0] for each in single if isinstance(each.type, Name))
    return next((name for name in names if words.count(name) > 1), "")
