"""The report of a run, what is expected of it, and two sets of reports against each other."""
