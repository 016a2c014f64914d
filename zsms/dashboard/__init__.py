"""Pages about a mesh: the live dashboard, and the charts that reports share with it.

static/ holds uPlot 1.6.32 (MIT, https://github.com/leeoniya/uPlot) as its authors published it, so that every page
works without a network.
"""

DEFAULT_BIND = "127.0.0.1:5580"
"""Where the dashboard is, unless told otherwise."""
