"""Measurement windows made up for tests of what is done with them."""

from typing import Any

from depthdial.devices.records import Energy, Environment, Window


def make_window(**changes: Any) -> Window:
    """A window of ten inferences around 1 ms, changed as asked; ``frequency`` and ``throttled`` are shorthands."""
    frequency = changes.pop("frequency", None)
    environment = Environment(
        frequency_mhz=(frequency,) * 3 if frequency else None,
        temperature_c=None,
        throttled=changes.pop("throttled", None),
        load=None,
    )
    values: dict[str, Any] = {
        "device": "d",
        "dataset": "digits",
        "network": "dial",
        "seed": 0,
        "configuration": "c00",
        "mask": "111",
        "role": "reference",
        "round": 0,
        "position": 0,
        "started": "2026-01-01T00:00:00.000+00:00",
        "began_s": 1.0,
        "ended_s": 2.0,
        "latencies_ms": tuple(1 + 0.001 * index for index in range(10)),
        "mean_cpu_ms": 1.0,
        "resident_bytes": 1000,
        "energy": Energy(source="modelled", valid=True, energy_mj=5.0, mean_w=5.0),
        "environment": environment,
        "valid": True,
        "command": ("tool",),
        "bundle_sha256": "0",
        "module_sha256": "0",
        "fingerprint": {"cpu": "x"},
    }
    return Window(**{**values, **changes})
