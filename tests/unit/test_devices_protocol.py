"""Which rounds hold up, what becomes of records, tables and intervals."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pandera.errors import SchemaError

from depthdial.config.benchmark import Benchmark
from depthdial.config.devices import Device
from depthdial.deploy.calls import parse_report
from depthdial.deploy.manifest import BundledConfiguration, CompiledFor, Gate, Input, Manifest
from depthdial.devices.benchmark import model_if_doubted
from depthdial.devices.meters import open_meter
from depthdial.devices.protocol import Bench, Job, judge_rounds
from depthdial.devices.provision import VerifiedBundle
from depthdial.devices.records import Energy, read_records, write_records
from depthdial.devices.sensors import find_sensors
from depthdial.devices.session import Session
from depthdial.devices.table import SCHEMA, latency_table, median_interval
from depthdial.errors import ArtefactError, DeviceError, MeasurementError
from tests.rigs.windows import make_window

SETTINGS = Benchmark(rounds=3, resamples=200)


def references(levels: list[tuple[float, float]]) -> list:
    """Two windows of the reference per round, at the given medians in ms."""
    return [
        make_window(round=number, position=position, latencies_ms=(level,) * 5)
        for number, pair in enumerate(levels)
        for position, level in zip((0, 7), pair, strict=True)
    ]


def test_a_quiet_device_needs_no_more_rounds() -> None:
    verdict = judge_rounds(references([(1.0, 1.01), (1.02, 1.0), (0.99, 1.0)]), SETTINGS)
    assert verdict.enough
    assert not any(verdict.reasons.values())


def test_a_drifting_round_is_rejected_with_its_figures_and_one_more_is_enough() -> None:
    windows = references([(1.0, 1.0), (1.0, 1.3), (1.0, 1.0)])
    verdict = judge_rounds(windows, SETTINGS)
    assert not verdict.enough
    assert verdict.reasons[1] == ("the reference took 1.3 ms, +30% from its level",)
    more = [*windows, *references([(1.0, 1.0)] * 4)[6:]]
    assert judge_rounds(more, SETTINGS).enough


def test_the_first_round_is_judged_like_the_others() -> None:
    verdict = judge_rounds(references([(2.0, 2.0), (1.0, 1.0), (1.0, 1.0), (1.0, 1.0)]), SETTINGS)
    assert verdict.enough
    assert [number for number, why in verdict.reasons.items() if why] == [0]


@given(st.lists(st.floats(0.1, 10), min_size=6, max_size=6), st.floats(0.01, 100))
def test_the_verdict_does_not_depend_on_the_unit_of_time(levels: list[float], scale: float) -> None:
    pairs = [(a, b) for a, b in zip(levels[::2], levels[1::2], strict=True)]
    scaled = [(a * scale, b * scale) for a, b in pairs]

    def rejected(pairs: list[tuple[float, float]]) -> list[bool]:
        return [
            bool(why) for why in judge_rounds(references(pairs), Benchmark(rounds=3, drift_limit=0.1)).reasons.values()
        ]

    assert rejected(pairs) == rejected(scaled)


def test_throttling_and_a_changed_clock_reject_a_round() -> None:
    windows = references([(1.0, 1.0)] * 3)
    windows += [make_window(role="measured", round=number, position=1, frequency=2000.0) for number in range(3)]
    windows += [make_window(role="measured", round=1, position=2, frequency=1500.0)]
    windows += [make_window(role="measured", round=2, position=2, throttled=True)]
    windows += [make_window(role="measured", round=2, position=3, reasons=("it lasted 9 ms, less than 250",))]
    verdict = judge_rounds(windows, SETTINGS)
    assert verdict.reasons == {
        0: (),
        1: ("clock at 1500 MHz, level 2000 MHz",),
        2: ("throttled at position 2", "position 3: it lasted 9 ms, less than 250"),
    }
    assert "round 2: throttled at position 2" in verdict.text


INFERENCE = '{"run_type": "iteration", "time_unit": "ms", "real_time": %s, "cpu_time": 1.5}'


def report(*times: str, context: str = '{"load_avg": [0.1, 0.2, 0.3]}') -> str:
    return f'{{"context": {context}, "benchmarks": [{", ".join(INFERENCE % time for time in times)}]}}'


def test_a_report_is_read() -> None:
    read = parse_report(report("1.25", "0.75"))
    assert [one.real_time for one in read.benchmarks] == [1.25, 0.75]
    assert (read.timed_s, read.context.load_avg) == (0.002, (0.1, 0.2, 0.3))
    kernel = parse_report(report("1250", "750").replace('"ms"', '"us"'))
    assert [one.real_time for one in kernel.benchmarks] == pytest.approx([1.25, 0.75])


@pytest.mark.parametrize(
    "text",
    [
        *(report("1", time) for time in ("0", "-1", "NaN", "Infinity", "null", '"fast"', "[]")),
        report(),
        report("1", context="7"),
        report("1").replace('"ms"', '"fortnights"'),
        report("1").replace('"real_time"', '"time"'),
        report("1").replace("iteration", "aggregate"),
        '{"context": {}}',
        "[]",
        "7",
        "null",
    ],
)
def test_a_report_that_makes_no_sense_is_told_in_words(text: str) -> None:
    with pytest.raises(DeviceError, match="expected the times of inferences from iree-benchmark-module, got"):
        parse_report(text)


def test_a_run_that_failed_is_no_time() -> None:
    with pytest.raises(DeviceError, match=r"expected the times of inferences .* \(a run that failed\); is that tool"):
        parse_report(report("1").replace('"run_type"', '"error_occurred": true, "run_type"'))


def test_records_come_back_as_they_were_and_damage_is_located(tmp_path: Path) -> None:
    path = tmp_path / "records.jsonl"
    windows = [make_window(round=number) for number in range(3)]
    write_records(path, windows)
    assert read_records(path) == windows
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], lines[1][:50]]))
    with pytest.raises(ArtefactError, match="a measurement window in line 2"):
        read_records(path)
    with pytest.raises(ArtefactError, match="absent: no such file; measure the device again"):
        read_records(tmp_path / "absent")


def manifest(*names: str, network: str = "dial") -> Manifest:
    configurations = tuple(
        BundledConfiguration(
            name=name,
            mask="111",
            macs=1000,
            on_front=True,
            validation_accuracy=0.9,
            module="m",
            batchnorm="b",
            expected=("e",),
        )
        for name in names
    )
    return Manifest(
        dataset="digits",
        network=network,
        seed=0,
        description="network.json",
        graph="graph.json",
        scaling="none",
        recalibrated=True,
        target=CompiledFor(name="host", backend="llvm-cpu", triple="t", cpu="c", features=(), flags=(), compiler="1"),
        input=Input(shape=(1, 1, 8, 8), mean=(0.0,), deviation=(1.0,), classes=("a",)),
        weights="w",
        gate=Gate(inputs=("i",), absolute=0.1, relative=0.1),
        configurations=configurations,
        files={},
    )


def test_the_table_is_made_of_the_rounds_that_hold_up() -> None:
    windows = [
        make_window(round=0, latencies_ms=(1.0,) * 10),
        make_window(round=1, latencies_ms=(9.0,) * 10, valid=False, reasons=("drift",)),
        make_window(round=2, latencies_ms=(1.2,) * 10),
        *(make_window(network="resnet8", role="measured", round=n, latencies_ms=(3.0,) * 4) for n in (0, 2)),
    ]
    table = latency_table(windows, [manifest("c00"), manifest("c00", network="resnet8")], SETTINGS)
    assert list(table.columns) == list(SCHEMA.columns)
    row = table.iloc[0]
    assert row["n_inferences"] == 20
    assert row["latency_ms"] == pytest.approx(1.1)
    assert 0 < row["latency_low_ms"] < 1.0
    assert row["latency_high_ms"] > 1.2
    assert row["val_accuracy"] == 0.9
    assert table["valid"].all()
    assert table.iloc[1]["network"] == "resnet8"


def test_a_device_that_is_too_noisy_gives_a_table_that_says_so() -> None:
    windows = [make_window(round=number, valid=False, reasons=("too noisy",)) for number in range(3)]
    table = latency_table(windows, [manifest("c00")], SETTINGS)
    assert not table["valid"].any()
    assert table.iloc[0]["n_inferences"] == 30


def test_energy_stands_in_the_table_only_if_every_window_has_it() -> None:
    good = Energy(source="rapl", valid=True, energy_mj=4.0, mean_w=4.0)
    bad = Energy(source="rapl", valid=False, reasons=("stopped",))
    table = latency_table([make_window(energy=good), make_window(round=1, energy=good)], [manifest("c00")], SETTINGS)
    assert (table.iloc[0]["energy_mj"], table.iloc[0]["energy_source"]) == (4.0, "rapl")
    table = latency_table([make_window(energy=good), make_window(round=1, energy=bad)], [manifest("c00")], SETTINGS)
    assert pd.isna(table.iloc[0]["energy_mj"])
    assert table.iloc[0]["energy_source"] == "rapl"


@pytest.mark.parametrize("column", ["energy_mj", "energy_low_mj", "energy_high_mj"])
def test_an_energy_that_is_not_positive_reaches_no_table(column: str) -> None:
    table = latency_table([make_window(), make_window(round=1)], [manifest("c00")], SETTINGS)
    with pytest.raises(SchemaError, match=column):
        SCHEMA.validate(table.assign(**{column: 0.0}))


def test_a_meter_that_was_found_out_gives_way_to_the_model_in_all_windows() -> None:
    good = Energy(source="rapl", valid=True, energy_mj=4.0, mean_w=4.0, watts=(4.0,))
    bad = Energy(source="rapl", valid=False, reasons=("stopped",), watts=(0.0,))
    kept = [make_window(energy=good), make_window(round=1, energy=good)]
    assert model_if_doubted(kept, 3.0) == kept
    windows = model_if_doubted([make_window(energy=good), make_window(round=1, energy=bad)], 3.0)
    assert [window.energy.source for window in windows] == ["modelled", "modelled"]
    assert [window.energy.reasons for window in windows] == [(), ("stopped",)]
    assert windows[1].energy.watts == (0.0,)
    row = latency_table(windows, [manifest("c00")], SETTINGS).iloc[0]
    assert (row["energy_mj"], row["energy_source"]) == (pytest.approx(3 * row["latency_ms"]), "modelled")


def test_a_configuration_without_measurement_is_an_error() -> None:
    with pytest.raises(MeasurementError, match="dial c01 has no measurement"):
        latency_table([make_window(), make_window(round=1)], [manifest("c00", "c01")], SETTINGS)


@pytest.mark.parametrize(
    ("does", "said"),
    [
        ("echo '{\"context\": '", r"the output of iree-benchmark-module for dial c00 is cut short; .* free"),
        ("echo broken >&2; exit 3", r"dial c00 could not be measured \(status 3\): broken"),
        ("exit 3", r"dial c00 could not be measured \(status 3\): it said nothing"),
        ("echo '{}'", "dial c00: expected the times of inferences from iree-benchmark-module"),
    ],
)
def test_a_benchmark_that_tells_no_times_is_an_error_with_what_it_said(tmp_path: Path, does: str, said: str) -> None:
    tool = tmp_path / "iree-benchmark-module"
    tool.write_text(f"#!/bin/sh\n{does}\n")
    tool.chmod(0o755)
    job = Job(VerifiedBundle(tmp_path, manifest("c00")), ".", manifest("c00").configurations[0])
    device = Device(name="d", target="host", directory=str(tmp_path / "work"))
    with Session(device) as session:
        bench = Bench(session, str(tmp_path), [job], SETTINGS, open_meter(session), find_sensors(session))
        with pytest.raises(DeviceError, match=f"device d: {said}"):
            bench.calibrate()


@settings(max_examples=8)
@given(st.integers(0, 1000))
def test_the_interval_holds_what_repeated_experiments_would_give(seed: int) -> None:
    generator = np.random.default_rng(seed)
    groups = [1 + generator.normal(0, 0.05) + generator.exponential(0.1, 60) for _ in range(8)]
    low, high = median_interval(groups, 300, np.random.default_rng(0))
    assert low <= np.median(np.concatenate(groups)) <= high
    assert (low, high) == median_interval(groups, 300, np.random.default_rng(0))


@pytest.mark.slow
@pytest.mark.parametrize("count", [3, 5, 10])
def test_the_interval_covers_the_truth_as_often_as_it_says(count: int) -> None:
    generator = np.random.default_rng(count)
    hits = 0
    for _ in range(200):
        medians = np.exp(generator.normal(0, 0.03, count))
        groups = [median * (1 + generator.exponential(0.02, 25) - 0.02 * np.log(2)) for median in medians]
        low, high = median_interval(groups, 100, generator)
        hits += low <= 1 <= high
    assert 0.92 <= hits / 200 <= 0.99


def test_intervals_of_windows_that_differ_are_wider_than_of_windows_that_agree() -> None:
    generator = np.random.default_rng(0)
    agreeing = [1 + generator.normal(0, 0.01, 100) for _ in range(6)]
    differing = [samples + shift for samples, shift in zip(agreeing, np.linspace(-0.2, 0.2, 6), strict=True)]
    widths = [
        high - low for low, high in (median_interval(g, 300, np.random.default_rng(0)) for g in (agreeing, differing))
    ]
    assert widths[1] > 5 * widths[0]


def test_long_windows_do_not_make_the_interval_narrower_than_their_quantiles_do() -> None:
    generator = np.random.default_rng(0)
    groups = [1 + generator.normal(0, 0.02) + generator.exponential(0.1, 5000) for _ in range(6)]
    low, high = median_interval(groups, 200, np.random.default_rng(0))
    medians = [np.median(group) for group in groups]
    assert min(medians) - 0.04 < low < np.median(np.concatenate(groups)) < high < max(medians) + 0.04
