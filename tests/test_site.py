"""The documentation site is built from the documents as they are, and works without a network."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCES = ("README.md", "CHANGELOG.md", "LICENSE", "docs", "examples", "figures", "benchmarks")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built as bin/docs does it, in a folder of its own."""
    root = tmp_path_factory.mktemp("site")
    source = root / "build" / "site-source"
    source.mkdir(parents=True)
    (root / ".ci").mkdir()
    shutil.copy(ROOT / ".ci" / "mkdocs.yml", root / ".ci")
    script = (ROOT / "bin" / "docs").read_text(encoding="utf-8")
    assert f"cp -R {' '.join(SOURCES)} build/site-source" in script
    for name in SOURCES:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, source / name)
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--quiet", "--config-file", ".ci/mkdocs.yml"],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return root / "build" / "site"


def test_every_document_is_a_page_that_the_menu_leads_to(site: Path) -> None:
    menu = (site / "index.html").read_text(encoding="utf-8")
    for document in (ROOT / "docs").glob("*.md"):
        assert f'href="docs/{document.stem}.html"' in menu, f"{document.name} is not in .ci/mkdocs.yml"


def test_no_page_needs_another_host(site: Path) -> None:
    for page in site.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        assert re.findall(r"<(?:script|link|img|iframe)\b[^>]*(?:https?:)?//[^>]*>", text) == [], page.name


def test_the_figures_are_there(site: Path) -> None:
    for page in (site / "index.html", site / "docs" / "reading-the-figures.html"):
        images = re.findall(r'<img[^>]* src="([^"]+)"', page.read_text(encoding="utf-8"))
        assert images
        assert all((page.parent / image).is_file() for image in images)
