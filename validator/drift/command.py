"""What `drift` does, without its command line: from paths to a report."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from validator.artifact.read import PROFILE_FILE, read_artifact, read_leniently
from validator.drift import arrays
from validator.drift.answering import Answerer
from validator.drift.compare import Found, Question, ask_model, report
from validator.drift.document import DriftReport
from validator.drift.reading import Data, open_data
from validator.drift.scan import Columns, Scan, Window, scan
from validator.drift.scraped import Server, read_counts
from validator.drift.tally import Tally
from validator.errors import ArtifactError, SampleError, UsageError
from validator.profile import NumericColumn, Profile, parse_profile
from validator.profile.columns import Encoded, category_text
from validator.profile.making import ProfileMaker

if TYPE_CHECKING:
    from numpy.typing import NDArray

_COUNT_BYTES = 2**28
#: So many rows of two parts do not fall into the same bins throughout by chance.
_TELLING = 1_000


@dataclass(frozen=True, kw_only=True)
class Options:
    """What the user asked for, as the command's flags name it."""

    tool_version: str
    artifact: str
    against: str | None = None
    window: str | None = None
    time: str | None = None
    group: str | None = None
    independent: bool = False
    target: str | None = None
    labels: str | None = None
    id: str | None = None
    override: str | None = None
    prometheus: str | None = None
    model: str | None = None
    last: str = "24h"


@dataclass(frozen=True, kw_only=True)
class Model:
    """The judged model: its profile, its names, and a deployment that answers."""

    profile: Profile
    name: str
    version: str
    answerer: Answerer


def compare_data(path: str, options: Options) -> DriftReport:
    """Compare data on disk with the artifact's profile, or with other data.

    Raises SampleError, UsageError or ArtifactError where something cannot be read or does not fit.
    """
    _check(options)
    data = open_data(path)
    model = load_model(options)
    if options.against is not None:
        model = replace(model, profile=_profile_of(options.against, model))
    window = Window.parse(options.window, timed=options.time is not None) if options.window else None
    beside = Columns(
        time=options.time,
        group=options.group,
        target=None if options.labels else options.target,
        id=options.id,
    )
    found = scan(data, model.profile, beside, window)
    truth, notes = _truth(found, options)
    answered = ask_model(found, model.answerer, window, truth=truth)
    return report(_question(path, model, options), replace(answered, notes=notes))


def compare_counts(paths: Sequence[str], options: Options) -> DriftReport:
    """Add the counts of several parts and compare their sum with the artifact's profile."""
    _refuse(options, "against", "window", "time", "group", "target", "labels", "id")
    model = load_model(options)
    total: Tally | None = None
    seen: dict[bytes, str] = {}
    for path in paths:
        content = _read_counts(path)
        tally = Tally.from_json(content, model.profile, name=path)
        same = seen.setdefault(content, path) if tally.rows >= _TELLING else path
        if same != path or paths.count(path) > 1:
            raise SampleError(
                f"{path} holds the very counts of {same}", hint="give the counts of each part once"
            )
        if total is None:
            total = tally
            continue
        try:
            total.merge(tally)
        except ValueError as error:
            raise SampleError(f"{path} does not add to {paths[0]}: {error}", hint="count alike") from error
    if total is None or not total.rows:
        raise SampleError("the counts hold no row", hint="count data with rows")
    refused = min((total.outputs.slots(i)["missing"] for i in range(len(total.outputs.columns))), default=0)
    found = Found(whole=total, windows={}, answered=total.outputs.rows - refused, refused=refused)
    question = _question(f"{len(paths)} counted parts", model, options)
    return report(replace(question, group="groups" if total.grouped else None), found)


def compare_served(options: Options) -> DriftReport:
    """Compare what servers counted, as Prometheus keeps it, with the artifact's profile."""
    _refuse(options, "against", "window", "time", "group", "target", "labels", "id")
    model = load_model(options)
    server = Server(
        url=str(options.prometheus),
        model=options.model or model.name,
        version=model.version,
        last=options.last,
    )
    features, outputs = read_counts(server, model.profile)
    profile = replace(model.profile, features=features.columns, outputs=outputs.columns)
    tally = Tally(profile)
    tally.features, tally.outputs = features, outputs
    uncounted = len(model.profile.columns) - len(profile.columns)
    note = f"{uncounted} further columns are not judged: servers count {len(profile.columns)} of this model"
    found = Found(whole=tally, windows={}, answered=outputs.rows, notes=(note,) if uncounted else ())
    return report(_question(f"the last {server.last} as {server.url} has them", model, options), found)


def count_data(path: str, options: Options) -> Tally:
    """The counts of one part of the data, the model's answers included."""
    model = load_model(options)
    found = scan(open_data(path), model.profile, Columns(group=options.group))
    return ask_model(found, model.answerer, None, contributions=False).whole


def load_model(options: Options) -> Model:
    """The artifact's profile and deployment. Raises ArtifactError where it has none."""
    from validator.serving import Deployment

    stored = (read_leniently if options.override else read_artifact)(options.artifact)
    if PROFILE_FILE not in stored.files:
        raise ArtifactError(
            f"the artifact {options.artifact} holds no {PROFILE_FILE}",
            hint="validate the model again with this release, which writes it",
        )
    deployment = Deployment.load(
        options.artifact, on_invalid="flag", extra="ignore", override=options.override
    )
    identity = stored.manifest.get("model")
    name = identity.get("name") if isinstance(identity, dict) else None
    return Model(
        profile=parse_profile(stored.files[PROFILE_FILE]),
        name=str(name or Path(options.artifact).parent.name),
        version=str(stored.manifest.get("version", "")),
        answerer=Answerer(deployment),
    )


def _check(options: Options) -> None:
    if options.window is None and options.time is not None:
        raise UsageError("--time is given without --window", hint="say how long a window is: --window 7d")
    if options.labels is not None and (options.target is None or options.id is None):
        raise UsageError(
            "--labels needs to know which column is the answer and which joins",
            hint="give --target COLUMN and --id COLUMN",
        )
    if options.id is not None and options.labels is None:
        raise UsageError("--id is given without --labels", hint="give the data with the late answers")


def _refuse(options: Options, *names: str) -> None:
    for name in names:
        if getattr(options, name) is not None:
            raise UsageError(
                f"--{name} needs rows, and counts hold none",
                hint="give it to the data itself, or leave it out",
            )


def _question(path: str, model: Model, options: Options) -> Question:
    return Question(
        tool_version=options.tool_version,
        model=model.name,
        version=model.version,
        against=options.against or f"the {model.profile.source} it was judged with",
        data=path,
        independent=options.independent,
        group=options.group,
    )


def _profile_of(path: str, model: Model) -> Profile:
    """A profile of other data, in bins of its own, with this model's answers to it."""
    maker = ProfileMaker()
    data = open_data(path)
    digest = hashlib.sha256("\n".join(map(str, data.files)).encode())
    for values in _feature_batches(data, model.profile):
        maker.add(values, partial(_answers, model, values))
    try:
        return maker.finish(source="reference", source_sha256=digest.hexdigest())
    except ValueError as error:
        raise SampleError(f"{path} holds no row", hint="give data with rows to compare with") from error


def _answers(
    model: Model, values: dict[str, NDArray[Any]], rows: NDArray[np.int64]
) -> dict[str, NDArray[Any]]:
    outputs, _ = model.answerer.answers({name: array[rows] for name, array in values.items()})
    return outputs


def _feature_batches(data: Data, profile: Profile) -> Any:
    names = [column.name for column in profile.features]
    missing = [name for name in names if name not in data.columns]
    if missing:
        raise SampleError(
            f"{data.path} lacks the features {', '.join(map(repr, missing[:10]))}",
            hint="give the columns the model was judged on, under the same names",
        )
    numeric = [column.name for column in profile.features if isinstance(column, NumericColumn)]
    text = [name for name in names if name not in numeric]
    for batch in data.batches(names, numeric=numeric, text=text):
        found = {}
        for name, array in zip(names, batch.columns, strict=True):
            values: Any = arrays.numbers(array, name) if name in numeric else arrays.categories(array, name)
            found[name] = values.decoded() if isinstance(values, Encoded) else values
        yield found


def _truth(found: Scan, options: Options) -> tuple[NDArray[Any] | None, tuple[str, ...]]:
    """The true answers of the rows that were kept, from the data itself or from what came later, and what to say."""
    if options.target is None:
        return None, ()
    if options.labels is None:
        return found.beside(options.target), ()
    ids = [category_text(one) for one in found.beside(str(options.id)).tolist()]
    wanted = set(ids) - {None}
    known: dict[str, Any] = {}
    torn: set[str] = set()
    labels = open_data(options.labels)
    for name in (str(options.id), options.target):
        if name not in labels.columns:
            raise SampleError(
                f"{options.labels} has no column {name!r}",
                hint=f"its columns are {', '.join(map(repr, labels.columns[:20]))}",
            )
    for batch in labels.batches([str(options.id), options.target]):
        for one, value in zip(batch.column(0).to_pylist(), batch.column(1).to_pylist(), strict=True):
            key = category_text(one)
            if (
                key is not None
                and key in wanted
                and category_text(known.setdefault(key, value)) != category_text(value)
            ):
                torn.add(key)
    truth = np.empty(len(ids), dtype=object)
    truth[:] = [None if one is None or one in torn else known.get(one) for one in ids]
    told = f"{len(torn):,} ids have several true answers that differ, and are left out of the quality"
    return truth, (told,) if torn else ()


def _read_counts(path: str) -> bytes:
    try:
        with Path(path).open("rb") as file:
            content = file.read(_COUNT_BYTES + 1)
    except OSError as error:
        raise SampleError(f"{path} cannot be read: {error.strerror}", hint="check the path") from error
    if len(content) > _COUNT_BYTES:
        raise SampleError(f"{path} is absurdly large for counts", hint="was it made by `drift count`?")
    return content
