"""Gateways by address: which transport speaks to one, and who may be sent to."""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from zsms.core.seeds import Seed
from zsms.errors import UsageError

if TYPE_CHECKING:
    from zsms.transports.smpp.settings import SmppSettings
    from zsms.transports.smpp.transport import SmppTransport

SCHEMES = ("smpp", "smpps")


def settings_of(url: str) -> SmppSettings:
    """How the gateway at this address is spoken to. Raises UsageError."""
    scheme = urlsplit(url).scheme
    if scheme not in SCHEMES:
        shown = f"at {scheme}://" if "://" in url else "without a scheme"
        raise UsageError(f"a gateway {shown}: give {' or '.join(f'{each}://HOST:PORT' for each in SCHEMES)}")
    from zsms.transports.smpp.settings import SmppSettings

    return SmppSettings.from_url(url)


def transport_of(url: str, seed: Seed = None) -> SmppTransport:
    """A transport that speaks to the gateway at this address. Raises UsageError.

    The password comes from the address's `password_file`, or from the environment's ZSMS_GATEWAY_PASSWORD.
    """
    from zsms.transports.smpp.transport import SmppTransport

    settings = settings_of(url)
    return SmppTransport(settings if settings.password else settings.with_password(), seed=seed)


def is_loopback(host: str) -> bool:
    """Whether that is this machine: what is sent there reaches nobody by accident."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def check_live(url: str, live: bool, random: bool = False) -> None:
    """Raises UsageError for a gateway that people may be behind, unless the user has said that they are meant.

    `live`: they have. `random`: the messages are random ones, which never go to such a gateway.
    """
    settings = settings_of(url)
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
