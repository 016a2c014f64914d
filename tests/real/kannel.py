"""A Kannel for a test: bearerbox and smsbox with a configuration of their own, on free ports.

with Kannel(smsc.port, tmp_path) as kannel:
    kannel.send("+12025550123", "hello")     (202, ...)
    kannel.status()                           what it says of itself
"""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

from tests.mesh.processes import until

CONF = Path(__file__).parents[2] / "examples" / "kannel" / "kannel.conf"


def free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [each.getsockname()[1] for each in sockets]


class Kannel:
    def __init__(self, smsc_port: int, folder: Path, **smsc: object) -> None:
        for program in ("bearerbox", "smsbox"):
            if shutil.which(program) is None:
                pytest.skip(f"no {program}: it is in the Debian package kannel")
        self.admin, box, self.port = free_ports(3)
        text = CONF.read_text()
        for old, new in (("13000", self.admin), ("13001", box), ("13013", self.port), ("port = 2775", smsc_port)):
            text = text.replace(old, f"port = {new}" if " " in old else f"{new}")
        for name, value in smsc.items():
            line = f"{name.replace('_', '-')} = {value}"
            text = re.sub(rf"^{name.replace('_', '-')} = .*\n", "", text, flags=re.MULTILINE)
            text = text.replace("smsc-id = fake\n", f"smsc-id = fake\n{line}\n")
        self.conf = folder / "kannel.conf"
        self.conf.write_text(text)
        self.folder = folder
        self._processes: list[subprocess.Popen[bytes]] = []

    def _start(self, program: str) -> None:
        with open(self.folder / f"{program}.log", "wb") as log:
            self._processes.append(
                subprocess.Popen([program, "-v", "1", str(self.conf)], stdout=log, stderr=log, stdin=subprocess.DEVNULL)
            )

    def __enter__(self) -> Self:
        self._start("bearerbox")
        try:
            until(lambda: "online" in self.status() or None, "a bearerbox that is bound")
            self._start("smsbox")
            until(lambda: ("smsbox" in self.status() and self._listens()) or None, "an smsbox that listens")
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    def end(self) -> None:
        """Both, by SIGTERM; bearerbox unbinds."""
        while self._processes:
            process = self._processes.pop()
            process.terminate()
            try:
                process.wait(25)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _listens(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
        except OSError:
            return False
        return True

    def status(self) -> str:
        try:
            with urllib.request.urlopen(
                f"http://127.0.0.1:{self.admin}/status.txt?password=status", timeout=25
            ) as page:
                return str(page.read().decode("latin-1"))
        except OSError:
            return ""

    def figure(self, pattern: str) -> int:
        """A figure of its status, by a pattern with a group; -1 while there is none."""
        found = re.search(pattern, self.status())
        return int(found[1]) if found else -1

    @property
    def sent(self) -> int:
        return self.figure(r"SMS: received \d+ \(\d+ queued\), sent (\d+)")

    @property
    def receipts(self) -> int:
        return self.figure(r"DLR: received (\d+)")

    @property
    def failed(self) -> int:
        return self.figure(r"failed (\d+), queued")

    def send(self, to: str, text: str, **fields: object) -> int:
        """Its HTTP status."""
        query = {
            "username": "tester",
            "password": "foobar",
            "from": "12025550100",
            "to": to,
            "text": text,
            "charset": "UTF-8",
            **{name.replace("_", "-"): f"{value}" for name, value in fields.items()},
        }
        encoded = urllib.parse.urlencode(query, quote_via=urllib.parse.quote)
        try:
            with urllib.request.urlopen(
                f"http://127.0.0.1:{self.port}/cgi-bin/sendsms?{encoded}", timeout=30
            ) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code


def wait(what: str, look: object, within: float = 40.0) -> None:
    assert callable(look)
    deadline = time.monotonic() + within
    until(lambda: look() or None, what, max(0.1, deadline - time.monotonic()))
