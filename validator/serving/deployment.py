"""`Deployment`: a judged model in production. Every input and output is checked, every call is timed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any, Literal, NoReturn

import numpy as np

from validator.artifact.read import StoredArtifact
from validator.serving.answers import AnswerCheck
from validator.serving.contract import OnRange, ServedContract, parse_contract
from validator.serving.errors import DeploymentError, FailedArtifactError, OptionError
from validator.serving.fast import make_fast_row
from validator.serving.guard import Answered, Guard
from validator.serving.identity import describe, hold_to_key, open_artifact
from validator.serving.intake import read_columns, uniform_matrix
from validator.serving.latency import LatencyStats
from validator.serving.meter import Meter, Method
from validator.serving.policy import OnInvalid, Policy
from validator.serving.prediction import CallRecord, Prediction, SinglePrediction
from validator.serving.probe import probe
from validator.serving.rows import as_mapping, columns_of_rows
from validator.serving.session import OnnxModel, open_session

if TYPE_CHECKING:
    from numpy.typing import NDArray

Extra = Literal["refuse", "ignore"]


class Deployment:
    """A model that passed the gate, served through ONNX Runtime under its contract.

    Rows are matched to features by name, whatever their order; only a plain array [N, F] is taken by position.
    A breach of the contract, in what goes in or what comes out, is a `ContractError` or `OutputError` whose class
    says what is wrong and whose message names features and rows (`on_invalid="raise"`), or marks the rows as not
    `valid` ("flag"), or puts the caller's fallback in their place. No rows at all is an `EmptyBatchError`. What is
    not rows (another type, wrong rank, columns of different lengths) is raised whatever `on_invalid` says.

    Any number of threads may call one deployment, and coroutines too: a single row takes microseconds, and ONNX
    Runtime releases the interpreter's lock while it computes, so large batches go well with `asyncio.to_thread`.
    Values outside the range that the sample merely showed are no breach, unless `on_range` says so. Nothing is
    learned or stored from calls but their latency.
    """

    def __init__(
        self,
        model: OnnxModel,
        contract: ServedContract,
        identity: Mapping[str, Any],
        *,
        on_invalid: OnInvalid = "raise",
        extra: Extra = "refuse",
        on_call: Callable[[CallRecord], None] | None = None,
    ) -> None:
        """Use `load`: it verifies what this takes on trust."""
        if extra not in ("refuse", "ignore"):
            raise OptionError(f"extra is {extra!r}", hint="give 'refuse' or 'ignore'")
        self._contract = contract
        self._identity = identity
        self._version = str(identity["version"])
        check = AnswerCheck(contract)
        raw, shapes = probe(model, contract, check)
        self._outputs = shapes
        policy = Policy(on_invalid, check=check, shapes=shapes)
        self._guard = Guard(model, contract, check, policy, ignore_extra=extra == "ignore")
        self._fast = make_fast_row(model, contract, check, shapes, raw)
        self._meter = Meter(self._version, on_call)
        self._single = self._meter.histograms["predict_single"]

    @classmethod
    def load(
        cls,
        artifact: str | Path,
        *,
        on_invalid: OnInvalid = "raise",
        extra: Extra = "refuse",
        on_range: OnRange | None = None,
        override: str | None = None,
        verify_key: str | Path | None = None,
        threads: int = 1,
        session_options: Any = None,
        providers: Sequence[str] = ("CPUExecutionProvider",),
        on_call: Callable[[CallRecord], None] | None = None,
    ) -> Deployment:
        """Verify an artifact folder and make it ready. One row is run: a model that cannot answer does not load.

        Parameters
        ----------
        artifact : str or Path
            The folder of one version.
        on_invalid : "raise", "flag", mapping or function
            What becomes of rows that break the contract: an error, an answer that is marked as not `valid`, or a
            fallback (outputs for one row; or a function of the row's number and its problems that gives them).
        extra : "refuse" or "ignore"
            What becomes of columns that the contract does not know.
        on_range : "refuse", "flag", "ignore" or None
            What becomes of numbers outside a feature's range: an OutOfRangeError, an answer that is marked as not
            `valid`, or nothing. None refuses where `[contract]` fixed the range, and ignores what the sample merely
            showed.
        override : str
            The reason for loading what would be refused (failed, changed or never judged); `metadata()` shows it.
        verify_key : str or Path
            A public key: there must be a signature by it beside the folder, and no override helps.
        threads : int
            Threads within one operator. More than one may change the last bits of an answer with the batch's size.
        session_options : onnxruntime.SessionOptions
            In place of our own.
        providers : sequence of str
            ONNX Runtime's execution providers.
        on_call : function of a CallRecord
            Told of every call; what it raises is counted and warned of, not passed on.

        Returns
        -------
        Deployment

        Raises
        ------
        ArtifactNotFoundError
            There is no such folder or file (also a FileNotFoundError).
        TamperedArtifactError, UnjudgedArtifactError, FailedArtifactError
            The artifact was changed, was never judged, or failed (each also a ValueError). They name the file.
        OptionError
            An option that cannot be.

        Examples
        --------
        >>> Deployment.load("preflight/artifact/credit")  # doctest: +SKIP
        <Deployment v_20260101T000000Z_0123abcd, 2 features, binary>
        """
        stored, overridden = open_artifact(artifact, override)
        if verify_key is not None:
            hold_to_key(stored, verify_key)
        return cls.from_stored(
            stored,
            overridden,
            on_invalid=on_invalid,
            extra=extra,
            on_range=on_range,
            threads=threads,
            session_options=session_options,
            providers=providers,
            on_call=on_call,
        )

    @classmethod
    def from_stored(
        cls,
        stored: StoredArtifact,
        overridden: Mapping[str, Any] | None,
        *,
        on_invalid: OnInvalid = "raise",
        extra: Extra = "refuse",
        on_range: OnRange | None = None,
        threads: int = 1,
        session_options: Any = None,
        providers: Sequence[str] = ("CPUExecutionProvider",),
        on_call: Callable[[CallRecord], None] | None = None,
    ) -> Deployment:
        """As `load`, for an artifact that was opened and verified already; `overridden` is what came with it."""
        if stored.onnx is None or stored.contract is None:
            lacking = "model.onnx" if stored.onnx is None else "contract.json"
            raise FailedArtifactError(
                f"{stored.path} has no {lacking}: there is nothing to serve",
                hint="validate the model; a run that passes writes it",
            )
        contract = parse_contract(stored.contract).holding(on_range)
        session = open_session(stored.onnx, threads=threads, options=session_options, providers=providers)
        identity = describe(stored, overridden, session, threads=threads if session_options is None else None)
        model = OnnxModel(session, contract)
        return cls(model, contract, identity, on_invalid=on_invalid, extra=extra, on_call=on_call)

    @classmethod
    def for_validation(
        cls,
        *,
        onnx: bytes,
        contract: Mapping[str, Any],
        on_invalid: OnInvalid = "raise",
        extra: Extra = "refuse",
        on_range: OnRange | None = None,
        threads: int = 1,
        on_call: Callable[[CallRecord], None] | None = None,
    ) -> Deployment:
        """A deployment of a model that is being judged: the gate's own way, before there is an artifact.

        `contract` is the object that `contract.json` will hold. Its metadata says that nothing was verified.
        """
        served = parse_contract(contract).holding(on_range)
        session = open_session(onnx, threads=threads, options=None, providers=("CPUExecutionProvider",))
        identity = {"version": "unjudged", "verdict": None, "contract": dict(contract)}
        model = OnnxModel(session, served)
        return cls(model, served, identity, on_invalid=on_invalid, extra=extra, on_call=on_call)

    def predict(self, data: Any) -> Prediction:
        """The answers for a table.

        Parameters
        ----------
        data : pandas.DataFrame, mapping of columns, numpy.ndarray, pyarrow.Table or pyarrow.RecordBatch
            N rows; with pyarrow, also a frame of any library that exports Arrow, as Polars does. A structured array
            is [N]; a plain array is [N, F] with its columns in the contract's order; all else goes by name. What is
            masked or null counts as missing.

        Returns
        -------
        Prediction
            Outputs whose first axis is [N], in the order of the rows.

        Raises
        ------
        InputTypeError, ShapeError
            What was given is no table; always raised.
        ContractError, OutputError, InferenceError
            A row or its answer breaks the contract, or ONNX Runtime refused the call; see `on_invalid` of `load`.

        Examples
        --------
        >>> answers = deployment.predict({"age": [34.0, 51.0], "income": [2_900.0, 4_100.0]})
        >>> answers.label.tolist(), answers.probabilities.shape, answers.valid.tolist()
        ([0, 1], (2, 2), [True, True])
        """
        started = perf_counter_ns()
        try:
            array = data if type(data) is np.ndarray else uniform_matrix(data, self._contract.names)
            answered = None if array is None else self._answer_array(array)
            if answered is None:
                answered = self._guard.answer(read_columns(data, self._contract.names))
        except DeploymentError as error:
            self._meter.refused("predict", perf_counter_ns() - started, error, _length(data))
            raise
        return self._prediction("predict", answered, started)

    def predict_batch(self, rows: Sequence[Mapping[str, Any]]) -> Prediction:
        """The answers for a list of rows, as requests bring them.

        Parameters
        ----------
        rows : list or tuple of mappings
            N rows, each from feature name to a plain value; None and NaN count as missing.

        Returns
        -------
        Prediction
            Outputs whose first axis is [N], in the order of the rows.

        Raises
        ------
        InputTypeError
            `rows` is no list of mappings; always raised.
        ContractError, OutputError, InferenceError
            As `predict`.

        Examples
        --------
        >>> deployment.predict_batch([{"age": 34.0, "income": 2_900.0}]).label.tolist()
        [0]
        """
        started = perf_counter_ns()
        try:
            columns, kept, breaches = columns_of_rows(rows, self._contract, self._guard.ignore_extra)
            answered = self._guard.answer(columns, kept=kept, n_rows=len(rows), known=breaches)
        except DeploymentError as error:
            self._meter.refused("predict_batch", perf_counter_ns() - started, error, _length(rows))
            raise
        return self._prediction("predict_batch", answered, started)

    def predict_single(self, row: Mapping[str, Any]) -> SinglePrediction:
        """The answer for one row: the shortest way, a few microseconds above ONNX Runtime's own.

        Parameters
        ----------
        row : mapping or pandas.Series
            From feature name to a plain value, in any order.

        Returns
        -------
        SinglePrediction
            Plain Python values.

        Raises
        ------
        InputTypeError
            `row` is no mapping; always raised.
        ContractError, OutputError, InferenceError
            As `predict`.

        Examples
        --------
        >>> answer = deployment.predict_single({"income": 4_100.0, "age": 51.0})
        >>> answer.label, answer.valid
        (1, True)
        >>> deployment.predict_single({"age": 51.0, "incme": 4_100.0})  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        ...
        validator.serving.errors.MissingFeatureError: 1 of 2 features missing: 'income' (is 'incme' meant?) ...
        """
        started = perf_counter_ns()
        answer = None if self._fast is None else self._fast(row)
        if answer is None:
            return self._predict_single_thoroughly(row, started)
        elapsed = perf_counter_ns() - started
        self._single.record(elapsed)
        if self._meter.hook is not None:
            self._meter.tell("predict_single", 1, elapsed, "ok")
        return SinglePrediction(*answer, True, (), self._version, elapsed)

    def latency_stats(self, method: Method | None = None) -> LatencyStats:
        """How long answered calls took; refused calls are not in it.

        Parameters
        ----------
        method : "predict", "predict_single", "predict_batch" or None
            The calls to that method; those to all of them without.

        Returns
        -------
        LatencyStats
            Counts, and milliseconds of a whole call whatever its rows.

        Examples
        --------
        >>> _ = deployment.predict_single({"age": 51.0, "income": 4_100.0})
        >>> deployment.latency_stats("predict_single").count >= 1
        True
        """
        return self._meter.stats(method)

    def counts(self) -> dict[str, int]:
        """How often calls ended in which way.

        Returns
        -------
        dict of str to int
            `ok`, `flagged`, `fallback`, `refused`, `refused.<error>` by the error's class, and `hook_failures`.

        Examples
        --------
        >>> deployment.counts()["refused"] <= sum(deployment.counts().values())
        True
        """
        return self._meter.counts()

    @property
    def example_outputs(self) -> Mapping[str, NDArray[Any]]:
        """The outputs of the one row that was run at load: their names, dtypes and shapes ([1], or [1, K])."""
        return self._outputs

    def metadata(self) -> dict[str, Any]:
        """What is being served.

        Returns
        -------
        dict
            A fresh copy of JSON values: version, times, hashes, Git commit, verdict, parity, contract, override.

        Examples
        --------
        >>> [feature["name"] for feature in deployment.metadata()["contract"]["features"]]
        ['age', 'income']
        """
        import copy

        return copy.deepcopy(dict(self._identity))

    def __reduce__(self) -> NoReturn:
        """A running session cannot be copied, nor sent to another process."""
        raise TypeError(
            "a Deployment can be neither copied nor pickled: share it between threads, "
            "and let every process load its own with Deployment.load"
        )

    def __repr__(self) -> str:
        return f"<Deployment {self._version}, {len(self._contract.features)} features, {self._contract.task}>"

    def _answer_array(self, array: NDArray[Any]) -> Answered | None:
        """A plain array that needs no closer look, by the shortest way that fits it."""
        outputs = self._fast.matrix(array) if self._fast is not None and len(array.shape) == 2 else None
        if outputs is None:
            return self._guard.answer_matrix(array)
        return Answered(outputs=outputs, valid=np.array([True]), problems=(), outcome="ok")

    def _prediction(self, method: Method, answered: Answered, started: int) -> Prediction:
        elapsed = perf_counter_ns() - started
        self._meter.answered(method, len(answered.valid), elapsed, answered.outcome)
        return Prediction(
            **answered.outputs,
            valid=answered.valid,
            problems=answered.problems,
            version=self._version,
            latency_ns=elapsed,
        )

    def _predict_single_thoroughly(self, row: Any, started: int) -> SinglePrediction:
        try:
            columns, kept, breaches = columns_of_rows(
                [as_mapping(row)], self._contract, self._guard.ignore_extra
            )
            answered = self._guard.answer(columns, kept=kept, n_rows=1, known=breaches)
        except DeploymentError as error:
            self._meter.refused("predict_single", perf_counter_ns() - started, error, 1)
            raise
        elapsed = perf_counter_ns() - started
        self._meter.answered("predict_single", 1, elapsed, answered.outcome)
        plain = {name: _plain(name, array) for name, array in answered.outputs.items()}
        return SinglePrediction(
            plain.get("label"),
            plain.get("probabilities"),
            plain.get("prediction"),
            plain.get("score"),
            bool(answered.valid[0]),
            answered.problems,
            self._version,
            elapsed,
        )


def _plain(name: str, array: NDArray[Any]) -> Any:
    """The one row's value as Python has it; None for the NaN of a flagged row."""
    value = array.tolist()[0]
    flat = np.ravel(np.asarray(value)).tolist() if name != "label" else []
    return None if flat and all(number != number for number in flat) else value


def _length(data: Any) -> int:
    """How many rows a refused call had, as far as one can tell."""
    if isinstance(data, Mapping):
        data = next(iter(data.values()), ())
    try:
        return len(data)
    except TypeError:
        return 0
