"""How a gateway is spoken to: one record, checked before anything is opened."""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from hashlib import blake2b
from math import inf, isfinite
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from zsms.core.smpp.pdu import MAX_ADDRESS, MAX_SERVICE_TYPE, Command
from zsms.core.smpp.statuses import Consequences
from zsms.core.smpp.texts import Alphabet, Long
from zsms.errors import UsageError
from zsms.options import checked
from zsms.reading import text_of

PORT, TLS_PORT = 2775, 3550
"""Ports of SMPP that IANA and habit know."""
PASSWORD_VARIABLE = "ZSMS_GATEWAY_PASSWORD"
MAX_BINDS = 1_000
MAX_WINDOW = 100_000
_BINDS = ("trx", "tx", "tx+rx")
_LIMITS = {"system_id": 15, "password": 8, "system_type": 12, "service_type": MAX_SERVICE_TYPE}


@checked
@dataclass(frozen=True, slots=True)
class SmppSettings:
    """An account at an SMSC, and how messages go out by it."""

    host: str
    port: int = PORT
    system_id: str = "zsms"
    password: str = field(default="", repr=False)
    system_type: str = ""
    bind: str = "trx"
    """`trx`: transceivers; `tx`: transmitters, no receipts; `tx+rx`: a transmitter and a receiver each."""
    binds: int = 1
    """Connections that submit, 1 to 1,000."""
    window: int = 100
    """submit_sm without an answer, at most, on each."""
    bind_rate: float = inf
    """Segments a second on each connection, at most."""
    rate: float = inf
    """Segments a second on all connections of this process together, at most."""
    tls: bool = False
    ca: str | None = None
    """File of certificates that the gateway's must be signed by; None: those of the system."""
    certificate: str | None = None
    """File of the client's own certificate, and its key unless `key` is given."""
    key: str | None = None
    source: str = ""
    """Sender: a number, with or without plus, or a name."""
    source_ton: int | None = None
    """None: 1 for a number with a plus, 5 for a name (not only digits), else 0."""
    source_npi: int | None = None
    """None: 1 for a number with a plus, else 0."""
    destination_ton: int = 1
    destination_npi: int = 1
    plus: bool = False
    """Write the plus before destinations. With TON 1 it is no part of a number, and most gateways refuse it."""
    service_type: str = ""
    alphabet: str = "auto"
    """`auto`: GSM-7 where a text allows it, else UCS-2; `latin1`: Latin-1 where it does; `ucs2`."""
    long_texts: str = "udh8"
    """`udh8`, `udh16`, `sar` or `payload`: how a text goes out that is longer than a segment."""
    registered_delivery: int = 1
    """1: a receipt of each message, 2: of those that fail, 0: none."""
    receipts: str = "first"
    """Which parts of a long text ask for one: `first`, or `each`; that of the first is the message's."""
    validity_s: float = 0.0
    """Seconds after which the gateway gives a message up; 0: what the gateway does by itself."""
    priority: int = 0
    protocol_id: int = 0
    esm_class: int = 0
    response_s: float = 60.0
    """Seconds after which a submit_sm without an answer is uncertain."""
    enquire_link_s: float = 30.0
    """Seconds of silence after which the gateway is asked for a sign of life; 0: never."""
    connect_s: float = 10.0
    """Seconds that a connection and its TLS may take."""
    receipt_timeout_s: float = 86_400.0
    """Seconds after which a receipt that has not come counts as missing; 0: never."""
    receipt_wait_s: float = 5.0
    """Seconds for which a sender that is done waits for the receipts that are still to come."""
    statuses: Mapping[str, str] = field(default_factory=dict)
    """Changes to what statuses mean: {"0x58": "temporary"}; see `zsms.core.smpp.statuses.CHOICES`."""

    @property
    def slots(self) -> int:
        """Messages that one sender has on their way at once."""
        return self.binds * self.window

    @classmethod
    def from_url(cls, url: str, **options: Any) -> SmppSettings:
        """From smpp://[SYSTEM_ID@]HOST[:PORT][?FIELD=VALUE&...] (smpps:// with TLS) and fields by name.

        Beside this record's fields `password_file` names a file that has the password, and `status.0x58` what that
        status means. Raises UsageError; so it does for a password in the URL, which everybody here could read.
        """
        parts = urlsplit(url)
        if parts.scheme not in ("smpp", "smpps"):
            raise UsageError(f"{_bare(url)}: give smpp://HOST:PORT, or smpps:// with TLS")
        if parts.password is not None:
            raise UsageError(
                f"{_bare(url)}: a password does not belong in an address, where others can read it: put it in a file "
                f"or in {PASSWORD_VARIABLE}"
            )
        if not parts.hostname or parts.path not in ("", "/") or parts.fragment:
            raise UsageError(f"{_bare(url)}: give smpp://HOST:PORT, and ?FIELD=VALUE&... behind it if need be")
        tls = parts.scheme == "smpps"
        try:
            port = (TLS_PORT if tls else PORT) if parts.port is None else parts.port
        except ValueError:
            port = 0
        if not port:
            raise UsageError(f"{_bare(url)}: a port is a number from 1 to 65535")
        found: dict[str, Any] = {"host": parts.hostname, "port": port, "tls": tls}
        if parts.username:
            found["system_id"] = unquote(parts.username)
        asked, password_file, statuses = _from_query(parts.query)
        options = found | asked | ({"statuses": statuses} if statuses else {}) | options
        own = set(cls.__dataclass_fields__) - {"host", "port", "password", "statuses", "tls"}
        unknown = (set(options) - set(cls.__dataclass_fields__)) | (set(asked) - own)
        if unknown:
            raise UsageError(
                f"a gateway has no {', '.join(sorted(unknown))}; it has {', '.join(sorted(own))}, password_file"
            )
        settings = cls(**options)
        settings.check()
        return settings if password_file is None else settings.with_password(password_file)

    def with_password(self, file: str | None = None) -> SmppSettings:
        """With the password of this file's first line, or of the environment's ZSMS_GATEWAY_PASSWORD.

        Raises UsageError for a file that can't be read.
        """
        if file is None:
            found = os.environ.get(PASSWORD_VARIABLE)
            return self if found is None else replace(self, password=found)._checked()
        try:
            text = text_of(file, most=65_536)
        except OSError as error:
            raise UsageError(f"the password's file {file}: {error.strerror}") from None
        return replace(self, password=text.partition("\n")[0].rstrip("\r"))._checked()

    def _checked(self) -> SmppSettings:
        self.check()
        return self

    @property
    def account(self) -> int | None:
        """Names the account to other senders of it, as a hash of its address and system_id; None: without receipts."""
        if not self.registered_delivery or self.bind == "tx":
            return None
        name = f"{self.host.lower()}:{self.port}/{self.system_id}".encode()
        return int.from_bytes(blake2b(name, digest_size=8).digest(), "little")

    @property
    def address(self) -> str:
        """Who this is, for people; without the password."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'smpps' if self.tls else 'smpp'}://{host}:{self.port}"

    @property
    def commands(self) -> tuple[int, ...]:
        """A bind for each connection."""
        kinds = {
            "trx": (Command.BIND_TRANSCEIVER,),
            "tx": (Command.BIND_TRANSMITTER,),
            "tx+rx": (Command.BIND_TRANSMITTER, Command.BIND_RECEIVER),
        }[self.bind]
        return kinds * self.binds

    @property
    def sender(self) -> tuple[int, int, bytes]:
        """source_addr_ton, source_addr_npi, source_addr."""
        name = self.source
        digits = name.removeprefix("+")
        plus = name != digits
        number = digits.isascii() and digits.isdigit()
        ton = (1 if plus else 0) if number or not name else 5
        npi = 1 if plus and number else 0
        own_ton = ton if self.source_ton is None else self.source_ton
        own_npi = npi if self.source_npi is None else self.source_npi
        return own_ton, own_npi, (digits if number and own_ton == 1 else name).encode("latin-1")

    @property
    def validity(self) -> bytes:
        """As SMPP has a relative time: YYMMDDhhmmss000R (7.1.1 of the specification, days of a month at most 30)."""
        if not self.validity_s:
            return b""
        seconds = max(1, round(self.validity_s))
        days, rest = divmod(seconds, 86_400)
        months, days = divmod(days, 30)
        hours, rest = divmod(rest, 3_600)
        return b"%02d%02d%02d%02d%02d%02d000R" % (months // 12, months % 12, days, hours, rest // 60, rest % 60)

    def check(self) -> None:
        """Raises UsageError, which names the field, for settings that can't be."""
        self._check_words()
        self._check_numbers()
        Consequences.edited(self.statuses)
        if self.key and not self.certificate:
            raise UsageError(f"key {self.key}: give the certificate whose key it is, too")
        if self.tls:
            self.context()
        elif self.ca or self.certificate or self.key:
            raise UsageError("certificates are for TLS: give smpps://")

    def _check_words(self) -> None:
        for name, most in _LIMITS.items():
            value = getattr(self, name)
            shown = "" if name == "password" else f" {value!r}"
            if not value.isascii() or len(value) > most:
                raise UsageError(f"{name}{shown}: SMPP has room for {most} ASCII characters, this has {len(value)}")
            _check_controls(name + shown, value)
        for name, allowed in (
            ("bind", _BINDS),
            ("alphabet", [each.value for each in Alphabet]),
            ("long_texts", [each.value for each in Long]),
            ("receipts", ("first", "each")),
        ):
            if getattr(self, name) not in allowed:
                raise UsageError(f"{name} {getattr(self, name)!r}: give one of {', '.join(allowed)}")
        _check_controls(f"source {self.source!r}", self.source)
        try:
            length = len(self.sender[2])
        except UnicodeEncodeError:
            raise UsageError(f"source {self.source!r}: letters beyond Latin-1 have no place in an address") from None
        if length > MAX_ADDRESS:
            raise UsageError(f"source {self.source!r}: SMPP has room for {MAX_ADDRESS} characters")

    def _check_numbers(self) -> None:
        ranges = {"port": (1, 65_535), "binds": (1, MAX_BINDS), "window": (1, MAX_WINDOW), "priority": (0, 255)}
        ranges |= dict.fromkeys(("destination_ton", "destination_npi", "protocol_id", "esm_class"), (0, 255))
        ranges |= dict.fromkeys(("registered_delivery", "source_ton", "source_npi"), (0, 255))
        for name, (least, most) in ranges.items():
            value = getattr(self, name)
            if value is not None and not (isinstance(value, int) and least <= value <= most):
                raise UsageError(f"{name} {value}: give a whole number from {least:,} to {most:,}")
        for name in ("bind_rate", "rate"):
            if not getattr(self, name) > 0:
                raise UsageError(f"{name} {getattr(self, name)}: give segments a second above 0")
        for name, shortest in (("response_s", 0.001), ("connect_s", 0.001), ("enquire_link_s", 0.0)):
            value = getattr(self, name)
            if not (isfinite(value) and shortest <= value <= 1e6):
                raise UsageError(f"{name} {value}: give seconds from {shortest:g} to 1,000,000")
        if not 0 <= self.validity_s < 99 * 360 * 86_400:
            raise UsageError(f"validity_s {self.validity_s}: give seconds from 0 to 99 years")
        for name in ("receipt_timeout_s", "receipt_wait_s"):
            if not 0 <= getattr(self, name) <= 1e9:
                raise UsageError(f"{name} {getattr(self, name)}: give seconds from 0")

    def context(self) -> ssl.SSLContext:
        """What TLS is spoken with. Raises UsageError for a file that can't be used."""
        for file in (self.ca, self.certificate, self.key):
            if file is not None and not os.access(file, os.R_OK):
                raise UsageError(f"the file {file} can't be read")
        try:
            context = ssl.create_default_context(cafile=self.ca)
            if self.certificate is not None:
                context.load_cert_chain(self.certificate, self.key)
        except (ssl.SSLError, OSError) as error:
            raise UsageError(f"the certificates of the gateway {self.address}: {error}") from None
        return context


def _from_query(query: str) -> tuple[dict[str, Any], str | None, dict[str, str]]:
    """Fields of a URL's query in their types, the password's file, and what statuses mean."""
    found: dict[str, Any] = {}
    file, statuses = None, {}
    types = {each.name: str(each.type).partition(" ")[0] for each in fields(SmppSettings)}
    for name, value in parse_qsl(query.replace("+", "%2B"), keep_blank_values=True):  # a plus is one: "tx+rx", "+1555"
        if name == "password":
            raise UsageError(f"password does not belong in an address: give password_file, or {PASSWORD_VARIABLE}")
        if name == "password_file":
            file = value
        elif name.startswith("status."):
            statuses[name.removeprefix("status.")] = value
        else:
            found[name] = _typed(name, value, types.get(name, "str"))
    return found, file, statuses


def _typed(name: str, value: str, kind: str) -> Any:
    try:
        if kind == "int":
            return int(value, 0)
        if kind == "float":
            return float(value)
    except ValueError:
        raise UsageError(f"{name}={value} of a gateway: give a number") from None
    if kind == "bool":
        if value not in ("true", "false"):
            raise UsageError(f"{name}={value} of a gateway: give true or false")
        return value == "true"
    return value


def _check_controls(what: str, value: str) -> None:
    if any(letter < " " or letter == "\x7f" for letter in value):
        raise UsageError(f"{what} has a line break or another control character in it")


def _bare(url: str) -> str:
    """A URL without what stands before an @, which may be a password."""
    scheme, mark, rest = url.partition("://")
    return f"{scheme}{mark}{rest.rpartition('@')[2]}"
