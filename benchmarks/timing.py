"""Processor time of an action, and of which processor it is."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from depthdial.devices.processors import cache_files, identity, title


def timed(action: Callable[[], Any]) -> tuple[Any, float]:
    """What ``action`` returns, and the processor time that it took in seconds."""
    start = time.process_time()
    result = action()
    return result, time.process_time() - start


def this_processor() -> str:
    """What kind of processor this machine has, in a line."""
    files = {key: Path(path) for key, path in cache_files("/sys", 0).items()}
    caches = {key: path.read_text().strip() for key, path in files.items() if path.exists()}
    return title(identity(Path("/proc/cpuinfo").read_text(), caches, str(os.cpu_count())))
