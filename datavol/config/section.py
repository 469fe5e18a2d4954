"""What a key of the schema is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field


def key(rule: str, *, hashed: bool, remedy: str = "", **limits: Any) -> Any:
    """One key of the schema: its rule in words, a remedy (`name=value`), its mark, and pydantic's limits."""
    return Field(description=rule, json_schema_extra={"hashed": hashed, "remedy": remedy}, **limits)


Text = Annotated[str, BeforeValidator(lambda value: str(value) if isinstance(value, (int, float)) else value)]
Share = Annotated[float, Field(ge=0, le=1)]


class Section(BaseModel):
    """A group of keys: frozen, typed strictly, closed to unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False, protected_namespaces=())


def hashed_values(section: BaseModel) -> dict[str, Any]:
    """The keys of a section that are marked `hashed`, nested sections included."""
    values: dict[str, Any] = {}
    for name, field in type(section).model_fields.items():
        if not marks(field)["hashed"]:
            continue
        value = getattr(section, name)
        values[name] = hashed_values(value) if isinstance(value, BaseModel) else value
    return values


def marks(field: Any) -> dict[str, Any]:
    """The marks of one key: `hashed` and `remedy`."""
    extra = field.json_schema_extra
    if not isinstance(extra, dict) or "hashed" not in extra:
        raise TypeError(f"a key of the schema has no mark: {field!r}")
    return extra


def conf_dir() -> Path:
    """`conf/`: inside the package in a wheel, beside it in a checkout."""
    package = Path(__file__).parents[1]
    inside = package / "conf"
    return inside if inside.is_dir() else package.parent / "conf"
