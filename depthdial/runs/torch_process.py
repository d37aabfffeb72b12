"""How a process of a job uses PyTorch: so many threads, memory that is kept for the next tensor, and a warning."""

from __future__ import annotations

import ctypes
import logging
import platform

logger = logging.getLogger(__name__)

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""Parameters of glibc's mallopt(3)."""
_KEPT_BYTES = 1 << 30


def set_up_torch(threads: int) -> None:
    """Compute with so many threads, and keep freed memory instead of giving it back to the system at once.

    glibc maps every allocation above 32 MB anew, and the system zeroes its pages: activations of 50 images of 224 x 224
    pixels took 2.6 times as long so. Other C libraries are left as they are.
    """
    import torch

    torch.set_num_threads(threads)
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_MMAP_THRESHOLD, _KEPT_BYTES)
        mallopt(_TRIM_THRESHOLD, _KEPT_BYTES)


def warn_of_emulation(precision: str, device: str) -> None:
    """Say in the log that this processor computes ``precision`` in emulation only: bfloat16, on x86-64 without AVX-512.

    Training ResNet-56 so took twenty times as long as in float32 (docs/training.md).
    """
    import torch

    capability = torch.backends.cpu.get_cpu_capability()
    emulated = platform.machine().lower() in ("x86_64", "amd64") and capability in ("DEFAULT", "AVX2")
    if precision == "bfloat16" and device == "cpu" and emulated:
        logger.warning(
            "this processor has no bfloat16 (PyTorch finds %s) and emulates it, many times slower than float32; "
            "set precision: float32",
            capability,
        )
