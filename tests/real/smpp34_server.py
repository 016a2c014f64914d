"""smpp34 as an SMSC: prints its port, then a line for each submit_sm; its numbers' last digits say the answer."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from typing import Any

import smpp34


async def serve() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:  # it can't say which port it has
        port = free.getsockname()[1]
    server = smpp34.Server("127.0.0.1", port, system_id="smpp34")
    await server.start()
    print(port, flush=True)
    sessions: dict[str, Any] = {}
    tasks: set[asyncio.Task[None]] = set()
    number = 0
    while True:
        event = await server.next()
        if isinstance(event, smpp34.Esme):
            sessions[event.session_id] = event
        elif isinstance(event, smpp34.SubmitSmEvent):
            print(event.destination_addr, event.short_message.decode("latin-1"), flush=True)
            last = event.destination_addr[-1]
            if last in "89":
                event.reject(smpp34.ESME_RTHROTTLED if last == "8" else smpp34.ESME_RINVDSTADR)
                continue
            number += 1
            event.accept(str(number))
            text = f"id:{number} sub:001 dlvrd:001 submit date:2611280700 done date:2611280701 stat:DELIVRD err:000"
            tasks.add(asyncio.create_task(deliver(sessions[event.session_id], event, f"{text} text:")))


async def deliver(esme: Any, event: Any, text: str) -> None:
    await esme.deliver_sm(
        event.source_addr, text.encode(), source_addr=event.destination_addr, esm_class=4, data_coding=0
    )


if __name__ == "__main__":
    try:
        asyncio.run(serve())
    finally:
        sys.stdout.flush()
        os._exit(0)
