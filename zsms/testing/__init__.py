"""A mesh in memory, for tests of your own: what becomes of messages, without sockets, threads or waiting.

>>> from zsms.testing import StubMesh
>>> mesh = StubMesh(senders=2, slots=10, failure_rate=0.5, seed=1)
>>> mesh.put(1_000)
>>> mesh.join()
>>> mesh.counts["sent"] + mesh.counts["failed"]
1000

Failures, retries, dead letters and senders that die are as in a run; time is the mesh's own.
"""

from zsms.testing.mesh import Attempt, Dead, StubMesh, StubSender

__all__ = ["Attempt", "Dead", "StubMesh", "StubSender"]
