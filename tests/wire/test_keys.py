"""Key files: what is written is read, and whatever is not sound is refused with what to do about it."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zsms import UsageError
from zsms.security.keys import ROLES, Key, Keys, listing, make, parse, read


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    directory = tmp_path / "keys"
    make(directory, "broker", ["broker"])
    make(directory, "p1", ["producer"])
    return directory


def test_what_is_made_is_read_and_only_the_owner_can(folder: Path) -> None:
    made = make(folder, "all", ROLES)
    assert read(folder / "all.key") == made
    assert read(folder / "public" / "all.pub") == Key("all", ROLES, made.public)
    assert stat.S_IMODE((folder / "all.key").stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert made.secret is not None and made.secret.decode() not in (folder / "public" / "all.pub").read_text()
    assert made.secret.decode() not in repr(made)
    assert [(key.name, here) for key, here in listing(folder)] == [("all", True), ("broker", True), ("p1", True)]


def test_the_umask_makes_no_difference(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        make(tmp_path / "keys", "broker", ["broker"])
        make(tmp_path / "keys", "p1", ["producer"])
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "keys" / "p1.key").stat().st_mode) == 0o600
    assert Keys.load(tmp_path / "keys", "producer")


def test_no_key_is_ever_replaced(folder: Path) -> None:
    before = (folder / "p1.key").read_bytes()
    with pytest.raises(UsageError, match=r"p1\.key is there already"):
        make(folder, "p1", ["producer"])
    (folder / "p1.key").unlink()
    with pytest.raises(UsageError, match=r"p1\.pub is there already"):
        make(folder, "p1", ["producer"])
    assert not (folder / "p1.key").exists() and before


@pytest.mark.parametrize("name", ["", "../p", "a/b", ".hidden", "x" * 65, "a b", "é", "a\n"])
def test_a_name_is_a_file_s_name(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="no name of a key"):
        make(tmp_path / "keys", name, ["producer"])
    assert not (tmp_path / "keys").exists()


@pytest.mark.parametrize("roles", [[], ["admin"], ["producer", ""]])
def test_a_role_is_one_of_the_roles(tmp_path: Path, roles: list[str]) -> None:
    with pytest.raises(UsageError, match="--role"):
        make(tmp_path / "keys", "x", roles)


@pytest.mark.parametrize(
    ("mode", "of", "told"),
    [
        (0o640, "p1.key", "chmod 600"),
        (0o604, "p1.key", "chmod 600"),
        (0o660, "p1.key", "chmod 600"),
        (0o664, "public/broker.pub", "chmod 644"),
        (0o646, "public/p1.pub", "chmod 644"),
        (0o777, "public", "chmod go-w"),
        (0o770, ".", "chmod go-w"),
    ],
)
def test_what_others_can_get_at_is_refused(folder: Path, mode: int, of: str, told: str) -> None:
    (folder / of).chmod(mode)
    with pytest.raises(UsageError, match=told):
        Keys.load(folder, "producer")


@pytest.mark.parametrize("of", ["p1.key", "public/p1.pub", "public"])
def test_what_belongs_to_another_is_refused(folder: Path, of: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if os.geteuid() == 0:
        os.chown(folder / of, 54_321, -1)
    else:
        stranger = os.geteuid() + 1
        monkeypatch.setattr(os, "geteuid", lambda: stranger)
    with pytest.raises(UsageError, match="belongs to user"):
        Keys.load(folder, "producer")


def text_of(folder: Path, of: str = "p1.key") -> str:
    return (folder / of).read_text()


@pytest.mark.parametrize(
    ("pattern", "by", "told"),
    [
        (r"^", "[", "no key file"),
        (r"\Z", 'more = "x"\n', "and nothing else"),
        (r"secret-key.*", "", "has to say"),
        (r'secret-key = ".*"', 'secret-key = "short"', "40 characters of Z85"),
        (r'secret-key = ".*"', f'secret-key = "{"%" * 40}"', "40 characters of Z85"),
        (r'secret-key = ".*"', "secret-key = 5", "40 characters of Z85"),
        (r'secret-key = ".*"', 'secret-key = "QRfU:Y?=nhP38(7ohM[Bu?C{*6x[YW3$oEd)U2?("', "does not belong to"),
        (r'name = "p1"', 'name = "p2"', "named for it"),
        (r'name = "p1"', "name = 1", "no name of a key"),
        (r"roles = .*", "roles = []", "list some of"),
        (r"roles = .*", 'roles = ["admin"]', "list some of"),
        (r"roles = .*", "roles = [[]]", "list some of"),
        (r"\Z", "#" * 5_000, "longer than"),
    ],
)
def test_a_file_that_says_something_else_is_refused(folder: Path, pattern: str, by: str, told: str) -> None:
    before = text_of(folder)
    secret = read(folder / "p1.key").secret
    (folder / "p1.key").write_text(re.sub(pattern, lambda _: by, before, count=1))
    with pytest.raises(UsageError, match=told) as caught:
        Keys.load(folder, "producer")
    assert secret is not None and secret.decode() not in str(caught.value)


def test_what_is_no_file_is_refused_and_not_waited_for(folder: Path) -> None:
    (folder / "p1.key").unlink()
    os.mkfifo(folder / "p1.key", 0o600)
    with pytest.raises(UsageError, match="is no file"):
        Keys.load(folder, "producer")


def test_the_key_is_found_by_role_and_by_name(folder: Path) -> None:
    assert Keys.load(folder, "producer").own.name == "p1"
    assert Keys.load(str(folder / "p1.key"), "producer").own.name == "p1"
    with pytest.raises(UsageError, match="--role sender"):
        Keys.load(folder, "sender")
    with pytest.raises(UsageError, match="for producer, not for sender"):
        Keys.load(folder / "p1.key", "sender")
    make(folder, "p2", ["producer"])
    with pytest.raises(UsageError, match=r"several keys .*p1\.key, p2\.key"):
        Keys.load(folder, "producer")
    assert Keys.load(folder, "producer", "p2").own.name == "p2"
    for path in (folder / "none.key", folder / "public" / "p1.pub", folder / "none"):
        with pytest.raises(UsageError, match="key"):
            Keys.load(path, "producer")


def test_the_server_s_key_is_the_only_one_of_its_role(folder: Path) -> None:
    keys = Keys.load(folder, "producer")
    assert keys.server("broker") == read(folder / "broker.key").public
    with pytest.raises(UsageError, match=r"role stats.*has none"):
        keys.server("stats")
    make(folder, "b2", ["broker"])
    with pytest.raises(UsageError, match="several"):
        Keys.load(folder, "producer").server("broker")


def test_a_list_that_changes_is_read_again_and_what_is_wrong_in_it_is_left_out(folder: Path) -> None:
    keys = Keys.load(folder, "broker")
    assert keys.refresh() == [] and {key.name for key in keys.users.values()} == {"broker", "p1"}
    make(folder, "p2", ["producer"])
    (folder / "public" / "p1.pub").unlink()
    assert keys.refresh() == [] and {key.name for key in keys.users.values()} == {"broker", "p2"}
    (folder / "public" / "p2.pub").write_text("nonsense")
    assert "no key file" in keys.refresh()[0] and {key.name for key in keys.users.values()} == {"broker"}
    assert keys.refresh() == []


def test_two_names_for_one_key_are_refused(folder: Path) -> None:
    text = text_of(folder, "public/p1.pub").replace("p1", "p3")
    (folder / "public" / "p3.pub").write_text(text)
    (folder / "public" / "p3.pub").chmod(0o644)
    with pytest.raises(UsageError, match="the same key"):
        Keys.load(folder, "broker")


@given(st.text() | st.text(alphabet='name=roles"[]{}-pubickyt.\n#1\\', max_size=200), st.booleans())
def test_no_text_does_more_than_being_refused(text: str, secret: bool) -> None:
    with pytest.raises(UsageError, match=r"^here"):
        parse(text, "here", secret=secret)
