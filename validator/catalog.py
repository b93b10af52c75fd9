"""Every check there is: its id, title, the runtimes it judges, and what to do when it fails.

The checklist holds a run's results against this table: a check that is named here for a runtime that took part,
and has no result, blocks. The README's list of checks is made from it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

from validator.results import Category, RuntimeName

ONCE: tuple[RuntimeName, ...] = ("",)
BOTH: tuple[RuntimeName, ...] = ("native", "onnx")
LOADED: tuple[RuntimeName, ...] = (*BOTH, "wrapper")
GUARDED: tuple[RuntimeName, ...] = ("deployment", "wrapper")
ALL: tuple[RuntimeName, ...] = (*BOTH, *GUARDED)
DEPLOYMENT: tuple[RuntimeName, ...] = ("deployment",)
WRAPPER: tuple[RuntimeName, ...] = ("wrapper",)


@dataclass(frozen=True, kw_only=True)
class CheckSpec:
    """One check. `hint` is what to do when it fails, unless the check itself knows better."""

    id: str
    title: str
    runtimes: tuple[RuntimeName, ...]
    hint: str

    @property
    def category(self) -> Category:
        name = self.id.partition(".")[0]
        return next(category for category in get_args(Category) if category == name)


def _spec(id: str, title: str, runtimes: tuple[RuntimeName, ...], hint: str) -> CheckSpec:
    return CheckSpec(id=id, title=title, runtimes=runtimes, hint=hint)


_RAW_INPUT = "validate inputs before the model sees them, as the shipped Deployment does"

SPECS: tuple[CheckSpec, ...] = (
    _spec(
        "load.file",
        "File present and real",
        ONCE,
        "commit the model itself, fetched with Git LFS if it is there",
    ),
    _spec("load.safety", "Safe to load", ONCE, "save the model again without the names that were refused"),
    _spec(
        "load.model", "Model loads", LOADED, "save it again with the library versions named in requirements"
    ),
    _spec(
        "load.versions", "Library versions match", ONCE, "name the training environment with `requirements`"
    ),
    _spec("load.sample", "Sample fits the model", ONCE, "give the columns the model was trained on"),
    _spec(
        "load.knowledge",
        "Sample and training hold the same",
        ONCE,
        "find out why callers send what training never had, and what the model makes of it",
    ),
    _spec(
        "convert.onnx",
        "Converts to ONNX",
        ONCE,
        "build it of what can be converted, or give an ONNX file made by other means with --onnx",
    ),
    _spec("convert.hazards", "No unsolved conversion hazard", ONCE, "see each hazard's own remedy"),
    _spec(
        "parity.proof",
        "Proved equal over all inputs",
        ONCE,
        "do not ship this ONNX file: at the counter-example both runtimes answer differently",
    ),
    _spec(
        "parity.sample",
        "Same answers on the sample",
        ONCE,
        "do not ship this ONNX file; the evidence names the row where the two differ most",
    ),
    _spec(
        "parity.boundary",
        "Same answers at the model's own thresholds",
        ONCE,
        "do not ship this ONNX file: a threshold moved or was rounded",
    ),
    _spec(
        "parity.leaves",
        "Same leaves, same raw scores",
        ONCE,
        "do not ship this ONNX file: it sends the row that is shown down another branch than the model does",
    ),
    _spec(
        "parity.missing",
        "Same answers with missing values",
        ONCE,
        "impute before the model, or do not ship this ONNX file: it sends missing values elsewhere",
    ),
    _spec(
        "parity.categories",
        "Same answers for unseen categories",
        ONCE,
        "encode unseen values as one known category before the model",
    ),
    _spec(
        "parity.labels",
        "Same labels, ties included",
        ONCE,
        "do not ship this ONNX file: decisions would change",
    ),
    _spec("smoke.single", "Answers one row", ALL, "make predict answer a batch of one row as well"),
    _spec("smoke.batch", "Answers a batch", ALL, "return one answer for each row, in the rows' order"),
    _spec(
        "smoke.shape",
        "Output shape and dtype",
        ALL,
        "return numbers, one answer a row and one column a class",
    ),
    _spec("smoke.range", "Output range", ALL, "return probabilities in [0, 1] that sum to one"),
    _spec(
        "smoke.finite",
        "No NaN, no Inf",
        ALL,
        "look at the rows that are named: find the feature, logarithm or division that gives NaN or Inf",
    ),
    _spec("smoke.repeatable", "Same answer twice", ALL, "remove randomness and state from predict"),
    _spec("smoke.rowwise", "Batch equals row by row", ALL, "remove what depends on other rows from predict"),
    _spec(
        "smoke.threads",
        "Same answer from 8 threads",
        ALL,
        "keep no mutable state that calls share, or give each thread a model of its own",
    ),
    _spec(
        "smoke.methods",
        "Every method gives the same answers",
        GUARDED,
        "let all methods go the same way to the answer",
    ),
    _spec(
        "smoke.forms",
        "The sample's own rows in every form",
        DEPLOYMENT,
        "give the sample the types that callers have, or fix the column's `dtype` under [contract]",
    ),
    _spec(
        "smoke.latency",
        "One row within the latency limit",
        ALL,
        "prune or simplify the model, or raise max_latency_ms",
    ),
    _spec("errors.missing_file", "Missing model file", ALL, "raise FileNotFoundError that names the path"),
    _spec("errors.truncated_file", "Truncated model file", ALL, "check the file's hash before loading it"),
    _spec(
        "errors.corrupted_file",
        "Model file with a flipped bit",
        ALL,
        "check the file's hash before loading it, or tell the hash of what was loaded in the metadata",
    ),
    _spec("errors.wrong_names", "Wrong feature names", ALL, _RAW_INPUT),
    _spec("errors.missing_features", "Missing features", ALL, _RAW_INPUT),
    _spec(
        "errors.misspelt_name",
        "A misspelt feature name",
        ALL,
        "match features by name, and name the one that is missing in the error",
    ),
    _spec("errors.extra_features", "Extra features", ALL, _RAW_INPUT),
    _spec("errors.reordered_features", "Reordered features", ALL, _RAW_INPUT),
    _spec("errors.nan", "NaN in a feature", ALL, _RAW_INPUT),
    _spec("errors.inf", "Inf in a feature", ALL, _RAW_INPUT),
    _spec("errors.none", "None in a feature", ALL, _RAW_INPUT),
    _spec("errors.wrong_dtype", "Wrong dtype", ALL, _RAW_INPUT),
    _spec("errors.text", "Text where a number belongs", ALL, _RAW_INPUT),
    _spec("errors.huge_integer", "An integer that the input cannot hold", ALL, _RAW_INPUT),
    _spec("errors.empty_batch", "Empty batch", ALL, _RAW_INPUT),
    _spec("errors.wrong_rank", "Wrong rank", ALL, _RAW_INPUT),
    _spec("errors.unseen_category", "Unseen category", ALL, _RAW_INPUT),
    _spec("errors.odd_category", "Negative and fractional categories", ALL, _RAW_INPUT),
    _spec(
        "errors.large_batch",
        "One very large batch",
        ALL,
        "answer large batches as small ones, or refuse them by name",
    ),
    _spec(
        "errors.many_threads",
        "Right and wrong calls from many threads",
        ALL,
        "do not share mutable state between calls",
    ),
    _spec(
        "errors.wrong_answer",
        "The model answers nonsense",
        WRAPPER,
        "check in the wrapper what the model answers: finite, probabilities in [0, 1], one answer a row",
    ),
    _spec(
        "latency.single", "Single-row p99 within the limit", ALL, "prune the model, or raise max_latency_ms"
    ),
    _spec(
        "latency.batch",
        "Batches measured",
        BOTH,
        "make predict answer the batch sizes that the settings name",
    ),
    _spec("latency.load", "Load time within the limit", BOTH, "make the model smaller, or raise max_load_ms"),
    _spec(
        "latency.memory",
        "Peak memory within the limit",
        BOTH,
        "make the model smaller, or raise max_memory_mb",
    ),
    _spec(
        "latency.speedup",
        "ONNX not slower than native",
        ONCE,
        "ship the native model, or report the slow graph",
    ),
    _spec("latency.base", "Not slower than the base version", ONCE, "prune the model, or raise max_slowdown"),
    _spec(
        "quality.limits",
        "Quality within the limits",
        ONCE,
        "train a better model, or lower the limit knowingly",
    ),
    _spec("quality.base", "Quality not worse than the base version's", ONCE, "keep the base version"),
    _spec(
        "quality.chance",
        "Better than a constant prediction",
        ONCE,
        "give more rows with true answers, better features, or a target that can be foretold",
    ),
    _spec(
        "profile.drift",
        "Data as in the champion's profile",
        ONCE,
        "make sure that the data was meant to change",
    ),
    _spec(
        "wrapper.agrees",
        "Answers as its model does",
        WRAPPER,
        "feed the columns in the model's order, and take the right class's column",
    ),
    _spec(
        "wrapper.sizes",
        "Batches of every size answered alike",
        WRAPPER,
        "answer the last, shorter part of a batch too, and keep the rows in their order",
    ),
    _spec(
        "wrapper.inputs",
        "The caller's objects stay as they are",
        WRAPPER,
        "copy what is to be changed, and return what no later call overwrites",
    ),
    _spec(
        "latency.tracking",
        "Every call is timed",
        WRAPPER,
        "offer latency_stats with the count of calls and percentiles, or name your method in wrapper_methods",
    ),
    _spec(
        "version.recorded",
        "Hash and timestamp recorded",
        ONCE,
        "let nothing rewrite the model while it is judged, and set the clock",
    ),
    _spec(
        "version.metadata",
        "Tells which model it runs",
        WRAPPER,
        "offer metadata with the model file's SHA-256 and a time, or name your method in wrapper_methods",
    ),
    _spec("version.artifact", "Artifact complete", ONCE, "see the error; is the disk full?"),
)

BY_ID = {spec.id: spec for spec in SPECS}


def expected(runtimes: tuple[RuntimeName, ...]) -> tuple[tuple[str, RuntimeName], ...]:
    """The (id, runtime) pairs that a complete run has, given the runtimes that take part."""
    return tuple(
        (spec.id, runtime)
        for spec in SPECS
        for runtime in spec.runtimes
        if runtime == "" or runtime in runtimes
    )
