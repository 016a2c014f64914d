"""The metrics: what is listed is what is served, and Prometheus itself reads it."""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest
from prometheus_client.openmetrics import parser

from tests.mesh.processes import Command, free_port, until, view_when, zsms
from zsms import UsageError
from zsms.dashboard.prometheus import (
    ERROR_BOUNDS,
    METRICS,
    TIME_BOUNDS,
    MetricsServer,
    families,
    parse_address,
    samples,
)
from zsms.roles.collector import StatsCollector
from zsms.stats.book import StatsBook
from zsms.stats.histogram import Histogram
from zsms.stats.snapshot import Snapshot

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples" / "metrics"
OPEN_METRICS = "application/openmetrics-text; version=1.0.0"


def tool(name: str) -> str:
    """Where one of Prometheus's programs is."""
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"{name} is missing: apt-get install prometheus (bin/test does it as root)")
    return path


def histogram(*seconds: float) -> Histogram:
    made = Histogram()
    made.record(np.array(seconds, dtype=np.float32))
    return made


def snapshot(role: str, **figures: Any) -> Snapshot:
    common = {"start": 1, "seq": 1, "host": "h", "pid": 1, "state": "running", "interval": 1.0}
    return Snapshot(role=role, name=f'{role} "1"', **common, **figures)


@pytest.fixture
def answer() -> dict[str, Any]:
    book = StatsBook()
    book.put(snapshot("producer", counters={"produced": 100}), 0.0)
    broker = {"accepted": 100, "sent": 3, "failed": 2, "dead": 1, "redelivered": 4, "retried": 5, "duplicates": 6}
    gauges = {"queued": 90.0, "in_flight": 4.0, "retrying": 7.0, "queue_bytes": 8.0, "full": 1.0, "slots": 4.0}
    book.put(snapshot("broker", counters=broker, gauges={**gauges, "balanced": 1.0, "cpu_s": 1.5}), 0.0)
    times = {"send_time": histogram(0.5, 1.0, 1.1, 40.0), "slot_error": histogram(0.001)}
    sender = {"sent": 3, "failed": 7, "refused_frames": 9}
    book.put(snapshot("sender", counters=sender, gauges={"slots": 4.0, "busy": 2.0}, histograms=times), 0.0)
    return {**book.answer("all", 0.5), "collector": {"refused_frames": 11, "stale": 12}}


def test_the_document_lists_what_is_served() -> None:
    text = (ROOT / "docs" / "METRICS.md").read_text(encoding="utf-8")
    told = re.findall(r"^\| `(zsms_\w+)` \| (\w+) \| (.*?) ?\| (.+) \|$", text, re.MULTILINE)
    assert [(name, kind, tuple(re.findall(r"\w+", labels))) for name, kind, labels, _ in told] == [
        (metric.name, metric.kind, metric.labels) for metric in METRICS
    ]
    assert [f"{about}." for *_, about in told] == [metric.about for metric in METRICS]
    assert f"(at most {4_000:,})" in text


def test_every_metric_has_its_figure(answer: dict[str, Any]) -> None:
    values = {(name, labels): value for name, labels, value in samples(answer)}
    listed = {metric.name: metric for metric in METRICS}
    assert {name for name, _ in values} == {name for name, metric in listed.items() if metric.kind != "histogram"}
    assert all(len(labels) == len(listed[name].labels) for name, labels in values)
    for name, value in {"sent": 3, "failed": 2, "dead": 1, "redelivered": 4, "duplicate": 6}.items():
        assert values[f"zsms_messages_{name}_total", ()] == value
    assert values["zsms_messages_produced_total", ()] == values["zsms_messages_accepted_total", ()] == 100
    assert values["zsms_queue_messages", ()] == 90 and values["zsms_queue_retrying_messages", ()] == 7
    assert values["zsms_in_flight_messages", ()] == 4 and values["zsms_queue_full", ()] == 1
    assert values["zsms_sender_sends_total", ('sender "1"', "failed")] == 7
    assert values["zsms_sender_slots_busy", ('sender "1"',)] == 2
    assert values["zsms_process_up", ("broker", 'broker "1"')] == 1
    assert values["zsms_process_refused_frames_total", ("sender", 'sender "1"')] == 9
    assert values["zsms_collector_stale_snapshots_total", ()] == 12


def test_what_is_missing_has_a_figure_and_who_left_has_no_slots() -> None:
    book = StatsBook()
    book.put(snapshot("producer", counters={"produced": 100, "confirmed": 100}), 0.0, last=True)
    book.put(snapshot("sender", gauges={"slots": 4.0, "busy": 2.0}), 0.0, last=True)
    for seq in (1, 2):
        told = snapshot("broker", counters={"accepted": 100, "sent": 3}, gauges={"balanced": 1.0})
        told.seq = seq
        book.put(told, float(seq))
    values = {(name, labels): value for name, labels, value in samples(book.answer("all", 2.5))}
    assert values["zsms_messages_missing", ()] == 97 and not values["zsms_ledger_balanced", ()]
    assert values["zsms_sender_slots", ('sender "1"',)] == values["zsms_sender_slots_busy", ('sender "1"',)] == 0
    assert not values["zsms_process_up", ("sender", 'sender "1"')]


def test_a_bucket_counts_exactly_what_was_below_its_bound() -> None:
    seconds = np.random.default_rng(7).lognormal(-1, 2, 5_000).astype(np.float32)
    for bounds in (TIME_BOUNDS, ERROR_BOUNDS):
        assert histogram(*seconds).below(bounds).tolist() == [int((seconds < bound).sum()) for bound in bounds]


def served(answer: dict[str, Any], accept: str) -> str:
    server = MetricsServer("127.0.0.1:0", lambda: answer)
    try:
        with urllib.request.urlopen(urllib.request.Request(server.url, headers={"Accept": accept})) as got:
            assert got.headers["Content-Type"].startswith(accept.partition(";")[0])
            text: str = got.read().decode()
            return text
    finally:
        server.close()


def test_openmetrics_when_asked_for_it(answer: dict[str, Any]) -> None:
    found = {family.name: family for family in parser.text_string_to_metric_families(served(answer, OPEN_METRICS))}
    assert list(found) == [metric.name.removesuffix("_total") for metric in METRICS]
    assert [family.type for family in found.values()] == [metric.kind for metric in METRICS]
    buckets = found["zsms_send_duration_seconds"].samples
    counts = {sample.labels["le"]: sample.value for sample in buckets if sample.name.endswith("_bucket")}
    assert counts["0.5"] == 0 and counts["0.625"] == 1 and counts["1.25"] == 3 and counts["+Inf"] == 4
    assert [sample.value for sample in buckets if sample.name.endswith("_sum")] == [pytest.approx(42.6)]


def test_promtool_has_nothing_to_say_about_the_names(answer: dict[str, Any]) -> None:
    checked = subprocess.run(
        [tool("promtool"), "check", "metrics"], input=served(answer, "text/plain"), capture_output=True, text=True
    )
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


def test_nothing_known_is_no_error() -> None:
    assert "zsms_messages_sent_total 0.0" in served(StatsBook().answer("all", 0.0), "text/plain")


def test_the_collector_s_own_thread_answers_a_scrape() -> None:
    with StatsCollector("tcp://127.0.0.1:0") as collector:
        answer = collector.ask()
    assert answer is not None
    assert answer["totals"] == {}
    assert answer["collector"].pop("cpu_s") > 0
    assert answer["collector"] == {"refused_frames": 0, "refused_connections": 0, "stale": 0}
    assert collector.ask(timeout=0.01) is None, "it is over, and says so instead of waiting for ever"


# -- addresses ---------------------------------------------------------------------------------------------------


def test_an_address_is_a_port_of_this_host_or_host_and_port() -> None:
    assert parse_address("9000") == ("127.0.0.1", 9000)
    assert parse_address("0.0.0.0") == ("0.0.0.0", 9464)
    assert parse_address("[::1]:9000") == ("::1", 9000)
    for wrong in ("ipc:///tmp/x", ":9000", "localhost:many"):
        with pytest.raises(UsageError):
            parse_address(wrong)


@pytest.mark.parametrize("command", [("stats", "--bind", "tcp://127.0.0.1:0"), ("run",)])
def test_a_port_in_use_is_told_before_anything_starts(command: tuple[str, ...]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = zsms(*command, "--metrics", port)
    assert done.returncode == 2
    assert done.stderr == f"zsms: can't listen on 127.0.0.1 port {port} for metrics: Address already in use\n"


def test_without_the_client_it_is_told_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    with pytest.raises(UsageError, match=r"pip install 'zsms\[metrics\]'"):
        MetricsServer("127.0.0.1:0", lambda: None)


# -- the real Prometheus -----------------------------------------------------------------------------------------


@contextmanager
def prometheus(target: str, folder: Path) -> Iterator[str]:
    """A server of its own that scrapes the target every second; its address."""
    program = tool("prometheus")
    config = folder / "prometheus.yml"
    config.write_text(
        "global: {scrape_interval: 1s}\n"
        f"scrape_configs: [{{job_name: zsms, static_configs: [{{targets: ['{target}']}}]}}]\n"
    )
    address = f"127.0.0.1:{free_port()}"
    log = folder / "prometheus.log"
    with log.open("wb") as out:
        server = subprocess.Popen(
            [
                program,
                f"--config.file={config}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address={address}",
            ],
            stdout=out,
            stderr=out,
        )
    try:
        yield address
    finally:
        server.terminate()
        server.wait(60)
        print(log.read_text())  # shown when a test fails


def query(address: str, expression: str) -> float | None:
    """The value of an expression with one result, once there is one."""
    try:
        with urllib.request.urlopen(f"http://{address}/api/v1/query?query={quote(expression)}", timeout=25) as got:
            result = json.load(got)["data"]["result"]
    except OSError:
        return None  # it is still starting
    return float(result[0]["value"][1]) if result else None


def test_prometheus_scrapes_a_running_mesh_and_has_the_collector_s_numbers(tmp_path: Path) -> None:
    stats, broker = f"ipc://{tmp_path}/stats", f"ipc://{tmp_path}/broker"
    peer = ("--broker", broker, "--stats", stats, "--stats-interval", 0.2)
    with Command("stats", "--bind", stats, "--metrics", "127.0.0.1:0") as collector:
        target = collector.wait_for(r"metrics at http://(\S+)/metrics")[1]
        with (
            prometheus(target, tmp_path) as server,
            Command("broker", "--bind", broker, "--stats", stats, "--stats-interval", 0.2),
            Command("sender", *peer, "--concurrency", 100, "--mean", 0.05, "--failure-rate", 0.2, "--name", "gateway"),
            Command("producer", *peer, "--messages", 1_500),
        ):
            until(lambda: query(server, "zsms_senders_alive == 1"), "a scrape while the mesh runs")
            view_when(stats, lambda view: view.settled == 1_500, "all settled")
            until(lambda: query(server, "zsms_queue_messages + zsms_in_flight_messages == 0") == 0, "an empty queue")
            view = view_when(stats, lambda view: view.failed > 0, "failures")
            total = "sum(zsms_messages_sent_total) + sum(zsms_messages_failed_total) == 1500"
            until(lambda: query(server, total), "the last snapshot")
            assert query(server, "zsms_messages_sent_total") == view.sent
            assert query(server, "zsms_messages_failed_total") == view.failed
            assert query(server, 'zsms_sender_sends_total{name="gateway",outcome="failed"}') == view.failed
            assert query(server, "zsms_send_duration_seconds_count") == 1_500
            median = query(server, "histogram_quantile(0.5, zsms_send_duration_seconds_bucket)")
            assert median is not None and 0.03 < median < 1, "seconds"
            assert query(server, "up") == 1


def test_a_run_serves_them_too() -> None:
    with Command("run", "--messages", 1_000_000, "--metrics", "127.0.0.1:0") as run:
        url = run.wait_for(r"metrics at (\S+)")[1]

        def sent() -> str | None:
            try:
                text = urllib.request.urlopen(url, timeout=25).read().decode()
            except OSError:
                return None
            return text if re.search(r"^zsms_messages_sent_total [1-9]", text, re.MULTILINE) else None

        assert 'zsms_process_up{name="sender-1",role="sender"} 1.0' in until(sent, "figures of the mesh")


# -- the examples ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [("check", "rules", "alerts.yml"), ("test", "rules", "alerts_test.yml"), ("check", "config", "prometheus.yml")],
)
def test_promtool_accepts_the_examples(arguments: tuple[str, ...]) -> None:
    done = subprocess.run([tool("promtool"), *arguments], cwd=EXAMPLES, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def panels() -> list[dict[str, Any]]:
    dashboard = json.loads((EXAMPLES / "grafana-dashboard.json").read_text(encoding="utf-8"))
    found: list[dict[str, Any]] = dashboard["panels"]
    return found


def test_the_dashboard_asks_what_prometheus_understands(tmp_path: Path) -> None:
    expressions = [target["expr"] for panel in panels() for target in panel["targets"]]
    assert len(expressions) > 20
    rules = [
        {"record": f"zsms:panel{number}", "expr": re.sub(r"\$__rate_interval", "1m", expression).replace("$job", ".+")}
        for number, expression in enumerate(expressions)
    ]
    path = tmp_path / "rules.json"  # JSON is YAML
    path.write_text(json.dumps({"groups": [{"name": "panels", "rules": rules}]}))
    done = subprocess.run([tool("promtool"), "check", "rules", str(path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_examples_name_only_what_is_served(answer: dict[str, Any]) -> None:
    known = {sample.name for family in families(answer) for sample in family.samples}
    for name in ("alerts.yml", "alerts_test.yml", "grafana-dashboard.json"):
        text = (EXAMPLES / name).read_text(encoding="utf-8").replace('"uid": "zsms-mesh"', "")
        assert set(re.findall(r"\bzsms_\w+", text)) <= known, name
    for panel in panels():
        assert panel["title"] and panel["targets"]
