"""The base version beside the candidate: looked at, loaded and asked in workers, as carefully as that."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from validator.baseline.base import Base, NoBase
from validator.checks.change.behaviour import NotComparableError, contract_changes
from validator.checks.check import CheckFailedError
from validator.checks.context import Context
from validator.checks.load.model import Native, load_native, onnx_facts, onnx_runtime
from validator.checks.load.safety import inspect, scan
from validator.checks.load.sample import Data
from validator.checks.load.versions import compare_versions
from validator.errors import ModelError, PreflightError
from validator.model import contract as contracts
from validator.model.categories import Categories, as_categories, recorded_categories
from validator.model.file import ModelFile
from validator.results import Change, Contract, FeatureSpec, ModelInfo, RuntimeName
from validator.runtimes.replies import NativeFacts
from validator.runtimes.runtime import WorkerRuntime
from validator.table import Table


@dataclass(frozen=True, kw_only=True)
class BaseVersion:
    """A base version that answers.

    `context` is its own. `kind` says which of the candidate's runtimes is of its kind: `native`, or `onnx` for an
    artifact. `columns` are the sample's columns that it takes, in its order. `change` is what is known of the change
    before anything is asked.
    """

    base: Base
    context: Context
    change: Change
    contract: Contract
    columns: tuple[str, ...]
    categories: Categories
    runtime: WorkerRuntime
    kind: RuntimeName
    native: Native | None = None

    def rows(self, table: Table) -> Table:
        """The sample's rows as this version takes them."""
        return as_categories(table.select(self.columns), self.categories)

    def beside(self, candidate: Contract) -> BaseVersion:
        """An ONNX file does not say what it is for: it is taken for what the candidate is for."""
        if self.contract.task != "unknown":
            return self
        known = {"task": candidate.task, "classes": candidate.classes}
        return replace(self, contract=self.contract.model_copy(update=known))


@dataclass(frozen=True, kw_only=True)
class NoVersion:
    """Why nothing is compared. `troubled` when there is a base version that could not be asked."""

    reason: str
    change: Change
    troubled: bool = False

    def beside(self, _candidate: Contract) -> NoVersion:
        return self


def nothing_found(found: NoBase) -> NoVersion:
    """There is no base version."""
    status = "unavailable" if found.missing else "none"
    change = Change.model_validate({"base": found.name, "status": status, "reason": found.reason})
    return NoVersion(reason=found.reason, change=change)


def same_file(found: Base) -> NoVersion:
    """The base version is the candidate itself."""
    same = _change(found).model_copy(update={"status": "identical", "reason": ""})
    return NoVersion(reason="the base version is the same file, byte for byte", change=same)


def _change(found: Base) -> Change:
    return Change(
        base=found.name,
        base_version=found.version,
        origin=found.origin,
        status="unavailable",
        reason="an earlier step failed",
    )


def open_base(
    context: Context, found: Base, data: Data, native: Native, contract: Contract
) -> BaseVersion | NoVersion:
    """Load the base version, and hold its contract against the candidate's, which is `native`'s.

    Never fails for the base version's sake: what is wrong with it is the reason why nothing is compared.
    """
    try:
        version = _opened(context, found, data, native)
    except (PreflightError, NotComparableError) as error:
        return _unable(_change(found), getattr(error, "message", str(error)))
    changes = contract_changes(contract, version.contract)[:1_000]
    version = replace(version, change=_change(found).model_copy(update={"contract_changes": changes}))
    missing = [f"`{name}`" for name in version.columns if name not in data.sample.names]
    if missing:
        return _unable(
            version.change,
            f"the base version takes {', '.join(missing[:5])}, which the sample lacks; to compare answers, leave the "
            "columns in the sample and name them under `ignore`",
        )
    return version


def _unable(change: Change, why: str) -> NoVersion:
    return NoVersion(
        reason=f"{change.base}: {why}"[:2_000],
        change=change.model_copy(update={"reason": why[:2_000]}),
        troubled=True,
    )


def _opened(context: Context, found: Base, data: Data, native: Native) -> BaseVersion:
    own = _own_context(context, found)
    loaded = None if found.format == "onnx" else _loaded(own)
    if loaded is None:
        scan(own, found.data, "onnx")
    runtime = onnx_runtime(own, found.data) if loaded is None else loaded.runtime
    facts = onnx_facts(runtime) if loaded is None else loaded.facts
    columns = _columns(found, facts, data)
    head = data.sample.head(len(data.rows))
    known = head.select([name for name in columns if name in head.names])
    categories: Categories = {}
    if loaded is not None and len(known.columns) == len(columns):
        categories = recorded_categories(facts.categories, facts.category_columns or (), known)
    return BaseVersion(
        base=found,
        context=own,
        change=_change(found),
        contract=found.contract or _contract(columns, as_categories(known, categories), loaded or native),
        columns=columns,
        categories=categories,
        runtime=runtime,
        kind="onnx" if loaded is None else "native",
        native=loaded,
    )


def _loaded(own: Context) -> Native:
    try:
        return load_native(own, compare_versions(own, inspect(own)))
    except CheckFailedError as error:
        raise ModelError(
            f"it could not be loaded: {error.message}", hint=error.hint or "see the message"
        ) from error


def _own_context(context: Context, found: Base) -> Context:
    """The candidate's context with the base version's file in it."""
    model = ModelInfo(
        path=found.name,
        name=context.model.name,
        format=found.format,
        sha256=found.sha256,
        size_bytes=found.size_bytes,
    )
    file = ModelFile(Path(found.name), found.format, len(found.data), found.sha256)
    named = found.contract.onnx_outputs if found.contract else context.settings.onnx_outputs
    settings = context.settings.model_copy(update={"onnx": None, "onnx_outputs": named})
    return replace(context, settings=settings, file=file, model=model, data=found.data)


def _columns(found: Base, facts: NativeFacts, data: Data) -> tuple[str, ...]:
    """The columns it takes: by the names it holds, else by place where the count is the candidate's.

    Raises NotComparableError when it knows neither.
    """
    if found.contract is not None:
        return tuple(feature.name for feature in found.contract.features)
    if facts.feature_names is not None:
        return tuple(contracts.respelt(facts.feature_names, data.sample.names) or ())
    if facts.n_features == len(data.features):
        return data.features
    raise NotComparableError(
        f"the base version takes {facts.n_features} features without names, this version {len(data.features)}"
    )


def _contract(columns: tuple[str, ...], known: Table, told: Native) -> Contract:
    """What the base version takes, as far as the sample tells, and gives: as it says, or the candidate for it."""
    observer = contracts.Observer()
    observer.observe(known)
    seen = {feature.name: feature for feature in observer.features}
    return Contract(
        features=tuple(seen.get(name) or FeatureSpec(name=name, dtype="") for name in columns),
        task=told.model.task,
        classes=told.facts.classes or (),
        n_outputs=told.facts.n_outputs,
    )
