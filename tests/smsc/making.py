"""Submits as a client makes them, read as the server reads them."""

from __future__ import annotations

import numpy as np

from zsms.core.smpp.frames import Stream
from zsms.core.smpp.pdu import Command, Messages, encode_messages, messages
from zsms.core.smpp.strings import Strings
from zsms.smsc.model import Model, Origin, Verdict
from zsms.smsc.rules import Rules


def submits(texts: list[bytes], numbers: list[bytes] | None = None, **fields: object) -> Messages:
    """submit_sm of these texts, decoded."""
    count = len(texts)
    numbers = numbers or [b"1555010%d" % row for row in range(count)]
    fields = {"registered_delivery": 1, "source": b"15550199", **fields}
    made = Messages(
        sequence=np.arange(1, count + 1, dtype=np.uint32),
        destination=Strings.of(numbers),
        short_message=Strings.of(texts),
        **fields,  # type: ignore[arg-type]
    )
    frames = Stream().feed(encode_messages(Command.SUBMIT_SM, made).tobytes())
    assert frames is not None
    return messages(frames)


def decided(rules: Rules, messages: Messages, now: float = 0.0, seed: int = 1) -> tuple[Model, Verdict]:
    """A model, and what it decided on these."""
    model = Model(rules, seed)
    party = model.party("client", "")
    assert not isinstance(party, int)
    return model, model.submitted(messages, Origin(party, None, 7), now, 1e9)
