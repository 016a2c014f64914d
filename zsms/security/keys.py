"""Who a process is, and whom it knows: CURVE key pairs in files that people can copy from host to host.

    keys/                        one directory for a whole mesh, made with `zsms keys new`
      broker-1.key      0600     name, roles, public and secret key: only where that process runs
      producer-1.key    0600
      public/                    name, roles and public key of everyone: the same on every host
        broker-1.pub
        producer-1.pub

    a server (broker, stats)     lets in the keys of public/, each for the roles that stand in its file there
    a client (all others)        talks to the one key of public/ that has the server's role, and to nobody else

A file is TOML. It is refused, with what to do about it, unless it belongs to this user or root, nobody else can read it
(a secret) or change it (any), and it says exactly what it has to. Deleting NAME.pub from a server's list locks that key
out, there and then: a server looks at its list every `REFRESH_S` seconds.

Keys are Curve25519 points as ZeroMQ's CURVE (https://rfc.zeromq.org/spec/26/) takes them, 40 characters of Z85
(https://rfc.zeromq.org/spec/32/).
"""

from __future__ import annotations

import errno
import os
import re
import stat
import struct
import tomllib
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import zmq
from zmq.utils import z85

from zsms.errors import UsageError

ROLES = ("broker", "stats", "producer", "sender", "smsc", "monitor", "operator")
"""What a key may be for: the commands of the roles, and `operator` for those that change a broker's queue."""
MAX_FILE_BYTES = 4_096
MAX_LISTED = 10_000
"""Keys in a list, at most."""
REFRESH_S = 1.0
"""How often a server looks whether its list has changed."""

_LOOKS = 3
"""How often a folder is looked at that is replaced meanwhile."""
_PASSING = frozenset(
    getattr(errno, name)
    for name in ("EMFILE", "ENFILE", "ENOMEM", "ENOBUFS", "EINTR", "EAGAIN", "EIO", "ESTALE", "ETIMEDOUT")
)
"""Errors that say nothing of the file: a list that was read holds."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_PUBLIC = "public"
_OTHERS_MAY_CHANGE = stat.S_IWGRP | stat.S_IWOTH
_OTHERS_MAY_ANYTHING = stat.S_IRWXG | stat.S_IRWXO


@dataclass(frozen=True, slots=True)
class Key:
    """One identity. `public` and `secret` are Z85; another's key has no secret."""

    name: str
    roles: tuple[str, ...]
    public: bytes
    secret: bytes | None = field(default=None, repr=False)

    @property
    def user(self) -> str:
        """What marks its frames."""
        return self.public.decode()


# -- one file ----------------------------------------------------------------------------------------------------


def parse(text: str, where: str, *, secret: bool) -> Key:
    """The key that a file says. Raises UsageError, and nothing else, that begins with `where`."""
    wanted = {"name", "roles", "public-key"} | ({"secret-key"} if secret else set())
    try:
        table = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, ValueError, RecursionError) as error:
        raise UsageError(f"{where} is no key file: {str(error)[:100]}") from None
    if table.keys() != wanted:
        raise UsageError(f"{where} is no key file: it has to say {', '.join(sorted(wanted))}, and nothing else")
    name, roles = table["name"], table["roles"]
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise UsageError(f"{where}: {_shown(name)} is no name of a key")
    if not isinstance(roles, list) or not roles or not all(role in ROLES for role in roles):
        raise UsageError(f"{where}: roles = {_shown(roles)}: list some of {', '.join(ROLES)}")
    public = _point(table["public-key"], f"{where}: public-key")
    if not secret:
        return Key(name, tuple(roles), public)
    own = _point(table["secret-key"], f"{where}: secret-key")
    if zmq.curve_public(own) != public:
        raise UsageError(f"{where}: its public-key does not belong to its secret-key; make a new key")
    return Key(name, tuple(roles), public, own)


def _point(value: Any, where: str) -> bytes:
    """40 characters of Z85. The value itself is never shown: it may be a secret."""
    try:
        data = value.encode("ascii")
        if len(data) == 40 and z85.encode(z85.decode(data)) == data:
            return bytes(data)
    except (AttributeError, ValueError, KeyError, struct.error):
        pass
    raise UsageError(f"{where} is not 40 characters of Z85")


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def read(path: Path) -> Key:
    """The key in `path`, with its secret if it is a .key file. Raises UsageError, and OSError if it can't be read."""
    secret = path.suffix == ".key"
    # Not to wait for a writer, should it be a pipe.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        info = os.fstat(descriptor)
        if not stat.S_ISREG(info.st_mode):
            raise UsageError(f"{path} is no file")
        _check_owner(path, info)
        mode = stat.S_IMODE(info.st_mode)
        if secret and mode & _OTHERS_MAY_ANYTHING and not _is_handed_over(info):
            raise UsageError(
                f"{path} holds a secret, but others may use it (mode {mode:04o}): chmod 600 {path}; one that is "
                "mounted may be root's with mode 0440, for a group of this process"
            )
        if mode & _OTHERS_MAY_CHANGE:
            raise UsageError(f"others may change {path} (mode {mode:04o}): chmod 644 {path}")
        data = os.read(descriptor, MAX_FILE_BYTES + 1)
    finally:
        os.close(descriptor)
    if len(data) > MAX_FILE_BYTES:
        raise UsageError(f"{path} is no key file: it is longer than {MAX_FILE_BYTES} bytes")
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise UsageError(f"{path} is no key file: it is not UTF-8") from None
    key = parse(text, str(path), secret=secret)
    if key.name != path.stem:
        raise UsageError(f"{path} is the key {key.name!r}: a key's file is named for it, {key.name}{path.suffix}")
    return key


def _is_handed_over(info: os.stat_result) -> bool:
    """Whether a file is root's and for a group that this process is in, as secrets are mounted into containers."""
    if not os.geteuid() and info.st_mode & 0o222:
        return False  # root's own file, and no read-only mount's
    own = info.st_gid == os.getegid() or info.st_gid in os.getgroups()
    return info.st_uid == 0 and own and not info.st_mode & (_OTHERS_MAY_ANYTHING & ~stat.S_IRGRP)


def _check_owner(path: Path, info: os.stat_result) -> None:
    if info.st_uid not in (os.geteuid(), 0):
        raise UsageError(f"{path} belongs to user {info.st_uid}, neither to you nor to root: chown it, or copy it")


def _check_directory(path: Path) -> None:
    """Raise UsageError unless only this user and root can put files there: none, at least, that would be taken. In a
    sticky folder (1777, as secrets are mounted) nobody replaces another's file, and each file's owner is looked at."""
    try:
        info = path.stat()
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}; `zsms keys new` makes keys") from None
    if not stat.S_ISDIR(info.st_mode):
        raise UsageError(f"{path} is no directory of keys")
    _check_owner(path, info)
    if info.st_mode & _OTHERS_MAY_CHANGE and not info.st_mode & stat.S_ISVTX:
        raise UsageError(f"others may put files into {path} (mode {stat.S_IMODE(info.st_mode):04o}): chmod go-w {path}")


# -- making ------------------------------------------------------------------------------------------------------


def make(directory: Path, name: str, roles: Iterable[str]) -> Key:
    """Make a key pair and its two files, and `directory` if need be. Raises UsageError; no file is ever replaced."""
    roles = tuple(dict.fromkeys(roles))
    if not _NAME.fullmatch(name):
        raise UsageError(f"{name!r} is no name of a key: use up to 64 letters, digits, dots, dashes and underscores")
    if not roles or not all(role in ROLES for role in roles):
        raise UsageError(f"say what {name!r} is for: --role with one of {', '.join(ROLES)}")
    public, secret = zmq.curve_keypair()
    key = Key(name, roles, public, secret)
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        (directory / _PUBLIC).mkdir(mode=0o755, exist_ok=True)
        _check_directory(directory)
        _check_directory(directory / _PUBLIC)
        own, listed = directory / f"{name}.key", directory / _PUBLIC / f"{name}.pub"
        for path in (own, listed):
            if path.exists():
                raise UsageError(f"{path} is there already: choose another name, or delete {own} and {listed} first")
        _write(own, _text(key, secret=True), 0o600)
        _write(listed, _text(key, secret=False), 0o644)
    except OSError as error:
        raise UsageError(f"can't write a key into {directory}: {error.strerror}") from None
    return key


def _text(key: Key, *, secret: bool) -> str:
    roles = ", ".join(f'"{role}"' for role in key.roles)
    lines = [f'name = "{key.name}"', f"roles = [{roles}]", f'public-key = "{key.public.decode()}"']
    if secret:
        assert key.secret is not None
        lines = ["# A secret: only for the host on which this process runs.", *lines]
        lines.append(f'secret-key = "{key.secret.decode()}"')
    return "\n".join(lines) + "\n"


def _write(path: Path, text: str, mode: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    with open(descriptor, "w", encoding="ascii") as file:
        os.fchmod(descriptor, mode)  # whatever the umask
        file.write(text)


# -- a process's keys --------------------------------------------------------------------------------------------


class Keys:
    """A process's own key and the list of everybody's."""

    def __init__(self, own: Key, directory: Path) -> None:
        """`directory` is that of the list. Raises UsageError for a list that is not sound."""
        self.own = own
        self.listed: dict[bytes, Key] = {}
        """By public key. Replaced, never changed, when the list is."""
        self.users: dict[str, Key] = {}
        """The same by User-Id, which is the public key as text: a name can be given to another key."""
        self._directory = directory
        _check_directory(directory.parent)
        _check_directory(directory)
        self._trouble = ""
        """What the last look at the list failed with."""
        try:
            self._seen = self._state_of_list()
        except OSError as error:
            raise UsageError(f"{directory}: {error.strerror}") from None
        problems = self._load()
        if problems:
            raise UsageError(problems[0])

    @classmethod
    def load(cls, path: str | Path, role: str, name: str | None = None) -> Keys:
        """The keys of a process that does `role`: `path` is its .key file, or a directory that holds one for the role.

        When the directory holds several, the one that is called `name` is taken. Raises UsageError.
        """
        path = Path(path)
        own = cls._find(path, role, name) if path.is_dir() else cls._read_own(path)
        if role not in own.roles:
            raise UsageError(f"the key {own.name!r} is for {' and '.join(own.roles)}, not for {role}")
        return cls(own, (path if path.is_dir() else path.parent) / _PUBLIC)

    @staticmethod
    def _read_own(path: Path) -> Key:
        if path.suffix != ".key":
            raise UsageError(f"--keys {path}: give a directory of keys, or a file whose name ends in .key")
        try:
            return read(path)
        except OSError as error:
            raise UsageError(f"{path}: {error.strerror}; `zsms keys new` makes keys") from None

    @staticmethod
    def _find(directory: Path, role: str, name: str | None) -> Key:
        found = []
        for path in sorted(directory.glob("*.key")):
            try:
                key = read(path)
            except PermissionError:
                continue  # another user's
            except OSError as error:
                raise UsageError(f"{path}: {error.strerror}") from None
            if role in key.roles:
                found.append(key)
        named = [key for key in found if key.name == name]
        if len(named) == 1 or len(found) == 1:
            return (named or found)[0]
        if found:
            names = ", ".join(f"{key.name}.key" for key in found)
            raise UsageError(f"{directory} holds several keys for the role {role} ({names}): give --keys one of them")
        raise UsageError(
            f"{directory} holds no key for the role {role}: zsms keys new NAME --role {role} --keys {directory}"
        )

    def server(self, role: str) -> bytes:
        """The public key of the one that serves as `role`. Raises UsageError when the list has none, or several."""
        found = [key for key in self.listed.values() if role in key.roles]
        if len(found) != 1:
            told = f"names several ({', '.join(key.name for key in found)}); keep one" if found else "has none"
            raise UsageError(f"whose key must the other side of role {role} have? {self._directory} {told}")
        return found[0].public

    def refresh(self) -> list[str]:
        """Read the list again if it has changed; what was wrong with it. Files that are not sound count as deleted.

        A look that fails changes nothing: the last list holds, and the next look may be luckier.
        """
        try:
            seen = self._state_of_list()
        except OSError as error:
            before, self._trouble = self._trouble, f"can't look into {self._directory}: {error.strerror}"
            return [] if before == self._trouble else [f"{self._trouble}; the last list holds"]
        self._trouble = ""
        if seen == self._seen:
            return []
        self._seen = seen
        return self._load()

    def _state_of_list(self) -> list[tuple[str, int, int, int]]:
        """What tells one state of the list from another. Raises OSError."""
        infos: list[tuple[str, os.stat_result]] = []
        for _ in range(_LOOKS):
            before = os.stat(self._directory)
            infos = []
            with os.scandir(self._directory) as entries:
                for entry in entries:
                    if entry.name.endswith(".pub"):
                        with suppress(FileNotFoundError):  # it has gone since: that key alone is gone
                            infos.append((entry.name, entry.stat()))
            if os.path.samestat(before, os.stat(self._directory)):
                break  # else the whole folder was replaced meanwhile, as mounted secrets are
        return sorted((name, info.st_mtime_ns, info.st_ctime_ns, info.st_ino) for name, info in infos)

    def _load(self) -> list[str]:
        listed: dict[bytes, Key] = {}
        problems = []
        before = {key.name: key for key in self.listed.values()}
        names = [name for name, *_ in self._seen]
        if len(names) > MAX_LISTED:
            return [f"{self._directory} lists {len(names)} keys, over {MAX_LISTED}; the last list holds"]
        for name in names:
            path = self._directory / name
            try:
                key = read(path)
                if key.public in listed:
                    raise UsageError(f"{path} is the same key as {listed[key.public].name}.pub: delete one of them")
            except FileNotFoundError:
                pass  # it has gone since the look
            except OSError as error:
                known = before.get(path.stem)
                if error.errno in _PASSING and known is not None:
                    listed[known.public] = known
                    self._seen = []  # read it again at the next look
                    problems.append(f"{path}: {error.strerror}; it counts as it was")
                else:
                    problems.append(f"{path}: {error.strerror}; it counts as deleted")
            except UsageError as error:
                problems.append(f"{error}; it counts as deleted" if before else str(error))
            else:
                listed[key.public] = key
        self.listed = listed
        self.users = {key.user: key for key in listed.values()}
        return problems


def listing(directory: Path) -> list[tuple[Key, bool]]:
    """Every key of the list, by name, and whether its secret is there too. Raises UsageError."""
    _check_directory(directory)
    public = directory / _PUBLIC
    _check_directory(public)
    found = []
    for path in sorted(public.glob("*.pub")):
        try:
            found.append((read(path), (directory / f"{path.stem}.key").exists()))
        except OSError as error:
            raise UsageError(f"{path}: {error.strerror}") from None
    return found
