"""What a confirm of a broker promises, by where its journal is kept: a folder, NATS servers, or nowhere."""

from __future__ import annotations

import re

from zsms.errors import UsageError

DURABILITIES = ("majority", "fsync", "os", "memory")
"""What a confirm says: with most of the journal's servers; on the disk; with the operating system, so that the broker
may crash but not its machine; in the broker's memory."""


def check_durability(journal: object | None, durability: str | None) -> str:
    """What `durability` (None: the default) comes to, with or without a journal. Raises UsageError."""
    on_servers = is_on_servers(journal)
    if journal is not None and not on_servers:
        if not str(journal).strip():
            raise UsageError("journal '': give the name of a folder (is a variable not set?)")
        if "://" in str(journal):
            raise UsageError(f"journal {hidden(str(journal))}: give a folder, or nats://HOST,HOST,HOST/NAME")
    if durability is None:
        return "memory" if journal is None else "majority" if on_servers else "fsync"
    if durability not in DURABILITIES:
        raise UsageError(f"durability {durability!r}: give {', '.join(DURABILITIES[:-1])} or {DURABILITIES[-1]}")
    if (durability == "majority") != on_servers and journal is not None:
        if on_servers:
            raise UsageError(f"durability {durability} is for a folder; with NATS servers it is always majority")
        raise UsageError("durability majority is of NATS servers: --journal nats://HOST,HOST,HOST/NAME")
    if journal is None and durability != "memory":
        raise UsageError(f"durability {durability}: give a folder for the journal (--journal DIR), too")
    if journal is not None and durability == "memory":
        raise UsageError("durability memory keeps nothing on disk: leave out the journal, or give fsync or os")
    return durability


def is_on_servers(journal: object | None) -> bool:
    """Whether a journal is a stream of NATS servers, and no folder."""
    return isinstance(journal, str) and journal.startswith(("nats://", "tls://"))


def hidden(text: str) -> str:
    """An address without its password or token, for people: also one whose password has signs that end its place."""
    scheme, _, rest = text.partition("://")
    place = re.split("[/?#]", rest, maxsplit=1)[0]
    whole = _BEHIND.fullmatch(rest, len(place)) is not None
    if "@" not in rest or (whole and "@" not in place and _HOSTS.fullmatch(place)):
        return text
    at = len(place) if whole and "@" in place else len(rest)
    user, _, places = rest[:at].rpartition("@")
    return f"{scheme}://{user.partition(':')[0] if ':' in user else '***'}@{places}{rest[at:]}"


_HOSTS = re.compile(r"(\[[^\]]*\]|[^:,]*)(:\d*)?(,(\[[^\]]*\]|[^:,]*)(:\d*)?)*")
_BEHIND = re.compile(r"(/[^@?#]*)?(\?(creds|nkey|password_file|ca|cert|key|tls|monitor|domain|api_prefix)=[^#]*)?")
"""What stands behind the places of an address in which nothing is odd."""
