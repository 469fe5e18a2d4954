"""Identifies a run by the hash of its scientific configuration."""

import hashlib
import json
import math
from typing import Any

from pydantic import BaseModel

from datavol.config.section import NOT_ADDED, keys_of, marks


def hash_of(config: BaseModel) -> str:
    """Hash every key marked `hashed`, as eight hexadecimal digits."""
    text = json.dumps(hashed_values(config), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def hashed_values(section: BaseModel) -> dict[str, Any]:
    """Collect the keys marked `hashed`, nested sections included."""
    values: dict[str, Any] = {}
    for name, (key, field) in zip(type(section).model_fields, keys_of(type(section)).items(), strict=True):
        mark = marks(field)
        if not mark["hashed"]:
            continue
        value = getattr(section, name)
        if isinstance(value, BaseModel):
            value = hashed_values(value)
            if not value and mark["added"] is not NOT_ADDED:  # a section added later, all of it as before
                continue
        elif mark["added"] is not NOT_ADDED and value == mark["added"]:
            continue  # a key added later that means what runs did before: their hashes stay
        values[key] = value
    return values | (section.model_extra or {})  # of a section that is open to keys of the user's


def canonical(value: Any) -> Any:
    """Replace floats that arithmetic left beside a short decimal, at any depth.

    >>> canonical({"fraction": 0.1 + 0.2, "lr": [1 / 3]})
    {'fraction': 0.3, 'lr': [0.3333333333333333]}
    """
    if isinstance(value, dict):
        return {name: canonical(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [canonical(inner) for inner in value]
    if not isinstance(value, float) or not math.isfinite(value):
        return value
    # Sums of decimals miss theirs by some units in the last place. What somebody typed is that far from a decimal of 12
    # digits only if it is one, and 1/3 is further away and stays
    decimal = float(f"{value:.12g}")
    return decimal if abs(decimal - value) <= 8 * math.ulp(value) else value
