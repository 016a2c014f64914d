"""Roles in threads of one program, with a monitor of its own.

Every role is a context manager: it runs in a thread of its own inside the block, and is drained at the end of it.
Port 0 takes any free ports; `endpoint` says which.

    python examples/embed_roles.py
"""

from zsms import Broker, DelayModel, Monitor, Producer, Sender, StatsCollector


def main() -> None:
    """Send 5,000 messages through two senders that differ."""
    often = {"stats_interval": 0.1}
    with (
        StatsCollector("tcp://127.0.0.1:0") as collector,
        Broker("tcp://127.0.0.1:0", stats=collector.endpoint, **often) as broker,
        Sender(
            broker.endpoint,
            name="fast",
            concurrency=200,
            delay=DelayModel("exponential", 0.05),
            stats=collector.endpoint,
            **often,
        ),
        Sender(
            broker.endpoint,
            name="slow",
            concurrency=50,
            delay=DelayModel("lognormal", mean=0.2, sd=0.1),
            stats=collector.endpoint,
            **often,
        ),
        Producer(broker.endpoint, messages=5_000, seed=1, stats=collector.endpoint, **often),
    ):
        # In this thread, until every message is settled.
        monitor = Monitor(collector.endpoint, interval=0.2, until_done=True)
        monitor.run()

    view = monitor.view
    assert view is not None
    print(f"{view.sent:,} of {view.produced:,} sent at {view.rate:,.0f} messages/s; balanced: {view.balanced}")
    # The view was of a mesh at work. Each role has handed over its last figures as it left the block: these are exact.
    rows = collector.book.answer("totals", now=0.0)["processes"]
    for name, sent in sorted((row["name"], row["counters"]["sent"]) for row in rows if row["role"] == "sender"):
        print(f"  {name}: {sent:,}")


if __name__ == "__main__":
    main()
