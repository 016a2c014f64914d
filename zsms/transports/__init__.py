"""How a message is sent: the plug of the sender role.

A transport owns a sender's slots. The role gives it messages for slots that are free and asks what is finished; it
never sees the broker, credit or acknowledgements. What passes between them are columns, and a transport runs no Python
statement for each message where it can help it:

    role                                 transport
     | -- open(wake) -------------------> |   once, before anything else
     | -- start(waiting, now) ----------> |   n messages, for n slots that are free
     | <- wake() ------------------------ |   from any thread: something is finished, or there are receipts
     | -- finished(now) ----------------> |   their handles by outcome; the slots are free again
     | -- receipts() -------------------> |   what became of messages after a gateway had accepted them
     | -- close() ----------------------> |   what is unfinished then is acknowledged to nobody: others get it

**Messages.** `start` gets a :class:`zsms.core.sender.Waiting`: `waiting.handles` (uint64[n]) name the messages towards
the role, `waiting.batch` is a :class:`zsms.message.Batch` or :class:`zsms.message.Mixed` with their columns:
`recipients` and texts of a batch (`lengths` and `text`), `rows` of mixed ones. Who is to know a message when its
receipt comes keeps its producer and its number (`batch.producer`, `batch.seqs`; of mixed ones `rows["seq"]` and
`sources[source].producer`). Nothing of it may be changed.

**Outcomes.** `finished` gives each handle back once, as sent or as failed, with a code of
:class:`zsms.message.Outcome` for each failure. Accepted by the gateway is sent. What the broker makes of the others:

    failed, temporary, unanswered   tried again while there are attempts left (--max-attempts); final after the last
    throttled                       tried again within a second or so, here or elsewhere, and no attempt is spent; the
                                    transport slows its own link down, and may ask for less meanwhile (`room`)
    rejected                        final at once
    uncertain                       no answer came, so it may have been sent: final; with --uncertain resend like failed

A final failure is "failed" where only one attempt is allowed, else a dead letter, with what `reasons` and `names` say
of it. A handle that is never given back is taken from the sender when its lease is over, and sent by another.

**Receipts.** They are counted by the broker, outside of its accounts: a message is settled when the gateway has
accepted it. They may come in any order, late, twice or never; those that no broker could be told are lost. Of a receipt
that says "not yet" nothing is told.

**A transport without threads** may have `fileno()`: the role waits for that, too, and calls `finished` when it can be
read. One whose receipts come late may have `awaited` (how many may still come) and `linger_s`: a sender that is done
waits so long for them; and `stood_still(since, now)`: the process did nothing meanwhile, as after SIGSTOP, so that of
what is read then nobody knows when it came (a receipt's `took` is below 0). One with binds of an account that other
senders share may have `sharing` (:class:`zsms.roles.strays.Sharing`). One may have `prefetch`: how many messages may
wait beside those in hand, by default a tenth of its slots; `free`, how many it takes now, by default `concurrency`
less `busy`: more where it begins some by itself as soon as slots are free; and `figures`: values of
:class:`zsms.stats.figures.SenderFigures` that only it knows.

**Threads.** The role calls all methods from its own thread. A transport with threads of its own hands over what they
have done under a lock, or through a deque, and calls `wake`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from zsms.core.outcomes import Finished, Receipts
from zsms.core.sender import Waiting
from zsms.core.sender.slots import SendTimes
from zsms.stats.failures import Failure


class Transport(Protocol):
    """What the sender role needs of a transport. All methods are called from the role's thread."""

    @property
    def concurrency(self) -> int:
        """Slots: messages that may be in the transport's hands at once."""

    @property
    def times(self) -> SendTimes:
        """What the transport has measured so far of the sends that `finished` has given back.

        `send` is of all of them; `total`, from when a message was due, of those that were sent and of those whose
        failure is final (:func:`zsms.core.outcomes.final`): the others go on.
        """

    @property
    def busy(self) -> int:
        """Messages in the transport's hands."""

    @property
    def failures(self) -> Sequence[Failure]:
        """Why sends failed, by reason, cumulative."""

    @property
    def blocked_s(self) -> float | None:
        """Seconds for which sends have held up all others, where that can be."""

    def room(self, waiting: int) -> int | None:
        """How many more messages to ask for when `waiting` were granted and not started; None: as there are slots."""

    def open(self, wake: Callable[[], None]) -> None:
        """Begin. `wake` may be called from any thread when something has finished."""

    def start(self, waiting: Waiting, now: float) -> None:
        """Send these messages; there are no more of them than free slots."""

    def finished(self, now: float) -> Finished | None:
        """What has finished since the last call, None when nothing has."""

    def receipts(self) -> Receipts | None:
        """What was told since the last call of messages that were accepted before, None when nothing was."""

    def next_time(self) -> float | None:
        """When `finished` is worth calling unasked, in the role's clock; None when `wake` will tell."""

    def close(self) -> None:
        """End, abandoning what is unfinished."""
