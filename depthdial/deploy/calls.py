"""How IREE's tools are called for one configuration, and what its benchmark tool reports."""

from __future__ import annotations

import json

from pydantic import BaseModel, Field, ValidationError

from depthdial.errors import DeviceError

BENCHMARK = "iree-benchmark-module"
RUN = "iree-run-module"
AS_JSON = "--benchmark_format=json"
"""How ``parse_report`` wants the report."""
UNITS_MS = {"ns": 1e-6, "us": 1e-3, "ms": 1.0, "s": 1e3}
WEIGHTS_SCOPE = "weights"
NORMALISATION_SCOPE = "batchnorm"


def call_arguments(module: str, weights: str, batchnorm: str, function: str, fixed_input: str) -> list[str]:
    """Arguments by which iree-benchmark-module and iree-run-module call a function of a module on an input.

    Together with ``device_arguments`` they are complete. Files are relative to the working directory.
    """
    return [
        f"--module={module}",
        f"--parameters={WEIGHTS_SCOPE}={weights}",
        f"--parameters={NORMALISATION_SCOPE}={batchnorm}",
        f"--function={function}",
        f"--input=@{fixed_input}",
    ]


def timing_arguments(count: int) -> list[str]:
    """Arguments by which iree-benchmark-module times ``count`` inferences, each alone, and reports all of them."""
    return [AS_JSON, "--benchmark_min_time=1x", f"--benchmark_repetitions={count}"]


class Inference(BaseModel, allow_inf_nan=False):
    """One timed inference, as the benchmark tool reports it."""

    real_time: float = Field(gt=0)
    cpu_time: float = Field(ge=0)


class _Context(BaseModel):
    load_avg: tuple[float, ...] = ()


class Report(BaseModel):
    """What is read of a report of the benchmark tool."""

    context: _Context
    benchmarks: tuple[Inference, ...] = Field(min_length=1)
    """Times in milliseconds."""

    @property
    def timed_s(self) -> float:
        """What all inferences took."""
        return sum(one.real_time for one in self.benchmarks) / 1000


def parse_report(text: str) -> Report:
    """The single inferences in a report of the benchmark tool.

    Raises JSONDecodeError if it is cut short and DeviceError if it says something else than times. The tool chooses the
    unit: milliseconds for a network, microseconds for a kernel.
    """
    values = json.loads(text)
    try:
        runs = [entry for entry in values["benchmarks"] if entry["run_type"] == "iteration"]
        if any(entry.get("error_occurred") for entry in runs):
            raise ValueError("a run that failed")
        taken = [
            {key: entry[key] * UNITS_MS[entry["time_unit"]] for key in ("real_time", "cpu_time")} for entry in runs
        ]
        return Report.model_validate({"context": values["context"], "benchmarks": taken})
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        why = str(error.errors()[0]["loc"]) if isinstance(error, ValidationError) else str(error)
        raise DeviceError(
            f"expected the times of inferences from {BENCHMARK}, got {text[:300]!r} ({why}); is that tool, "
            f"or what `launcher` names, of another version?"
        ) from None
