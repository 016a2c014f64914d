"""Gateways by address: which transport speaks to one, and who may be sent to."""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from zsms import extras
from zsms.core.seeds import Seed
from zsms.errors import UsageError

if TYPE_CHECKING:
    from zsms.transports import Transport
    from zsms.transports.http.settings import HttpSettings
    from zsms.transports.smpp.settings import SmppSettings

_SMPP, _HTTP = ("smpp", "smpps"), ("http", "https")
SCHEMES = _SMPP + _HTTP


def settings_of(url: str) -> SmppSettings | HttpSettings:
    """How the gateway at this address is spoken to. Raises UsageError."""
    try:
        parts = urlsplit(url)
        (parts.hostname or "").encode("idna")
    except (ValueError, UnicodeError) as error:
        raise UsageError(f"a gateway whose address can't be one ({error}): give SCHEME://HOST:PORT") from None
    scheme = parts.scheme
    if scheme in _SMPP:
        from zsms.transports.smpp.settings import SmppSettings

        return SmppSettings.from_url(url)
    if scheme in _HTTP:
        from zsms.transports.http.settings import HttpSettings

        return HttpSettings.from_url(url)
    shown = f"at {scheme}://" if "://" in url else "without a scheme"
    raise UsageError(f"a gateway {shown}: give {' or '.join(f'{each}://HOST:PORT' for each in SCHEMES)}")


def transport_of(url: str, seed: Seed = None) -> Transport:
    """A transport that speaks to the gateway at this address. Raises UsageError.

    The password comes from the address's `password_file`, or from the environment's ZSMS_GATEWAY_PASSWORD.
    """
    settings = settings_of(url)
    if not settings.password:
        settings = settings.with_password()
    if urlsplit(url).scheme in _HTTP:
        from zsms.transports.http import HttpSettings, HttpTransport

        assert isinstance(settings, HttpSettings)
        return HttpTransport(settings)
    from zsms.transports.smpp import SmppSettings, SmppTransport

    assert isinstance(settings, SmppSettings)
    return SmppTransport(settings, seed=seed)


def is_loopback(host: str) -> bool:
    """Whether that is this machine: what is sent there reaches nobody by accident."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def check_live(url: str, live: bool, random: bool = False) -> None:
    """Raises UsageError for a gateway that can't be spoken to from here, or that people may be behind, unless the user
    has said that they are meant.

    `live`: they have. `random`: the messages are random ones, which never go to such a gateway.
    """
    settings = settings_of(url)
    if urlsplit(url).scheme in _HTTP:
        extras.need("aiohttp", "a gateway over HTTP", "http")
    if is_loopback(settings.host):
        return
    if random:
        raise UsageError(
            f"{settings.address} is not this machine, and random numbers may be somebody's: give a list with --input"
        )
    if not live:
        raise UsageError(
            f"{settings.address} is not this machine: people may get what is sent there, and you may pay for it; say "
            "--yes-really-send (in a settings file: yes-really-send = true) if that is meant"
        )
