"""`zsms sender`."""

from __future__ import annotations

from functools import partial
from typing import Any

import click

from zsms.cli import common, options
from zsms.errors import UsageError
from zsms.scenario import MeshConfig


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
@options.of("sender", MeshConfig)
@common.log_messages_option
@click.option(
    "--lease",
    type=float,
    help="Seconds that a message may take here, if that is longer than the broker's.  [default: what --delay may need]",
)
@click.option("--caps", hidden=True, help="PATH:MEMBER:CAP,CAP:ROUTE of what several senders share.")
@click.option("--transport-folder", hidden=True, help="Where --transport is looked for, instead of here.")
@common.stream_option
@common.broker_option
@common.stats_option
@common.role_options
def command(**given: Any) -> int:
    """Take messages from a broker and send them through slots.

    SIGTERM or Ctrl-C: take no more, finish what is held, and leave; again: leave at once.
    """
    how = common.how_to_run(given)
    return common.run_role(partial(_make, **given), **how)


def _make(
    *,
    broker: tuple[str, ...],
    transport: str | None,
    transport_folder: str | None,
    gateway: str | None,
    yes_really_send: bool,
    **given: Any,
) -> Any:
    """The sender of these options. Raises UsageError."""
    from zsms.roles.caps import RouteLaw
    from zsms.roles.sender import Sender
    from zsms.stats.delay import DelayModel

    delay = DelayModel(*(given.pop(name) for name in ("delay", "mean", "sd")))
    law = (given["cap"], *(given.pop(name) for name in ("route_queue", "when_full", "delivered")))
    given["ramp"], given["route"] = given["ramp"] or 0.0, RouteLaw(*law)
    if gateway is not None:
        if transport is not None:
            raise UsageError("give either --transport or --gateway, not both")
        given["transport"] = _gateway_transport(gateway, yes_really_send, given["seed"], given["stream"])
    elif transport is not None:
        from zsms.transports.checking import load_function

        given["send"] = load_function(transport, transport_folder)
    return Sender(broker, delay=delay, **given)


def _gateway_transport(gateway: str, live: bool, seed: int | None, stream: int) -> Any:
    from zsms.core.seeds import Stream, sequence
    from zsms.transports.gateways import check_live, transport_of

    check_live(gateway, live)
    return transport_of(gateway, sequence(seed, Stream.SENDER, stream, "gateway"))
