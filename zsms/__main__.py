"""``python -m zsms``; :mod:`zsms` has seen to it that nothing of the current folder is imported."""

from zsms.entry import main

main()
