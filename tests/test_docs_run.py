"""Every command block of the README and of docs/ is run, section by section, as a reader would.

A section's blocks run one after the other in one shell, in a folder with the files that the page tells its reader to
write. A block after the comment `<!-- in the background -->` is a terminal of its own; it ends with the section. Each
section has a network, processes and host names to itself (namespaces), so ports and hosts are the ones that are
printed. Large figures are smaller here (`CAPPED`): it is the command that is tested, not the machine.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parent.parent
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])
HOSTS = "127.0.0.1 localhost queue.example.org send.example.org make.example.org\n::1 localhost\n"
CAPPED = {"messages": 5_000, "concurrency": 5_000, "mean": 0.2, "sd": 0.1}
"""Option: its largest figure here."""
NOT_RUN = {
    "bin/run": "`zsms run`, after a setup that the packaging test does in a folder of its own",
    "bin/test": "this",
    "bin/figures": "minutes to hours",
    "bin/bench": "minutes of an idle machine",
    "python benchmarks/": "minutes of an idle machine",
}
"""What a command that is not run begins with, and why it is not."""
NAMESPACES = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
if os.geteuid():
    NAMESPACES.insert(1, "--map-root-user")


class Block(NamedTuple):
    """A command block: where it stands, and whether it is a terminal of its own."""

    line: int
    text: str
    background: bool


class Section(NamedTuple):
    """What stands under one second-level heading of a page."""

    page: Path
    title: str
    blocks: list[Block]

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.blocks[0].line}: {self.title}"


def sections(page: Path) -> list[Section]:
    """The page's sections that have command blocks."""
    text = page.read_text(encoding="utf-8")
    found: list[Section] = []
    title, blocks = page.stem, list[Block]()
    pattern = r"^## (?P<title>[^\n]+)$|(?P<own><!-- in the background -->\n)?^```(?P<kind>\w*)\n(?P<text>.*?)^```$"
    for match in re.finditer(pattern, text, re.MULTILINE | re.DOTALL):
        if match["title"]:
            found.append(Section(page, title, blocks))
            title, blocks = match["title"], []
        elif match["kind"] in ("sh", "console"):
            lines = match["text"].replace("\\\n", " ").splitlines()
            if match["kind"] == "console":
                lines = [line[2:] for line in lines if line.startswith("$ ")]
            kept = [capped(line) for line in lines if not any(line.startswith(prefix) for prefix in NOT_RUN)]
            blocks.append(Block(text.count("\n", 0, match.start("text")) + 1, "\n".join(kept), bool(match["own"])))
    found.append(Section(page, title, blocks))
    return [part for section in found for part in parts(section) if any(block.text.strip() for block in part.blocks)]


def parts(section: Section) -> list[Section]:
    """A test each: the whole section where one block needs another's process, else each block."""
    if any(block.background for block in section.blocks):
        return [section]
    return [section._replace(blocks=[block]) for block in section.blocks]


def capped(line: str) -> str:
    """The line without large figures."""
    for option, most in CAPPED.items():
        line = re.sub(rf"(?<=--{option} )[\d.]+", lambda figure, most=most: f"{min(float(figure[0]), most):g}", line)
    return line


def script(section: Section) -> str:
    """The section as a program for bash."""
    lines = ["set -eu", "ip link set lo up", "mount --bind hosts /etc/hosts"]
    for block in section.blocks:
        lines.append(f"echo '--- line {block.line}' >&2")
        lines.append(f"(\n{block.text}\n)" + (" </dev/null &" if block.background else ""))
    return "\n".join(lines) + "\n"


SECTIONS = [section for page in PAGES for section in sections(page)]


@pytest.mark.parametrize("section", SECTIONS, ids=str)
def test_every_command_block_runs(section: Section, tmp_path: Path) -> None:
    for tool, package in (("unshare", "util-linux"), ("ip", "iproute2")):
        if shutil.which(tool) is None:
            pytest.skip(f"no {tool}: it is in the Debian package {package}")
    if subprocess.run([*NAMESPACES, "true"], capture_output=True, check=False).returncode:
        pytest.skip("namespaces are not allowed here: run the tests as root on Linux")
    page = section.page.read_text(encoding="utf-8")
    for text in re.findall(r"^```toml\n(.*?)^```$", page, re.MULTILINE | re.DOTALL):
        (tmp_path / text.split()[1]).write_text(text, encoding="utf-8")
    (tmp_path / "hosts").write_text(HOSTS, encoding="utf-8")
    (tmp_path / "people.csv").write_text(
        "recipient,text\n+13705550100,Leave the lower town\nno row\n", encoding="utf-8"
    )
    for name in ("examples", "docs"):
        (tmp_path / name).symlink_to(ROOT / name)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ZSMS_")}
    # Where the command does not say:
    environment |= {"ZSMS_RUN_MESSAGES": "5000", "ZSMS_RUN_MEAN": "0.2", "ZSMS_RUN_SD": "0.02"}
    environment |= {"ZSMS_PLAN_REPLICATIONS": "3"}
    environment["PYTHONPATH"] = os.pathsep.join([str(ROOT), *filter(None, [environment.get("PYTHONPATH")])])
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    done = subprocess.run(
        [*NAMESPACES, "bash", "-c", script(section)],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=80,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3_000:]
    assert "Traceback" not in done.stderr


def test_a_command_that_fails_would_be_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# Page\n\n```sh\nzsms run --messages 40000\n```\n\n## Two\n\n```console\n$ false\n```\n")
    first, second = sections(page)
    assert first.title == "page" and "--messages 5000\n" in script(first)
    assert second.blocks == [Block(10, "false", False)]
    assert subprocess.run(["bash", "-c", script(second).replace("mount", "#")], check=False).returncode != 0


def test_what_is_not_run_stands_in_a_document() -> None:
    text = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
    assert [prefix for prefix in NOT_RUN if prefix not in text] == []
