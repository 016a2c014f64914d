"""`zsms sender`."""

from __future__ import annotations

from typing import Any

import click

from zsms.cli import common


@click.command(
    "sender",
    epilog="""\b
Examples:
  zsms sender --concurrency 50000
  zsms sender --concurrency 10 --delay exponential --mean 0.2 --failure-rate 0.01
  zsms sender --concurrency 100 --transport mygateway:send --broker broker.example.org
  ZSMS_GATEWAY_PASSWORD=... zsms sender --gateway 'smpp://zsms@localhost:2775?binds=4'
  zsms sender --broker queue-1.example.org --broker queue-2.example.org     takes from both""",
)
@click.option(
    "--concurrency", type=int, default=1_000, show_default=True, help="Slots; each sends one message at a time."
)
@common.slot_options
@common.log_messages_option
@click.option(
    "--lease",
    type=float,
    help="Seconds that a message may take here, if that is longer than the broker's.  [default: what --delay may need]",
)
@click.option("--transport-folder", hidden=True, help="Where --transport is looked for, instead of here.")
@click.option("--seed", type=click.IntRange(min=0), help="Makes the drawn times and failures repeatable.")
@common.stream_option
@common.broker_option
@common.stats_option
@common.role_options
def command(
    concurrency: int,
    delay: str,
    mean: float,
    sd: float | None,
    failure_rate: float,
    tick: float | None,
    prefetch: int | None,
    ramp: float | None,
    cap: float | None,
    burst: float,
    transport: str | None,
    gateway: str | None,
    yes_really_send: bool,
    transport_folder: str | None,
    lease: float | None,
    log_messages: str | None,
    seed: int | None,
    stream: int,
    broker: tuple[str, ...],
    stats: str,
    name: str | None,
    stats_interval: float,
    drain_timeout: float,
    keys: str | None,
    config: str | None,
    quiet: bool,
    verbose: int,
    exit_with_parent: bool,
) -> int:
    """Take messages from a broker and send them through slots.

    SIGTERM or Ctrl-C: take no more, finish what is held, and leave; again: leave at once.
    """

    def make() -> Any:
        from zsms.roles.sender import Sender
        from zsms.stats.delay import DelayModel

        send = speaks = None
        if gateway is not None:
            from zsms.core.seeds import Stream, sequence
            from zsms.errors import UsageError
            from zsms.transports.gateways import check_live, transport_of

            if transport is not None:
                raise UsageError("give either --transport or --gateway, not both")
            check_live(gateway, yes_really_send)
            speaks = transport_of(gateway, sequence(seed, Stream.SENDER, stream, "gateway"))
        if transport is not None:
            from zsms.transports.checking import load_function

            send = load_function(transport, transport_folder)

        return Sender(
            broker,
            concurrency=concurrency,
            delay=DelayModel(delay, mean, sd),
            failure_rate=failure_rate,
            tick=tick,
            prefetch=prefetch,
            ramp=0.0 if ramp is None else ramp,
            cap=cap,
            burst=burst,
            send=send,
            transport=speaks,
            lease=lease,
            seed=seed,
            stream=stream,
            log_messages=log_messages,
            name=name,
            stats=stats,
            stats_interval=stats_interval,
            drain_timeout=drain_timeout,
            keys=keys,
        )

    return common.run_role(make, quiet=quiet, verbose=verbose, exit_with_parent=exit_with_parent)
