"""Pages about a mesh: the live dashboard, and the charts that reports share with it.

static/ holds uPlot 1.6.32 (MIT, https://github.com/leeoniya/uPlot) as its authors published it, so that every page
works without a network.
"""
