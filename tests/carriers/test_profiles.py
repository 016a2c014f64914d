"""Carrier profiles: each figure says where it is from."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner

from zsms.carriers import profiles
from zsms.cli import load_command
from zsms.errors import UsageError
from zsms.scenario import check_profile, read

GOOD = 'title = "x"\ndate = 2026-11-28\n[[figure]]\nfield = "cap"\nvalue = 5\nsource = "a page"\ndate = "2026"\n'


def test_there_are_the_profiles_that_people_ask_for() -> None:
    wanted = {"us-short-code", "us-toll-free", "us-10dlc-high", "us-10dlc-mid", "us-10dlc-low", "ca-short-code",
              "uk-aggregator", "in-dlt"}  # fmt: skip
    assert wanted <= set(profiles.names())


@pytest.mark.parametrize("name", profiles.names())
def test_each_is_right_and_each_of_its_figures_has_a_source_and_a_date(name: str) -> None:
    found = check_profile(profiles.find(name))
    assert "cap" in found.fields and name in found.sources and "not checked since" in found.sources
    assert all(figure.source and figure.date for figure in found.figures)


def test_one_s_own_is_read_by_its_path(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(GOOD)
    assert profiles.find(str(file)).fields == {"cap": 5}
    done = CliRunner().invoke(load_command("carriers"), ["check", str(file)])
    assert done.exit_code == 0 and "1 figure, as of" in done.output


@pytest.mark.parametrize("name", profiles.names())
def test_what_is_shown_can_be_saved_edited_and_used(name: str, tmp_path: Path) -> None:
    carriers = load_command("carriers")
    shown = CliRunner().invoke(carriers, ["show", name]).output
    file, known = tmp_path / "mine.toml", profiles.find(name)
    file.write_text(shown)
    copied = profiles.find(str(file))
    assert (copied.title, copied.date, copied.figures) == (known.title, known.date, known.figures)
    assert CliRunner().invoke(carriers, ["show", str(file)]).output == shown
    cap = f"value = {known.fields['cap']}\n"
    assert cap in shown
    file.write_text(shown.replace(cap, "value = 7\n", 1))
    start = "[scenario]\nstart = 2026-11-28T09:00:00-05:00\n"
    scenario = read(tomllib.loads(f'{start}[[group]]\nname = "a"\nprofile = "{file}"'))
    assert scenario.groups[0].cap == 7 and scenario.relied_on[0].startswith(str(file))
    file.write_text(shown.replace(cap, "value = 0\n", 1))
    done = CliRunner().invoke(carriers, ["show", str(file)])
    assert isinstance(done.exception, UsageError) and "cap = 0" in str(done.exception)


def test_a_figure_may_be_one_of_toml_s_own_values(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(GOOD.replace('"cap"', '"daily_reset"').replace("value = 5", "value = 07:30:00"))
    done = CliRunner().invoke(load_command("carriers"), ["show", "--json", str(file)])
    assert json.loads(done.output)["figures"][0]["value"] == "07:30:00"


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("value = 5", "value = 0", "cap = 0"),
        ("value = 5\n", "", "'value' is missing"),
        ('source = "a page"\n', "", "'source' is missing"),
        ('field = "cap"', 'field = "capp"', "unknown key 'capp'"),
        ('field = "cap"', 'field = "name"', "is no figure"),
        ("date = 2026-11-28", 'date = "soon"', "date"),
        ('title = "x"\n', "", "title"),
        ('title = "x"', 'titel = "x"', "did you mean 'title'"),
    ],
)
def test_what_is_wrong_with_one_is_told(tmp_path: Path, old: str, new: str, says: str) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(GOOD.replace(old, new, 1))
    with pytest.raises(UsageError, match=says) as caught:
        check_profile(profiles.find(str(file)))
    assert "mine.toml" in str(caught.value)
