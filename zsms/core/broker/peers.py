"""Who speaks over which connection."""

from __future__ import annotations

from typing import TypeAlias

from zsms.core.broker.ledger import ProducerAccount
from zsms.core.broker.session import Session

Known: TypeAlias = Session | ProducerAccount


class Peers(dict[bytes, Known]):
    """Senders' sessions and producers' accounts, by the name of the connection that joined for them last."""

    def speaks(self, peer: bytes, whom: Known) -> None:
        """From now on that connection speaks for `whom`, and the one before it no longer does."""
        self.forget(whom)
        whom.peer = peer
        self[peer] = whom

    def forget(self, whom: Known) -> None:
        """Nobody speaks for them until the next join; the connection may have become another one's since."""
        if self.get(whom.peer) is whom:
            del self[whom.peer]
