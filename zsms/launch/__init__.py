"""A whole mesh: its processes, started on this machine or by workers of a Dask cluster, and what becomes of it."""
