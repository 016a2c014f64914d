"""Where `zsms` begins: before anything else is imported, for Ctrl-C may come at once."""

from __future__ import annotations

import os
import signal


def main() -> None:
    """`zsms`."""
    hears = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if hears:  # that would end half an import, with a traceback of it
        signal.signal(signal.SIGINT, lambda *_: os._exit(130))
    from zsms.cli import main as run

    if hears:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    run()
