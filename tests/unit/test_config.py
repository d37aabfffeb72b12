"""The configuration: strict, checked as a whole, and described by generated files that are current."""

from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from depthdial.cli import app
from depthdial.config.experiment import Experiment
from depthdial.config.load import load_experiment, read_experiment
from depthdial.config.reference import FILES, reference_text, schema_text
from depthdial.config.yaml_file import read_yaml
from depthdial.errors import ConfigError

ROOT = Path(__file__).parents[2]
DEFAULT = ROOT / "config" / "config.yaml"
DIAL = {"name": "d", "role": "dial", "depth": 20, "survival": {"last": 0.5}}
CONTROL = {"name": "c", "role": "control", "depth": 20}


def test_the_default_file_says_what_the_defaults_are() -> None:
    assert read_experiment(DEFAULT) == Experiment()


@pytest.mark.parametrize("path", sorted((ROOT / "config").glob("*.yaml")), ids=lambda path: path.name)
def test_every_shipped_experiment_is_valid(path: Path) -> None:
    values = read_yaml(path)
    if "experiment" in values:
        load_experiment(values, str(path))


def test_generated_files_are_current() -> None:
    repair = "run `make schema`"
    for name, (model, _, _) in FILES.items():
        assert (ROOT / "config" / name).read_text() == schema_text(model), f"{name}: {repair}"
    assert (ROOT / "docs" / "configuration.md").read_text() == reference_text(), repair


def test_all_problems_are_named_at_once() -> None:
    values = yaml.safe_load(DEFAULT.read_text())
    values["sed"] = [1]
    values["recipes"][0]["epochs"] = 0
    values["networks"][0]["depth"] = 21
    values["networks"][1]["role"] = "boss"
    values["select"]["largest_drop"] = "much"
    with pytest.raises(ConfigError) as caught:
        load_experiment(values, "broken.yaml")
    text = str(caught.value)
    assert text.startswith("broken.yaml: 5 problems; nothing was started")
    assert "sed: unknown key (did you mean seeds?)" in text
    assert "recipes[0].epochs: input should be greater than or equal to 1, got 0" in text
    assert "networks[0].depth: must be 6m + 2 (8, 14, 20, 32, 44, 56, 110), got 21" in text
    assert "networks[1].role: input should be 'dial', 'control' or 'static', got 'boss'" in text
    assert "select.largest_drop: input should be a valid number" in text


def test_problems_between_fields_are_named_beside_faulty_fields() -> None:
    values = yaml.safe_load(DEFAULT.read_text())
    values["colour"] = "red"
    values["seeds"] = [0, 0]
    values["recipes"][0]["momentum"] = 2
    values["networks"][2]["recipe"] = "slow"
    with pytest.raises(ConfigError) as caught:
        load_experiment(values, "broken.yaml")
    text = str(caught.value)
    assert "4 problems" in text
    assert "seeds: 0 given more than once" in text
    assert "networks[2].recipe: there is no recipe 'slow'" in text


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seeds": [0, 3, 3]}, "seeds: 3 given more than once"),
        ({"networks": [{"name": "a", "role": "static", "depth": 8}]}, "networks: none has role dial"),
        (
            {"networks": [{"name": "a", "role": "dial", "depth": 8, "survival": {}, "recipe": "slow"}]},
            r"networks\[0\].recipe: there is no recipe 'slow'; recipes are fast",
        ),
        ({"networks": [{"name": "a", "role": "dial", "depth": 8}]}, r"networks\[0\].survival: a dial is trained"),
        (
            {"networks": [DIAL], "recipes": [{"name": "fast", "sandwich": {"start": 0}}]},
            r"networks\[0\].survival: every step of recipe fast is a sandwich, nothing draws by it; remove it",
        ),
        (
            {"networks": [{"name": "a", "role": "control", "depth": 8, "survival": {}}]},
            "survival: a control network has constant depth",
        ),
        ({"datasets": [{"name": "a", "source": "folder"}]}, r"datasets\[0\].path: source folder needs the folder"),
        ({"datasets": [{"name": "a", "source": "digits", "path": "x"}]}, "path: scikit-learn's digits are inside"),
        (
            {"datasets": [{"name": "a", "source": "cifar10", "path": "x", "test_fraction": 0.2}]},
            "test_fraction: source cifar10 has a test split of its own; remove it",
        ),
        (
            {
                "datasets": [
                    {"name": "a", "source": "folder", "path": "x", "validation_fraction": 0.5, "test_fraction": 0.5}
                ]
            },
            "validation_fraction and test_fraction: leave at least a tenth for training",
        ),
        (
            {"datasets": [{"name": "a", "source": "folder", "path": "x", "image_size": 30}]},
            "image_size: must be a multiple of 4, got 30",
        ),
        ({"schedule": {"grid": {"deadline_ms": [5]}}}, "give deadline_relative or deadline_ms .*, one of them and not"),
        ({"schedule": {"grid": {"temperature_c": [20]}}}, "temperature_slowdown: one slowdown for each level of"),
        ({"schedule": {"grid": {"battery": [0.5, 1.5]}}}, r"battery: shares of the full charge in \[0, 1\], got"),
        ({"schedule": {"grid": {"rate_hz": [0, 1]}}}, "rate_hz: levels must be above 0"),
        (
            {"schedule": {"grid": {"slowdown": list(range(1, 400))}}},
            "25,536 cells, all combinations of the levels; at most 20,000 are solved: give fewer levels",
        ),
        ({"schedule": {"charge_j": 5}}, "give charge_relative or charge_j .*, one of them and not both"),
        ({"traces": {"estimate": []}}, "estimate and held_out each name at least one trace"),
        (
            {"datasets": [{"name": "a", "source": "digits", "title": " "}]},
            r"datasets\[0\].title: must not be blank; remove it or write something",
        ),
        (
            {"datasets": [{"name": "a", "source": "digits", "title": "a\u202eb"}]},
            r"datasets\[0\].title: must be one line of letters that can be printed, got U\+202E in it",
        ),
        ({"datasets": [{"name": "a/../b", "source": "digits"}]}, r"datasets\[0\].name: string should match pattern"),
        (
            {"networks": [DIAL | {"weights": "c32"}, CONTROL | {"name": "c32", "depth": 32}]},
            r"networks\[0\].weights: c32 is a ResNet-32, d a ResNet-20; name a network of the same shape",
        ),
        (
            {"networks": [DIAL | {"weights": "c"}, CONTROL | {"weights": "d"}]},
            r"networks\[0\].weights: d would begin with its own weights; name another network",
        ),
        (
            {"recipes": [{"sandwich": {"distil": "start"}}]},
            r"networks\[0\].weights: recipe fast has distil: start, which asks the network that training began with",
        ),
        (
            {"recipes": [{"sandwich": {"draw": "greedy"}}]},
            r"networks\[0\].weights: recipe fast has draw: greedy, which asks the network that training began with",
        ),
        ({"networks": [DIAL | {"weights": "d"}]}, r"networks\[0\].weights: d would begin with its own weights"),
        (
            {"networks": [DIAL | {"weights": "c"}, CONTROL | {"weights": "c.pt", "recipe": "none"}]},
            r"networks\[0\].weights: c is adopted, not trained; name its weights, c.pt",
        ),
        ({"seeds": []}, "seeds: tuple should have at least 1 item"),
        ({"networks": [{"role": "static", "depth": 8}]}, r"networks\[0\].name: missing"),
        (
            {"search": {"strategy": "exhaustive", "exhaustive_blocks": 8}},
            r"search.strategy: exhaustive: a network of 9 blocks has 2\^9 masks, exhaustive_blocks allows 2\^8",
        ),
        (
            {"search": {"strategy": "elimination", "exhaustive_blocks": 8, "generations": 9}},
            "search.generations: elimination skips one block a generation and needs 10 for 9 blocks, got 9",
        ),
        (
            {"search": {"strategy": "nsga2", "exhaustive_blocks": 8, "batch": 1}},
            "search.batch: nsga2 evolves a population of so many masks, which takes at least 4, got 1",
        ),
    ],
)
def test_senseless_configurations_are_refused(change: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_experiment(change, "file")


@pytest.mark.parametrize(
    ("content", "message"),
    [("a: [", "not valid YAML"), ("- 1\n", "expected keys and values, found list")],
)
def test_files_that_are_no_configuration_are_refused(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(content)
    with pytest.raises(ConfigError, match=message):
        read_experiment(path)
    with pytest.raises(ConfigError, match="cannot be read"):
        read_experiment(tmp_path / "absent.yaml")


def test_the_command_that_checks_looks_for_the_images_too(tmp_path: Path) -> None:
    sound = CliRunner().invoke(app, ["config", "check", str(DEFAULT)])
    assert sound.output == f"{DEFAULT}: valid; experiment digits trains 8 networks\n"
    values = yaml.safe_load(DEFAULT.read_text())
    values["datasets"] = [
        {"name": "cifar", "source": "cifar100", "path": str(tmp_path / "gone"), "download": False},
        {"name": "own", "source": "folder", "path": str(tmp_path / "gone.tar")},
    ]
    (tmp_path / "my.yaml").write_text(yaml.safe_dump(values))
    refused = CliRunner().invoke(app, ["config", "check", str(tmp_path / "my.yaml")])
    assert str(refused.exception).splitlines() == [
        f"datasets, cifar: {tmp_path}/gone/cifar-100-python: no meta, train, test; "
        f"unpack cifar-100-python.tar.gz in {tmp_path}/gone, or set download: true",
        f"datasets, own: {tmp_path}/gone.tar: no such folder or archive",
    ]
