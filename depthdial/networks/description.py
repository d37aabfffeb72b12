"""What a network is, without torch: a chain of segments that always run and units that can be skipped.

Whoever searches, chooses, measures or schedules masks knows a network by its description alone.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cache
from typing import Annotated, Any

from pydantic import Field, TypeAdapter

from depthdial.artefacts import AGAIN, read_json, reading, reason
from depthdial.errors import ArtefactError
from depthdial.files import write_json
from depthdial.networks.masks import Mask

FORMAT = "network-1"
WEIGHTS = "weights-2"
"""The format of weights, whose metadata hold a description; reading that needs no torch."""
Count = Annotated[int, Field(ge=0, le=10**15)]
"""A number of operations, bytes, pixels or outputs; a file that somebody rewrote can hold any."""


@dataclass(frozen=True)
class Bypass:
    """What a skipped unit leaves of its input: every ``stride``-th pixel, ``extra_channels`` of zeros appended.

    The identity, but for the units of He's CIFAR ResNets that open a stage (their option A).
    """

    stride: int = 1
    extra_channels: Count = 0

    @property
    def identity(self) -> bool:
        """Whether the input goes on as it is."""
        return self == Bypass()


@dataclass(frozen=True)
class Unit:
    """A part of the network that can be skipped."""

    index: Count
    """Its place among the units, which is its place in masks."""
    name: str
    """Its module in the network."""
    stage: Count
    """Units of one stage follow each other and give outputs of one shape."""
    macs: Count
    """Multiply-accumulates for one image."""
    kind: str
    """Units of the same kind compute the same on tensors of the same shape, with weights of their own."""
    output_bytes: Count
    """Bytes of its output for one image, in float32."""
    bypass: Bypass = Bypass()
    """What goes on in its place when it is skipped."""


@dataclass(frozen=True)
class Description:
    """A network as a chain: ``segments[0]``, unit 0, ``segments[1]``, unit 1, ..., ``segments[n]``."""

    family: str
    """Where it comes from: ``he_resnet``, ``torchvision``, ``timm``, ``module``."""
    model: str
    """Its name within the family."""
    units: tuple[Unit, ...]
    segments: tuple[Count, ...]
    """Multiply-accumulates of what runs before, between and after the units, for one image."""
    input_shape: tuple[Count, Count, Count]
    """Channels, height and width of an image."""
    classes: Count
    """Number of outputs."""
    work_bytes: Count
    """Most bytes of activations for one image, in float32, that are alive at once inside a unit or a segment."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """What else the family needs to build it."""

    @property
    def n_units(self) -> int:
        """Number of units; masks are as long."""
        return len(self.units)

    @property
    def fixed_macs(self) -> int:
        """Multiply-accumulates that no mask can skip."""
        return sum(self.segments)

    @property
    def full_macs(self) -> int:
        """Multiply-accumulates of the full network."""
        return self.fixed_macs + sum(unit.macs for unit in self.units)

    @property
    def scalable(self) -> bool:
        """Whether the branches of kept units can be scaled at inference: units of He's family take a factor."""
        return self.family == "he_resnet"

    @property
    def stages(self) -> tuple[int, ...]:
        """Number of units of every stage."""
        counts: dict[int, int] = {}
        for unit in self.units:
            counts[unit.stage] = counts.get(unit.stage, 0) + 1
        return tuple(counts.values())

    def macs(self, mask: Mask) -> int:
        """Multiply-accumulates of one image through the units that ``mask`` keeps."""
        self.require(mask)
        return self.fixed_macs + sum(self.units[index].macs for index in mask.kept)

    def require(self, mask: Mask) -> None:
        """Raise ValueError unless the mask is one of this network."""
        if mask.n != self.n_units:
            raise ValueError(f"mask {mask} has {mask.n} units, the network has {self.n_units}")

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Description:
        """The inverse of ``to_dict``. Raises ValueError for values that describe no network."""
        found = _checked().validate_python(dict(values))
        if found.full_macs < 1 or len(found.segments) != found.n_units + 1:
            raise ValueError(f"{found.n_units} units and {len(found.segments)} segments of {found.full_macs} MACs")
        return found


@cache
def _checked() -> TypeAdapter[Description]:
    return TypeAdapter(Description)


def stages_of(shapes: Sequence[Any]) -> list[int]:
    """The stage of every unit: the next one where the shape of the output is another than that of the unit before."""
    stages, stage = [], -1
    for index, shape in enumerate(shapes):
        stage += index == 0 or shape != shapes[index - 1]
        stages.append(stage)
    return stages


def write_description(path: str | os.PathLike[str], network: Description) -> None:
    """Write as JSON, whole or not at all."""
    write_json(path, {"format": FORMAT, **network.to_dict()})


def read_description(path: str | os.PathLike[str]) -> Description:
    """Read and check. Raises ArtefactError that names the file."""
    values = read_json(path)
    found = values.pop("format", "nothing") if isinstance(values, dict) else "nothing"
    if found != FORMAT:
        raise ArtefactError(f"{path}: expected format {FORMAT}, found {reason(ValueError(found))}; {AGAIN}")
    with reading(path, "the description of a network"):
        return Description.from_dict(values)
