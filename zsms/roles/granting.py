"""A broker's grants on the wire: a head, then the messages, which large batches give up without a copy."""

from __future__ import annotations

import zmq

from zsms.core.broker import BrokerCore
from zsms.message import Mixed
from zsms.wire.codec import encode_batch, encode_grant, encode_mixed, encode_part
from zsms.wire.sockets import plain_send

_BLOCKED_S = 0.02
"""How long a sender whose pipe is full is left alone."""
# Plain integers: combining zmq's enumerations costs as much as sending.
_NOBLOCK_MORE = int(zmq.NOBLOCK) | int(zmq.SNDMORE)
_MORE = int(zmq.SNDMORE)


def send_grants(router: zmq.Socket[bytes], core: BrokerCore, now: float) -> None:
    """Send what the core grants; what the wire does not take it hears of at once."""
    send = plain_send(router)
    for granted in core.grants(now):
        session, piece = granted.session, granted.piece
        lot = piece.lot
        head = encode_grant(
            (
                session.token,
                session.generation,
                piece.base,
                lot.attempt,
                lot.delivery,
                lot.queued,
                session.acked,
                granted.more,
            )
        )
        try:
            send(session.peer, _NOBLOCK_MORE)
        except zmq.Again:
            core.blocked(granted, now + _BLOCKED_S)
            continue
        except zmq.ZMQError:
            core.unreachable(granted)
            continue
        send(head, _MORE)
        whole = lot.whole
        if isinstance(whole, Mixed):
            send(encode_mixed(whole.slice(lot.begin, lot.end)))
        elif lot.size < len(whole):
            send(encode_part(whole, lot.begin, lot.end))
        elif whole.frame is None:
            send(encode_batch(whole))
        else:
            send(whole.frame, copy=isinstance(whole.frame, bytes))
