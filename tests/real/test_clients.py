"""The fake SMSC with other libraries' clients, and the ESME with other libraries' servers: each in its own process."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.transports.test_smpp import Driver
from zsms.message import Delivery, Outcome
from zsms.smsc import Account, FakeSmsc, Rules
from zsms.transports.smpp import SmppSettings

HERE = Path(__file__).parent
NODE_MODULES = Path(sys.prefix) / "node" / "node_modules"
NODE = ["node"] if shutil.which("node") and (NODE_MODULES / "smpp").is_dir() else []
"""bin/test installs it where node and npm's registry are; without them there are no tests of it."""
ACCOUNT = (Account("alerts", "secret"),)
LONG = "A long text, of which each client makes what it will. " * 8
PLAIN = ["Hello", "Two are (better) than one!", "#smsc status=0x0b", "#smsc receipt=UNDELIV x", LONG]
WIDE = "Ωμέγα"
PYTHON = ("smpplib", "smpp34", "aiosmpplib")


def python(name: str) -> list[str]:
    if importlib.util.find_spec(name) is None:
        pytest.skip(f"no {name}: pip install it")
    return [sys.executable, str(HERE / "clients.py"), name]


def node(script: str) -> list[str]:
    return ["node", str(HERE / script)]


def talk(words: list[str], port: int, texts: list[str], receipts: int, password: str = "secret") -> dict[str, Any]:
    """What a client has to say of its texts."""
    asked = json.dumps({"texts": texts, "receipts": receipts})
    done = subprocess.run(
        [*words, str(port), password],
        input=asked,
        capture_output=True,
        text=True,
        timeout=80,
        env={**os.environ, "NODE_PATH": str(NODE_MODULES)},
    )
    assert done.returncode == 0, done.stderr
    said: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return said


@pytest.mark.parametrize("client", [*PYTHON, *NODE])
def test_a_client_s_texts_refusals_and_receipts(client: str) -> None:
    words = node("client.js") if client == "node" else python(client)
    rules = Rules(ACCOUNT, ids="hex" if client == "node" else "decimal")
    texts = [*PLAIN, WIDE]
    with FakeSmsc(rules, seed=1) as smsc:
        said = talk(words, smsc.port, texts, receipts=len(texts) - 1)
        told, counts = smsc.desk.model.counts, smsc.desk.counts
        assert said["statuses"] == {text: 0x0B if "0x0b" in text else 0 for text in texts}
        states = Counter(each.partition("stat:")[2][:7] for each in said["receipts"])
        assert states == {"DELIVRD": len(texts) - 2, "UNDELIV": 1}
        named = {each.removeprefix("id:").partition(" ")[0] for each in said["receipts"]}
        assert named <= set(said["ids"]), "each receipt is of a message that it was told the id of"
        assert told.rejected == 1 and told.accepted >= len(texts) - 1 and told.duplicates == 0
        assert counts.binds == 1 and counts.receipts_refused == 0
    assert counts.ended == 0 or client == "aiosmpplib", "it unbinds"
    assert counts.receipts_answered == counts.receipts_sent == len(texts) - 1


@pytest.mark.parametrize("client", ["smpplib", *NODE])
def test_a_client_that_is_throttled_and_one_that_may_not_bind(client: str) -> None:
    words = node("client.js") if client == "node" else python(client)
    rules = Rules((Account("alerts", "secret", segments=5.0),))
    with FakeSmsc(rules, seed=1) as smsc:
        texts = [f"text {number}" for number in range(20)]  # all at once: as many as a second has may pass
        said = talk(words, smsc.port, texts, receipts=5)
        assert Counter(said["statuses"].values())[0] == smsc.desk.model.counts.accepted >= 5
        assert set(said["statuses"].values()) == {0, 0x58}
        if client == "node":
            assert talk(words, smsc.port, texts, receipts=0, password="wrong") == {"bind": 0x0E}
            assert smsc.desk.counts.binds_refused == 1


# -- the ESME --------------------------------------------------------------------------------------------------------


@contextmanager
def node_server() -> Iterator[tuple[int, list[dict[str, Any]]]]:
    """Its port, and what it was asked, as it comes."""
    words = [*node("server.js")]
    environment = {**os.environ, "NODE_PATH": str(NODE_MODULES)}
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        port, asked = int(process.stdout.readline()), list[dict[str, Any]]()
        reader = threading.Thread(target=lambda: asked.extend(map(json.loads, process.stdout or ())), daemon=True)
        reader.start()
        try:
            yield port, asked
        finally:
            process.terminate()
            reader.join()


if NODE:

    def test_node_s_server_takes_texts_refuses_throttles_and_breaks_off() -> None:
        with node_server() as (port, asked):
            settings = SmppSettings(
                "127.0.0.1", port, "alerts", "secret", window=5, source="15550199", receipt_wait_s=25
            )
            with Driver(settings) as driver:
                texts = ["zero", "é € {x}", WIDE, "x" * 300, "four", "five undelivered", "six"]
                driver.send(*texts, recipient="+15550100")
                driver.send("eight", "nine", recipient="+15550108")
                driver.settle(20)
                assert driver.outcomes[7] is Outcome.THROTTLED and driver.outcomes[8] is Outcome.REJECTED
                driver.send("seven", recipient="+15550107")
                driver.settle(20)
                assert driver.outcomes[9] is Outcome.UNCERTAIN, "the connection ended before its answer"
                driver.send("ten", recipient="+15550110")
                driver.settle(20)
                assert driver.transport.binds[0].connections == 2
                sent = [handle for handle, outcome in driver.outcomes.items() if outcome is Outcome.SENT]
                driver.until(lambda: len(driver.told) == len(sent))
                assert {seq - 1000: code for _, seq, code in driver.told} == {
                    handle: Delivery.UNDELIVERED.value if handle == 5 else Delivery.DELIVERED.value for handle in sent
                }
        texts_of = {each["to"]: each for each in asked if "to" in each}
        assert texts_of["15550101"]["text"] == "é € {x}" and texts_of["15550102"]["coding"] == 8
        assert texts_of["15550102"]["text"] == WIDE
        parts = [each for each in asked if each.get("to") == "15550103"]
        assert [each["udh"] for each in parts] == [True, True] and sorted(each["receipt"] for each in parts) == [0, 1]
        assert asked[-1] == {"unbind": True}


@contextmanager
def smpp34_server() -> Iterator[tuple[int, list[str]]]:
    """The same of smpp34: numbers that end in 8 are throttled, in 9 refused."""
    if importlib.util.find_spec("smpp34") is None:
        pytest.skip("no smpp34: pip install it")
    with subprocess.Popen(
        [sys.executable, str(HERE / "smpp34_server.py")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        port, asked = int(process.stdout.readline()), list[str]()
        reader = threading.Thread(target=lambda: asked.extend(line.strip() for line in process.stdout or ()))
        reader.start()
        try:
            yield port, asked
        finally:
            process.kill()
            reader.join()


def test_smpp34_s_server_takes_texts_and_refuses() -> None:
    with smpp34_server() as (port, asked):
        settings = SmppSettings("127.0.0.1", port, "alerts", "secret", window=20, binds=2, receipt_wait_s=25)
        with Driver(settings) as driver:
            driver.until(lambda: all(bind.bound for bind in driver.transport.binds))
            driver.send(*[f"text {number}" for number in range(40)], recipient="+15550100")
            outcomes = driver.settle(20)
            assert outcomes == {Outcome.SENT: 32, Outcome.THROTTLED: 4, Outcome.REJECTED: 4}
            driver.until(lambda: len(driver.told) == 32)
            assert driver.transport.outstanding.strange == 0
    assert sorted(asked) == sorted(f"{15550100 + number} text {number}" for number in range(40))
