"""What only this machine knows of a run: whether files, functions and gateways are there. Checked before any start."""

from __future__ import annotations

import os
from dataclasses import replace

from zsms.core.broker.durability import hidden, is_on_servers
from zsms.errors import UsageError
from zsms.journal import FILE, check_place
from zsms.scenario import MeshConfig, SenderGroup


def ready(config: MeshConfig, goes_on: bool = False) -> MeshConfig:
    """The configuration as it is run: a function by its name, a gateway's windows as slots. Raises UsageError for what
    can't be, before any process is started. `goes_on`: with a run that was there."""
    config = _named(replace(config, groups=tuple(map(_with_slots, config.groups))))
    config.check()
    for group in config.groups:
        if group.gateway is not None:
            from zsms.transports.gateways import check_live

            check_live(group.gateway, config.yes_really_send, random=config.input is None)
    if not goes_on:
        _check_new(config)
    if config.input is not None:
        from zsms.lists.files import check_input

        check_input(
            config.input,
            config.input_format,
            skip_bad_rows=config.skip_bad_rows,
            unique=config.unique,
            limit=config.messages,
            producers=config.producers,
        )
    return config


def _with_slots(group: SenderGroup) -> SenderGroup:
    """A gateway's windows are the slots."""
    if group.gateway is None:
        return group
    from zsms.transports.gateways import settings_of

    return replace(group, concurrency=settings_of(group.gateway).slots)


def _named(config: MeshConfig) -> MeshConfig:
    """Its function as MODULE:FUNCTION, and the folder where that is found if it need not be the current one."""
    if config.transport is None:
        return config
    from zsms.transports.checking import load_function, spec_of

    if isinstance(config.transport, str):
        load_function(config.transport, config.transport_folder)
        return config
    name, folder = spec_of(config.transport)
    return replace(config, transport=name, transport_folder=folder)


def _check_new(config: MeshConfig) -> None:
    check_place(config.journal)
    for place in filter(None, map(config.journal_of, config.broker_names)):
        if is_on_servers(place):
            from zsms.journal.jetstream import has_records

            if has_records(place):
                raise UsageError(
                    f"{hidden(place)} has a journal already, and a run begins with a new one: give another name, or go "
                    "on with what is held there: zsms broker --journal nats://..."
                )
        elif os.path.exists(os.path.join(place, FILE)):
            raise UsageError(
                f"{place} has a journal already, and a run begins with a new one: give another folder, or go on with "
                f"that run: zsms run --resume {config.journal}"
            )
