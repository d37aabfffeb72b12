"""The configuration reference and the JSON schema, both generated from the models."""

from __future__ import annotations

import json
from collections.abc import Iterator
from types import NoneType
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from depthdial.config.experiment import Experiment

HEADER = """# Configuration reference

Generated from the schema by `make schema`; do not edit. Keys are nested as in `config/config.yaml`; `[]` marks the
elements of a list. Unknown keys are refused. `config/schema.json` says the same to your editor.

| key | type | default | meaning |
|---|---|---|---|
"""


def schema_text(model: type[BaseModel] = Experiment) -> str:
    """The JSON schema of a file, as its text."""
    schema = model.model_json_schema()
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    return json.dumps(schema, indent=2, sort_keys=True) + "\n"


def reference_text() -> str:
    """The reference as a Markdown table with a row per key."""
    return HEADER + "".join(f"| `{key}` | {kind} | {default} | {text} |\n" for key, kind, default, text in _rows())


def _rows(model: type[BaseModel] = Experiment, prefix: str = "") -> Iterator[tuple[str, str, str, str]]:
    for name, field in model.model_fields.items():
        key = prefix + name
        inner = models_in(field.annotation)
        listed = getattr(field.annotation, "__origin__", None) is tuple
        yield key + ("[]" if listed else ""), _kind(field), _default(field, bool(inner)), _cell(field.description)
        for section in inner:
            yield from _rows(section, key + ("[]." if listed else "."))


def models_in(annotation: Any) -> list[type[BaseModel]]:
    """The sections inside an annotation, be it optional, a list or a choice of sections."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in getattr(annotation, "__args__", ()) for model in models_in(part)]


def _kind(field: FieldInfo) -> str:
    return _type_text(field.annotation) + _bounds(field)


def _type_text(annotation: Any) -> str:
    arguments: tuple[Any, ...] = getattr(annotation, "__args__", ())
    if models_in(annotation):
        return "list of sections" if getattr(annotation, "__origin__", None) is tuple else "section"
    if str(annotation).startswith("typing.Literal"):
        return " or ".join(f"`{value}`" for value in arguments)
    if getattr(annotation, "__origin__", None) is tuple:
        return f"list of {_type_text(arguments[0])}"
    if arguments:
        return " or ".join(dict.fromkeys(_type_text(part) for part in arguments if part is not Ellipsis))
    if annotation is NoneType:
        return "null"
    names = {"str": "text", "int": "integer", "float": "number", "bool": "true or false"}
    name = getattr(annotation, "__name__", str(annotation))
    return names.get(name, name)


def _bounds(field: FieldInfo) -> str:
    signs = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
    parts = [
        f"{sign} {getattr(item, name)}"
        for item in field.metadata
        for name, sign in signs.items()
        if getattr(item, name, None) is not None
    ]
    return f", {', '.join(parts)}" if parts else ""


def _default(field: FieldInfo, section: bool) -> str:
    if field.is_required():
        return "required"
    if section and field.default is not None:
        return ""
    value = field.get_default(call_default_factory=True)
    if value is PydanticUndefined or value is None:
        return "none"
    return f"`{json.dumps(value)}`"


def _cell(text: str | None) -> str:
    return " ".join((text or "").split()).replace("|", "\\|")
