"""The collector's figures for Prometheus: docs/METRICS.md, as code.

    scrape --HTTP--> thread of its own --question--> the collector's thread --answer--> families of `METRICS`

- Nothing is counted twice: a scrape converts the answer that a monitor would get, so a scrape costs one answer and
  messages cost nothing.
- Names and units are those of https://prometheus.io/docs/practices/naming/: base units, `_total` for counters.
- Labels are the roles and names of processes, which the collector bounds (`MAX_PROCESSES`), and outcomes. A message has
  none.
- Histograms are classic ones. Their bounds are edges of our buckets, so every count is exact.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from socketserver import TCPServer, ThreadingMixIn
from typing import TYPE_CHECKING, Any, NamedTuple
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

import numpy as np
import numpy.typing as npt

from zsms import __version__, extras
from zsms.errors import UsageError
from zsms.stats.figures import CollectorFigures, Figures, SenderFigures, added
from zsms.stats.histogram import Histogram
from zsms.stats.row import Row
from zsms.stats.view import View
from zsms.wire.endpoint import Endpoint

if TYPE_CHECKING:
    from prometheus_client.core import Metric as Family

PORT = 9464
"""Unless the address has another."""

Answer = dict[str, Any]


class Metric(NamedTuple):
    """A family of time series."""

    name: str
    kind: str
    """counter, gauge or histogram."""
    labels: tuple[str, ...]
    about: str


PROCESS = ("role", "name")

METRICS = (
    Metric("zsms_build_info", "gauge", ("version",), "1, with the collector's version of zsms."),
    Metric(
        "zsms_messages_produced_total",
        "counter",
        (),
        "Messages made, by the producers' count, or accepted if that is more.",
    ),
    Metric("zsms_messages_accepted_total", "counter", (), "Messages that the broker has accepted."),
    Metric("zsms_messages_sent_total", "counter", (), "Messages sent, each counted once."),
    Metric("zsms_messages_failed_total", "counter", (), "Messages failed with a single attempt allowed."),
    Metric("zsms_messages_dead_total", "counter", (), "Messages given up after several attempts or deliveries."),
    Metric("zsms_sends_retried_total", "counter", (), "Failed sends whose message was sent again."),
    Metric("zsms_messages_redelivered_total", "counter", (), "Messages taken back from a sender and queued again."),
    Metric("zsms_messages_duplicate_total", "counter", (), "Acknowledgements beyond the one that settled a message."),
    Metric("zsms_arrival_rate", "gauge", (), "Messages a second that producers are asked for; 0 without a rate."),
    Metric("zsms_queue_messages", "gauge", (), "Messages queued, those that wait for a retry included."),
    Metric("zsms_queue_retrying_messages", "gauge", (), "Messages that wait for the time of their next attempt."),
    Metric("zsms_queue_bytes", "gauge", (), "Bytes of columns in the queue."),
    Metric("zsms_queue_full", "gauge", (), "1 while the broker stops reading because its queue is full."),
    Metric("zsms_in_flight_messages", "gauge", (), "Messages that senders hold."),
    Metric("zsms_slots", "gauge", (), "Slots of the senders that the broker knows."),
    Metric("zsms_senders_alive", "gauge", (), "Senders whose last word is recent."),
    Metric("zsms_ledger_balanced", "gauge", (), "1 while accounts add up and nothing is missing, else 0."),
    Metric("zsms_messages_missing", "gauge", (), "Messages that were confirmed and that no broker answers for."),
    Metric("zsms_send_duration_seconds", "histogram", (), "Time of a send in its slot."),
    Metric(
        "zsms_queue_duration_seconds",
        "histogram",
        (),
        "Time of a send from when its message was queued, or queued again, to the slot.",
    ),
    Metric("zsms_arrival_lateness_seconds", "histogram", (), "Time from when a message was due to its first slot."),
    Metric(
        "zsms_delivery_duration_seconds",
        "histogram",
        (),
        "Of messages: time from when one was due to its final outcome, through all attempts.",
    ),
    Metric(
        "zsms_receipt_duration_seconds",
        "histogram",
        (),
        "Time from a gateway's acceptance to the receipt that told of the delivery.",
    ),
    Metric("zsms_slot_error_seconds", "histogram", (), "How far a sleep was from the one asked for, either way."),
    Metric("zsms_sends_total", "counter", ("outcome",), "Sends by how they ended, by the broker's count."),
    Metric("zsms_receipts_total", "counter", ("status",), "What gateways told of messages after they had taken them."),
    Metric("zsms_receipts_missing_total", "counter", (), "Receipts that have not come within their time."),
    Metric("zsms_receipts_unmatched_total", "counter", (), "Receipts that no sender got who knew the message."),
    Metric(
        "zsms_receipts_handed_on_total",
        "counter",
        (),
        "Receipts of no message of the sender that they came to, which the other senders of the account got.",
    ),
    Metric("zsms_receipts_taken_over_total", "counter", (), "Receipts that those knew."),
    Metric("zsms_receipts_awaited", "gauge", (), "Receipts that may still come."),
    Metric("zsms_sender_sends_total", "counter", ("name", "outcome"), "Sends of a sender that were sent or failed."),
    Metric("zsms_sender_slots", "gauge", ("name",), "Slots of a sender."),
    Metric("zsms_sender_slots_busy", "gauge", ("name",), "Slots of a sender that are sending."),
    Metric("zsms_process_up", "gauge", PROCESS, "1 while a process's last word is recent, else 0."),
    Metric("zsms_process_snapshot_age_seconds", "gauge", PROCESS, "Time since a process's last word."),
    Metric("zsms_process_cpu_seconds_total", "counter", PROCESS, "Processor time of a process."),
    Metric("zsms_process_resident_memory_max_bytes", "gauge", PROCESS, "Most resident memory of a process."),
    Metric("zsms_process_refused_frames_total", "counter", PROCESS, "Frames that a process could not read."),
    Metric("zsms_collector_refused_frames_total", "counter", (), "Frames that the collector could not read."),
    Metric("zsms_collector_stale_snapshots_total", "counter", (), "Snapshots older than what the collector knew."),
)

HISTOGRAMS = {
    "zsms_send_duration_seconds": "send_time",
    "zsms_queue_duration_seconds": "queue_time",
    "zsms_arrival_lateness_seconds": "late",
    "zsms_delivery_duration_seconds": "total_time",
    "zsms_receipt_duration_seconds": "delivery_time",
    "zsms_slot_error_seconds": "slot_error",
}


def _octaves(lowest: int, highest: int, steps: int) -> npt.NDArray[np.float32]:
    """From 2**lowest to 2**highest seconds in `steps` equal steps an octave."""
    edges = [2.0**octave * (1 + step / steps) for octave in range(lowest, highest) for step in range(steps)]
    return np.array([*edges, 2.0**highest], dtype=np.float32)


TIME_BOUNDS = _octaves(-10, 12, 4)
"""About 1 ms to about an hour, seconds."""
ERROR_BOUNDS = _octaves(-16, 2, 2)
"""About 15 us to 4 s, seconds."""


def samples(answer: Answer) -> Iterator[tuple[str, tuple[str, ...], float]]:
    """Name, values of the labels and value of every series but the histograms', from a collector's answer."""
    view = View.of(answer, 0.0)
    brokers = [row.figures for row in view.brokers]
    yield "zsms_build_info", (__version__,), 1
    yield "zsms_messages_produced_total", (), view.made
    yield "zsms_messages_accepted_total", (), view.accepted
    yield "zsms_messages_sent_total", (), view.sent
    yield "zsms_messages_failed_total", (), view.failed
    yield "zsms_messages_dead_total", (), view.dead
    yield "zsms_sends_retried_total", (), view.retried
    yield "zsms_messages_redelivered_total", (), view.redelivered
    yield "zsms_messages_duplicate_total", (), view.duplicates
    yield "zsms_arrival_rate", (), view.asked_per_s or 0.0
    yield "zsms_queue_messages", (), view.queued
    yield "zsms_queue_retrying_messages", (), added(each.retrying for each in brokers)
    yield "zsms_queue_bytes", (), added(each.queue_bytes for each in brokers)
    yield "zsms_queue_full", (), any(each.full for each in brokers)
    yield "zsms_in_flight_messages", (), view.in_flight
    yield "zsms_slots", (), view.slots
    yield "zsms_senders_alive", (), view.senders_alive
    yield "zsms_ledger_balanced", (), view.balanced
    yield "zsms_messages_missing", (), view.missing
    for outcome, sends in view.totals.broker.outcomes.items():
        yield "zsms_sends_total", (outcome,), sends
    for status, receipts in view.totals.broker.receipts.items():
        yield "zsms_receipts_total", (status,), receipts
    totals = view.totals.sender
    yield "zsms_receipts_missing_total", (), totals.receipts_missing or 0
    yield "zsms_receipts_unmatched_total", (), totals.receipts_unmatched or 0
    yield "zsms_receipts_handed_on_total", (), totals.receipts_handed_on or 0
    yield "zsms_receipts_taken_over_total", (), totals.receipts_taken_over or 0
    yield "zsms_receipts_awaited", (), added(row.figures.receipts_awaited for row in view.senders)
    for sender in view.senders:
        yield from _of_sender(sender)
    for row in view.processes:
        yield from _of_process(row)
    collector = CollectorFigures.of(answer.get("collector", {}))
    yield "zsms_collector_refused_frames_total", (), collector.refused_frames or 0
    yield "zsms_collector_stale_snapshots_total", (), collector.stale or 0


def _of_sender(row: Row[SenderFigures]) -> Iterator[tuple[str, tuple[str, ...], float]]:
    figures, up = row.figures, row.is_present
    yield "zsms_sender_sends_total", (row.name, "sent"), figures.sent or 0
    yield "zsms_sender_sends_total", (row.name, "failed"), figures.failed or 0
    yield "zsms_sender_slots", (row.name,), (figures.slots or 0) if up else 0
    yield "zsms_sender_slots_busy", (row.name,), (figures.busy or 0) if up else 0


def _of_process(row: Row[Figures]) -> Iterator[tuple[str, tuple[str, ...], float]]:
    process, figures = (row.role, row.name), row.figures
    yield "zsms_process_up", process, row.is_present
    yield "zsms_process_snapshot_age_seconds", process, row.age
    yield "zsms_process_cpu_seconds_total", process, figures.cpu_s or 0
    yield "zsms_process_resident_memory_max_bytes", process, figures.rss_max_bytes or 0
    yield "zsms_process_refused_frames_total", process, figures.refused_frames or 0


def families(answer: Answer) -> Iterator[Family]:
    """The whole answer in prometheus_client's form, family by family, in the order of `METRICS`."""
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

    made: dict[str, Any] = {}
    for metric in METRICS:
        if metric.kind == "histogram":
            histogram = _histogram(answer, HISTOGRAMS[metric.name])
            bounds = ERROR_BOUNDS if metric.name == "zsms_slot_error_seconds" else TIME_BOUNDS
            buckets = [
                (repr(float(bound)), float(below)) for bound, below in zip(bounds, histogram.below(bounds), strict=True)
            ]
            buckets.append(("+Inf", float(histogram.count)))
            made[metric.name] = HistogramMetricFamily(metric.name, metric.about, buckets, histogram.sum)
        else:
            family = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
            made[metric.name] = family(metric.name, metric.about, labels=metric.labels)
    for name, labels, value in samples(answer):
        made[name].add_metric(labels, float(value))
    yield from made.values()


def _histogram(answer: Answer, name: str) -> Histogram:
    role = "broker" if name == "delivery_time" else "sender"
    body = answer.get("histograms", {}).get(role, {}).get(name)
    return Histogram() if body is None else Histogram.from_wire(body)


# -- serving ---------------------------------------------------------------------------------------------------------


def parse_address(text: str) -> tuple[str, int]:
    """Host and port from PORT (of the loopback interface), HOST or HOST:PORT. Raises UsageError."""
    endpoint = Endpoint.parse(f"127.0.0.1:{text}" if text.isdigit() else text, PORT)
    if endpoint.scheme != "tcp":
        raise UsageError(f"metrics address {text!r}: write HOST:PORT, such as 127.0.0.1:{PORT}")
    return endpoint.host, endpoint.port


def check(text: str, *, open_to_others: bool = False) -> str:
    """The address, ready for `serve`, port 0 replaced by a free one.

    Raises UsageError for one that can't be listened on, for one that other hosts can reach unless `open_to_others`, and
    when prometheus_client is missing.
    """
    _need_client()
    host, port = parse_address(text)
    if not open_to_others and not Endpoint("tcp", host, port).is_local:
        raise UsageError(
            f"--metrics {text}: others could reach it, and read the names and figures of every process: give --keys "
            "(for `zsms run`, --secure) or --insecure if you trust that whole network, or an address of this machine "
            "alone"
        )
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[
            0
        ]
        with socket.socket(family, kind) as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind(address)
            port = trial.getsockname()[1]
    except OSError as error:
        raise UsageError(f"can't listen on {host} port {port} for metrics: {error.strerror}") from None
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _need_client() -> None:
    try:
        import prometheus_client  # noqa: F401
    except ImportError:
        raise extras.missing("--metrics needs prometheus_client", "metrics") from None


MOST_CONNECTIONS = 64
"""Connections at once; one more takes the place of the oldest. A scraper needs one."""
CONNECTION_S = 10.0
"""How long a connection may last."""


class _Handler(WSGIRequestHandler):
    timeout = CONNECTION_S

    def log_message(self, *_: Any) -> None:
        """Nothing: a scrape is no event."""


class _Server(ThreadingMixIn, WSGIServer):
    """A thread a connection; each lasts `CONNECTION_S` seconds at most, and there are `MOST_CONNECTIONS` at most."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, *given: Any) -> None:
        self._since: dict[socket.socket, float] = {}
        super().__init__(*given)

    def process_request(self, request: Any, client_address: Any) -> None:
        """A connection has come."""
        if len(self._since) >= MOST_CONNECTIONS:
            self._drop(next(iter(self._since)))
        self._since[request] = time.monotonic()
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """A connection is over."""
        self._since.pop(request, None)
        super().shutdown_request(request)

    def service_actions(self) -> None:
        """Called every half second."""
        for request, since in list(self._since.items()):
            if time.monotonic() - since > CONNECTION_S:
                self._drop(request)

    def _drop(self, request: socket.socket) -> None:
        self._since.pop(request, None)
        with suppress(OSError):
            request.shutdown(socket.SHUT_RDWR)  # its thread reads the end, and closes it

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Whoever left in the middle is no event either."""

    def server_bind(self) -> None:
        """Without asking the resolver for a name of this host, which WSGIServer would do."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])
        self.setup_environ()


def _server(host: str, port: int, application: Any) -> _Server:
    """Listen. Raises OSError."""
    family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    server = type("_Server", (_Server,), {"address_family": family})(address[:2], _Handler)
    server.set_app(application)
    made: _Server = server
    return made


class MetricsServer:
    """Answers scrapes on an address, from a thread of its own."""

    def __init__(self, address: str, ask: Callable[[], Answer | None], *, open_to_others: bool = False) -> None:
        """`ask()` is called for each scrape, from any thread; None: there is no answer, and the scrape fails.
        `open_to_others`: the address may be one that other hosts can reach.

        Raises UsageError for an address that can't be had, and when prometheus_client is missing.
        """
        self._host, port = parse_address(check(address, open_to_others=open_to_others))
        from prometheus_client import make_wsgi_app
        from prometheus_client.registry import Collector, CollectorRegistry

        class _Answers(Collector):
            def collect(self) -> Iterator[Family]:
                answer = ask()
                return iter(()) if answer is None else families(answer)

            def describe(self) -> list[Family]:
                return []  # so that registering asks nothing

        registry = CollectorRegistry()
        registry.register(_Answers())
        try:
            self._server = _server(self._host, port, make_wsgi_app(registry))
        except OSError as error:
            raise UsageError(f"can't listen on {self._host} port {port} for metrics: {error.strerror}") from None
        self._thread = threading.Thread(target=self._server.serve_forever, name="metrics", daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        """Where it listens."""
        return self._server.server_port

    @property
    def url(self) -> str:
        """Where Prometheus is to look."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self.port}/metrics"

    def close(self) -> None:
        """Stop answering."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
