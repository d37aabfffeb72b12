"""Processor time of an action."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any


def timed(action: Callable[[], Any]) -> tuple[Any, float]:
    """What ``action`` returns, and the processor time that it took in seconds."""
    start = time.process_time()
    result = action()
    return result, time.process_time() - start
