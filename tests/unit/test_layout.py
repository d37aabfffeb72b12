"""Where results lie, which networks are compared with which, and what the pages hold."""

from pathlib import Path
from string import Formatter
from typing import Any

import pytest

from depthdial import layout
from depthdial.compare.design import (
    as_published,
    control_of,
    dials_alike,
    held_against_claims,
    stochastic,
    training_settings,
)
from depthdial.config.experiment import Experiment
from depthdial.config.study import Study, load_study
from depthdial.figures.catalogue import CAPTIONS, FIGURES, all_places, figure_files, figures_of, style_of
from depthdial.layout import Place
from depthdial.report.contents import device_parts, dial_tables, of_the_paper, recipe_tables
from depthdial.runs.provenance import code_digest

ROOT = Path(__file__).parents[2]
SURVIVAL = {"last": 0.5}
NESTED = {"name": "nested", "sandwich": {"random": 1}}


def dial(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "role": "dial", "depth": 20, "survival": SURVIVAL, **more}


def experiment(*networks: dict[str, Any], **sections: Any) -> Experiment:
    """An experiment of the given networks; recipes ``fast``, ``slow`` and ``nested`` are there."""
    recipes = [{"name": "fast"}, {"name": "slow"}, NESTED]
    return Experiment.model_validate({"experiment": "e", "networks": networks, "recipes": recipes, **sections})


def study(**values: Any) -> Study:
    return load_study({"experiment": "e", **values}, "here", ROOT)


def test_paths_are_made_of_identities_that_are_known() -> None:
    assert Place("e").folder == "results/e"
    place = Place("e", "d", "n", "pi")
    assert place.images == "results/e/d/images.safetensors"
    assert place.seed(3, "masks.parquet") == "results/e/d/n/seed3/masks.parquet"
    assert place.stage("bench", "latency.parquet") == "results/e/d/n/bench/pi/latency.parquet"
    assert place.stage("packed") == "results/e/d/n/packed/pi"
    assert place.table("equal_time") == "results/e/tables/d/n/pi/equal_time.csv"
    assert Place("e", "d").table("recipes") == "results/e/tables/d/recipes.csv"
    assert Place("e").table("networks", "json") == "results/e/tables/networks.json"
    assert Place("e", "d", "n").figure("cloud", "svg") == "results/e/figures/d/n/cloud.svg"


def test_files_come_by_name_then_network_then_seed() -> None:
    found = layout.of_seeds(Place("e", "d"), ["a", "b"], [0, 1], "x", "y")
    assert [path.removeprefix("results/e/d/") for path in found] == [
        *("a/seed0/x", "a/seed1/x", "b/seed0/x", "b/seed1/x"),
        *("a/seed0/y", "a/seed1/y", "b/seed0/y", "b/seed1/y"),
    ]
    both = experiment(dial("a"), {"name": "s", "role": "static", "depth": 8}, seeds=[0])
    assert layout.of_all_networks(both, "x", "static") == ["results/e/digits/s/seed0/x"]
    assert len(layout.of_all_networks(both, "x")) == 2


def test_masks_come_in_shards_and_those_of_a_deep_network_in_generations() -> None:
    deep = experiment(
        dial("shallow"),
        dial("deep", depth=56),
        {"name": "s", "role": "static", "depth": 8},
        evaluate={"shards": 2},
        search={"generations": 3, "exhaustive_blocks": 9},
    )
    units = {"shallow": 9, "deep": 27, "s": 3}
    masks = {name: layout.mask_shards(deep, Place("e", "d", name), 0, units[name]) for name in deep.names()}
    assert masks["s"] == ["results/e/d/s/seed0/masks/shard0.parquet"]
    assert masks["shallow"] == [f"results/e/d/shallow/seed0/masks/shard{s}.parquet" for s in range(2)]
    generations = [f"results/e/d/deep/seed0/search/generation{g}/shard{s}.parquet" for g in range(3) for s in range(2)]
    assert masks["deep"] == generations
    assert layout.earlier_shards(deep, Place("e", "d", "deep"), 0, 2) == generations[:4]
    assert layout.earlier_shards(deep, Place("e", "d", "deep"), 0, 0) == []


def test_a_dial_is_deployed_as_it_was_fine_tuned() -> None:
    static = {"name": "s", "role": "static", "depth": 8}
    for settings, name in (({}, "weights"), ({"finetune": {}}, "finetuned")):
        found = experiment(dial("a"), static, **settings)
        assert layout.deployed_weights(found, Place("e", "d", "a"), 1) == f"results/e/d/a/seed1/{name}.safetensors"
        assert layout.deployed_weights(found, Place("e", "d", "s"), 1) == "results/e/d/s/seed1/weights.safetensors"


def test_a_network_begins_with_a_file_or_with_the_weights_of_another_of_its_seed() -> None:
    control = {"name": "c", "role": "control", "depth": 20}
    found = experiment(dial("fresh"), dial("file", weights="mine.pt"), dial("named", weights="c"), control)
    begins = {name: layout.begins(found, Place("e", "d", name), 3) for name in found.names()}
    assert begins["fresh"] == begins["c"] == []
    assert begins["file"] == ["mine.pt"]
    assert begins["named"] == [f"results/e/d/c/seed3/{name}" for name in ("weights.safetensors", "history.csv")]


def test_a_dial_of_sandwiches_alone_is_not_trained_with_stochastic_depth() -> None:
    sandwiches = {
        "early": {"start": 0},
        "late": {"start": 0.5},
        "second": {"start": 0, "every": 2},
        "drawn": {"start": 0, "draw": "survival"},
        "pair": {"start": 0, "draw": "survival", "random": 0},
    }
    alone = ["early", "pair"]
    networks = [dial(name, recipe=name, **({"survival": None} if name in alone else {})) for name in sandwiches]
    found = Experiment.model_validate(
        {
            "experiment": "e",
            "recipes": [{"name": "fast"}, *({"name": name, "sandwich": one} for name, one in sandwiches.items())],
            "networks": [dial("plain"), *networks],
        }
    )
    assert [name for name in found.names() if not stochastic(found, name)] == alone
    on = dial("on", recipe="early", weights="plain", survival=None)
    begun = {"networks": [dial("plain"), on, dial("more", weights="plain")]}
    later = Experiment.model_validate({"experiment": "e", "recipes": [r.model_dump() for r in found.recipes]} | begun)
    assert stochastic(later, "on"), "what it begins with was"
    assert not as_published(later, "more")
    early = found.model_copy(update={"networks": tuple(found.network(name) for name in ("early", "late"))})
    assert held_against_claims(early) == ["late"]


def test_a_device_is_modelled_for_dials_alone_and_only_where_its_latency_is_traded() -> None:
    networks = [dial("a"), {"name": "s", "role": "static", "depth": 8}]
    places = [Place("e", "d", "a"), Place("e", "d", "s")]
    assert layout.cost_models(experiment(*networks), places) == []
    traded = experiment(*networks, select={"cost": "local"}, benchmark={"devices": ["local"]})
    assert layout.cost_models(traded, places) == ["results/e/d/a/cost/local/model.json"]


def test_rankings_are_compared_where_the_truth_is_known() -> None:
    found = experiment(dial("a"), dial("deep", depth=56), search={"exhaustive_blocks": 9})
    names = [Path(path).stem for path in layout.comparison_tables(found, ["pi"], [Place("e", "d", "a")])]
    assert names == ["equal_macs", "skipping", "training", "rankings", "equal_time", "configurations"]
    assert not any("rankings" in path for path in layout.comparison_tables(found, [], [Place("e", "d", "deep")]))
    compared = experiment(dial("deep", depth=56), search={"exhaustive_blocks": 9, "compare_deep_budget": 100})
    assert any("rankings" in path for path in layout.comparison_tables(compared, [], [Place("e", "d", "deep")]))


def test_a_dial_is_compared_with_the_control_of_its_shape_of_its_recipe_if_it_can_be() -> None:
    controls = [
        {"name": "c32", "role": "control", "depth": 32},
        {"name": "slow", "role": "control", "depth": 20, "recipe": "slow"},
        {"name": "fast", "role": "control", "depth": 20},
    ]
    found = experiment(dial("a"), dial("b", recipe="slow"), dial("c", recipe="nested"), dial("d", depth=56), *controls)
    assert [control_of(found, name) for name in "abcd"] == [["fast"], ["slow"], ["slow"], []]
    assert [as_published(found, name) for name in "abcd"] == [True, True, False, False]


def test_the_claims_are_put_to_one_dial_of_each_shape_as_published_if_there_is_one() -> None:
    uniform = {"last": 0.5, "shape": "uniform"}
    found = experiment(
        dial("nested", recipe="nested"),
        dial("flat", survival=uniform),
        dial("published"),
        dial("alone", depth=56, recipe="nested"),
        {"name": "control", "role": "control", "depth": 20},
    )
    assert held_against_claims(found) == ["published", "alone"]
    assert dials_alike(found) == {"ResNet-20": ["nested", "flat", "published"]}
    assert dials_alike(experiment(dial("a"), dial("b", width=8))) == {}


def test_what_sets_dials_apart_is_no_name() -> None:
    found = training_settings(experiment(dial("a"), dial("b", scaling="none")))
    assert found["a"]["survival"]["last"] == 0.5
    assert "name" not in found["a"]
    assert found["b"] == found["a"] | {"scaling": "none"}


def test_every_figure_has_a_module_a_caption_and_inputs_that_exist_for_it() -> None:
    given = study()
    for figure in FIGURES:
        assert (ROOT / f"depthdial/figures/{figure.name}.py").is_file()
        assert CAPTIONS[figure.name].endswith(".")
        named = {name for _, name, _, _ in Formatter().parse(figure.pattern.figure(figure.name, "svg")) if name}
        assert named == {"experiment", *figure.wildcards}
        assert set(style_of(given, figure)["colours"]) == set(figure.colours)
        for place in all_places(given):
            if figure.name in figures_of(given, place):
                assert figure.inputs(given, place)
                assert figure.title(given, place)
    files = figure_files(given, all_places(given), "svg", "csv")
    assert len(files) == len(set(files)) == 2 * sum(len(figures_of(given, place)) for place in all_places(given))


def test_a_figure_that_has_nothing_to_show_is_not_drawn() -> None:
    given = study(search={"exhaustive_blocks": 1, "generations": 1})
    assert "searches" not in figures_of(given, Place("e", "digits", "resnet20-sd"))
    assert "searches" in figures_of(study(), Place("e", "digits", "resnet20-sd"))
    assert figures_of(study(), Place("e", "digits")) == []


@pytest.mark.parametrize("name", ["equal_macs", "equal_time", "skipping", "rankings", "training"])
def test_the_page_of_results_shows_tables_and_figures_that_the_workflow_makes(name: str) -> None:
    given = study()
    tables = {Path(table["path"]).stem: table for table in dial_tables(given, Place("e", "digits", "resnet20-sd"))}
    made = [*figure_files(given, all_places(given), "png"), *_tables(given)]
    assert tables[name]["path"] in made
    assert set(tables[name]["figures"]) <= set(made)
    assert set(tables[name]["names"]) <= set(given.experiment.names())


def test_an_adopted_network_has_no_tables_of_training_and_no_claims_of_the_paper() -> None:
    adopted = {"name": "net", "role": "dial", "family": "torchvision", "model": "resnet18", "weights": "DEFAULT"}
    given = study(networks=[adopted | {"recipe": "none"}], deploy={"seed": 0}, seeds=[0])
    names = [Path(table["path"]).stem for table in dial_tables(given, Place("e", "digits", "net"))]
    assert "training" not in names
    assert "equal_macs" in names
    assert recipe_tables(given) == []
    assert not of_the_paper(given)
    assert of_the_paper(study())


def _tables(given: Study) -> list[str]:
    return layout.comparison_tables(given.experiment, given.devices, layout.dials(given.experiment))


def test_a_digest_of_code_that_is_not_there_is_refused() -> None:
    with pytest.raises(ValueError, match=r"code_digest: there is no module depthdial\.nowhere"):
        code_digest("depthdial.nowhere")


def test_parts_of_the_report_are_named_for_people() -> None:
    (part,) = device_parts(study(datasets=[{"name": "digits", "title": "Digits", "source": "digits"}]))
    assert part["title"].startswith("resnet20-sd on Digits, on ")
    (recipes,) = recipe_tables(study())
    assert recipes["path"] == "results/e/tables/digits/recipes.csv"
    assert recipes["figures"] == []
