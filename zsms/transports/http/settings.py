"""How a gateway is spoken to over HTTP: one record, checked before anything is opened.

A gateway's address is that of its API; what stands behind # is for zsms and never leaves:

    http://localhost:13013#kannel&username=zsms&sender=12345
    https://api.example.org/v1/messages#file=gateway.toml&password_file=token.secret

`file` is a TOML file of the same settings, for headers and bodies. In their values, and in those of `query`, these
stand for what a message has: {recipient} with its plus, {digits} without, {text}, {id}, {attempt}, {sender},
{username}, {password}, {basic} (username and password as in HTTP's Basic), {coding} (Kannel's: 0 for GSM-7, else 2),
{callback} (where the gateway is to say what became of it) and {mask} (Kannel's dlr-mask: 3); what holds one of these
two is left out where no callbacks are listened for.
"""

from __future__ import annotations

import json
import os
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from math import isfinite
from typing import Any
from urllib.parse import parse_qsl, urlsplit, urlunsplit

from zsms.errors import UsageError
from zsms.options import checked
from zsms.reading import text_of, toml_of

PASSWORD_VARIABLE = "ZSMS_GATEWAY_PASSWORD"
BODIES = ("none", "form", "json")
PLACES = (
    "recipient",
    "digits",
    "text",
    "id",
    "attempt",
    "sender",
    "username",
    "password",
    "basic",
    "coding",
    "callback",
    "mask",
)
MAX_CONNECTIONS = 10_000
_PLACE = re.compile(r"\{([a-z]+)\}")
_MEANT = re.compile(r"\{(\w+)\}")
"""What looks like one of `PLACES`, whatever its case."""
_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""A header's name (RFC 9110, 5.6.2)."""
_SECRETS = ("password", "pass", "passwd", "passphrase", "pwd", "pw", "token", "apikey", "secret", "key", "auth")
"""How names end, without case, dashes and underscores, whose values are nobody else's business."""

PRESETS: dict[str, dict[str, Any]] = {
    "kannel": {
        "path": "/cgi-bin/sendsms",
        "method": "GET",
        "query": {
            "username": "{username}",
            "password": "{password}",
            "from": "{sender}",
            "to": "{recipient}",
            "text": "{text}",
            "charset": "UTF-8",
            "coding": "{coding}",
            "dlr-mask": "{mask}",
            "dlr-url": "{callback}&status=%d",
        },
        "success": (200, 202),
    },
    "twilio": {
        "method": "POST",
        "headers": {"Authorization": "Basic {basic}"},
        "body": "form",
        "content": {"To": "{recipient}", "From": "{sender}", "Body": "{text}", "StatusCallback": "{callback}"},
        "success": (200, 201),
        "success_path": "sid",
    },
    "json": {
        "method": "POST",
        "headers": {"Authorization": "Bearer {password}"},
        "body": "json",
        "content": {"to": "{recipient}", "from": "{sender}", "text": "{text}"},
    },
}
"""Settings by name; `twilio` is for APIs like Twilio's Messages resource, whose address has the account in it."""


@checked
@dataclass(frozen=True)
class HttpSettings:
    """An account at an HTTP API, and how messages go out by it. Times in seconds."""

    url: str
    """Without what is for zsms."""
    method: str = "POST"
    headers: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    body: str = "none"
    """`none`, `form` or `json`: how `content` is written."""
    content: Mapping[str, Any] = field(default_factory=dict)
    """Fields of a form, or a JSON object; strings in it are templates."""
    success: tuple[int, ...] = (200, 201, 202, 204)
    success_path: str = ""
    """Where a JSON answer must have something, such as ``messages.0.status``; empty: its status is enough."""
    success_values: tuple[str, ...] = ()
    """What must stand there; none: anything but null, false and an empty text."""
    username: str = ""
    password: str = field(default="", repr=False)
    sender: str = ""
    connections: int = 50
    """Requests at once: the slots."""
    timeout_s: float = 30.0
    """Until an answer; a message without one may have been sent."""
    connect_s: float = 10.0
    retry_after_s: float = 60.0
    """A gateway that asks for a longer pause than this (429, Retry-After) is asked again after this."""
    ca: str | None = None
    """File of certificates that the gateway's must be signed by; None: those of the system."""

    callback: str = ""
    """HOST:PORT where delivery callbacks are listened for, port 0 for a free one; empty: nowhere."""
    receipt_wait_s: float = 5.0
    """Seconds for which a sender that is done waits for the callbacks that are still to come."""

    @property
    def host(self) -> str:
        """Of the gateway."""
        return urlsplit(self.url).hostname or ""

    @property
    def address(self) -> str:
        """The gateway as people are told of it: without its query."""
        return urlunsplit(urlsplit(self.url)._replace(query="", fragment=""))

    @property
    def slots(self) -> int:
        """Messages that one sender has on their way at once."""
        return self.connections

    @classmethod
    def from_url(cls, url: str) -> HttpSettings:
        """From http(s)://HOST[:PORT][/PATH][?QUERY][#PRESET][&FIELD=VALUE...].

        Raises UsageError; so it does for a password in it, which everybody on this machine could read.
        """
        parts = urlsplit(url)
        bare = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise UsageError(f"{bare}: give http://HOST:PORT/PATH or https://...")
        if "@" in parts.netloc:
            raise UsageError(
                f"{bare}: who you are does not belong before the host: write #username=NAME behind the address, and "
                f"put the password in a file (#password_file=FILE) or in {PASSWORD_VARIABLE}"
            )
        for name, _ in parse_qsl(parts.query, keep_blank_values=True):
            if re.sub("[-_]", "", name.lower()).endswith(_SECRETS):
                raise UsageError(
                    f"{bare}: its {name} does not belong in an address, where others can read it: put it in a file "
                    f"(#password_file=FILE) or in {PASSWORD_VARIABLE}, and write #query.{name}={{password}} instead"
                )
        try:
            port = parts.port
        except ValueError:
            port = 0
        if port == 0:
            raise UsageError(f"{bare}: the port is a number from 1 to 65535")
        table, password_file = _behind(parts.fragment, bare)
        path = table.pop("path", "")
        if parts.path in ("", "/") and path:
            parts = parts._replace(path=path)
        settings = cls(url=urlunsplit(parts._replace(fragment="")), **table)
        settings.check()
        return settings if password_file is None else settings.with_password(password_file)

    def with_password(self, file: str | None = None) -> HttpSettings:
        """With the password of this file's first line, or of the environment's ZSMS_GATEWAY_PASSWORD."""
        if file is None:
            return replace(self, password=os.environ.get(PASSWORD_VARIABLE, self.password))._checked()
        try:
            text = text_of(file, most=65_536).partition("\n")[0].strip()
        except OSError as error:
            raise UsageError(f"password_file {file}: {error.strerror}") from None
        return replace(self, password=text)._checked()

    def _checked(self) -> HttpSettings:
        self.check()
        return self

    def check(self) -> None:
        """Raises UsageError for what can't be."""
        if not 1 <= self.connections <= MAX_CONNECTIONS:
            raise UsageError(f"connections {self.connections}: give 1 to {MAX_CONNECTIONS}")
        host, _, port = self.callback.rpartition(":")
        if self.callback and not (host and port.isascii() and port.isdigit() and int(port) < 65_536):
            raise UsageError(f"callback {self.callback!r}: write HOST:PORT, with a port from 0 (any) to 65535")
        if not 0 <= self.receipt_wait_s <= 1e9:
            raise UsageError(f"receipt_wait_s {self.receipt_wait_s}: give seconds from 0")
        if self.body not in BODIES:
            raise UsageError(f"body {self.body!r}: choose from {', '.join(BODIES)}")
        if self.method.upper() not in ("GET", "POST", "PUT", "PATCH"):
            raise UsageError(f"method {self.method!r}: choose from GET, POST, PUT, PATCH")
        for name in ("timeout_s", "connect_s", "retry_after_s"):
            if not 0.01 <= getattr(self, name) <= 3_600:
                raise UsageError(f"{name} {getattr(self, name)}: give seconds from 0.01 to 3600")
        if not self.success or not all(100 <= each <= 599 for each in self.success):
            raise UsageError(f"success {', '.join(map(str, self.success))}: give statuses from 100 to 599")
        for where in ("username", "password", "sender"):
            if _CONTROL.search(getattr(self, where)):
                raise UsageError(f"{where}: it has a line break or another control character in it")
        self._check_templates()
        if self.ca is not None:
            if urlsplit(self.url).scheme != "https":
                raise UsageError("ca is for TLS: give https://")
            self.context()

    def _check_templates(self) -> None:
        for where, said in (("headers", self.headers), ("query", self.query), ("content", self.content)):
            _check_template(said, where)
        if self.body == "form" and not all(isinstance(each, str) for each in self.content.values()):
            raise UsageError("content of a form: give a text for each field")
        if self.content and self.body == "none":
            raise UsageError("content: say how it is written, body = form or json")
        for name, value in self.headers.items():
            if not _HEADER.fullmatch(name):
                raise UsageError(f"headers: {name!r} is no name of one")
            if "{text}" in value:
                raise UsageError(f"headers.{name}: a text may have line breaks, and a header none")
            if _CONTROL.search(value):
                raise UsageError("headers: a value has a line break")

    def context(self) -> ssl.SSLContext | bool:
        """What TLS is spoken with, True: as usual. Raises UsageError for a file that can't be used."""
        if self.ca is None:
            return True
        try:
            return ssl.create_default_context(cafile=self.ca)
        except (OSError, ssl.SSLError) as error:
            raise UsageError(f"ca {self.ca}: {getattr(error, 'strerror', None) or error}") from None


_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def _behind(fragment: str, where: str) -> tuple[dict[str, Any], str | None]:
    """Fields by name, and the password's file, of what stands behind #."""
    found: dict[str, Any] = {}
    password_file = None
    for part in fragment.split("&") if fragment else []:
        if "=" not in part:
            if part not in PRESETS:
                raise UsageError(f"{where}#{part}: choose from {', '.join(PRESETS)}, or write FIELD=VALUE")
            found.update(PRESETS[part])
            continue
        (name, value), *_ = parse_qsl(part.replace("+", "%2B"), keep_blank_values=True)  # a plus is one: "+1555"
        if name == "password":
            raise UsageError(f"password does not belong in an address: give password_file, or {PASSWORD_VARIABLE}")
        if name == "password_file":
            password_file = value
        elif name == "file":
            table, password_file = _file(value, password_file)
            found.update(table)
        elif name.startswith("query."):
            found["query"] = {**found.get("query", {}), name.removeprefix("query."): value}
        else:
            found[name] = _typed(name, value)
    return found, password_file


def _file(path: str, password_file: str | None) -> tuple[dict[str, Any], str | None]:
    try:
        table = toml_of(path)
    except OSError as error:
        raise UsageError(f"can't read {path}: {error.strerror}") from None
    if "password" in table:
        raise UsageError(f"{path}: give password_file, or {PASSWORD_VARIABLE}, instead of password")
    preset = table.pop("preset", None)
    if preset is not None and preset not in PRESETS:
        raise UsageError(f"{path}: preset {preset!r}: choose from {', '.join(PRESETS)}")
    password_file = table.pop("password_file", password_file)
    if not isinstance(password_file, str | None):
        raise UsageError(f"{path}: password_file {password_file!r}: give a file's name")
    found: dict[str, Any] = dict(PRESETS[preset]) if preset else {}
    for name, value in table.items():
        found[name] = _typed(name, value)
    return found, password_file


_KINDS = {each.name: str(each.type) for each in fields(HttpSettings)}


def _typed(name: str, value: Any) -> Any:
    """A field's value in its type, from a text or from TOML. Raises UsageError."""
    kind = _KINDS.get(name)
    if kind is None or name in ("url", "password"):
        known = ", ".join(sorted(set(_KINDS) - {"url", "password"}))
        raise UsageError(f"a gateway over HTTP has no {name}; it has {known}, file, password_file and query.NAME")
    if kind.startswith("tuple"):
        several = value.split(",") if isinstance(value, str) else value if isinstance(value, list) else [value]
        if kind.startswith("tuple[str"):
            return tuple(map(word_of, several))
        value = several
    try:
        if kind == "int" and isinstance(value, str):
            return int(value)
        if kind == "float" and isinstance(value, str):
            return float(value)
        if kind.startswith("tuple[int"):
            return tuple(int(each) for each in value)
    except (TypeError, ValueError):
        raise UsageError(f"{name} = {value!r} of a gateway: give a number") from None
    if kind.startswith("Mapping") != isinstance(value, Mapping):
        wanted = "a table" if kind.startswith("Mapping") else "a text"
        raise UsageError(f"{name} = {value!r} of a gateway: give {wanted}")
    return value


def _check_template(value: Any, where: str) -> None:
    if isinstance(value, Mapping):
        for name, each in value.items():
            _check_template(each, f"{where}.{name}")
    elif isinstance(value, list):
        for each in value:
            _check_template(each, where)
    elif isinstance(value, str):
        for name in _MEANT.findall(value):
            if name not in PLACES:
                raise UsageError(f"{where}: there is no {{{name}}}; there are {', '.join(PLACES)}")
    elif not isinstance(value, bool | int | float) or not isfinite(value):
        raise UsageError(f"{where}: {value} has no form in JSON; give a text or a number")


def word_of(value: Any) -> str:
    """A JSON value as it is compared with `success_values`: a text itself, else as JSON writes it."""
    return value if isinstance(value, str) else json.dumps(value)


def without_callbacks(template: Mapping[str, Any]) -> dict[str, Any]:
    """What is left of a template where nobody listens for them."""
    return {
        name: value
        for name, value in template.items()
        if not (isinstance(value, str) and ("{callback}" in value or "{mask}" in value))
    }


def filled(template: Any, values: Mapping[str, str]) -> Any:
    """A template with a message's values in it, whatever braces those have."""
    if isinstance(template, str):
        return _PLACE.sub(lambda match: values[match[1]], template)
    if isinstance(template, Mapping):
        return {name: filled(each, values) for name, each in template.items()}
    if isinstance(template, list):
        return [filled(each, values) for each in template]
    return template
