"""Feeds every target with inputs that atheris (libFuzzer) makes of what it learns about the code:

    python -m tests.fuzz [RUNS] [TARGET]...      RUNS inputs in all, by default 1,000,000

An exception that no decoder should raise, an input that takes over 5 s, or a process that grows by more than `GROWTH`
after the first tenth of its inputs ends it with exit code 1, and the input stays in a file that is named. Each target
is a process of its own.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

GROWTH = 48 * 2**20
"""Bytes; libFuzzer's own memory of what it has tried grows too."""
_HANG_S = 5


def resident() -> int:
    """Bytes of memory that this process has now."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise SystemExit("fuzzing needs Linux's /proc")


def fuzz(name: str, runs: int) -> None:
    """Fuzz one target in this process; libFuzzer ends it."""
    import atheris

    with atheris.instrument_imports(include=["zsms"]):
        from tests.fuzz.targets import TARGETS

    target = TARGETS[name]
    count, early = 0, 0

    def one(data: bytes) -> None:
        nonlocal count, early
        target.run(data)
        count += 1
        if count == runs // 10:
            early = resident()
        if count == runs:
            now = resident()
            print(f"{name}: {count:,} inputs, {early / 2**20:.0f} MiB after a tenth, {now / 2**20:.0f} MiB at the end")
            sys.stdout.flush()
            if now - early > GROWTH:
                raise MemoryError(f"{name} has grown by {(now - early) / 2**20:.0f} MiB")

    with tempfile.TemporaryDirectory(prefix="zsms-corpus-") as corpus:
        for number, seed in enumerate(target.seeds):
            Path(corpus, str(number)).write_bytes(seed)
        atheris.Setup(
            [
                sys.argv[0], corpus, f"-runs={runs}", f"-timeout={_HANG_S}", "-max_len=8192", "-print_final_stats=0",
                f"-artifact_prefix={tempfile.gettempdir()}/zsms-fuzz-{name}-", "-verbosity=0",
            ],
            one,
        )  # fmt: skip
        atheris.Fuzz()


def main() -> int:
    """All targets one after the other; the exit code."""
    from tests.fuzz.targets import TARGETS

    words = sys.argv[1:]
    runs = int(words.pop(0).replace("_", "").replace(",", "")) if words and words[0][:1].isdigit() else 1_000_000
    names = words or list(TARGETS)
    if unknown := set(names) - set(TARGETS):
        print(f"no such target: {', '.join(sorted(unknown))}; there are {', '.join(TARGETS)}", file=sys.stderr)
        return 2
    failed = []
    began = time.monotonic()
    each = -(-runs // len(names))
    for name in names:
        command = [sys.executable, "-c", f"from tests.fuzz.__main__ import fuzz; fuzz({name!r}, {each})"]
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
        print(done.stdout, end="", flush=True)
        if done.returncode or f"{name}: {each:,} inputs" not in done.stdout:
            failed.append(name)
            print(f"{name} FAILED (exit code {done.returncode}):\n{done.stderr[-4_000:]}", flush=True)
    said = f"failed: {', '.join(failed)}" if failed else "no crash, no hang, no growth"
    print(f"{each * len(names):,} inputs in {time.monotonic() - began:.0f} s: {said}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
