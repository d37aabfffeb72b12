"""The base of every configuration model."""

from __future__ import annotations

from typing import Annotated
from unicodedata import category

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]*$", max_length=40)]
"""An identity that is used in file names: lower-case letters, digits and hyphens."""
Seed = Annotated[int, Field(ge=0, le=2**32 - 1)]
"""What every generator of random numbers takes, scikit-learn's too."""


def _printable(text: str) -> str:
    """``text``; ValueError if a page, a figure or a terminal would not show it as one line that says what it says."""
    found = next((letter for letter in text if category(letter) in ("Cc", "Cf", "Cs", "Zl", "Zp")), None)
    if found is not None:
        raise ValueError(f"must be one line of letters that can be printed, got U+{ord(found):04X} in it")
    if not text.strip():
        raise ValueError("must not be blank; remove it or write something")
    return text


Title = Annotated[str, StringConstraints(max_length=60), AfterValidator(_printable)]
"""What pages and figures call a thing: one line. Both escape it; what cannot be printed is refused here."""


class Section(BaseModel):
    """Unknown keys are refused, values cannot change, NaN and infinities are no numbers here, texts are bounded."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, allow_inf_nan=False, use_attribute_docstrings=True, str_max_length=4096
    )
