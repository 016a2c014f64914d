"""The live panel of `zsms run` and `zsms monitor`."""
