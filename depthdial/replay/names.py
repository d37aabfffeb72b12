"""Names of the policies that are compared, as tables, figures and claims know them."""

from __future__ import annotations

FULL_NETWORK = "full network"
"""Always every block."""
GREEDY = "greedy"
SCHEDULE = "schedule"
"""The table as it is, without what the selector learns while it runs."""
SCHEDULE_WITH_FEEDBACK = "schedule with feedback"
"""What ships: the selector learns the slowdown and looks the energy up that was really used."""
ORACLE = "oracle"
"""Clairvoyant: it knows the trace to come."""
