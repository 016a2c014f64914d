"""The report of a run as one page, whole in itself: figures, charts, tables, and the JSON that they were made from.

    render(report JSON) -> HTML     needs no network, no server and, but for its charts, no JavaScript

Tables are written here, charts are drawn by static/charts.js from the report's series. What a user can name (groups,
files, problems) is escaped, and the page's own policy forbids it to load anything.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from html import escape
from importlib.resources import files
from string import Template
from typing import Any

from zsms import formats
from zsms.stats.reach import SPOKEN
from zsms.words import many

_SCRIPTS = ("uPlot.iife.min", "format", "charts", "report")
_TIMES = {
    "send_time_s": ("Send time", "in a slot"),
    "queue_time_s": ("Queue time", "of sends: from when the message was queued, or queued again, to the slot"),
    "total_time_s": ("Total time", "of messages: from when one was due to its final outcome"),
    "slot_error_s": ("Slot error", "how far a sleep was from the one asked for"),
}


def render(report: dict[str, Any]) -> str:
    """The page of a report's JSON (docs/report.schema.json)."""
    title = f"{many(report['messages']['produced'], 'message')}, {_day(report['started'])}"
    return Template(asset("templates/report.html")).substitute(
        head=head(
            f"{report['title'] or 'zsms run'}: {title}",
            asset("static/uPlot.min.css"),
            scripts="script-src 'unsafe-inline'; ",
        ),
        heading=escape(report["title"] or "zsms run"),
        badges=_badges(report),
        aside=escape(" · ".join([_day(report["started"]), f"zsms {report['version']}", *_tags(report)])),
        tiles=_tiles(report),
        alarms=_alarms(report),
        tables="\n".join(section(report) for section in _SECTIONS),
        report=json.dumps(report, separators=(",", ":")).replace("<", "\\u003c"),
        scripts="".join([_licence(), *(asset(f"static/{name}.js") for name in _SCRIPTS)]),
    )


def _tags(report: dict[str, Any]) -> list[str]:
    return [f"{name}={value}" for name, value in report["tags"].items()]


def asset(name: str) -> str:
    """The text of a file that the package brings."""
    return files("zsms.dashboard").joinpath(name).read_text(encoding="utf-8")


def head(title: str, styles: str = "", scripts: str = "") -> str:
    """What a page that is whole in itself begins with. Its own policy forbids it to load anything; `scripts` is what
    that says of scripts."""
    policy = f"default-src 'none'; style-src 'unsafe-inline'; {scripts}img-src data:"
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n<link rel="icon" href="data:,">\n'
        f"<title>{escape(title)}</title>\n<style>\n{asset('static/colours.css')}{asset('static/report.css')}{styles}\n</style>\n</head>\n"
    )


def _licence() -> str:
    return f"/*\n{asset('static/uPlot.LICENSE')}*/\n"


# -- figures for people ----------------------------------------------------------------------------------------------


def seconds(value: float | None) -> str:
    """A duration, or "-" for one that was not measured."""
    return formats.UNKNOWN if value is None else formats.seconds(value)


def _per_second(figures: dict[str, Any]) -> str:
    rate = figures["throughput_per_s"]
    return formats.UNKNOWN if rate is None else f"{formats.count(rate)}/s"


def _share(figures: dict[str, Any]) -> str:
    return "-" if figures["efficiency"] is None else f"{figures['efficiency']:.3f}"


def _day(started: str) -> str:
    return started.replace("T", " ").replace("+00:00", " UTC")


def table(head: Iterable[str], rows: Iterable[Iterable[str]], numbers: Iterable[int] = (), name: str = "") -> str:
    """Rows of ready HTML; columns in `numbers` are set to the right, the first of each row is its heading."""
    right = set(numbers)

    def cell(tag: str, index: int, text: str) -> str:
        scope = ' scope="row"' if tag == "th" and index == 0 else ""
        side = ' class="number"' if index in right else ""
        return f"<{tag}{scope}{side}>{text}</{tag}>"

    titles = "".join(cell("th", index, text) for index, text in enumerate(head))
    body = "".join(
        "<tr>" + "".join(cell("td" if index else "th", index, text) for index, text in enumerate(row)) + "</tr>\n"
        for row in rows
    )
    top = f"<thead><tr>{titles}</tr></thead>\n" if titles else ""
    return f'<div class="panel scroll"><table{f" id={name}" if name else ""}>{top}<tbody>\n{body}</tbody></table></div>'


# -- parts of the page -----------------------------------------------------------------------------------------------


def _badges(report: dict[str, Any]) -> str:
    def badge(good: bool, text: str) -> str:
        return f'<span class="badge {"good" if good else "bad"}">{text}</span>'

    ended = "completed" if report["completed"] else "interrupted" if report["interrupted"] else "ended early"
    badges = [
        badge(report["completed"], ended),
        badge(report["balanced"], "ledger balanced" if report["balanced"] else "ledger not balanced"),
    ]
    if report["thresholds"]:
        failed = sum(not verdict["ok"] for verdict in report["thresholds"])
        badges.append(
            badge(
                not failed,
                f"{failed} of {many(len(report['thresholds']), 'threshold')} failed" if failed else "thresholds passed",
            )
        )
    return "".join(badges)


def _tiles(report: dict[str, Any]) -> str:
    m, steady = report["messages"], report["steady"]
    lost = m["failed"] + m["dead"]
    share = f"{lost / m['settled']:.2%} failed or given up" if lost else "none failed"
    tiles = [
        ("Sent", f"{m['sent']:,}", f"of {m['produced']:,}; {share}", ""),
        *_rate_tile(report["rate"]),
        ("Throughput", _per_second(report), f"messages; steady {_per_second(steady)}", ""),
        ("Wall time", seconds(report["wall_s"]), f"first message after {seconds(report['first_message_s'])}", ""),
        ("Send time p99", seconds(report["send_time_s"]["p99"]), f"median {seconds(report['send_time_s']['p50'])}", ""),
        ("Efficiency", _share(report), f"steady {_share(steady)}", ""),
        ("Lost", f"{m['lost']:,}", f"{many(m['duplicates'], 'duplicate')}", "bad" if m["lost"] else "good"),
    ]
    return (
        '<div class="tiles">'
        + "".join(
            f'<div class="tile"><div class="label">{label}</div><div class="figure {mood}">{figure}</div>'
            f'<div class="more">{more}</div></div>\n'
            for label, figure, more, mood in tiles
        )
        + "</div>"
    )


def _rate_tile(rate: dict[str, Any] | None) -> list[tuple[str, str, str, str]]:
    if rate is None:
        return []
    reached = formats.told(rate["reached_per_s"], "/s")
    late = rate["late_s"]
    about = f"of {rate['asked_per_s']:,.6g}/s asked for; late p50 {seconds(late['p50'])}, p99 {seconds(late['p99'])}"
    return [("Rate reached", reached, about, "")]


def _alarms(report: dict[str, Any]) -> str:
    parts = []
    if report["thresholds"]:
        rows = [
            (
                f'<span class="{"good" if verdict["ok"] else "bad"}">{"pass" if verdict["ok"] else "FAIL"}</span>',
                f"<code>{escape(verdict['threshold'])}</code>",
                escape(_plain(verdict["value"])),
            )
            for verdict in report["thresholds"]
        ]
        parts.append("<h2>Thresholds</h2>" + table(("", "expected", "measured"), rows, [2], "thresholds"))
    if report["warnings"]:
        items = "".join(f"<li>{escape(warning)}</li>" for warning in report["warnings"])
        parts.append(f'<h2>Warnings</h2><div class="panel"><ul id="warnings">{items}</ul></div>')
    if report["problems"]:
        items = "".join(f"<li>{escape(problem)}</li>" for problem in report["problems"])
        parts.append(f'<h2>Problems</h2><div class="panel"><ul id="problems">{items}</ul></div>')
    if parts:
        parts.append("<h2>Over time</h2>")
    return "\n".join(parts)


def _times(report: dict[str, Any]) -> str:
    keys = ("mean", "p50", "p90", "p95", "p99", "p999", "max")
    rows = [
        (
            f'{title} <span class="aside optional">{about}</span>',
            *(seconds(figures[key]) if key in figures else "-" for key in keys),
        )
        for name, (title, about) in _TIMES.items()
        for figures in [report[name]]
    ]
    if report["rate"] is not None:
        late = report["rate"]["late_s"]
        about = '<span class="aside optional">from when a message was due to its first slot</span>'
        rows.insert(0, (f"Late {about}", *(seconds(late[key]) for key in keys)))
    head = ("", *(key.replace("p999", "p99.9") for key in keys))
    return "<h2>Times</h2>" + table(head, rows, range(1, 8), "times")


def _reach(report: dict[str, Any]) -> str:
    row = ("sent, from the first accepted", *(seconds(report["reach_s"][name]) for name in SPOKEN))
    return "<h2>Reach</h2>" + table(("", *SPOKEN.values()), [row], range(1, 6), "reach")


def _ledger(report: dict[str, Any]) -> str:
    m = report["messages"]
    about = {
        "produced": "by the producers' own count",
        "sent": "delivered, each counted once",
        "failed": "with a single attempt allowed",
        "dead": "given up after several attempts or deliveries",
        "unsettled": "queued, in flight or unconfirmed when the run ended early",
        "lost": "confirmed to their producers, and with no broker that lived",
        "duplicates": "acknowledgements beyond the one that settled a message",
        "redelivered": "taken back from a sender and given to another",
        "skipped_rows": "bad rows of the input that were left out",
        "skipped_lines": "the lines that they were",
        "repeated_rows": "rows of the input whose recipient came before",
    }
    rows = [
        (name.replace("_", " "), f"{m[name]:,}", f'<span class="aside">{text}</span>') for name, text in about.items()
    ]
    verdict = "balances" if report["balanced"] else "does not balance"
    sum_ = f"{m['produced']:,} = {m['sent']:,} sent + {m['failed']:,} failed + {m['dead']:,} dead"
    if m["unsettled"] or m["lost"]:
        sum_ += f" + {m['unsettled']:,} unsettled + {m['lost']:,} lost"
    s = report["sends"]
    again = f" {many(s['ended'], 'send')}, {s['failed']:,} of them failed, {s['retried']:,} of these sent again."
    sum_ += f".{again}" if s["failed"] else "."
    return f"<h2>Ledger</h2><p>It {verdict}: {sum_}</p>" + table(("", "messages", ""), rows, [1], "ledger")


def _senders(report: dict[str, Any]) -> str:
    most = max((row["sends"] for row in report["senders"]), default=0) or 1
    rows = [
        (
            escape(row["name"]),
            f"{row['slots']:,}",
            f"{row['sends']:,}",
            f"{row['failed_sends']:,}",
            seconds(row["send_time_s"]),
            f'<span class="bar"><i style="width:{100 * row["sends"] / most:.1f}%"></i></span>',
        )
        for row in report["senders"]
    ]
    head = ("name", "slots", "sends", "failed sends", "mean send time", "share of the busiest")
    return "<h2>Senders</h2>" + table(head, rows, range(1, 5), "senders")


def _processes(report: dict[str, Any]) -> str:
    rows = [
        (
            escape(row["name"]),
            escape(row["role"]),
            escape(row.get("host", "")),
            f"{row['pid']}",
            f"{row['cpu_s']:,.2f} s",
            formats.size(row["rss_max_bytes"]),
            "-" if row["exit_code"] is None else f"{row['exit_code']}",
        )
        for row in report["processes"]
    ]
    head = ("name", "role", "host", "pid", "processor", "most memory", "exit code")
    return "<h2>Processes</h2>" + table(head, rows, range(3, 7), "processes")


def _plain(value: Any) -> str:
    """A value of a configuration."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.6g}"
    return ", ".join(map(str, value)) or "-" if isinstance(value, list) else str(value)


def _configuration(report: dict[str, Any]) -> str:
    config = report["config"]
    flat = {**{k: v for k, v in config.items() if k not in ("groups", "limits")}, **config["limits"]}
    rows = [
        (escape(name.replace("_", " ")), f"<code>{escape(str(value) if name == 'seed' else _plain(value))}</code>")
        for name, value in flat.items()
        if value not in (None, [])
    ]
    names = [name for name in config["groups"][0] if any(group[name] is not None for group in config["groups"])]
    groups = [[escape(_plain(group[name])) for name in names] for group in config["groups"]]
    head = [name.replace("_", " ") for name in names]
    numbers = [i for i, name in enumerate(names) if name not in ("name", "delay")]
    return (
        f"<h2>Groups of senders</h2>{table(head, groups, numbers, 'groups')}"
        f"<h2>Configuration</h2>{table((), rows, (), 'configuration')}"
    )


def _machine(report: dict[str, Any]) -> str:
    machine = report["machine"]
    rows = [
        ("processor", f"{escape(machine['cpu'])}, {many(machine['cores'], 'core')}, {escape(machine['architecture'])}"),
        ("memory", formats.size(machine["memory_bytes"])),
        ("system", escape(f"{machine['system']} {machine['kernel']}")),
        *((escape(name), escape(version)) for name, version in report["versions"].items()),
    ]
    return "<h2>Machine and versions</h2>" + table((), rows, (), "machine")


def _gateways(report: dict[str, Any]) -> str:
    """What gateways told later; of a run to none, nothing."""
    told = {name: count for name, count in report["receipts"].items() if count is not None}
    if not any(told.values()):
        return ""
    rows = [(name.capitalize(), f"{count:,}") for name, count in told.items()]
    return "<h2>Receipts</h2>" + table(("", "Receipts"), rows, (1,), "receipts")


_SECTIONS = (_reach, _times, _ledger, _gateways, _senders, _processes, _configuration, _machine)
