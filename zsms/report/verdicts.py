"""What came of a run in the forms that build servers show: JUnit's XML, and GitHub's annotations.

A case each for the ledger, the end of the run, something having been sent, and every threshold.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple
from xml.etree import ElementTree

_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class Case(NamedTuple):
    """One expectation."""

    name: str
    ok: bool
    why: str
    """What was measured, or what went wrong."""


def cases(report: dict[str, Any]) -> list[Case]:
    """The cases of a report's JSON."""
    m = report["messages"]
    problems = "; ".join(report["problems"])
    found = [
        Case("the ledger balances", report["balanced"], f"{m['lost']:,} lost, {m['unsettled']:,} unsettled"),
        Case("the run came to its own end", report["completed"], problems or "it was interrupted"),
        Case("something was sent", not report["nothing_sent"], problems),
    ]
    if report["log_lacks_rows"]:  # most runs have no such log, and nothing to say of it
        found.append(Case("the log of messages is whole", False, problems))
    for verdict in report["thresholds"]:
        value = "nothing" if verdict["value"] is None else f"{verdict['value']}".lower()
        found.append(Case(verdict["threshold"], verdict["ok"], f"measured: {value}"))
    return found


def junit(report: dict[str, Any]) -> str:
    """JUnit's XML of a report's JSON."""
    found = cases(report)
    name = _xml(report["title"] or "zsms run")
    failures = sum(not case.ok for case in found)
    counts: dict[str, Any] = {"tests": str(len(found)), "failures": str(failures), "errors": "0"}
    root = ElementTree.Element("testsuites", name=name, time=f"{report['elapsed_s']:.3f}", **counts)
    suite = ElementTree.SubElement(
        root, "testsuite", name=name, time=f"{report['elapsed_s']:.3f}", timestamp=report["started"][:19], **counts
    )
    properties = ElementTree.SubElement(suite, "properties")
    for key, value in {"version": report["version"], **report["tags"]}.items():
        ElementTree.SubElement(properties, "property", name=_xml(key), value=_xml(value))
    for case in found:
        element = ElementTree.SubElement(suite, "testcase", classname="zsms.run", name=_xml(case.name), time="0")
        if not case.ok:
            failure = ElementTree.SubElement(element, "failure", type="failed", message=_xml(case.why))
            failure.text = _xml(f"{case.name}: {case.why}")
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def workflow_commands(report: dict[str, Any]) -> Iterator[str]:
    """A workflow command of GitHub for each case that failed."""
    for case in cases(report):
        if not case.ok:
            yield annotation(report["title"] or "zsms run", f"{case.name}: {case.why}")


def annotation(title: str, text: str) -> str:
    """A workflow command that shows an error, and nothing that is in its texts is one."""
    return f"::error title={_data(title).replace(':', '%3A').replace(',', '%2C')}::{_data(text)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _xml(text: str) -> str:
    return _NOT_XML.sub("?", text)
