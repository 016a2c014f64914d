"""`zsms`, for as long as there is whoever started it: nobody else would read its report.

python -m zsms.launch.held PID COMMAND ...      PID is that of its parent
"""

from __future__ import annotations

import sys
from importlib import import_module

from zsms.launch import children


def main() -> None:
    """Be that command."""
    children.end_with(int(sys.argv.pop(1)))
    sys.argv[0] = "zsms"
    import_module("zsms.cli").main()  # by name, as a command of its own would find it


if __name__ == "__main__":
    main()
