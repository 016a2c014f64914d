"""Where the processes of a mesh are started: this machine, or workers of a Dask cluster."""
