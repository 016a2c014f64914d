"""The tables of states in docs/PROTOCOL.md, and scenarios that are named by their rows."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import zmq

from zsms.errors import WireError
from zsms.wire.codec import decode, encode
from zsms.wire.endpoint import Endpoint

PROTOCOL = (Path(__file__).parent.parent.parent / "docs" / "PROTOCOL.md").read_text(encoding="utf-8")


class Row(NamedTuple):
    """What the document says."""

    state: str
    event: str
    do: str
    after: str

    def says(self) -> set[str]:
        """The kinds of frames that it names as said."""
        return set(re.findall(r"\b[A-Z]{3,}(?:_[A-Z]+)?\b", self.do))


def rows(title: str) -> list[Row]:
    """The rows of a table of that section; those of three columns have no state after."""
    section = PROTOCOL.split(f"### {title}\n", 1)[1].split("\n##", 1)[0]
    lines = [line for line in section.splitlines() if line.startswith("|")][2:]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [Row(*(row if len(row) == 4 else [*row, ""])) for row in cells]


class Scenarios(dict[tuple[str, str], Callable[[], Any]]):
    """By state and event: what plays the row, and returns the state after it and the kinds that were said."""

    def row(self, state: str, event: str) -> Callable[[Callable[[], Any]], Callable[[], Any]]:
        def keep(scenario: Callable[[], Any]) -> Callable[[], Any]:
            assert (state, event) not in self
            self[state, event] = scenario
            return scenario

        return keep


def kind(frame: Any) -> str:
    """Its name in the document."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", type(frame).__name__).upper()


class Part:
    """A frame that was received without a copy."""

    more = False

    def __init__(self, data: bytes) -> None:
        self.bytes = data
        self.buffer = memoryview(data)

    def __len__(self) -> int:
        return len(self.bytes)


class StubSocket:
    """What a peer's connection is to the peer: it keeps what is said, and gives what the test lets the broker say."""

    def __init__(self) -> None:
        self.said: list[Any] = []
        self._waiting: list[list[Part]] = []

    def hear(self, *frames: Any) -> None:
        self._waiting.append([Part(encode(frame)) for frame in frames])

    def send(self, data: bytes, flags: int = 0, copy: bool = True) -> None:
        self.said.append(decode(data))

    def recv_multipart(self, flags: int = 0, copy: bool = True) -> list[Part]:
        if not self._waiting:
            raise zmq.Again
        return self._waiting.pop(0)

    def poll(self, timeout: int, flags: int = 0) -> int:
        return flags

    def kinds(self) -> list[str]:
        """The kinds of what was said since the last call."""
        said, self.said = self.said, []
        return [kind(frame) for frame in said]


class StubSockets:
    """Makes one such socket."""

    def __init__(self) -> None:
        self.socket = StubSocket()

    def connect(self, *args: Any, **options: Any) -> StubSocket:
        return self.socket

    def handshakes(self, socket: Any) -> Any:
        class Quiet:
            def failed(self) -> None:
                return None

            def broken(self) -> bool:
                return False

        return Quiet()

    def place(self, endpoint: Endpoint) -> Endpoint:
        return endpoint


def never(where: str, why: object, now: float) -> None:
    raise WireError(f"{where}: {why}")
