"""``python -m zsms``."""

import os
import sys

if not sys.flags.safe_path and sys.path[:1] in ([""], [os.getcwd()]):
    del sys.path[0]  # a random.py in the current folder is not Python's random

from zsms.cli import main

main()
