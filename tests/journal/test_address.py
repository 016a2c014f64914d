"""Where a journal on NATS servers is: what is read of its address, and what nobody sees of it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.mesh.processes import zsms
from zsms.core.broker.durability import check_durability, hidden
from zsms.errors import UsageError
from zsms.launch.local import Local

pytest.importorskip("nats", reason="needs zsms[jetstream]")

from zsms.journal.address import Address

SEED = "SUAOU4AEEIRGJQ6QAKZBIPNWKEXBZFBGWGJXYGOUQSUOSMHMIWFUXRSWSM"
JWT = "eyJ0eXAiOiJKV1QifQ.eyJuYW1lIjoidSJ9.c2lnbmF0dXJl"
CREDS = f"""-----BEGIN NATS USER JWT-----
{JWT}
------END NATS USER JWT------

-----BEGIN USER NKEY SEED-----
{SEED}
------END USER NKEY SEED------
"""


@pytest.mark.parametrize(
    ("text", "login"),
    [
        ("nats://h/n", {}),
        ("nats://u:secret@h/n", {"user": "u", "password": "secret"}),
        ("nats://u:@h/n", {"user": "u", "password": ""}),
        ("nats://secret@h/n", {"token": "secret"}),
        ("nats://o%40x:p%40%2F%3A%3F%23%2C%25@h/n", {"user": "o@x", "password": "p@/:?#,%"}),
        ("nats://u:p@ss:1@h/n", {"user": "u", "password": "p@ss:1"}),
        ("nats://u:100%@h/n", {"user": "u", "password": "100%"}),
    ],
)
def test_who_comes_is_read_as_urls_write_it(text: str, login: dict[str, str]) -> None:
    address = Address.parse(text)
    assert address.login == address.credentials() == login
    assert address.servers == ("nats://h",)
    assert address.shown("nats://h") == ("nats://h" if "user" not in login else f"nats://{login['user']}@h")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("nats://secret@h:4222/n", "nats://***@h:4222/n"),
        ("nats://u:secret@h,h2/n?creds=/home/me@x", "nats://u@h,h2/n?creds=/home/me@x"),
        ("nats://h:4222,[::1]:4222/n?creds=/home/me@x", "nats://h:4222,[::1]:4222/n?creds=/home/me@x"),
        ("nats://u:secret@1@h/n", "nats://u@h/n"),
        ("nats://u:p@secret/w?#%@h/n?monitor=1", "nats://u@h/n?monitor=1"),
        ("nats://u:p@secret/w?#%@h/n?domain=hub", "nats://u@h/n?domain=hub"),
        ("nats://u:secret/1@h/n", "nats://u@h/n"),
        ("nats://u:secret?1@h/n", "nats://u@h/n"),
        ("nats://u:secret#1@h/n", "nats://u@h/n"),
        ("nats://u:a@sec/ret@h/n", "nats://u@h/n"),
        ("nats://u:secret@h,u:secret@h2/n", "nats://u@h2/n"),
        ("nats://u:secret@h,nats://u:secret@h2/n", "nats://u@h2/n"),
        ("NATS://u:secret@h/n", "NATS://u@h/n"),
        (" nats://u:secret@h/n", " nats://u@h/n"),
        ("a@b/journal", "a@b/journal"),
    ],
)
def test_nobody_sees_a_password_or_a_token(text: str, shown: str) -> None:
    """Nor a part of one, in what says that the address is wrong."""
    assert hidden(text) == shown
    for check in (Address.parse, lambda text: check_durability(text, None)):
        told = ""
        try:
            check(text)
        except UsageError as error:
            told = str(error)
        assert "secret" not in told and "/ret" not in told and "sec/" not in told


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("nats://u:a/b@h/n", "in a password %40 for @, %2F for /"),
        ("nats://u:a#b@h/n", "in a password %40"),
        ("nats://u:a?b@h/n", "in a password %40"),
        ("nats://u:p@h,u:p@h2/n", "in a password %40"),
        ("nats://u:p@h,nats://u:p@h2/n", "in a password %40"),
        ("nats://h/n#x", "is no name for a stream"),
        ("nats://h/a%20b", "'a b' is no name for a stream"),
        ("nats://u:p@h/n?password_file=a", "leave one out"),
        ("nats://h/n?creds=a&nkey=b", "creds or nkey, not both"),
        ("nats://h/n?key=a", "give cert, too"),
        ("nats://h/n?ca=a&ca=b", "ca is there twice"),
        ("nats://h/n?tls=yes", "write tls=first"),
        ("nats://h/n?ca=", "the journal's ca=: "),
        ("nats://h/n?creds=", "the journal's creds=: "),
        ("nats://h/n?domain=", "give the name of a domain"),
        ("nats://h/n?domain=a.b", "give the name of a domain"),
        ("nats://h/n?domain=*", "give the name of a domain"),
        ("nats://h/n?api_prefix=$JS.API.>", r"give what stands for \$JS.API here"),
        ("nats://h/n?api_prefix=a..b", "give what stands for"),
        ("nats://h/n?domain=a&api_prefix=b", "domain or api_prefix, not both"),
    ],
)
def test_what_an_address_can_not_be(text: str, why: str) -> None:
    def use() -> None:
        address = Address.parse(text)
        address.credentials()
        address.tls()

    with pytest.raises(UsageError, match=why):
        use()


def test_a_certificate_means_that_nothing_goes_in_the_clear() -> None:
    for option in ("ca=a", "cert=a", "tls=first"):
        assert Address.parse(f"nats://h:1/n?{option}").servers == ("tls://h:1",)
    assert Address.parse("nats://h/n?tls=first").tls_first


@pytest.mark.parametrize(
    ("what", "content", "right"),
    [
        ("nkey", SEED, True),
        ("nkey", f"# mine\r\n{SEED}\r\n", True),
        ("nkey", CREDS, True),
        ("nkey", "", False),
        ("nkey", "UDXB4XM7J", False),
        ("nkey", SEED[:-3], False),
        ("creds", CREDS, True),
        ("creds", CREDS.replace("\n", "\r\n"), True),
        ("creds", CREDS.partition("-----BEGIN USER")[0], False),
    ],
)
def test_files_that_let_in_are_read_before_anybody_is_asked(
    what: str, content: str, right: bool, tmp_path: Path
) -> None:
    path = tmp_path / "file"
    path.write_bytes(content.encode())
    address = Address.parse(f"nats://h/n?{what}={path}")
    if not right:
        with pytest.raises(UsageError, match=f"{path}: there is not a user's"):
            address.credentials()
        return
    ((_, found),) = address.credentials().items()
    assert SEED in str(found) and (what == "nkey" or f"\n{JWT}\n" in str(found)) and "\r" not in str(found)


@pytest.mark.parametrize(("user", "login"), [("u@", {"user": "u", "password": "p@/:"}), ("", {"token": "p@/:"})])
def test_a_password_may_be_the_first_line_of_a_file(user: str, login: dict[str, str], tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"p@/:\r\nnot this\n")
    assert Address.parse(f"nats://{user}h/n?password_file={path}").credentials() == login


def test_certificates_that_are_none_are_told_of(tmp_path: Path) -> None:
    path = tmp_path / "pem"
    path.write_text(CREDS)
    for option, why in (("ca", "there is no certificate in it"), ("cert", "no certificate and its key")):
        with pytest.raises(UsageError, match=f"{option}={path}: {why}"):
            Address.parse(f"nats://h/n?{option}={path}").tls()


def test_commands_that_say_where_a_journal_is_do_not_say_how_to_get_in(tmp_path: Path) -> None:
    journal = "nats://u:secret@127.0.0.1:1/n"
    done = zsms("run", "--dry-run", "--messages", 1, "--journal", journal)
    assert done.returncode == 0 and "nats://u@127.0.0.1:1/n" in done.stdout
    shown = zsms("config", "show", "broker", env={"ZSMS_BROKER_JOURNAL": journal})
    assert "nats://u@127.0.0.1:1/n" in shown.stdout
    assert "secret" not in done.stdout + done.stderr + shown.stdout


def test_a_role_that_is_started_shows_no_password_in_its_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: dict[str, list[str]] = {}

    def start(command: list[str], *, env: dict[str, str], **how: object) -> subprocess.Popen[bytes]:
        started.update(command=command, journal=[env.get("ZSMS_BROKER_JOURNAL", "")])
        raise InterruptedError

    monkeypatch.setattr(subprocess, "Popen", start)
    place = Local(str(tmp_path), forks=False)
    for journal, where in (("nats://u:secret@h/n", "journal"), ("folder", "command")):
        with pytest.raises(InterruptedError):
            place.start("broker", "b", ["--journal", journal, "--stream", "1"], lambda line: None)  # type: ignore
        assert journal in started[where]
        assert "secret" not in json.dumps(started["command"]) and "--stream" in started["command"]
