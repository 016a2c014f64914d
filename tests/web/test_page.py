"""The page in a real Chromium: its numbers are the collector's, and it gets over whatever comes and goes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.roles.waiting import until
from tests.web.browser import MISSING, Browser, find_chromium
from tests.web.snapshots import mesh, sender
from zsms.dashboard.server import Dashboard
from zsms.roles.collector import StatsCollector
from zsms.stats.view import View

pytestmark = pytest.mark.skipif(find_chromium() is None, reason=MISSING)

STATUS = "document.querySelector('#status-text')"
LASTING_S = 60.0
"""So often each process says something: what it said last is true for longer than a test may take."""
CONTRAST = """(names => {
  const canvas = document.createElement('canvas').getContext('2d');
  const rgb = name => {
    canvas.fillStyle = getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
    return [1, 3, 5].map(i => parseInt(canvas.fillStyle.slice(i, i + 2), 16) / 255);
  };
  const light = name => {
    const [r, g, b] = rgb(name).map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  return names.map(([a, b]) => {
    const [low, high] = [light(a), light(b)].sort((x, y) => x - y);
    return (high + 0.05) / (low + 0.05);
  });
})"""
"""Contrast of pairs of colours (https://www.w3.org/TR/WCAG21/#dfn-contrast-ratio)."""
TEXTS = [[text, ground] for text in ("ink", "soft", "good", "warn", "bad") for ground in ("card", "ground")]
MARKS = [[mark, "card"] for mark in ("sent", "failed", "dead", "times")]


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("chromium")) as browser:
        yield browser


@pytest.fixture
def browser(chromium: Browser) -> Browser:
    chromium.open("about:blank")
    chromium.look()
    chromium.requests.clear()
    chromium.complaints.clear()
    return chromium


def collect(bind: str = "tcp://127.0.0.1:0", seq: int = 7) -> StatsCollector:
    collector = StatsCollector(bind).start()
    for earlier in (seq - 1, seq):
        mesh(collector.book, earlier, monotonic() - (seq - earlier), LASTING_S)
    return collector


@pytest.fixture
def page() -> Iterator[Callable[..., Dashboard]]:
    pages: list[Dashboard] = []

    def serve(stats: str, bind: str = "127.0.0.1:0") -> Dashboard:
        page = Dashboard(bind=bind, interval=0.2)
        pages.append(page)
        page.start()
        page.watch(stats)
        return page

    yield serve
    for each in pages:
        each.stop()
        each.join()


def figures(browser: Browser) -> dict[str, float]:
    """What the page shows, by name, as numbers and as texts that a person reads."""
    pairs: list[list[str]] = browser.evaluate(
        "[...document.querySelectorAll('[data-figure]')]"
        ".map(e => [e.dataset.figure, e.dataset.value ?? '', e.textContent])"
    )
    for name, value, text in pairs:
        if value and name in ("sent", "failed", "dead", "queued", "in_flight", "settled", "expected", "redelivered"):
            assert text == f"{int(value):,}", name
    return {name: float(value) for name, value, _ in pairs if value}


def expected(collector: StatsCollector) -> dict[str, Any]:
    view = View.of(collector.book.answer("all", monotonic()), 0.0)
    return {
        "sent": view.sent,
        "failed": view.failed,
        "dead": view.dead,
        "queued": view.queued,
        "in_flight": view.in_flight,
        "settled": view.settled,
        "retried": view.retried,
        "redelivered": view.redelivered,
        "overall_per_s": round(view.rate, 1),
        "expected": view.produced,
    }


def shows(browser: Browser, collector: StatsCollector) -> bool:
    return expected(collector).items() <= figures(browser).items()


def test_the_page_shows_the_collector_s_numbers(browser: Browser, page: Callable[..., Dashboard]) -> None:
    collector = collect()
    try:
        dashboard = page(collector.endpoint)
        browser.open(dashboard.url)
        until(lambda: shows(browser, collector), "the numbers")
        for seq in (8, 9, 10):
            mesh(collector.book, seq, monotonic(), LASTING_S)
            until(lambda: shows(browser, collector), "the new numbers")
        rows = browser.evaluate(
            "[...document.querySelectorAll('#senders tr')].map(r => r.innerText.split('\\t')[0].trim())"
        )
        assert rows == ["sender-1", "sender-2"]
        browser.wait_for(f"{STATUS}.textContent === 'Live'")
        assert browser.evaluate("document.querySelectorAll('.plot canvas').length") == 5
        spoken = browser.evaluate("document.querySelector('#plot-queue').getAttribute('aria-label')")
        assert "in flight 20" in spoken
        browser.evaluate("document.querySelector('input[value=whole]').click()")
        assert not browser.complaints
        hosts = {urlsplit(url).netloc for url in browser.requests if not url.startswith("about:")}
        assert hosts == {f"127.0.0.1:{dashboard.port}"}
    finally:
        collector.stop()
        collector.join()


def test_it_says_that_the_collector_is_gone_and_goes_on_with_the_next(
    browser: Browser, page: Callable[..., Dashboard]
) -> None:
    collector = collect()
    browser.open(page(collector.endpoint).url)
    until(lambda: shows(browser, collector), "the numbers")
    collector.stop()
    collector.join()
    browser.wait_for(
        "document.querySelector('#status-text').textContent.startsWith('No word from the collector since')"
    )
    assert browser.evaluate("document.querySelector('#status').dataset.state") == "silent"
    collector = collect(collector.endpoint, seq=12)
    try:
        until(lambda: shows(browser, collector), "the numbers of the next collector")
        browser.wait_for(f"{STATUS}.textContent === 'Live'")
        assert "collector answers again" in browser.evaluate("document.querySelector('#events').textContent")
        assert not browser.complaints
    finally:
        collector.stop()
        collector.join()


def test_it_finds_the_dashboard_again_when_that_starts_anew(browser: Browser, page: Callable[..., Dashboard]) -> None:
    collector = collect()
    try:
        first = page(collector.endpoint)
        browser.open(first.url)
        until(lambda: shows(browser, collector), "the numbers")
        first.stop()
        first.join()
        browser.wait_for("document.querySelector('#status').dataset.state === 'lost'")
        page(collector.endpoint, f"127.0.0.1:{first.port}")
        mesh(collector.book, 9, monotonic(), LASTING_S)
        until(lambda: shows(browser, collector), "the numbers of the next dashboard", seconds=25)
        browser.wait_for(f"{STATUS}.textContent === 'Live'")
    finally:
        collector.stop()
        collector.join()


def test_it_fits_a_phone_and_both_kinds_of_light(browser: Browser, page: Callable[..., Dashboard]) -> None:
    collector = collect()
    try:
        browser.look(width=360, height=740)
        browser.open(page(collector.endpoint).url)
        until(lambda: shows(browser, collector), "the numbers")
        assert browser.evaluate("document.documentElement.scrollWidth") == 360
        assert browser.evaluate("(e => e.scrollWidth <= e.clientWidth)(document.querySelector('section.senders'))")
        assert browser.evaluate("[...document.querySelectorAll('.plot canvas')].every(c => c.offsetWidth <= 340)")
        grounds = set()
        for dark in (False, True):
            browser.look(dark=dark)
            grounds.add(browser.evaluate("getComputedStyle(document.documentElement).backgroundColor"))
            assert min(browser.evaluate(f"{CONTRAST}({json.dumps(TEXTS)})")) >= 4.5
            assert min(browser.evaluate(f"{CONTRAST}({json.dumps(MARKS)})")) >= 3
        assert len(grounds) == 2
        assert not browser.complaints
    finally:
        collector.stop()
        collector.join()


def test_nothing_is_said_to_eyes_alone_and_no_name_hides_what_is_wrong_with_its_sender(
    browser: Browser, page: Callable[..., Dashboard]
) -> None:
    collector = collect()
    for seq in (6, 7):  # nobody's share is more than half
        collector.book.put(sender("x" * 64, seq, 10 * seq, failed=5 * seq), monotonic() - 60.0)
        collector.book.put(sender("\u05d0" * 64, seq, 10 * seq, failed=5 * seq), monotonic() - 60.0)
    try:
        browser.open(page(collector.endpoint).url)
        browser.wait_for("document.querySelectorAll('#senders tr').length === 4")
        for width in (360, 1280):
            browser.look(width=width)
            outside = browser.evaluate(
                "[...document.querySelectorAll('#senders .tag:not([hidden])')].map(tag => "
                "tag.getBoundingClientRect().right - tag.closest('tr').cells[0].getBoundingClientRect().right)"
            )
            assert len(outside) >= 2 and max(outside) <= 0.5, f"silent is cut off, {width} wide"
        assert browser.evaluate("[...document.querySelectorAll('#senders tr')].every(r => r.cells[0].scope === 'row')")
        browser.wait_for("document.querySelector('#plot-reach').ariaLabel.includes('now 1')")
        assert browser.evaluate("getComputedStyle(document.querySelector('#bar i')).printColorAdjust") == "exact"
        titles = browser.evaluate("[...document.querySelectorAll('.plot')].map(e => e.ariaLabel.split(':')[0])")
        assert titles == ["Rate", "Waiting and in flight", "Send time", "Reach", "Failures"]
        collector.stop()
        collector.join()
        browser.wait_for("/\\(\\d+ s\\)/.test(document.querySelector('#status-age').textContent)")
        live = browser.evaluate("document.querySelector('[role=status]').textContent")
        assert live.startswith("No word from the collector since") and "(" not in live
        assert not browser.complaints
    finally:
        collector.stop()
        collector.join()


def test_who_comes_back_to_the_page_of_a_run_that_is_over_sees_the_next_run(
    browser: Browser, page: Callable[..., Dashboard]
) -> None:
    collector = collect()
    try:
        first = page(collector.endpoint)
        browser.open(first.url)
        until(lambda: shows(browser, collector), "the numbers")
        first.end()
        browser.wait_for(f"{STATUS}.textContent.startsWith('The run ended')")
        first.join()
        browser.wait_for("source.readyState === EventSource.CLOSED")
        page(collector.endpoint, f"127.0.0.1:{first.port}")
        mesh(collector.book, 9, monotonic())
        browser.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
        until(lambda: shows(browser, collector), "the numbers of the next run", seconds=25)
        browser.wait_for(f"!{STATUS}.textContent.startsWith('The run ended')")
    finally:
        collector.stop()
        collector.join()


def test_a_picture_can_be_taken(browser: Browser, tmp_path: Path) -> None:
    assert browser.picture(tmp_path / "page.png").read_bytes().startswith(b"\x89PNG")
