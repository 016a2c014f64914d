"""`zsms`, for as long as there is whoever started it: nobody else would read its report.

python -m zsms.launch.held PID COMMAND ...      PID is that of its parent
"""

from __future__ import annotations

import sys

from zsms.launch import children


def main() -> None:
    """Be that command."""
    children.end_with(int(sys.argv.pop(1)))
    sys.argv[0] = "zsms"
    from zsms.cli import main as run

    run()


if __name__ == "__main__":
    main()
