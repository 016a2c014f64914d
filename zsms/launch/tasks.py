"""Functions on the workers of a Dask cluster, for what computes and starts no role: plans, and the points of sweeps.

They have no effect but what they return, so one may run again when a worker is lost. What has come is released at once:
Dask would compute that again, too, when the worker that holds it is lost.
"""

from __future__ import annotations

import itertools
import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

from zsms.errors import ZsmsError
from zsms.launch.scheduler import Scheduler
from zsms.launch.worker import attempt, attempt_while_wanted

_RETRIES = 2
_log = logging.getLogger("zsms.launch")
_PIECES = 32
"""Tasks of a map for each thread of the workers, at most: one takes a millisecond or two beside what it does."""


@contextmanager
def _client(address: str, *, light: bool = False) -> Iterator[tuple[Any, int]]:
    """A client of a cluster whose workers have this version of zsms, and how many threads they have."""
    scheduler = Scheduler(address, light=light)
    over = threading.Event()
    try:
        workers, _ = scheduler.usable()
        threading.Thread(target=tell_of_waiting, args=(scheduler, over), daemon=True).start()
        yield scheduler.client, sum(max(1, each["nthreads"]) for each in workers.values())
    finally:
        over.set()
        scheduler.close()


def tell_of_waiting(scheduler: Scheduler, over: threading.Event, every_s: float = 5.0) -> None:
    """Say it when no worker takes tasks any more, until it is over: Dask waits for others without a word."""
    told = ""
    while not over.wait(every_s):
        try:
            why = scheduler.why_idle(scheduler.workers())
        except ZsmsError:
            continue  # of a scheduler that is gone, whoever waits for a task is told
        if why and why != told:
            _log.warning("%s; this waits until one does", why)
        told = why


def tasks_on(
    address: str, function: Callable[[Any, Callable[[], bool]], Any], given: Mapping[Any, Any]
) -> Iterator[tuple[Any, Any]]:
    """Call it on the workers with each of the values, and with what says whether it is wanted any more; each key and
    what came of it, or the error, as they are done. It should compute in processes of its own.

    Raises UsageError and ZsmsError for a cluster that can't be used.
    """
    from distributed import as_completed

    with _client(address, light=True) as (client, _):
        futures = {
            client.submit(attempt_while_wanted, function, value, pure=False, retries=_RETRIES): key
            for key, value in given.items()
        }
        for future in as_completed(list(futures)):
            key, came = futures.pop(future), future.exception() or future.result()
            del future
            yield key, came


@contextmanager
def mapping_on(address: str) -> Iterator[Callable[[Callable[[Any], Any], Iterable[Any]], Iterator[Any]]]:
    """The built-in map, computed on the workers.

    Raises UsageError and ZsmsError for a cluster that can't be used, or is lost.
    """
    with _client(address) as (client, threads):

        def mapped(function: Callable[[Any], Any], values: Iterable[Any]) -> Iterator[Any]:
            each = partial(attempt, partial(_all_of, function))
            futures = client.map(each, pieces(list(values), _PIECES * threads), pure=False, retries=_RETRIES)
            futures.reverse()
            while futures:
                try:
                    found = futures.pop().result()
                except Exception as error:  # of Dask's, or a fault of the function
                    raise ZsmsError(f"a task on {address} failed: {type(error).__name__}: {error}") from error
                if isinstance(found, ZsmsError):
                    raise found
                yield from found

        yield mapped


def pieces(values: Sequence[Any], most: int) -> list[Sequence[Any]]:
    """The values in order, in so many pieces at most, of about the same length."""
    count = min(len(values), most)
    edges = [number * len(values) // count for number in range(count + 1)] if count else []
    return [values[begin:end] for begin, end in itertools.pairwise(edges)]


def _all_of(function: Callable[[Any], Any], values: Iterable[Any]) -> list[Any]:
    return [function(value) for value in values]
