"""The configuration reference and the JSON schemas of all files, generated from the models."""

from __future__ import annotations

import json
from collections.abc import Iterator
from types import NoneType
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from depthdial.config.devices import Devices
from depthdial.config.experiment import Experiment
from depthdial.config.targets import Targets
from depthdial.config.traces import TraceSpec

HEADER = """# Configuration reference

Generated from the schema by `make schema`; do not edit. Keys are nested as in the files; `[]` marks the elements of a
list, `<name>` a name of yours. Unknown keys are refused, and keys that are given twice. The JSON schemas beside the
files say the same to your editor: `# yaml-language-server: $schema=schema.json`. What else is refused, and what is
trusted: [security.md](security.md).
"""
FILES: dict[str, tuple[type[BaseModel], str, str]] = {
    "schema.json": (Experiment, "The experiment", "`config/config.yaml` and what `--configfile` names."),
    "devices.schema.json": (Devices, "Devices", "`benchmark.devices_file`; see [devices.md](devices.md)."),
    "targets.schema.json": (Targets, "Targets", "`deploy.targets_file`; see [deploy.md](deploy.md)."),
    "traces.schema.json": (
        TraceSpec,
        "Generated traces",
        "A file `<name>.yaml` in `traces.folder`; recorded ones are CSV files, see [schedule.md](schedule.md#traces).",
    ),
}
"""Schema in config/ to the model, the heading in the reference and what is said below it."""
TABLE = "| key | type | default | meaning |\n|---|---|---|---|\n"

Row = tuple[str, str, str, str]


def schema_text(model: type[BaseModel] = Experiment) -> str:
    """The JSON schema of a file, as its text."""
    schema = model.model_json_schema()
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    return json.dumps(schema, indent=2, sort_keys=True) + "\n"


def reference_text() -> str:
    """The reference in Markdown: a table for each file, a row for each key."""
    parts = [HEADER]
    for model, heading, about in FILES.values():
        rows = "".join(f"| `{key}` | {kind} | {default} | {text} |\n" for key, kind, default, text in _rows(model))
        parts.append(f"## {heading}\n\n{about}\n\n{TABLE}{rows}")
    return "\n".join(parts)


def _rows(model: type[BaseModel], prefix: str = "") -> Iterator[Row]:
    for name, field in model.model_fields.items():
        key = prefix + name
        inner = models_in(field.annotation)
        origin = getattr(field.annotation, "__origin__", None)
        element = "[]" if origin is tuple else ".<name>" if origin is dict and inner else ""
        yield key + element, _kind(field), _default(field, bool(inner)), _cell(field.description)
        yield from _choice(inner, f"{key}{element}.") if len(inner) > 1 else _inside(inner, f"{key}{element}.")


def _inside(sections: list[type[BaseModel]], prefix: str) -> Iterator[Row]:
    for section in sections:
        yield from _rows(section, prefix)


def _choice(sections: list[type[BaseModel]], prefix: str) -> Iterator[Row]:
    """The keys of sections of which one is chosen by its ``kind``: each once, with the kinds that have it."""
    kinds: dict[Row, list[str]] = {}
    for section in sections:
        kind = section.model_fields["kind"].annotation.__args__[0]  # type: ignore[union-attr]
        for row in _rows(section, prefix):
            kinds.setdefault(row, []).append(kind)
    names = [row[1] for row in kinds if row[0] == f"{prefix}kind"]
    yield f"{prefix}kind", " or ".join(names), "required", "Which of them this is."
    for (key, kind, default, text), having in kinds.items():
        if key != f"{prefix}kind":
            of = "" if len(having) == len(sections) else f"Of {', '.join(f'`{name}`' for name in having)}. "
            yield key, kind, default, of + text


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
        origin = getattr(annotation, "__origin__", None)
        return "list of sections" if origin is tuple else "sections by name" if origin is dict else "section"
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
        f"{sign} {getattr(item, name):{'d' if isinstance(getattr(item, name), int) else 'g'}}"
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
