"""Where a journal on NATS servers is, and what lets a broker in there."""

from __future__ import annotations

import re
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from nats.aio.client import RawCredentials
from nats.js.api import DEFAULT_PREFIX

from zsms.core.broker.durability import hidden
from zsms.errors import UsageError
from zsms.reading import text_of

COPIES = 3
_FILES = ("creds", "nkey", "password_file", "ca", "cert", "key")
_OPTIONS = (*_FILES, "tls", "monitor", "domain", "api_prefix")
_HOW = "write nats://HOST[:PORT],HOST[:PORT],.../NAME, NAME of at most 200 letters, digits, - and _"
_SIGNS = (
    "write nats://USER:PASSWORD@HOST,HOST/NAME, in a password %40 for @, %2F for /, %3F for ?, %23 for #, %2C for a "
    "comma and %25 for %"
)
_NAME = re.compile(r"[A-Za-z0-9_-]{1,200}")
_SUBJECT = re.compile(r"[^\s.*>]+(\.[^\s.*>]+)*")
_HOST = re.compile(r"(\[[0-9A-Fa-f:.%]+\]|[^\s:/@\[\]]+)(:(?P<port>[0-9]{1,5}))?")
_SEED = re.compile(r"\bSU[A-Z2-7]{56}\b")
"""A user's seed, in base 32 with a checksum."""
_JWT = re.compile(r"-----BEGIN NATS USER JWT-----\s+(\S+)\s+-{5,6}END")

_CREDS = """-----BEGIN NATS USER JWT-----
{jwt}
------END NATS USER JWT------
-----BEGIN USER NKEY SEED-----
{seed}
------END USER NKEY SEED------
"""
"""As nats-py reads it: without the ends of lines of another system."""


@dataclass(frozen=True, slots=True)
class Address:
    """nats://[USER:PASSWORD@]HOST[:PORT],.../NAME[?creds=FILE][&nkey=FILE][&ca=FILE][&cert=FILE&key=FILE]
    [&tls=first][&monitor=PORT,...][&domain=NAME or &api_prefix=SUBJECT], or tls:// where every connection is to be
    encrypted, as it is with ca, cert or tls=first. A user alone is a token, unless the password is the first line of a
    file (?password_file=FILE).
    """

    servers: tuple[str, ...]
    name: str
    login: dict[str, str]
    """`user` and `password`, or `token`, or nothing."""
    files: dict[str, str]
    """Of `creds`, `nkey` (a seed), `password_file`, `ca` (of the servers' certificates), `cert` and `key` (this one's
    own), those that were given."""
    tls_first: bool
    """Whether the servers wait for TLS before they say a word."""
    monitors: tuple[str, ...]
    """Where each server's monitoring would be asked, over HTTP."""
    api: str = DEFAULT_PREFIX
    """What subjects of JetStream's own begin with: it may be that of a domain, or imported from another account."""

    @classmethod
    def parse(cls, text: str) -> Address:
        """Raises UsageError."""
        said = f"journal {hidden(text)}"
        try:
            parts = urlsplit(text)
        except ValueError as error:
            raise UsageError(f"{said}: {error}; {_HOW}") from None
        user, at, places = parts.netloc.rpartition("@")
        name = parts.path.lstrip("/")
        hosts = [host for host in places.split(",") if host]
        if "@" in parts.path + parts.fragment or ("@" in user and "," in user) or ("@" in parts.query and not name):
            raise UsageError(f"{said}: {_SIGNS}")
        if parts.scheme not in ("nats", "tls") or not hosts:
            raise UsageError(f"{said}: {_HOW}")
        for host in hosts:
            found = _HOST.fullmatch(host)
            if found is None or not 0 < int(found["port"] or 4222) <= 65_535:
                raise UsageError(f"{said}: {host!r} is no HOST or HOST:PORT; {_HOW}")
        if not _NAME.fullmatch(name) or parts.fragment:
            raise UsageError(f"{said}: {unquote(name)[:200]!r} is no name for a stream; {_HOW}")
        options = _options(parts.query, said)
        scheme = "tls" if options.keys() & {"ca", "cert", "tls"} else parts.scheme
        servers = tuple(f"{scheme}://{host}" for host in hosts)
        first = options.pop("tls", "") == "first"
        monitors = _monitors(hosts, options.pop("monitor", "8222"), said)
        api = _api(options.pop("domain", None), options.pop("api_prefix", None), said)
        login = _login(user) if at else {}
        if "password_file" in options:
            if "password" in login:
                raise UsageError(f"{said}: the password is in the address and in a file: leave one out")
            login = {"user": login["token"]} if login else {}
        return cls(servers, name, login, files=options, tls_first=first, monitors=monitors, api=api)

    @property
    def copies(self) -> int:
        """How many so many servers can keep."""
        return min(COPIES, len(self.servers))

    def shown(self, server: str) -> str:
        """One of the servers, and as whom this one comes, for people."""
        user = self.login.get("user")
        return server if user is None else server.replace("://", f"://{user}@", 1)

    def credentials(self) -> dict[str, Any]:
        """What a client of nats-py shows, read from the files as they are now. Raises UsageError."""
        found: dict[str, Any] = dict(self.login)
        if (path := self.files.get("password_file")) is not None:
            # Without a user it is a token.
            found["password" if "user" in found else "token"] = (
                _read("password_file", path).partition("\n")[0].rstrip("\r")
            )
        for what in ("creds", "nkey"):
            if what not in self.files:
                continue
            text = _read(what, self.files[what])
            seed, jwt = _SEED.search(text), _JWT.search(text)
            if seed is None or (what == "creds" and jwt is None):
                wanted = "a user's JWT and seed, as nsc writes them" if what == "creds" else "a user's seed (SU...)"
                raise UsageError(f"the journal's {what}={self.files[what]}: there is not {wanted} in it")
            if what == "nkey":
                found["nkeys_seed_str"] = seed[0]
            elif jwt is not None:
                found["user_credentials"] = RawCredentials(_CREDS.format(jwt=jwt[1], seed=seed[0]))
        return found

    def tls(self) -> ssl.SSLContext | None:
        """How connections are encrypted; None: as is usual. Raises UsageError."""
        files = {what: _read(what, self.files[what], _touch) for what in ("ca", "cert", "key") if what in self.files}
        if not files:
            return None
        try:
            context = ssl.create_default_context(cafile=files.get("ca"))
        except ssl.SSLError:
            raise UsageError(f"the journal's ca={files['ca']}: there is no certificate in it") from None
        if "cert" not in files:
            return context
        try:
            # A key with a password would be asked for at the terminal.
            context.load_cert_chain(files["cert"], files.get("key"), password=lambda: "")
        except ssl.SSLError as error:
            told = ", ".join(f"{what}={files[what]}" for what in ("cert", "key") if what in files)
            raise UsageError(
                f"the journal's {told}: no certificate and its key, without a password ({error.reason or error})"
            ) from None
        return context


def _login(user: str) -> dict[str, str]:
    name, colon, password = user.partition(":")
    return {"user": unquote(name), "password": unquote(password)} if colon else {"token": unquote(name)}


def _options(query: str, said: str) -> dict[str, str]:
    found = parse_qs(query, keep_blank_values=True)
    if unknown := found.keys() - {*_OPTIONS}:
        raise UsageError(f"{said}: no such option: {', '.join(sorted(unknown))}; {', '.join(_OPTIONS)}")
    if twice := [name for name, values in found.items() if len(values) > 1]:
        raise UsageError(f"{said}: {twice[0]} is there twice")
    options = {name: values[0] for name, values in found.items()}
    if "creds" in options and "nkey" in options:
        raise UsageError(f"{said}: give creds or nkey, not both: creds has a seed of its own")
    if "key" in options and "cert" not in options:
        raise UsageError(f"{said}: key is that of a certificate: give cert, too")
    if options.get("tls", "first") != "first":
        raise UsageError(f"{said}: tls={options['tls']}: write tls=first where servers wait for TLS, or tls://")
    return options


def _api(domain: str | None, prefix: str | None, said: str) -> str:
    if domain is not None and prefix is not None:
        raise UsageError(f"{said}: give domain or api_prefix, not both")
    if domain is not None and ("." in domain or not _SUBJECT.fullmatch(domain)):
        raise UsageError(f"{said}: domain={domain}: give the name of a domain, as the servers' jetstream.domain has it")
    if prefix is not None and not _SUBJECT.fullmatch(prefix.removesuffix(".")):
        raise UsageError(f"{said}: api_prefix={prefix}: give what stands for {DEFAULT_PREFIX} here, such as JS.hub.API")
    return f"$JS.{domain}.API" if domain is not None else DEFAULT_PREFIX if prefix is None else prefix.removesuffix(".")


def _monitors(hosts: list[str], text: str, said: str) -> tuple[str, ...]:
    ports = text.split(",")
    if not all(re.fullmatch("[0-9]{1,5}", port) for port in ports):
        raise UsageError(f"{said}: monitor={text}: give a port, or one for each server")
    ports += ports[-1:] * (len(hosts) - len(ports))
    names = [host.rpartition(":")[0] if ":" in host.rpartition("]")[2] else host for host in hosts]
    return tuple(f"http://{host}:{port}/varz" for host, port in zip(names, ports, strict=False))


def _read(what: str, path: str, how: Callable[[str], str] = text_of) -> str:
    try:
        return how(path)
    except OSError as error:
        raise UsageError(f"the journal's {what}={path}: {error.strerror}") from None


def _touch(path: str) -> str:
    """Open it, for those who read it themselves and say less when they can't."""
    with open(path, "rb"):
        return path
