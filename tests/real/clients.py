"""A client of another library in a process of its own: it binds, submits the texts that it is told, and says what came.

python clients.py LIBRARY PORT PASSWORD < texts.json      {"statuses": {text: status}, "receipts": {id: state}, ...}
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from typing import Any

WAIT_S = 40.0


def smpplib(port: int, password: str, texts: list[str], receipts: int) -> dict[str, Any]:
    import logging

    import smpplib.client
    import smpplib.consts
    import smpplib.gsm

    logging.disable(logging.CRITICAL)
    statuses: dict[int, int] = {}
    ids: dict[int, str] = {}
    told: list[str] = []
    asked: dict[int, str] = {}
    client = smpplib.client.Client("127.0.0.1", port, allow_unknown_opt_params=True)

    def answered(pdu: Any) -> None:
        statuses[pdu.sequence] = pdu.status
        if not pdu.status:
            ids[pdu.sequence] = pdu.message_id.decode()

    client.set_message_sent_handler(answered)
    client.set_error_pdu_handler(lambda pdu: None)
    client.set_message_received_handler(lambda pdu: told.append(pdu.short_message.decode("latin-1")) or 0)
    client.connect()
    client.bind_transceiver(system_id="alerts", password=password)
    for text in texts:  # all before the first answer is read: a window of as many
        parts, coding, flags = smpplib.gsm.make_parts(text)
        for place, part in enumerate(parts):
            pdu = client.send_message(
                source_addr="15550199",
                destination_addr="15550100",
                short_message=part,
                data_coding=coding,
                esm_class=flags,
                registered_delivery=not place,
            )
            asked[pdu.sequence] = text
    until = time.monotonic() + WAIT_S
    while (len(statuses) < len(asked) or len(told) < receipts) and time.monotonic() < until:
        client.read_once()
    client.unbind()
    client.disconnect()
    found = {asked[sequence]: status for sequence, status in statuses.items()}
    return {"statuses": found, "ids": list(ids.values()), "receipts": told}


async def _smpp34(port: int, password: str, texts: list[str], receipts: int) -> dict[str, Any]:
    import smpp34

    client = smpp34.Client("127.0.0.1", port, "alerts", password, window_size=10, connect_timeout_ms=25_000)
    smsc = await client.connect()
    told: list[str] = []

    async def listen() -> None:
        while len(told) < receipts:
            event = await smsc.next()
            if isinstance(event, smpp34.Disconnected):
                return
            told.append(event.short_message.decode("latin-1"))

    async def submit(text: str) -> Any:
        plain = text.isascii()
        octets = text.encode("ascii" if plain else "utf-16-be")
        long = [smpp34.Tlv(smpp34.TLV_MESSAGE_PAYLOAD, octets)] if len(octets) > 160 else []
        return await smsc.submit_sm(
            "15550100",
            b"" if long else octets,
            source_addr="15550199",
            registered_delivery=1,
            data_coding=0 if plain else 8,
            tlvs=long,
        )

    listening = asyncio.create_task(listen())
    answers = await asyncio.gather(*map(submit, texts))
    await asyncio.wait_for(listening, WAIT_S)
    await smsc.unbind()
    statuses = {text: answer.command_status for text, answer in zip(texts, answers, strict=True)}
    return {"statuses": statuses, "ids": [a.message_id for a in answers if a.is_success], "receipts": told}


def smpp34(port: int, password: str, texts: list[str], receipts: int) -> dict[str, Any]:
    return asyncio.run(_smpp34(port, password, texts, receipts))


async def _aiosmpplib(port: int, password: str, texts: list[str], receipts: int) -> dict[str, Any]:
    import aiosmpplib as lib

    statuses: dict[str, int] = {}
    ids: list[str] = []
    told: list[str] = []

    class Hook(lib.AbstractHook):
        async def sending(self, smpp_message: Any, pdu: bytes, client_id: str) -> None:
            pass

        async def received(self, smpp_message: Any, pdu: bytes, client_id: str) -> None:
            if isinstance(smpp_message, lib.SubmitSmResp):
                statuses[texts[int(smpp_message.log_id)]] = int(smpp_message.command_status)
                if not int(smpp_message.command_status):
                    ids.append(smpp_message.message_id)
            elif isinstance(smpp_message, lib.DeliverSm):
                told.append(smpp_message.short_message)

        async def send_error(self, smpp_message: Any, error: Exception, client_id: str) -> None:
            pass

    esme = lib.ESME("127.0.0.1", port, "alerts", password, hook=Hook(), log_level=50)
    task = asyncio.create_task(esme.start())
    for number, text in enumerate(texts):
        await esme.broker.enqueue(
            lib.SubmitSm(
                short_message=text,
                source=lib.PhoneNumber("15550199"),
                destination=lib.PhoneNumber("15550100"),
                log_id=str(number),
                encoding=None if text.isascii() else "ucs2",
            )
        )
    until = time.monotonic() + WAIT_S
    while (len(statuses) < len(texts) or len(told) < receipts) and time.monotonic() < until:
        await asyncio.sleep(0.02)
    await esme.stop()
    task.cancel()
    return {"statuses": statuses, "ids": ids, "receipts": told}


def aiosmpplib(port: int, password: str, texts: list[str], receipts: int) -> dict[str, Any]:
    return asyncio.run(_aiosmpplib(port, password, texts, receipts))


if __name__ == "__main__":
    name, port_of, secret = sys.argv[1:]
    told_of = json.load(sys.stdin)
    print(json.dumps(globals()[name](int(port_of), secret, told_of["texts"], told_of["receipts"])), flush=True)
    os._exit(0)  # some leave threads behind that do not survive the interpreter's own end
