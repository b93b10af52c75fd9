"""`drift.json`: what the command found, as frozen values. Its JSON Schema is `DriftReport.model_json_schema()`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

SCHEMA_VERSION: Literal[1] = 1
Status = Literal["fail", "insufficient", "warn", "ok"]
Name = Annotated[str, Field(max_length=1_000)]
Text = Annotated[str, Field(max_length=10_000)]
Share = Annotated[float, Field(ge=0, le=1)]


class _Value(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", ser_json_inf_nan="strings", protected_namespaces=()
    )


class SpecialShare(_Value):
    """A special value's share of the rows in the reference and now; `low` bounds its increase from below."""

    name: Literal["missing", "zero", "below", "above", "unseen"]
    before: Share
    now: Share
    low: float
    status: Literal["fail", "warn", "ok"]


class BinShare(_Value):
    """One bin: its label, and its share of the rows that have a value, in the reference and now."""

    label: Name
    before: Share
    now: Share


class ColumnReport(_Value):
    """One feature or output. `status` is the worst of shape and special values; `reason` says why it is not known.

    `psi` and `floor` are None where shape could not be judged; `blind` where so few rows never could show one.
    `rows_needed` is how many rows would suffice, None where no number does with this reference. `contribution` is
    the feature's part in what moves the predictions, None where that was not looked at.
    """

    name: Name
    role: Literal["feature", "output"]
    status: Status
    shape: Status
    psi: float | None
    floor: float | None
    blind: bool
    rows: int
    rows_needed: int | None
    reason: Text
    special: Annotated[tuple[SpecialShare, ...], Field(max_length=10)]
    bins: Annotated[tuple[BinShare, ...], Field(max_length=30)]
    contribution: Share | None = None
    change: float | None = None


class WindowReport(_Value):
    """One window of the data: its rows, its verdict, and the columns that are not ok, by verdict."""

    label: Name
    rows: int
    status: Status
    failing: tuple[Name, ...] = ()
    warning: tuple[Name, ...] = ()
    insufficient: int = 0
    largest_psi: float | None = None


class QualityReport(_Value):
    """One metric on rows whose truth is known; `low` to `high` is its 95 % interval, `loss` how much worse it is."""

    metric: Name
    rows: int
    value: float
    low: float
    high: float
    chance: float
    before: float | None = None
    loss: float | None = None
    loss_low: float | None = None
    loss_high: float | None = None
    status: Literal["warn", "ok"]
    reason: Text = ""


class DriftReport(_Value):
    """One comparison of data with a model's profile: the root of `drift.json`."""

    schema_version: Literal[1] = SCHEMA_VERSION
    tool_version: Name
    model: Name
    version: Name
    against: Name
    data: Name
    status: Status
    rows: int
    answered: int
    refused: int
    reference_rows: int
    reference_ordered: bool
    independent: bool
    group: Name | None = None
    columns: Annotated[tuple[ColumnReport, ...], Field(max_length=20_000)]
    windows: Annotated[tuple[WindowReport, ...], Field(max_length=400)] = ()
    quality: Annotated[tuple[QualityReport, ...], Field(max_length=20)] = ()
    notes: Annotated[tuple[Text, ...], Field(max_length=20)] = ()

    @property
    def worst_first(self) -> tuple[ColumnReport, ...]:
        """The columns as they are shown: failing ones first, then by how far the PSI is above its floor."""
        order = ("fail", "warn", "insufficient", "ok")
        return tuple(
            sorted(
                self.columns,
                key=lambda one: (
                    order.index("fail" if one.status == "fail" else _shown(one)),
                    -_excess(one),
                    one.name,
                ),
            )
        )


def _shown(column: ColumnReport) -> str:
    """A column whose shape is not known, but whose special values warn, is shown among the warnings."""
    return "warn" if any(one.status == "warn" for one in column.special) else column.status


def _excess(column: ColumnReport) -> float:
    if column.status == "insufficient" and _shown(column) == "insufficient":
        return column.contribution or 0.0
    special = max((one.low for one in column.special if one.status != "ok"), default=0.0)
    return max(special, (column.psi or 0.0) - (column.floor or 0.0))
