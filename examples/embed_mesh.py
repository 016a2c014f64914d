"""A whole mesh of processes from a program, and its report.

python examples/embed_mesh.py
"""

from zsms import Mesh
from zsms.scenario import MeshConfig, SenderGroup
from zsms.stats.view import View


def show(view: View, first: View | None) -> None:
    """Called about ten times a second while the mesh runs."""
    print(f"\r{view.settled:>7,} settled, {view.rate_since(first):>8,.0f}/s", end="")


def main() -> None:
    """Two kinds of senders, one of which fails now and then; 10,000 messages."""
    config = MeshConfig(
        messages=10_000,
        groups=(
            SenderGroup("city", senders=1, concurrency=2_000, mean=0.2, sd=0.02),
            SenderGroup("country", senders=1, concurrency=1_000, mean=0.4, sd=0.1, failure_rate=0.02),
        ),
        seed=7,
    )
    report = Mesh(config, progress=show).run()
    print()
    print(f"{report.messages.sent:,} sent, {report.messages.failed:,} failed, {report.messages.lost} lost")
    print(f"p99 from due to done: {report.total_time_s['p99']:.2f} s; balanced: {report.balanced}")
    for sender in report.senders:
        print(f"  {sender['name']}: {sender['sends']:,} sends in {sender['slots']:,} slots")


if __name__ == "__main__":
    main()
