"""The cost model: it finds what was put in, tells its error, and picks the front by the latency of a device."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from depthdial.config.benchmark import CostModel as Settings
from depthdial.errors import ArtefactError, MeasurementError
from depthdial.networks.families.he_shapes import Architecture
from depthdial.networks.masks import Mask
from depthdial.select.latency_model import (
    cost_masks,
    described,
    fit_latency_model,
    predicted_latency,
    read_latency_model,
    write_latency_model,
)

ARCH = Architecture(20, 16, 1, 8, 10).describe()
BLOCKS = np.array([0.02, 0.02, 0.02, 0.05, 0.01, 0.01, 0.09, 0.03, 0.03])


def table(masks: list[Mask], noise: float = 0.0, valid: bool = True) -> pd.DataFrame:
    generator = np.random.default_rng(0)
    latency = [0.04 + sum(BLOCKS[b] for b in mask.kept) for mask in masks]
    return pd.DataFrame(
        {
            "network": "dial",
            "mask": [str(mask) for mask in masks],
            "macs": [ARCH.macs(mask) for mask in masks],
            "latency_ms": np.array(latency) * (1 + noise * generator.standard_normal(len(masks))),
            "valid": valid,
        }
    )


def test_what_was_put_in_is_found() -> None:
    masks = cost_masks(9, Settings())
    model = fit_latency_model(table(masks), ARCH, "pi", 8)
    assert model.base_ms == pytest.approx(0.04)
    assert model.blocks_ms == pytest.approx(tuple(BLOCKS))
    assert model.mean_error == pytest.approx(0, abs=1e-9)
    assert model.mean_error_macs > 0.05
    assert (model.fitted, model.held_out, model.valid) == (33, 8, True)
    assert predicted_latency(model, ["100000000"])[0] == pytest.approx(0.06)


def test_the_error_is_that_of_the_masks_held_out() -> None:
    masks = cost_masks(9, Settings())
    noisy = fit_latency_model(table(masks, noise=0.05), ARCH, "pi", 8)
    assert 0.01 < noisy.mean_error < 0.1
    assert noisy.largest_error >= noisy.mean_error
    assert (
        f"errs by {100 * noisy.mean_error:.1f} % in the mean, {100 * noisy.largest_error:.1f} % at most"
        in described(noisy)
    )
    assert "not valid" not in described(noisy)


def test_a_model_of_a_device_that_was_too_noisy_says_so() -> None:
    model = fit_latency_model(table(cost_masks(9, Settings()), valid=False), ARCH, "pi", 8)
    assert not model.valid
    assert "too noisy when they were measured: the choice is not valid" in described(model)


def test_no_block_takes_less_than_no_time() -> None:
    masks = cost_masks(9, Settings())
    frame = table(masks)
    frame["latency_ms"] = [1.0 + 0.1 * (mask.bits[0] == "1") - 0.01 * mask.bits.count("1") for mask in masks]
    model = fit_latency_model(frame, ARCH, "pi", 8)
    assert min(model.base_ms, *model.blocks_ms) >= 0
    assert model.blocks_ms[8] == 0
    assert max(predicted_latency(model, [str(mask) for mask in masks])) < 1.2


@given(st.integers(3, 54), st.integers(0, 50))
def test_masks_are_different_reproducible_and_begin_with_the_full_network(n: int, seed: int) -> None:
    settings = Settings(masks=32, held_out=8, seed=seed)
    masks = cost_masks(n, settings)
    assert masks == cost_masks(n, settings)
    assert len(set(masks)) == len(masks) == min(41, 2**n)
    assert masks[0] == Mask.full(n)


def test_few_dozen_masks_are_enough_for_a_deep_network() -> None:
    deep = Architecture(110, 16, 3, 32, 10).describe()
    masks = cost_masks(54, Settings())
    frame = pd.DataFrame(
        {
            "network": "dial",
            "mask": [str(mask) for mask in masks],
            "macs": [deep.macs(mask) for mask in masks],
            "latency_ms": [1.0 + deep.macs(mask) / 1e7 for mask in masks],
            "valid": True,
        }
    )
    assert fit_latency_model(frame, deep, "pi", 8).mean_error == pytest.approx(0, abs=1e-9)


def test_too_few_masks_and_foreign_masks_are_refused(tmp_path: Path) -> None:
    masks = cost_masks(9, Settings())[:5]
    with pytest.raises(MeasurementError, match="3 masks are too few for 5 kinds of units"):
        fit_latency_model(table(masks), ARCH, "pi", 2)
    model = fit_latency_model(table(cost_masks(9, Settings())), ARCH, "pi", 8)
    with pytest.raises(ArtefactError, match="the cost model has 9 blocks, mask 101 has 3"):
        model.latency_ms(Mask("101"))
    write_latency_model(tmp_path / "model.json", model)
    assert read_latency_model(tmp_path / "model.json") == model
    (tmp_path / "model.json").write_text("{}")
    with pytest.raises(ArtefactError, match=r"model.json: cannot be read as a cost model"):
        read_latency_model(tmp_path / "model.json")
