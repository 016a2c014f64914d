"""``python -m zsms``."""

from zsms.cli import main

main()
