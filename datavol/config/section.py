"""Declares keys of the schema: rule, remedy, marks."""

from os.path import expanduser
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.fields import FieldInfo

NOT_ADDED: Any = object()  # marks the keys that every record has


def key(rule: str, *, hashed: bool, remedy: str = "", added: Any = NOT_ADDED, **limits: Any) -> Any:
    """Declare one key of the schema, within pydantic's `limits`.

    When a value breaks the limits, the message quotes `rule`, in words, and `remedy`, a value that works. `hashed` keys
    change the science, and enter the run's hash. A key that records of earlier versions lack has as `added` the value
    that means what runs did before: older records read as that, and the hash leaves the key out while it has it.
    """
    return Field(description=rule, json_schema_extra={"hashed": hashed, "remedy": remedy, "added": added}, **limits)


Text = Annotated[str, BeforeValidator(lambda value: str(value) if isinstance(value, (int, float)) else value)]
PathText = Annotated[str, AfterValidator(expanduser)]
"""A file or a folder; `~` is the user's home, as in a shell."""
Share = Annotated[float, Field(ge=0, le=1)]


def at_least(least: int, rule: str, remedy: str) -> AfterValidator:
    """Check a number where a key takes words as well."""

    def check(value: Any) -> Any:
        if isinstance(value, int) and value < least:
            raise ValueError(rule, remedy)  # `schema_message` knows the key's path and words the line
        return value

    return AfterValidator(check)


Count = Annotated[int | Literal["auto"], at_least(1, "auto or at least 1", "1")]


class Section(BaseModel):
    """Groups keys: frozen, strictly typed, closed to unknown ones."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False, protected_namespaces=())


def keys_of(section: type[BaseModel]) -> dict[str, FieldInfo]:
    """Return a section's fields by their keys, as YAML has them (`_target_`)."""
    return {field.alias or name: field for name, field in section.model_fields.items()}


def marks(field: Any) -> dict[str, Any]:
    """Read the marks of one key: `hashed`, `remedy` and `added`."""
    extra = field.json_schema_extra
    if not isinstance(extra, dict) or "hashed" not in extra:
        raise TypeError(f"a key of the schema has no mark: {field!r}")
    return extra


def conf_dir() -> Path:
    """Find `conf/`."""
    package = Path(__file__).parents[1]
    inside = package / "conf"
    return inside if inside.is_dir() else package.parent / "conf"  # within the package in a wheel, else a checkout
