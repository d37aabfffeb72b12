"""The base of every configuration model."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints

Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]*$", max_length=40)]
"""An identity that is used in file names: lower-case letters, digits and hyphens."""


class Section(BaseModel):
    """Unknown keys are refused, values cannot change, NaN and infinities are no numbers here."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, use_attribute_docstrings=True)
