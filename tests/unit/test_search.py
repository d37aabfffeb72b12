"""Searches: on a planted network, on cases computed by hand, and against brute force."""

import json
import logging

import moocore
import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from depthdial.compare.rankings import rankings
from depthdial.config.evaluate import Evaluate
from depthdial.config.search import STRATEGIES
from depthdial.config.search import Search as Settings
from depthdial.data.images import Split, save_images
from depthdial.errors import ArtefactError, ConfigError
from depthdial.evaluate.ablation import ablate_scaling
from depthdial.evaluate.engine import Engine
from depthdial.evaluate.shards import block_evaluations
from depthdial.evaluate.tables import merge_masks, read_masks
from depthdial.evaluate.tasks import evaluate_asked, evaluate_shard, evaluate_validation
from depthdial.networks.build import dial
from depthdial.networks.dial import Dial
from depthdial.networks.families.he_shapes import Architecture
from depthdial.networks.masks import Mask, all_masks
from depthdial.networks.weights import save_weights
from depthdial.search.base import Generation
from depthdial.search.fronts import REFERENCE_COST, Measure, front_of
from depthdial.search.importance import fisher_information, hessian_traces, l2_norms
from depthdial.search.runs import fit, needed, progress, run
from depthdial.search.simple import Elimination, Exhaustive, Ranking, Sensitivity, nested_masks
from depthdial.search.strategies import RANDOM, Importance, make_search
from depthdial.search.surrogate import Model, Surrogate, expected_improvement, stagewise_masks
from depthdial.search.tasks import (
    ask_masks,
    collect_searches,
    compare_on,
    compare_searches,
    load_importance,
    read_asked,
    run_searches,
)

ARCH = Architecture(depth=20, width=4, in_channels=1, image_size=8, classes=3).describe()
FIRST, SECOND = 1, 2
"""The planted network's blocks that matter; both have the MACs of a block without a change of stage."""


def planted() -> Dial:
    """Block 1 finds intensities of at least 1, block 2 those of 2; the other blocks add nothing."""
    net = dial(ARCH)
    with torch.no_grad():
        for name, parameter in net.named_parameters():
            parameter.fill_(1.0 if "bn" in name and name.endswith("weight") else 0.0)
        net.stem_conv.weight[0, 0, 1, 1] = 1
        for index, block in enumerate(net.blocks):
            if index in (FIRST, SECOND):
                block.conv1.weight[0, 0, 1, 1] = 1
                block.bn1.bias[0] = -1.0 if index == SECOND else 0.0
                block.conv2.weight[index, 0, 1, 1] = 1
        net.classifier.bias[0] = 0.5
        net.classifier.weight[1, FIRST] = 1
        net.classifier.weight[2, SECOND] = 10
    return net.eval()


def planted_images() -> tuple[torch.Tensor, torch.Tensor]:
    """Ten images of class 0, six of class 1, four of class 2."""
    labels = torch.tensor([0] * 10 + [1] * 6 + [2] * 4)
    return labels.float()[:, None, None, None].expand(20, 1, 8, 8).contiguous(), labels


def planted_accuracy(mask: Mask) -> float:
    return 0.5 + 0.3 * (FIRST in mask.kept) + 0.2 * (SECOND in mask.kept)


TRUTH = {mask: planted_accuracy(mask) for mask in all_masks(9)}
FRONT = [Mask.from_kept(9, kept) for kept in ([], [FIRST], [FIRST, SECOND])]


def look_up(masks):
    return {mask: TRUTH[mask] for mask in masks}


@pytest.fixture(scope="module")
def importance() -> Importance:
    images, labels = planted_images()
    torch.manual_seed(0)
    return Importance(dial(ARCH).eval(), "none", images, labels, 20, 2)


def test_the_engine_finds_the_front_of_a_planted_network():
    evaluation = Engine(planted(), "none").evaluate(list(all_masks(9)), *planted_images())
    found = dict(zip(evaluation.masks, evaluation.accuracies, strict=True))
    assert found == pytest.approx(TRUTH)
    assert front_of(ARCH, found) == FRONT


@pytest.mark.parametrize("name", ["sensitivity", "elimination", "construction", "surrogate"])
def test_searches_find_the_planted_front(name, importance):
    history = run(make_search(name, ARCH, 1, lambda: importance), look_up, budget=400)
    known = {mask: value for generation in history for mask, value in generation.accuracies.items()}
    assert front_of(ARCH, known) == FRONT


@pytest.mark.parametrize("name", STRATEGIES)
def test_searches_are_reproducible_and_can_be_taken_up_again(name, importance):
    def course(search):
        return [sorted(g.accuracies) for g in run(search, look_up, budget=150)]

    first = course(make_search(name, ARCH, 5, lambda: importance))
    assert course(make_search(name, ARCH, 5, lambda: importance)) == first
    if name in RANDOM:
        assert course(make_search(name, ARCH, 6, lambda: importance)) != first
    search = make_search(name, ARCH, 5, lambda: importance)
    half = [Generation(look_up(masks)) for masks in first[: len(first) // 2]]
    search.replay(half)
    left = 150 - search.overhead - sum(generation.block_evaluations for generation in half)
    assert sorted(fit(search.ask(), left)) == first[len(half)], "taken up again, it goes on as it did"
    asked = [mask for masks in first for mask in masks]
    assert len(asked) == len(set(asked))


def test_a_history_of_another_search_is_refused(importance):
    search = make_search("sensitivity", ARCH, 0, lambda: importance)
    with pytest.raises(ArtefactError, match=r"generation 0 of the search holds other masks.*delete the generations"):
        search.replay([Generation(look_up([Mask.full(9)]))])


def test_telling_other_masks_than_asked_is_refused(importance):
    search = make_search("elimination", ARCH, 0, lambda: importance)
    search.ask()
    with pytest.raises(ValueError, match="asked for 1 masks: 1 of them are missing, 1 are others"):
        search.tell({Mask("0" * 9): 0.5})


def test_exhaustive_asks_for_all_and_is_refused_beyond_the_limit():
    assert len(Exhaustive(ARCH, 9).ask()) == 512
    with pytest.raises(ConfigError, match=r"54 blocks has 2\^54 masks.*exhaustive_blocks allows 2\^15"):
        Exhaustive(Architecture(110, 4, 1, 8, 10).describe(), 15)


# --- rankings, by hand ---


def test_nested_masks_skip_in_the_given_order():
    assert [m.bits for m in nested_masks(3, [1, 0, 2])] == ["111", "101", "001", "000"]


def test_sensitivity_skips_dead_blocks_first_then_by_loss():
    search = Sensitivity(ARCH)
    search.tell(look_up(search.ask()))
    order = [0, 3, 4, 5, 6, 7, 8, SECOND, FIRST]
    expected = set(nested_masks(9, order)) - {Mask.full(9), Mask.full(9).flip(0)}
    assert set(search.ask()) == expected


def test_scores_are_skipped_from_the_least_with_ties_to_the_earlier_block():
    arch = Architecture(8, 1, 1, 4, 2).describe()
    assert [m.bits for m in Ranking(arch, [2.0, 1.0, 1.0]).ask()] == ["000", "100", "101", "111"]


def test_l2_norm_of_a_block():
    groups = [[torch.tensor([3.0, 0.0]), torch.tensor([[4.0]])], [torch.tensor([1.0]), torch.tensor([0.0])]]
    assert l2_norms(groups) == [5.0, 1.0]


@pytest.mark.parametrize(("name", "cost"), [("l2", 0), ("fisher", 3 * 9), ("hessian", (3 + 6 * 2) * 9)])
def test_every_ranking_skips_the_dead_blocks_of_a_network_first(name, cost):
    images, labels = planted_images()
    ranking = Importance(planted(), "none", images, labels, n_validation=20, probes=2).ranking(name)
    assert ranking.order[:7] == [0, 3, 4, 5, 6, 7, 8]
    assert ranking.overhead == cost


def test_fisher_information_of_a_logistic_model():
    """-log sigma(s w x) has the gradient -s x (1 - sigma(s w x)); at w = 0 its square is x^2 / 4."""
    a, b = (torch.zeros(1, requires_grad=True) for _ in range(2))
    data = [(2.0, 1.0, 1.0), (4.0, 3.0, -1.0)]
    losses = (-torch.nn.functional.logsigmoid(s * (a * x + b * z)).sum() for x, z, s in data)
    assert fisher_information([[a], [b]], losses) == pytest.approx([(4 + 16) / 8, (1 + 9) / 8])


def test_hessian_trace_of_a_diagonal_quadratic_is_exact_for_every_probe():
    a = torch.tensor([1.0, -2.0], requires_grad=True)
    b = torch.tensor([[0.5]], requires_grad=True)
    loss = (torch.tensor([3.0, 5.0]) * a**2).sum() + 7 * (b**2).sum()
    found = hessian_traces([[a], [b]], loss, 1, torch.Generator().manual_seed(0))
    assert found == pytest.approx([16.0, 14.0])


def test_hessian_trace_is_unbiased_where_weights_interact():
    weights = torch.zeros(3, requires_grad=True)
    matrix = torch.tensor([[2.0, 1.0, 0.0], [1.0, 4.0, -1.0], [0.0, -1.0, 6.0]])
    loss = 0.5 * weights @ matrix @ weights
    found = hessian_traces([[weights]], loss, 2000, torch.Generator().manual_seed(0))
    assert found == pytest.approx([12.0], abs=0.3)


# --- indicators ---


def test_hypervolume_and_igd_of_a_front_by_hand():
    measure = Measure(ARCH)
    assert measure.reference == (1.1, 1 / 3)
    base, step = ARCH.fixed_macs / ARCH.full_macs, ARCH.units[FIRST].macs / ARCH.full_macs
    known = look_up([FRONT[0], FRONT[1]])
    expected = step * (0.5 - 1 / 3) + (REFERENCE_COST - base - step) * (0.8 - 1 / 3)
    assert measure.hypervolume(known) == pytest.approx(expected)
    truth = measure.points(TRUTH)
    assert measure.igd_plus(TRUTH, truth) == 0
    assert measure.igd_plus(known, truth) == pytest.approx(0.2 / 3)


@settings(max_examples=30)
@given(st.lists(st.integers(0, 511), min_size=1, max_size=30))
def test_hypervolume_is_that_of_all_points(values):
    known = look_up([Mask(format(value, "09b")) for value in values])
    points = np.array([[ARCH.macs(m) / ARCH.full_macs, 1 - a] for m, a in known.items()])
    expected = moocore.hypervolume(points, ref=[1.1, 1 - 1 / 3])
    assert Measure(ARCH).hypervolume(known) == pytest.approx(expected)


@given(st.lists(st.integers(0, 511), min_size=1, max_size=30), st.integers(0, 120))
def test_what_fits_into_a_budget_is_the_longest_run(values, budget):
    masks = sorted({Mask(format(value, "09b")) for value in values})
    fitting = fit(masks, budget)
    assert fitting == masks[: len(fitting)]
    assert not fitting or block_evaluations(fitting) <= budget
    assert len(fitting) == len(masks) or block_evaluations(masks[: len(fitting) + 1]) > budget


def test_progress_counts_overhead_and_says_when_a_share_was_reached():
    history = [Generation(look_up([FRONT[0], Mask.full(9)])), Generation(look_up(FRONT[1:]))]
    table = progress(Measure(ARCH), history, 10.0, TRUTH)
    assert table["block_evaluations"].tolist() == [19.0, 21.0]
    assert table["hypervolume_share"].iloc[-1] == pytest.approx(1)
    assert needed(table, 0.999) == 21
    assert needed(table.head(1), 0.999) == float("inf")


# --- surrogate ---


def test_the_model_recovers_a_quadratic_function():
    rng = np.random.default_rng(0)
    x = rng.choice([-1.0, 1.0], (120, 8))
    y = x[:, 0] - 2 * x[:, 3] + 1.5 * x[:, 1] * x[:, 4] - x[:, 2] * x[:, 7]
    mean, deviation = Model(x[:90], y[:90]).predict(x[90:])
    assert np.abs(mean - y[90:]).max() < 0.6
    assert (np.abs(mean - y[90:]) < 4 * deviation + 0.1).all()


def test_expected_improvement_without_doubt_is_the_area_gained():
    rng = np.random.default_rng(1)
    front = np.column_stack([np.sort(rng.uniform(0.1, 1, 5)), np.sort(rng.uniform(0.2, 0.9, 5))])
    front = np.vstack([[0.05, 0.15], front])
    cost, accuracy = rng.uniform(0.06, 1.05, 20), rng.uniform(0.1, 0.99, 20)
    gain = expected_improvement(cost, np.log(accuracy / (1 - accuracy)), np.full(20, 1e-9), front)

    def area(points):
        return moocore.hypervolume(np.column_stack([points[:, 0], 1 - points[:, 1]]), ref=[REFERENCE_COST, 1.0])

    expected = [area(np.vstack([front, [c, a]])) - area(front) for c, a in zip(cost, accuracy, strict=True)]
    assert gain == pytest.approx(expected, abs=1e-6)


def test_the_surrogate_begins_near_what_nested_sandwiches_train():
    assert stagewise_masks((3, 1, 2)) == [Mask("100110"), Mask("110111"), Mask("111111")]
    network = Architecture(56, 4, 1, 8, 10).describe()
    first = Surrogate(network).ask()
    assert {Mask(("1" * kept + "0" * (9 - kept)) * 3) for kept in range(1, 10)} <= set(first)


def test_the_surrogate_can_measure_every_mask():
    arch = Architecture(8, 2, 1, 8, 3).describe()
    history = run(Surrogate(arch, 0), lambda masks: dict.fromkeys(masks, 0.5), budget=1e9)
    assert len({mask for generation in history for mask in generation.accuracies}) == 8


# --- from files ---


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("planted")
    images, labels = planted_images()
    split = Split((images * 100).to(torch.uint8).numpy(), labels.numpy())
    save_images(
        folder / "images.safetensors", "planted", ["0", "1", "2"], dict.fromkeys(("train", "validation", "test"), split)
    )
    torch.manual_seed(0)
    save_weights(folder / "weights.safetensors", dial(ARCH), {})
    return folder / "weights.safetensors", folder / "images.safetensors", folder


def test_generations_from_files_are_those_of_a_search_in_memory(files):
    weights, images, folder = files
    search = Settings(strategy="surrogate", batch=5)
    evaluate = Evaluate(shards=2, calibration_images=8)
    earlier = []
    for generation in range(3):
        asked = folder / f"generation{generation}.json"
        ask_masks(weights, images, earlier, search, "survival", asked)
        known = {mask for tables in earlier for table in tables for mask in read_masks(table)[0]["mask"]}
        assert not known & set(json.loads(asked.read_text()))
        tables = [folder / f"generation{generation}-{shard}.parquet" for shard in range(2)]
        for shard, table in enumerate(tables):
            evaluate_asked(weights, images, read_asked(asked), table, evaluate, shard)
        earlier.append(tables)
    merged, _ = merge_masks([table for tables in earlier for table in tables])
    known = dict(zip(map(Mask, merged["mask"]), merged["val_accuracy"], strict=True))
    in_memory = Surrogate(ARCH, 0, batch=5)
    for _ in range(3):
        in_memory.tell({mask: known[mask] for mask in in_memory.ask()})
    assert set(in_memory.accuracy) == set(known)


def test_comparison_has_every_strategy_and_the_truth(files):
    weights, images, folder = files
    evaluate_shard(weights, images, folder / "masks.parquet", Evaluate(calibration_images=8), True, 0)
    settings = Settings(compare_seeds=2, compare_budget=0.2, importance_images=4, hessian_probes=1)
    table, fronts = compare_searches(weights, images, folder / "masks.parquet", settings, "survival")
    assert set(table["strategy"]) <= set(STRATEGIES)
    assert set(fronts["strategy"]) >= {"truth", "surrogate", "random"}
    assert table["share_of_exhaustive"].max() <= 0.2
    assert table["hypervolume_share"].between(0, 1 + 1e-9).all()
    assert (table["reference_cost"] == 1.1).all()
    again, _ = compare_searches(weights, images, folder / "masks.parquet", settings, "survival")
    pd.testing.assert_frame_equal(again, table)


def test_searches_of_a_deep_network_are_held_against_all_together(files, tmp_path):
    weights, images, _ = files
    search = Settings(
        compare=("sensitivity", "l2", "random", "surrogate"),
        compare_seeds=2,
        compare_deep_budget=150,
        exhaustive_blocks=8,
    )
    evaluate = Evaluate(shards=2, calibration_images=8)
    shards = [tmp_path / f"shard{index}.parquet" for index in range(2)]
    for index, path in enumerate(shards):
        run_searches(weights, images, path, search, evaluate, index, code="a")
    table, fronts = collect_searches(weights, shards)
    assert table["block_evaluations"].max() <= 150
    last = table.groupby(["strategy", "search_seed"]).last()
    assert list(last.index) == [
        ("l2", 0),
        ("random", 0),
        ("random", 1),
        ("sensitivity", 0),
        ("surrogate", 0),
        ("surrogate", 1),
    ]
    assert last["hypervolume_share"].between(0, 1 + 1e-9).all()
    told = pd.concat(map(pd.read_parquet, shards)).groupby("mask")["val_accuracy"]
    assert (told.nunique() == 1).all(), "one mask, one accuracy, whoever asks"
    best = {Mask(mask): value for mask, value in told.first().items()}
    together = fronts[fronts["strategy"] == "together"]
    assert list(together["mask"]) == [mask.bits for mask in front_of(ARCH, best)]
    found = rankings([table]).set_index("strategy")
    assert found.loc["l2", "hypervolume_together"] == pytest.approx(last.loc[("l2", 0), "hypervolume_share"])
    assert "hypervolume" not in found


def test_searches_show_how_much_of_all_budgets_is_spent(files, tmp_path, caplog):
    """The masks of a generation count as parts of it, so there is one line, and it only grows."""
    weights, images, _ = files
    search = Settings(compare=("sensitivity", "random"), compare_seeds=2, compare_deep_budget=60)
    with caplog.at_level(logging.DEBUG, "depthdial.progress"):
        run_searches(
            weights, images, tmp_path / "a.parquet", search, Evaluate(shards=1, calibration_images=8), 0, code=""
        )
    steps = [record for record in caplog.records if record.name == "depthdial.progress"]
    assert {record.getMessage().split(" of ")[1] for record in steps} == {"180"}
    assert all(record.getMessage().startswith("block evaluation ") for record in steps)
    spent = [record.done for record in steps]
    assert spent == sorted(spent)
    assert len(set(spent)) > 6
    assert spent[-1] == 180


def test_a_replayed_search_tells_the_generations(caplog):
    history = [Generation(dict.fromkeys(Elimination(ARCH).ask(), 0.5))]
    with caplog.at_level(logging.DEBUG, "depthdial.progress"):
        Elimination(ARCH).replay(history)
    assert [record.getMessage() for record in caplog.records] == ["generation 1 of 1"]


def test_searches_that_were_cut_off_evaluate_nothing_twice(files, tmp_path, monkeypatch):
    weights, images, _ = files
    search = Settings(compare=("sensitivity", "l2"), compare_deep_budget=60)
    asked = []

    def evaluate(engine, images, masks):
        if len(asked) == 1:
            raise KeyboardInterrupt
        asked.append(masks)
        return evaluate_validation(engine, images, masks)

    whole, cut = tmp_path / "whole.parquet", tmp_path / "cut.parquet"
    settings = Evaluate(shards=1, calibration_images=8)
    run_searches(weights, images, whole, search, settings, 0, code="a")
    monkeypatch.setattr("depthdial.search.tasks.evaluate_validation", evaluate)
    with pytest.raises(KeyboardInterrupt):
        run_searches(weights, images, cut, search, settings, 0, code="a")
    assert not cut.exists()
    asked.insert(0, [])
    run_searches(weights, images, cut, search, settings, 0, code="a")
    masks = [mask for part in asked for mask in part]
    assert len(masks) == len(set(masks))
    pd.testing.assert_frame_equal(pd.read_parquet(cut), pd.read_parquet(whole))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cut.parquet", "whole.parquet"]


def test_comparison_without_the_whole_truth_is_refused(files, tmp_path):
    weights, images, _ = files
    evaluate_asked(weights, images, [Mask.full(9)], tmp_path / "m.parquet", Evaluate(calibration_images=8), 0)
    with pytest.raises(ConfigError, match=r"m\.parquet: holds 1 of 2\^9 masks; .*exhaustive_blocks"):
        compare_searches(weights, images, tmp_path / "m.parquet", Settings(), "survival")


def test_budget_is_kept_by_every_strategy(importance):
    table, _ = compare_on(TRUTH, importance, STRATEGIES, 1, 0.3)
    assert table["block_evaluations"].max() <= 0.3 * 511


@pytest.mark.parametrize(("strategy", "generations"), [("sensitivity", 4), ("l2", 2), ("elimination", 2)])
def test_generations_after_the_last_and_shards_without_masks_are_empty(files, tmp_path, strategy, generations):
    weights, images, _ = files
    search, evaluate = Settings(strategy=strategy), Evaluate(shards=3, calibration_images=8)
    earlier, sizes = [], []
    for generation in range(generations):
        asked = tmp_path / f"{generation}.json"
        ask_masks(weights, images, earlier, search, "survival", asked)
        tables = [tmp_path / f"{generation}-{shard}.parquet" for shard in range(3)]
        for shard, table in enumerate(tables):
            evaluate_asked(weights, images, read_asked(asked), table, evaluate, shard)
        sizes.append(len(read_asked(asked)))
        earlier.append(tables)
    merged, _ = merge_masks([table for tables in earlier for table in tables])
    assert len(merged) == sum(sizes)
    assert sizes[-1] == (0 if strategy != "elimination" else 9)


def test_scores_of_blocks_come_from_images_of_all_classes(files, tmp_path):
    weights, _, _ = files
    labels = np.repeat(np.arange(3), 40)
    split = Split(np.zeros((120, 1, 8, 8), np.uint8), labels)
    save_images(tmp_path / "i.safetensors", "s", ["0", "1", "2"], dict.fromkeys(("train", "validation", "test"), split))
    drawn = load_importance(weights, tmp_path / "i.safetensors", Settings(importance_images=30), "survival").labels
    assert set(drawn.tolist()) == {0, 1, 2}
    again = load_importance(weights, tmp_path / "i.safetensors", Settings(importance_images=30), "survival").labels
    assert torch.equal(drawn, again)


def test_ablation_has_all_rules_on_the_same_masks(files):
    weights, images, _ = files
    table = ablate_scaling(weights, images, Evaluate(calibration_images=8), 6)
    groups = [set(part["mask"]) for _, part in table.groupby(["scaling", "recalibrated"])]
    assert len(groups) == 6
    assert all(group == groups[0] for group in groups)
    assert "1" * 9 in groups[0]
