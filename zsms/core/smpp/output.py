"""What one side of a session has to say, as octets in order."""

from __future__ import annotations

from collections.abc import Sequence

from zsms.core.smpp.events import BOUND_BY
from zsms.core.smpp.pdu import RESPONSE, Command, Tag, encode_answers
from zsms.core.smpp.record import Pdu, encode
from zsms.core.smpp.strings import U8, U32, Strings


class Output:
    """Answers, and octets of any kind, until the owner takes them."""

    def __init__(self) -> None:
        self.output_octets = 0
        """Octets that wait in `take_output`."""
        self._out: list[U8 | bytes] = []

    def answer(
        self,
        command: int,
        sequence: U32,
        status: int | U32 = 0,
        ids: Strings | Sequence[bytes] | None = None,
        *,
        always_body: bool = False,
    ) -> None:
        """Answer submit_sm or deliver_sm (`command` is the request's), uint32[n] each; see `pdu.encode_answers`."""
        if len(sequence):
            self.write(encode_answers(command | RESPONSE, sequence, status, ids, always_body=always_body))

    def reply(self, answer: Pdu) -> None:
        """The answer to a rare request, with that one's sequence number."""
        self.write(encode(answer))

    def nack(self, sequence: int, status: int) -> None:
        """A generic_nack."""
        self.write(encode(Pdu(Command.GENERIC_NACK, min(sequence, 0x7FFFFFFF), status)))

    def write(self, octets: bytes | U8) -> None:
        """Send octets as they are: PDUs that the owner has encoded, or for tests of others whatever they may be."""
        self._out.append(octets)
        self.output_octets += len(octets)

    def take_output(self) -> list[U8 | bytes]:
        """What is to be sent, in order; it is forgotten here."""
        out, self._out, self.output_octets = self._out, [], 0
        return out


def bind_answer(request: Pdu, status: int, system_id: bytes, version: int | None) -> Pdu:
    """The answer to a bind: accepted (status 0) or refused."""
    assert request.command in BOUND_BY
    answer = Pdu(request.command | RESPONSE, request.sequence, status, {} if status else {"system_id": system_id})
    if not status and version is not None and request["interface_version"] >= 0x34:  # older ones know no parameters
        answer.tlvs.append((Tag.SC_INTERFACE_VERSION, bytes([version])))
    return answer
