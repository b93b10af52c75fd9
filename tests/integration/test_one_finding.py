"""Twenty broken inputs through the real command: one finding a cause, with its remedy, counted alike everywhere."""

from __future__ import annotations

import pickle
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import joblib
import pandas as pd
import pytest

from tests.integration.command import TRADING, judge
from validator.causes import causes_of
from validator.github.wording import annotations_of, headline
from validator.results import GateResult

FAULTY = Path(__file__).with_name("faulty_models.py")
#: Time has no limit here that a busy machine could break.
FAST = ("--latency-budget-s", 0.2, "--boundary-rows", 500, "--batch-sizes", "1,10", "--max-latency-ms", 60_000,
        "--max-load-ms", 600_000, "--inconclusive", "estimate")  # fmt: skip


def model() -> Any:
    return pickle.loads((TRADING / "model.pkl").read_bytes())


def _cell(column: str, value: Any) -> Callable[[Path], None]:
    """One value of the sample is another."""

    def change(folder: Path) -> None:
        rows = pd.read_csv(folder / "sample.csv")
        rows[column] = rows[column].astype(object)
        rows.loc[3, column] = value
        rows.to_csv(folder / "sample.csv", index=False)

    return change


def _without(column: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        pd.read_csv(folder / "sample.csv").drop(columns=column).to_csv(folder / "sample.csv", index=False)

    return change


def _extra(folder: Path) -> None:
    pd.read_csv(folder / "sample.csv").assign(more=1.0).to_csv(folder / "sample.csv", index=False)


def _bytes(data: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        path = folder / "model.pkl"
        path.write_bytes(data(path.read_bytes()))

    return change


def _older(folder: Path) -> None:
    """The version that scikit-learn wrote into the pickle is exchanged for one of as many letters."""
    import sklearn
    from sklearn.linear_model import LogisticRegression

    rows = pd.read_csv(folder / "sample.csv")
    columns = [name for name in rows if name != "direction"]
    joblib.dump(LogisticRegression().fit(rows[columns].fillna(0), rows["direction"]), folder / "model.pkl")
    now = sklearn.__version__.encode()
    _bytes(lambda data: data.replace(now, (b"0.8" + b".1" * len(now))[: len(now)]))(folder)


def _faulty(name: str) -> Callable[[Path], None]:
    """A class of the user's own around the model, beside a sound ONNX file."""

    def change(folder: Path) -> None:
        import importlib.util
        import sys

        from validator.libraries.convert import convert_trees
        from validator.libraries.export import export
        from validator.libraries.read import read

        shutil.copy(FAULTY, folder)
        spec = importlib.util.spec_from_file_location("faulty_models", FAULTY)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules["faulty_models"] = module
        spec.loader.exec_module(module)
        (folder / "model.pkl").write_bytes(pickle.dumps(getattr(module, name)(model())))
        (folder / "given.onnx").write_bytes(convert_trees(read(*export(model()))).data)
        del sys.modules["faulty_models"]

    return change


def _another_onnx(folder: Path) -> None:
    import lightgbm

    from validator.libraries.convert import convert_trees
    from validator.libraries.export import export
    from validator.libraries.read import read

    rows = pd.read_csv(folder / "sample.csv")
    columns = [name for name in rows if name != "direction"]
    other = lightgbm.LGBMClassifier(n_estimators=3, verbose=-1).fit(rows[columns], 1 - rows["direction"])
    (folder / "given.onnx").write_bytes(convert_trees(read(*export(other))).data)


class _Evil:
    def __reduce__(self) -> Any:
        import os

        return os.system, ("true",)


OWN = ("--allow", "faulty_models.*", "--onnx", "given.onnx")
#: Case -> what is done to the folder, further flags, the check that tells of it (none: the run ends unjudged), and
#: words of the remedy.
CASES: dict[str, tuple[Callable[[Path], None], tuple[object, ...], str, str]] = {
    "infinity in one column": (_cell("momentum_30d", "inf"), (), "load.sample", "allow_infinite = true"),
    "infinity in the last row": (_cell("range_1d", "-inf"), (), "load.sample", "allow_infinite = true"),
    "a truncated pickle": (_bytes(lambda data: data[: len(data) // 2]), (), "load.safety", "save the model"),
    "a pickle that runs a program": (
        _bytes(lambda _: pickle.dumps(_Evil())), (), "load.safety", "do not load it"),
    "a pickle that is no model": (_bytes(lambda _: pickle.dumps({"a": 1})), (), "load.model", "save"),
    "a model of an older library": (_older, (), "load.versions", "requirements"),
    "a true answer of no class": (_cell("direction", 7), (), "quality.limits", "target"),
    "a limit on quality that is not kept": (
        lambda _: None, ("--quality", "auc=0.999"), "quality.limits", "better model"),
    "a limit on a metric that there is not": (
        lambda _: None, ("--quality", "ndcg=0.5"), "quality.limits", "metrics that can be limited"),
    "a latency limit below every runtime": (
        lambda _: None, ("--max-latency-ms", 0.0001), "smoke.latency", "max_latency_ms"),
    "an ONNX file of another model": (_another_onnx, ("--onnx", "given.onnx"), "parity", "ONNX file"),
    "a model that answers NaN": (_faulty("GivesNaN"), OWN, "smoke.finite", "division"),
    "probabilities above one": (_faulty("AboveOne"), OWN, "smoke.range", "probabilities"),
    "a model that answers at random": (_faulty("Random"), OWN, "smoke.repeatable", "randomness"),
    "a model that loses rows": (_faulty("LosesRows"), OWN, "smoke.batch", "one answer for each row"),
    "a class too many": (_faulty("ThirdClass"), OWN, "smoke.shape", "column a class"),
    "a column that is missing": (_without("momentum_30d"), (), "", "columns the model was trained on"),
    "a column too many": (_extra, (), "", "ignore"),
    "text where a number belongs": (_cell("momentum_30d", "high"), (), "", "mend the value"),
    "a true answer that is not there": (_without("direction"), (), "", "target"),
    "no sample at all": (lambda folder: (folder / "sample.csv").unlink(), (), "", "path"),
}  # fmt: skip
QUICK = ("infinity in one column", "a truncated pickle", "text where a number belongs")


@pytest.mark.parametrize(
    "name", [pytest.param(one, marks=() if one in QUICK else pytest.mark.long) for one in CASES]
)
def test_one_cause_is_one_finding(name: str, tmp_path: Path) -> None:
    change, flags, check, remedy = CASES[name]
    shutil.copy(TRADING / "model.pkl", tmp_path)
    rows = pd.read_parquet(TRADING / "sample.parquet").head(200)
    rows.to_csv(tmp_path / "sample.csv", index=False)
    change(tmp_path)
    given = ("model.pkl", "--data", "sample.csv", "--target", "direction", *FAST, *flags)
    found = judge("validate", *given, cwd=tmp_path)
    assert "Traceback" not in found.out + found.err
    if not check:
        lines = [line for line in found.err.splitlines() if not line.endswith(" ...")]
        assert (found.code, len(lines)) == (2, 2), found.err
        assert remedy in lines[1]
        return
    assert found.code == 1, found.err
    assert_counted_once(found.folder, found.out, check, remedy)


def assert_counted_once(folder: Path, terminal: str, check: str, remedy: str) -> None:
    result = GateResult.model_validate_json((folder / "result.json").read_bytes())
    causes = causes_of(result.checks)
    assert causes[0].lead.id.startswith(check)
    assert len(causes) == 1, [(cause.lead.id, cause.lead.runtime, cause.lead.message) for cause in causes]
    assert remedy in causes[0].lead.hint
    assert "1 problem to solve" in terminal
    assert re.search(r"\b1 problem to solve", (folder / "report.md").read_text(encoding="utf-8"))
    assert " more problem" not in headline([result]) + result.reason
    assert [one.level for one in annotations_of([result])].count("error") == 1
    root = ET.fromstring((folder / "junit.xml").read_text(encoding="utf-8"))
    assert int(root.get("failures", "")) + int(root.get("errors", "")) == 1
