"""Lists of recipients and texts in files and pipes, read as they come; :mod:`zsms.sources` says what a row is."""
