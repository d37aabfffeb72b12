"""What is wrong with a configuration, in words: key, value, what was expected."""

from __future__ import annotations

import copy
import difflib
import re
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from depthdial.errors import ConfigError

Model = TypeVar("Model", bound=BaseModel)
MOST = 25
"""Problems that a message names; further ones are counted."""
LONGEST = 400
"""Characters of a line of a message."""
_KEYED = re.compile(r"[a-z_]+[\w.\[\]]*((, | and )[a-z_]+)*: ")
"""How what a section says of its own keys begins; what a key's own check says begins with no key."""


def validate(model: type[Model], values: Any, where: str) -> Model:
    """``values`` as a ``model``. Raises ConfigError that names every problem at once."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        problems = describe(error, model) + _behind(error, model, values)
        unnamed = max(0, error.error_count() - MOST)
        raise ConfigError(report(where, list(dict.fromkeys(problems)), unnamed)) from None


def _behind(error: ValidationError, model: type[BaseModel], values: Any) -> list[str]:
    """Problems between fields that come to light once the faulty values are left out.

    A section's own checks run only when all its fields are valid. So the faulty values are replaced by their
    defaults and the rest is checked again; where a faulty value has no default nothing more can be said.
    """
    rest = copy.deepcopy(values)
    for item in error.errors(include_url=False):
        place = rest
        if item["type"] in ("missing", "value_error"):
            return []
        try:
            for part in item["loc"][:-1]:
                place = place[part]
            if item["type"] != "too_short" and isinstance(place, dict):
                place.pop(item["loc"][-1], None)
        except (KeyError, IndexError, TypeError):
            return []
    try:
        model.model_validate(rest)
    except ValidationError as further:
        found = further.errors(include_url=False)
        return describe(further, model) if all(item["type"] == "value_error" for item in found) else []
    return []


def report(where: str, problems: list[str], unnamed: int = 0) -> str:
    """One message for all ``problems`` of the file ``where``, of which so many ``unnamed`` ones are not in the list."""
    total = len(problems) + unnamed
    count = "1 problem" if total == 1 else f"{total} problems"
    named = problems[:MOST]
    more = [f"... and {total - len(named)} more"] if total > len(named) else []
    lines = [f"  - {problem}" for problem in [*named, *more]]
    return f"{where}: {count}; nothing was started\n" + "\n".join(lines)


def describe(error: ValidationError, model: type[BaseModel]) -> list[str]:
    """A line for each of the first problems of a validation: key, what was wrong, the value found."""
    lines = []
    for item in error.errors(include_url=False)[:MOST]:
        key = _path(item["loc"])
        if item["type"] == "too_short" and item["input"]:
            continue  # its elements are faulty; they are named themselves
        if item["type"] == "extra_forbidden":
            lines.append(f"{key}: unknown key{_suggestion(model, item['loc'])}; remove it or mend its name")
        elif item["type"] == "missing":
            lines.append(f"{key}: missing; it has no default, so give it a value")
        elif item["type"] == "value_error":
            for text in item["msg"].removeprefix("Value error, ").splitlines():
                lines.append(f"{key}{'.' if _KEYED.match(text) else ': '}{text}" if key else text)
        else:
            lines.append(f"{key}: {_lower(item['msg'])}, got {shown(item['input'])}")
    return [line if len(line) <= LONGEST else f"{line[:LONGEST]}..." for line in lines]


def shown(value: Any) -> str:
    """A value as Python writes it, long ones cut."""
    text = ascii(value) if isinstance(value, str) and not value.isprintable() else repr(value)
    return text if len(text) <= 100 else f"{text[:100]}..."


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]


def _path(location: tuple[int | str, ...]) -> str:
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


def _suggestion(model: type[BaseModel], location: tuple[int | str, ...]) -> str:
    """A known key of the same section that looks like the unknown one."""
    section: Any = model
    for part in location[:-1]:
        if isinstance(part, str):
            section = _section_of(getattr(section, "model_fields", {}).get(part))
        if section is None:
            return ""
    names = list(getattr(section, "model_fields", {}))
    close = difflib.get_close_matches(str(location[-1]), names, n=1)
    return f" (did you mean {close[0]}?)" if close else ""


def _section_of(field: Any) -> type[BaseModel] | None:
    """The section inside a field's annotation, be it optional or a list of sections."""
    waiting = [field.annotation] if field is not None else []
    while waiting:
        kind = waiting.pop()
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            return kind
        waiting.extend(getattr(kind, "__args__", ()))
    return None
