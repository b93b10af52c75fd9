"""The base version beside the candidate: looked at, loaded and asked in workers, as carefully as that."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from validator.baseline.base import Base, NoBase
from validator.checks.change.behaviour import NotComparableError, contract_changes
from validator.checks.context import Context
from validator.checks.load.model import Data, Native, load_native, onnx_runtime
from validator.checks.load.safety import inspect, scan
from validator.checks.result_builder import Blocked, ResultBuilder
from validator.errors import ModelError, PreflightError
from validator.model import contract as contracts
from validator.model.categories import Categories, as_categories, recorded_categories
from validator.model.file import ModelFile
from validator.results import Change, Contract, FeatureSpec, ModelInfo, RuntimeName
from validator.runtimes.runtime import WorkerRuntime
from validator.table import Table


@dataclass(kw_only=True)
class BaseVersion:
    """A base version that answers.

    `context` is a run of its own, whose checks nobody sees. `kind` says which of the candidate's runtimes is of its
    kind: `native`, or `onnx` for an artifact. `columns` are the sample's columns that it takes, in its order.
    """

    base: Base
    context: Context
    contract: Contract
    columns: tuple[str, ...]
    categories: Categories
    runtime: WorkerRuntime
    kind: RuntimeName
    native: Native | None = None

    def rows(self, table: Table) -> Table:
        """The sample's rows as this version takes them."""
        return as_categories(table.select(self.columns), self.categories)


@dataclass(frozen=True, kw_only=True)
class NoVersion:
    """Why nothing is compared. `troubled` when there is a base version that could not be asked."""

    reason: str
    troubled: bool = False


def open_base(context: Context, found: Base | NoBase, data: Data, native: Native) -> BaseVersion | NoVersion:
    """Load the base version, and say in `builder.change` why there is none, or how the two contracts differ.

    Never fails for the base version's sake: what is wrong with it is told.
    """
    builder = context.builder
    if isinstance(found, NoBase):
        status = "unavailable" if found.missing else "none"
        builder.change = Change.model_validate({"base": found.name, "status": status, "reason": found.reason})
        return NoVersion(reason=found.reason)
    builder.change = Change(
        base=found.name,
        base_version=found.version,
        origin=found.origin,
        status="unavailable",
        reason="an earlier step failed",
    )
    if found.sha256 == builder.model.sha256:
        builder.change = builder.change.model_copy(update={"status": "identical", "reason": ""})
        return NoVersion(reason="the base version is the same file, byte for byte")
    with builder.stage("base version"):
        try:
            return _opened(context, found, data, native)
        except (PreflightError, NotComparableError) as error:
            message = getattr(error, "message", str(error))
            builder.change = builder.change.model_copy(
                update={"status": "unavailable", "reason": message[:2_000]}
            )
            return NoVersion(reason=f"{found.name}: {message}"[:2_000], troubled=True)


def _opened(context: Context, found: Base, data: Data, native: Native) -> BaseVersion:
    own = _own_run(context, found)
    try:
        loaded = None if found.format == "onnx" else load_native(own, inspect(own))
    except Blocked:
        failed = own.builder.checks[-1]
        raise ModelError(
            f"it could not be loaded: {failed.title}: {failed.message}", hint=failed.hint or "see the message"
        ) from None
    if loaded is None:
        scan(own, found.data, "onnx")
    runtime = onnx_runtime(own, found.data) if loaded is None else loaded.runtime
    facts = runtime.facts if loaded is None else loaded.facts
    columns = _columns(found, facts, data)
    head = data.sample.head(len(data.subject.rows))
    missing = [name for name in columns if name not in head.names]
    known = head.select([name for name in columns if name not in missing])
    categories = recorded_categories(facts, known) if loaded is not None and not missing else {}
    contract = found.contract or _contract(
        context, own, columns, as_categories(known, categories), facts, native
    )
    if context.builder.change is not None and context.builder.contract is not None:
        changes = contract_changes(context.builder.contract, contract)[:1_000]
        context.builder.change = context.builder.change.model_copy(update={"contract_changes": changes})
    if missing:
        raise NotComparableError(
            f"the base version takes {', '.join(f'`{name}`' for name in missing[:5])}, which the sample lacks; to "
            "compare answers, leave the columns in the sample and name them under `ignore`"
        )
    return BaseVersion(
        base=found,
        context=own,
        contract=contract,
        columns=columns,
        categories=categories,
        runtime=runtime,
        kind="onnx" if loaded is None else "native",
        native=loaded,
    )


def _own_run(context: Context, found: Base) -> Context:
    """The stages' context for the base version: the same pool and settings, a result that nobody reports."""
    model = ModelInfo(
        path=found.name,
        name=context.builder.model.name,
        format=found.format,
        sha256=found.sha256,
        size_bytes=found.size_bytes,
    )
    builder = ResultBuilder(model=model, progress=lambda _stage: None, isolation=context.builder.isolation)
    file = ModelFile(Path(found.name), found.format, len(found.data), found.sha256)
    settings = context.settings.model_copy(update={"onnx": None})
    return replace(
        context, settings=settings, file=file, data=found.data, builder=builder, onnx=None, looking=None
    )


def _columns(found: Base, facts: dict[str, object], data: Data) -> tuple[str, ...]:
    """The columns it takes: by the names it holds, else by place where the count is the candidate's.

    Raises NotComparableError when it knows neither.
    """
    if found.contract is not None:
        return tuple(feature.name for feature in found.contract.features)
    names, count = facts.get("feature_names"), facts.get("n_features")
    if names is None and not facts.get("is_matrix", True) and isinstance(facts.get("columns"), list):
        names = [column[0] for column in facts["columns"]]  # type: ignore[attr-defined]
    if isinstance(names, (list, tuple)):
        return tuple(contracts.respelt(tuple(str(name) for name in names), data.sample.names) or ())
    if count == len(data.features):
        return data.features
    raise NotComparableError(
        f"the base version takes {count} features without names, this version {len(data.features)}"
    )


def _contract(
    context: Context,
    own: Context,
    columns: tuple[str, ...],
    known: Table,
    facts: dict[str, object],
    native: Native,
) -> Contract:
    """What the base version takes and gives, as far as it and the sample tell."""
    observer = contracts.Observer()
    observer.observe(known)
    seen = {feature.name: feature for feature in observer.features}
    is_onnx = own.file.format == "onnx"
    told = native.facts if is_onnx else facts
    classes, outputs = told.get("classes"), told.get("n_outputs")
    return Contract(
        features=tuple(seen.get(name) or FeatureSpec(name=name, dtype="") for name in columns),
        task=context.builder.model.task if is_onnx else own.builder.model.task,
        classes=tuple(classes) if isinstance(classes, (list, tuple)) else (),
        n_outputs=outputs if isinstance(outputs, int) else 1,
    )
