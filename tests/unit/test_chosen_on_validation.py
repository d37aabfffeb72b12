"""Nothing that is chosen, deployed or measured depends on the labels of the test split: they only score it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from depthdial.config.benchmark import Benchmark
from depthdial.config.deploy import Deploy
from depthdial.config.evaluate import Evaluate
from depthdial.config.schedule import Grid, Schedule
from depthdial.config.select import Select
from depthdial.data.images import Split, save_images
from depthdial.deploy.bundle import link
from depthdial.deploy.compile import compile_configuration
from depthdial.deploy.export import export
from depthdial.deploy.graph.nodes import Graph, read_graph
from depthdial.deploy.manifest import GRAPH
from depthdial.devices.table import latency_table
from depthdial.errors import ArtefactError
from depthdial.evaluate.tables import merge_masks
from depthdial.evaluate.tasks import calibrate_configurations, evaluate_shard, score_configurations
from depthdial.files import sha256_file
from depthdial.networks.configurations import ConfigurationSet, read_configurations, write_configurations
from depthdial.networks.masks import Mask
from depthdial.networks.weights import save_weights
from depthdial.replay.compare import compare
from depthdial.replay.tables import Scores, read_scores
from depthdial.schedule.build import build_schedule
from depthdial.schedule.choices import choices_of
from depthdial.schedule.table import ScheduleTable
from depthdial.select.choose import choose
from depthdial.traces.trace import read_traces
from tests.rigs.schedules import latency_table as made_up_table
from tests.rigs.windows import make_window
from tests.unit.deploy_case import ARCH, HOST, random_network

DIAL, TRACES = "dial", ["config/traces/drain.yaml"]
SCHEDULE = Schedule(grid=Grid(reserve=(0.9, 1.0, 1.1)), resident=2)


@dataclass(frozen=True)
class Outcome:
    """What one chain of stages made."""

    chosen: bytes
    bundle: dict[str, str]
    schedule: ScheduleTable
    tested: pd.DataFrame


def images(path: Path, test_labels: np.ndarray) -> None:
    """A data set whose splits are the same but for the labels of the test images."""
    random = np.random.default_rng(1)
    shape = (60, ARCH.in_channels, ARCH.image_size, ARCH.image_size)
    splits = {name: random.integers(0, 256, shape, dtype=np.uint8) for name in ("train", "validation", "test")}
    labels = {name: random.integers(0, ARCH.classes, 60) for name in splits} | {"test": test_labels}
    names = [f"class{i}" for i in range(ARCH.classes)]
    save_images(path, "noise", names, {name: Split(splits[name], labels[name]) for name in splits})


def compiled(folder: Path, graph: Graph, name: str, mask: str) -> Path:
    """The module of a configuration, compiled once for both chains: it depends on nothing but its mask."""
    path = folder / f"{name}-{mask}.vmfb"
    side, log = path.with_suffix(".json"), path.with_suffix(".log")
    if not path.exists():
        names = (DIAL, name, "host")
        compile_configuration(graph, Mask(mask), HOST, names=names, output=path, side_file=side, log_path=log)
    return path


def chain(folder: Path, test_labels: np.ndarray) -> Outcome:
    """From weights and images to configurations, bundle and schedule, as the workflow's scripts do it."""
    folder.mkdir()
    data, weights = folder / "images.safetensors", folder / "weights.safetensors"
    images(data, test_labels)
    save_weights(weights, random_network(), {})
    settings = Evaluate(calibration_images=30, shards=1)
    evaluate_shard(weights, data, folder / "masks.parquet", settings, True, 0)
    masks, _ = merge_masks([folder / "masks.parquet"])
    picked = choose(masks, Select(configurations=3, largest_drop=0.5))
    chosen = ConfigurationSet(
        dataset="noise", network=DIAL, seed=0, scaling="survival", recalibrated=True, configurations=picked
    )
    names = folder / "configurations.json"
    write_configurations(names, chosen)
    assert read_configurations(names) == chosen
    calibrate_configurations(weights, data, chosen, settings, folder / "batchnorm.safetensors")
    score_configurations(weights, data, chosen, settings, folder / "test.parquet")
    export(weights, folder / "batchnorm.safetensors", names, data, Deploy(), folder / "exported")
    graph = read_graph(folder / "exported" / GRAPH)
    modules = {one.name: compiled(folder.parent, graph, one.name, one.mask) for one in picked}
    manifest = link(folder / "exported", modules, names, data, Deploy(), folder / "bundle")
    windows = [
        make_window(configuration=one.name, mask=one.mask, latencies_ms=(0.1 + one.macs * 1e-6,) * 10, round=number)
        for one in picked
        for number in range(2)
    ]
    table = latency_table(windows, [manifest], Benchmark())
    schedule = build_schedule(table, DIAL, "here", SCHEDULE, TRACES, (0,))
    files = {path.name: sha256_file(path) for path in sorted((folder / "bundle").rglob("*")) if path.is_file()}
    return Outcome(
        names.read_bytes(),
        files,
        schedule.model_copy(update={"solve_s": 0.0}),
        pd.read_parquet(folder / "test.parquet"),
    )


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> tuple[Outcome, Outcome]:
    folder, random = tmp_path_factory.mktemp("chain"), np.random.default_rng(7)
    return chain(folder / "a", random.integers(0, ARCH.classes, 60)), chain(folder / "b", np.arange(60) % 2)


def test_changed_test_labels_choose_deploy_and_schedule_the_same(outcomes: tuple[Outcome, Outcome]) -> None:
    one, other = outcomes
    assert not one.tested["test_accuracy"].equals(other.tested["test_accuracy"]), "the labels matter to the scores"
    assert one.chosen == other.chosen
    assert one.bundle == other.bundle
    assert one.schedule.model_dump_json() == other.schedule.model_dump_json()


def test_every_policy_chooses_by_validation_and_is_scored_by_test() -> None:
    """Test accuracies that turn the order of the configurations change what is reported, and no choice."""
    table, dial = made_up_table(), "resnet20-sd"
    schedule = build_schedule(table, dial, "here", SCHEDULE, TRACES, (0,))
    training = read_traces(TRACES, (0,), schedule.full_latency_ms)
    held_out = read_traces(TRACES, (100,), schedule.full_latency_ms)
    keys = list(zip(table["network"], table["configuration"], strict=True))
    agreeing = Scores(dict(zip(keys, table["val_accuracy"], strict=True)))
    turned = Scores({key: 0.5 + 0.05 * index for index, key in enumerate(keys)})
    one, other = (compare(table, scores, schedule, SCHEDULE, training, held_out) for scores in (agreeing, turned))
    moves = ["trace", "policy", "time_s", "configuration", "met", "energy_j", "battery"]
    pd.testing.assert_frame_equal(one.steps[moves], other.steps[moves])
    scored = ["correct", "accuracy", "accuracy_offered", "regret"]
    rest = [name for name in one.summary if name not in scored]
    pd.testing.assert_frame_equal(one.summary[rest], other.summary[rest])
    assert (one.summary["accuracy_offered"] - one.summary["val_accuracy_offered"]).abs().max() < 1e-12
    assert (one.summary["accuracy_offered"] - other.summary["accuracy_offered"]).abs().min() > 0.01
    full = other.summary[other.summary["policy"] == "full network"].iloc[0]
    assert full["accuracy"] == pytest.approx(0.5), "the test accuracy of the first configuration"


def test_scores_of_every_network_are_needed(outcomes: tuple[Outcome, Outcome], tmp_path: Path) -> None:
    outcomes[0].tested.to_parquet(tmp_path / "test.parquet")
    scores = read_scores([tmp_path / "test.parquet"])
    assert scores.accuracies[DIAL, "c00"] == outcomes[0].tested["test_accuracy"].iloc[0]
    with pytest.raises(ArtefactError, match="no test accuracy of resnet20-sd c00, resnet20-sd c01"):
        scores.of(choices_of(made_up_table(), "resnet20-sd"))
