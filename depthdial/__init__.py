"""depthdial: one residual network, many depths, chosen at run time."""

__version__ = "0.1.0"
