"""A row that the contract allows, made from the contract alone: for warming up, the page and the documentation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def example_row(contract: Mapping[str, Any]) -> dict[str, Any]:
    """One value for each feature of `contract.json`'s object: the middle of its range, or its first category."""
    return {feature["name"]: _value(feature) for feature in contract["features"]}


def _value(feature: Mapping[str, Any]) -> Any:
    dtype, categories = feature["dtype"], feature.get("categories")
    if categories:
        return categories[0]
    if dtype in ("string", "category"):
        return ""
    if dtype == "bool":
        return False
    low, high = (_finite(feature.get(key)) for key in ("minimum", "maximum"))
    middle = low / 2 + high / 2
    if dtype.startswith("float"):
        return float(f"{middle:.4g}") if low <= float(f"{middle:.4g}") <= high else middle
    return int(middle)


def _finite(value: Any) -> float:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    return 0.0
