"""Keys as they are used: made by one command, given to the others."""

from __future__ import annotations

import re
import stat
from contextlib import ExitStack
from pathlib import Path
from signal import SIGTERM

from tests.mesh.processes import Command, free_port, line_with, report_of, until, zsms
from zsms.security.keys import make


def test_keys_are_made_and_listed(tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    for name, *options in (("broker",), ("watch", "--role", "monitor", "--role", "operator")):
        made = zsms("keys", "new", name, *options, "--keys", keys)
        assert made.returncode == 0, made.stderr
        assert made.stdout.split() == [f"{keys}/{name}.key", f"{keys}/public/{name}.pub"]
    listed = zsms("keys", "list", "--keys", keys).stdout
    assert [line.split()[:2] for line in listed.splitlines()] == [["broker", "broker"], ["watch", "monitor,operator"]]
    again = zsms("keys", "new", "watch", "--role", "monitor", "--keys", keys)
    assert again.returncode == 2 and "is there already" in again.stderr


def test_roles_by_hand_with_keys(tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    for name, role in (("b", "broker"), ("c", "stats"), ("make-1", "producer"), ("send-1", "sender"), ("w", "monitor")):
        make(keys, name, [role])
    broker, stats = f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
    peer = ("--broker", broker, "--stats", stats, "--stats-interval", 0.1)
    with ExitStack() as stack:

        def start(*arguments: object) -> Command:
            return stack.enter_context(Command(*arguments))

        collector = start("stats", "--bind", stats, "--keys", keys)
        balancer = start("broker", "--bind", broker, "--keys", keys, "--stats", stats, "--stats-interval", 0.1)
        balancer.wait_for("listening on")
        collector.wait_for("listening on")
        sender = start("sender", *peer, "--keys", keys / "send-1.key", "--mean", 0.05)
        producer = start("producer", *peer, "--messages", 3000, "--keys", keys)
        monitor = zsms("monitor", "--stats", stats, "--until-done", "--interval", 0.1, "--keys", keys)
        assert monitor.returncode == 0, monitor.stderr
        assert re.match(line_with(sent="3,000"), monitor.stderr.splitlines()[-1])
        assert producer.end() == 0, producer.err
        # A key that is deleted from the list: its process is refused, and says why.
        (keys / "public" / "send-1.pub").unlink()
        until(lambda: "may not say" in sender.err, "a sender that is locked out")
        late = zsms("sender", *peer, "--keys", keys / "send-1.key")
        assert late.returncode == 1 and "'send-1' was refused: it is not listed" in late.stderr
        for process in (balancer, collector):
            process.signal(SIGTERM)
            assert process.end() == 0, process.err


def test_a_run_with_throw_away_keys(tmp_path: Path) -> None:
    report = report_of("--secure", "--messages", 3000, "--concurrency", 500, "--mean", 0.05, cwd=tmp_path)
    assert report["messages"]["sent"] == 3000 and report["config"]["secure"] is True


def test_the_keys_of_a_run_are_private_and_gone_after_it(tmp_path: Path) -> None:
    with Command("run", "--secure", "--messages", 100_000, "--concurrency", 100) as run:

        def found() -> list[Path]:
            return list(run.folder.glob("zsms-*/keys/broker.key"))

        (key,) = until(found, "the keys of the run")
        folder = key.parent.parent
        assert [stat.S_IMODE(path.stat().st_mode) for path in (key, key.parent, folder)] == [0o600, 0o700, 0o700]
        until(lambda: list(folder.glob("stats.*")), "the collector's sockets")

        def refused() -> bool:
            plain = zsms("monitor", "--stats", f"ipc://{folder}/stats", "--once")
            assert plain.returncode == 1
            return "give --keys" in plain.stderr  # or it has not answered in ten seconds

        until(refused, "a refusal")
        watch = zsms("monitor", "--stats", f"ipc://{folder}/stats", "--once", "--keys", folder / "keys")
        assert watch.returncode == 0, watch.stderr
        run.signal(SIGTERM)
        run.wait_for("again to stop at once")
        run.signal(SIGTERM)
        run.end()
        assert not folder.exists()


def test_listening_to_other_hosts_without_keys_is_bad_usage() -> None:
    for role in ("broker", "stats"):
        done = zsms(role, "--bind", "0.0.0.0:0")
        assert done.returncode == 2 and "--keys" in done.stderr and "--insecure" in done.stderr
        assert len(done.stderr.splitlines()) == 1
