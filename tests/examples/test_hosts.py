"""examples/hosts: units, compose file and manifests say what their systems and the commands understand."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.test_docs import parse

HOSTS = Path(__file__).parents[2] / "examples" / "hosts"
UNITS = sorted((HOSTS / "systemd").glob("*.service"))
MANIFESTS = sorted((HOSTS / "kubernetes").glob("*.yaml"))


def documents() -> list[dict[str, Any]]:
    return [doc for path in MANIFESTS for doc in yaml.safe_load_all(path.read_text(encoding="utf-8"))]


def services() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = yaml.safe_load((HOSTS / "compose.yaml").read_text(encoding="utf-8"))["services"]
    return found


def pods() -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Each workload with its pod."""
    for doc in documents():
        if "template" in doc.get("spec", {}):
            yield doc, doc["spec"]["template"]["spec"]


def commands() -> Iterator[tuple[str, list[str]]]:
    """Every command line: whose it is, and its words after `zsms`."""
    for unit in UNITS:
        for line in re.findall(r"^ExecStart=(.*)$", unit.read_text(encoding="utf-8"), re.MULTILINE):
            assert line.startswith("/opt/zsms/bin/zsms "), unit
            yield unit.name, shlex.split(line)[1:]
    for name, service in services().items():
        yield f"compose: {name}", service["command"]
        if "healthcheck" in service:
            how, *words = service["healthcheck"]["test"]
            words = shlex.split(words[0]) if how == "CMD-SHELL" else words
            assert words[0] == "zsms", name
            yield f"compose: health of {name}", words[1:]
    for doc, pod in pods():
        for container in pod["containers"]:
            name = f"{doc['kind']} {doc['metadata']['name']}"
            yield name, container["args"]
            for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
                if probe in container:
                    words = container[probe]["exec"]["command"]
                    assert words[0] == "zsms", name
                    yield f"{probe} of {name}", words[1:]


def test_every_command_line_parses(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in [name for name in os.environ if name.startswith("ZSMS_")]:
        monkeypatch.delenv(variable)
    seen = []
    for where, words in commands():
        assert all(isinstance(word, str) for word in words), f"{where}: {words}: a number belongs in quotes"
        try:
            context = parse(words)
        except Exception as error:
            pytest.fail(f"{where}: zsms {shlex.join(words)}: {error}")
        seen.append(context.info_name)
    assert {"broker", "stats", "sender", "producer", "health"} == set(seen) and len(seen) > 15


def test_the_broker_of_each_system_is_the_one_that_peers_are_told_of() -> None:
    workloads = {doc["metadata"]["name"]: doc for doc, _ in pods()}
    brokers = workloads["zsms-broker"]
    known = {
        "compose": {name for name in services() if name.startswith("broker")},
        "kubernetes": {f"zsms-broker-{i}.{brokers['spec']['serviceName']}" for i in range(brokers["spec"]["replicas"])},
    }
    for where, words in commands():
        if where.endswith(".service") or words[0] not in ("sender", "producer"):
            continue
        told = {words[i + 1] for i, word in enumerate(words) if word == "--broker"}
        assert told == known["compose" if where.startswith("compose") else "kubernetes"], where


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.name)
def test_systemd_understands_the_unit(unit: Path, tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("needs systemd-analyze (Debian package systemd)")
    text = unit.read_text(encoding="utf-8")
    copy = tmp_path / unit.name
    copy.write_text(text.replace("/opt/zsms/bin/zsms", sys.executable), encoding="utf-8")
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", copy], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0 and not done.stderr, done.stderr
    for needed in (
        "Type=notify",
        "WatchdogSec=",
        "NoNewPrivileges=yes",
        "ProtectSystem=strict",
        "User=zsms",
        "ExecStart=",
    ):
        assert f"\n{needed}" in text, needed


def test_the_manifests_fit_together() -> None:
    docs = documents()
    kinds = sorted(doc["kind"] for doc in docs)
    assert kinds == [
        *("Deployment", "Deployment", "HorizontalPodAutoscaler", "Job", "Service", "Service", "StatefulSet")
    ]
    labels = {}
    for doc, pod in pods():
        own = doc["spec"]["template"]["metadata"]["labels"]
        labels[doc["metadata"]["name"]] = own
        if doc["kind"] != "Job":
            assert doc["spec"]["selector"]["matchLabels"] == own
        for container in pod["containers"]:
            assert container["securityContext"]["readOnlyRootFilesystem"] is True
            mounts = {mount["name"] for mount in container.get("volumeMounts", ())}
            claimed = {claim["metadata"]["name"] for claim in doc["spec"].get("volumeClaimTemplates", ())}
            assert mounts == claimed
            for word in [*container["args"], *str(container.get("readinessProbe")).split("'")]:
                for variable in re.findall(r"\$\((\w+)\)", word):
                    assert variable in {each["name"] for each in container["env"]}
    for doc in docs:
        if doc["kind"] == "Service":
            name = doc["metadata"]["name"]
            assert doc["spec"]["selector"] == labels[name]
            (workload,) = (pod for owner, pod in pods() if owner["metadata"]["name"] == name)
            ports = {port["containerPort"] for port in workload["containers"][0]["ports"]}
            assert ports == {port["port"] for port in doc["spec"]["ports"]}
        if doc["kind"] == "HorizontalPodAutoscaler":
            assert doc["spec"]["scaleTargetRef"]["name"] in labels


def test_the_image_has_what_it_is_built_of() -> None:
    lines = (HOSTS / "Dockerfile").read_text(encoding="utf-8").splitlines()
    copied = [line.split()[1:-1] for line in lines if line.startswith("COPY") and "--from" not in line]
    sources = [word for words in copied for word in words]
    assert "pyproject.toml" in sources
    for source in sources:
        assert (HOSTS.parents[1] / source).exists(), source
    assert lines[-2:] == ['ENTRYPOINT ["zsms"]', 'CMD ["--help"]']
