"""What a fake SMSC got, as CSV, a row a submit_sm: written in columns."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import IO

import numpy as np

from zsms.core.smpp.pdu import Messages
from zsms.core.smpp.strings import U8, U32, Block, Strings, block, constant, digits, join
from zsms.smsc.ids import U64

HEAD = "time_ms,system_id,source,destination,esm_class,data_coding,status,serial,text_hex\n"
_HEX = np.frombuffer("".join(f"{number:02x}" for number in range(256)).encode(), "<u2")
_QUOTED = np.frombuffer(b'",\r\n', np.uint8)


def rows_of(messages: Messages, system_id: str, status: U32, serials: U64, wall: float) -> U8:
    """The rows, uint8[...]. A text is given as the hexadecimal digits of its octets, whatever their coding is."""
    count = len(messages)
    content = messages.content
    assert isinstance(content, Strings)
    matrix = content.matrix()
    text = _HEX[matrix].view(np.uint8).reshape(count, -1) if matrix.shape[1] else np.zeros((count, 0), np.uint8)
    head = f"{int(wall * 1_000)},{_plain(system_id)},".encode()
    comma = constant(b",")
    fields: list[Block] = [constant(head), _address(messages.source), comma, _address(messages.destination)]
    for column in (messages.esm_class, messages.data_coding, status, serials):
        fields += [comma, block(digits(np.asarray(column).astype(np.uint64)))]
    fields += [comma, Block(text, content.lengths * 2), constant(b"\n")]
    return join(count, fields)


def _address(text: bytes | Strings) -> Block:
    """Octets of an address; what would end a field of CSV is a question mark."""
    assert isinstance(text, Strings)
    matrix = text.matrix()
    return Block(np.where(np.isin(matrix, _QUOTED), ord("?"), matrix).astype(np.uint8), text.lengths)


def _plain(text: str) -> str:
    return "".join("?" if each in '",\r\n' else each for each in text)


class Recorder:
    """Writes them to a file. A disk that is full costs the record, not the run."""

    def __init__(self, file: IO[bytes], failed: Callable[[str], None]) -> None:
        """`failed` is told why nothing more is written."""
        self._file: IO[bytes] | None = file
        self._failed = failed
        self._write(HEAD.encode())

    def put(self, messages: Messages, system_id: str, status: U32, *, serials: U64, wall: float) -> None:
        """Add these."""
        if self._file is not None:
            self._write(rows_of(messages, system_id, status, serials, wall).data)

    def _write(self, data: bytes | memoryview) -> None:
        assert self._file is not None
        try:
            self._file.write(data)
        except OSError as error:
            self._fail(error)

    def _fail(self, error: OSError) -> None:
        file, self._file = self._file, None
        self._failed(f"{error.strerror}")
        if file is not None:
            with suppress(OSError):
                file.close()

    def flush(self) -> None:
        """Onto the disk, or to who reads the pipe."""
        if self._file is not None:
            try:
                self._file.flush()
            except OSError as error:
                self._fail(error)

    def close(self) -> None:
        """Nothing more comes."""
        self.flush()
        if self._file is not None:
            self._file.close()
            self._file = None
