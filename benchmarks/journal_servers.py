"""What a journal on three NATS servers costs beside one on the disk, all on this machine, in turns.

    python benchmarks/journal_servers.py                        3 pairs of runs at 1,000,000 slots, and the commits
    python benchmarks/journal_servers.py --pairs 0              only the commits

A run is `zsms run` with a journal; its messages over its whole time are compared. A commit is what a confirm waits
for after its group was closed: its latency is measured for groups of 1, 5,000 (what comes in 5 ms at a million a
second) and 65,536 messages, one after the other, each settled in the group after the next.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from statistics import median, quantiles
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.journal.making import Hand
from tests.journal.servers import Servers
from zsms.journal import open_journal


def run(journal: str, messages: int, slots: int) -> dict[str, Any]:
    """The report of a run."""
    options = ["--messages", messages, "--senders", 2, "--concurrency", slots // 2, "--journal", journal]
    command = [sys.executable, "-m", "zsms", "run", "--json", "-", "--ui", "none", "--quiet", *map(str, options)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def commits(journal: str, messages: int, seconds: float) -> list[float]:
    """Seconds of each commit of a group with so many messages."""
    took: list[float] = []
    with open_journal(journal) as store:
        hand = Hand(store)
        end, given = time.monotonic() + seconds, 0
        while time.monotonic() < end:
            for begin in range(0, messages, 16_384):
                hand.put(min(16_384, messages - begin))
            group = hand.close()
            began = time.perf_counter()
            store.commit(group)
            took.append(time.perf_counter() - began)
            hand.core.committed(group)
            hand.grant(given + messages)
            hand.acknowledge(range(given, given + messages), limit=given + messages)
            given += messages
    return took


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--messages", type=int, default=6_000_000)
    parser.add_argument("--slots", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=float, default=3.0, help="of commits, each size")
    parser.add_argument("--folder", type=Path, default=Path.cwd(), help="on the disk that is meant")
    asked = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=asked.folder)))
        (folder / "nats").mkdir()
        servers = stack.enter_context(Servers(folder / "nats"))
        places = {"disk": lambda name: str(folder / name), "servers": servers.url}
        for messages in (1, 5_000, 65_536):
            for kind, place in places.items():
                took = commits(place(f"c{messages}"), messages, asked.seconds)
                p50, p99 = median(took), quantiles(took, n=100)[98]
                print(
                    f"{kind:8} {messages:6,} messages a group: {len(took) / sum(took):7.0f} commits/s, "
                    f"p50 {p50 * 1e3:.1f} ms, p99 {p99 * 1e3:.1f} ms"
                )
        for pair in range(asked.pairs):
            rates = {}
            for kind in sorted(places, reverse=bool(pair % 2)):
                report = run(places[kind](f"r{pair}"), asked.messages, asked.slots)
                rates[kind] = report["messages"]["sent"] / report["elapsed_s"]
            told = ", ".join(f"{kind} {rate:,.0f}/s" for kind, rate in rates.items())
            print(f"pair {pair + 1}: {told}, ratio {rates['servers'] / rates['disk']:.2f}")


if __name__ == "__main__":
    main()
