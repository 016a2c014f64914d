"""A sender with a function of your own in place of sleeping, in an asyncio program.

`send` runs on this program's event loop, at most `concurrency` calls at a time. True (or `Outcome.SENT`) means sent;
False, `Outcome.FAILED` and any exception mean failed, and the broker tries such a message again, on this sender or on
another, until `max_attempts` are used up.

    python examples/embed_asyncio.py
"""

import asyncio
import random

from zsms import Broker, Message, Outcome, Producer, Sender
from zsms.core.broker import BrokerLimits


class Gateway:
    """Stands for an SMS gateway that refuses one message in twenty."""

    def __init__(self) -> None:
        self.calls = 0
        self._random = random.Random(1)

    async def send(self, message: Message) -> Outcome:
        """Deliver one message: here you would speak SMPP or HTTP."""
        self.calls += 1
        await asyncio.sleep(0.005)
        return Outcome.FAILED if self._random.random() < 0.05 else Outcome.SENT


async def main() -> None:
    """Send 2,000 messages, with up to 5 attempts each."""
    gateway = Gateway()
    limits = BrokerLimits(max_attempts=5, retry_base=0.05)
    with Broker("tcp://127.0.0.1:0", limits=limits) as broker:
        sender = asyncio.create_task(Sender(broker.endpoint, concurrency=100, send=gateway.send).serve())
        await Producer(broker.endpoint, messages=2_000, seed=1).serve()  # until the broker holds them all
        broker.stop()  # take no more, and leave when all is settled
        await asyncio.to_thread(broker.join)
        sender.cancel()
        await asyncio.gather(sender, return_exceptions=True)
    totals = broker.core.totals()
    print(f"{totals['sent']:,} sent and {totals['dead']:,} given up, in {gateway.calls:,} calls")


if __name__ == "__main__":
    asyncio.run(main())
