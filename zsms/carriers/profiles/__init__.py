"""What carriers and providers are known to allow, each figure with its source and date: the TOML files beside this one.

    title = "Short code, United States"
    date = 2026-11-27                      # when somebody looked

    [[figure]]
    field = "cap"                          # of a [[group]]
    value = 100
    source = "..."
    date = "2026-11"
    contested = "what others say"          # where they do

None claims to be current, nor that it is yours: copy one, edit it, and give its path instead of its name.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from datetime import date
from importlib.resources import files
from typing import Any

from zsms import reading
from zsms.errors import UsageError
from zsms.fields import nearest, tables_of
from zsms.words import many


@dataclass(frozen=True, slots=True)
class Figure:
    """One value of a profile, and where it is from."""

    field: str
    value: Any
    source: str
    date: str
    contested: str | None = None


@dataclass(frozen=True, slots=True)
class Profile:
    """What a route of one kind may be given."""

    name: str
    title: str
    date: date
    figures: tuple[Figure, ...]

    @property
    def fields(self) -> dict[str, Any]:
        """Values of a [[group]]."""
        return {figure.field: figure.value for figure in self.figures}

    @property
    def sources(self) -> str:
        """What a plan says of it."""
        contested = sum(figure.contested is not None for figure in self.figures)
        doubt = f", {contested} of its {many(len(self.figures), 'figure')} contested" if contested else ""
        return f"{self.name}: as of {self.date.isoformat()}{doubt}; not checked since"


def names() -> list[str]:
    """Of the profiles in the package."""
    return sorted(f.name.removesuffix(".toml") for f in files(__package__).iterdir() if f.name.endswith(".toml"))


def find(name: str) -> Profile:
    """A profile of the package, or that of a file (a name with a slash, or that ends with .toml). Raises UsageError."""
    if not name:
        raise UsageError("give a profile's name, or the path of its file")
    if "/" in name or name.endswith(".toml"):
        return parse(tables_of(name), name)
    if name not in names():
        raise UsageError(f"there is no such carrier profile{nearest(name, names())}")
    return parse(tomllib.loads((files(__package__) / f"{name}.toml").read_text("utf-8")), name)


def text_of(name: str) -> str:
    """The file that `find` reads, as it stands: TOML. Raises UsageError."""
    find(name)
    if "/" in name or name.endswith(".toml"):
        return reading.text_of(name)
    return (files(__package__) / f"{name}.toml").read_text("utf-8")


def parse(body: dict[str, Any], where: str) -> Profile:
    """A profile of a file's tables. Raises UsageError, which says what is wrong and where."""
    for key in body:
        if key not in ("title", "date", "figure"):
            raise UsageError(f"{where}: unknown key {key!r}{nearest(key, ('title', 'date', 'figure'))}")
    title, day, rows = (body.get(key) for key in ("title", "date", "figure"))
    if not isinstance(title, str) or not title:
        raise UsageError(f"{where}: give it a title")
    if type(day) is not date:
        raise UsageError(f"{where}: date: give the day on which somebody looked, such as 2026-11-27")
    if not isinstance(rows, list) or not rows:
        raise UsageError(f"{where}: it has no [[figure]]")
    figures = tuple(_figure(row, f"{where}: [[figure]] {number}") for number, row in enumerate(rows, 1))
    fields = [figure.field for figure in figures]
    twice = next((each for each in fields if fields.count(each) > 1), None)
    if twice is not None:
        raise UsageError(f"{where}: two figures of {twice!r}")
    return Profile(where, title, day, figures)


def _figure(row: Any, where: str) -> Figure:
    known = ("field", "value", "source", "date", "contested")
    if not isinstance(row, dict):
        raise UsageError(f"{where}: write it as a table")
    for key in row:
        if key not in known:
            raise UsageError(f"{where}: unknown key {key!r}{nearest(key, known)}")
    for key in ("field", "value", "source", "date"):
        if key not in row:
            raise UsageError(f"{where}: {key!r} is missing: each figure says where it is from, and of when")
    for key in ("field", "source", "date", "contested"):
        if not isinstance(row.get(key, ""), str):
            raise UsageError(f"{where}: {key}: give a text in quotes")
    if row["field"] in ("name", "profile"):
        raise UsageError(f"{where}: field {row['field']!r} is no figure")
    return Figure(**row)
