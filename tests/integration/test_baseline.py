"""A change of one hyper-parameter on the trading example, against its base version in each of its forms."""

from __future__ import annotations

import importlib.util
import pickle
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightgbm as lgb
import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import log_loss, roc_auc_score

from tests.integration.command import TRADING, Ran, judge, unhurried
from tests.unit.baseline.repositories import Repository

MODEL = "models/trading.pkl"
QUICK = ("--latency-budget-s", "0.5", "--boundary-rows", "500")
PULL_REQUEST = {"GITHUB_BASE_REF": "main"}


@dataclass
class Place:
    """A repository whose branch `main` has few leaves a tree, and whose work tree has the example's model."""

    repository: Repository
    past: pd.DataFrame
    sample: pd.DataFrame
    features: list[str]
    base: lgb.LGBMClassifier
    candidate: lgb.LGBMClassifier

    @property
    def folder(self) -> Path:
        return self.repository.folder

    def fit(self, features: list[str], **changed: Any) -> lgb.LGBMClassifier:
        """As `train.py` fits it, with some parameters changed."""
        model = lgb.LGBMClassifier(**{**self.candidate.get_params(), **changed})
        return model.fit(self.past[features], self.past["direction"])

    def validate(self, *arguments: object, out: str, model: str = MODEL, **environ: str) -> Ran:
        return judge("validate", model, *QUICK, "--out", out, *arguments, cwd=self.folder, out=out, **environ)


def example() -> Any:
    spec = importlib.util.spec_from_file_location("trading_train", TRADING / "train.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    train = example()
    table = train.make_features(train.sp500.load())
    found = Place(
        repository=Repository(tmp_path_factory.mktemp("baseline") / "repo"),
        past=table[table.index < train.SPLIT],
        sample=pd.read_parquet(TRADING / "sample.parquet"),
        features=train.FEATURES,
        base=None,  # type: ignore[arg-type]
        candidate=pickle.loads((TRADING / "model.pkl").read_bytes()),
    )
    found.base = found.fit(found.features, num_leaves=7)
    repository = found.repository
    unhurried(found.folder, 'data = "sample.parquet"\ntarget = "direction"\n')
    repository.commit(
        {
            MODEL: pickle.dumps(found.base),
            "sample.parquet": (TRADING / "sample.parquet").read_bytes(),
            "preflight.toml": (found.folder / "preflight.toml").read_bytes(),
        }
    )
    repository.branch("work")
    repository.commit({MODEL: (TRADING / "model.pkl").read_bytes()})
    repository.repo.refs[b"refs/remotes/origin/main"] = repository.repo.refs[b"refs/heads/main"]
    yield found
    repository.close()


@pytest.fixture(scope="module")
def compared(place: Place) -> Ran:
    """On a pull request, with a limit on the loss that this change breaks."""
    return place.validate("--max-quality-loss", "log_loss=0.002", out="compared", **PULL_REQUEST)


def by_hand(place: Place) -> dict[str, Any]:
    """The behaviour diff from the two models themselves."""
    rows = place.sample[place.features]
    new, old = (model.predict_proba(rows)[:, 1] for model in (place.candidate, place.base))
    return {
        "difference": new - old,
        "labels": int((place.candidate.predict(rows) != place.base.predict(rows)).sum()),
        "new": new,
        "old": old,
    }


def check(ran: Ran, id: str) -> dict[str, Any]:
    found: dict[str, Any] = next(one for one in ran.result["checks"] if one["id"] == id)
    return found


def test_behaviour_is_that_of_the_two_models(place, compared):
    expected, change = by_hand(place), compared.result["change"]
    difference = expected["difference"]
    assert change["status"] == "compared"
    assert (change["base"], change["rows"]) == ("origin/main", len(place.sample))
    assert change["label_changes"] == expected["labels"] > 0
    assert change["score_changes"] == (difference != 0).sum()
    assert change["score"] == "probability of 1"
    quantiles = change["score_quantiles"]
    for name, share in {
        "min": 0,
        "p1": 0.01,
        "p5": 0.05,
        "p50": 0.5,
        "p95": 0.95,
        "p99": 0.99,
        "max": 1,
    }.items():
        assert quantiles[name] == pytest.approx(np.quantile(difference, share), abs=1e-9)
    assert quantiles["mean"] == pytest.approx(difference.mean(), abs=1e-9)
    worst = np.argsort(-np.abs(difference))[:5]
    assert [row["row"] for row in change["worst_rows"]] == worst.tolist()
    for row in change["worst_rows"]:
        assert row["base"] == pytest.approx(expected["old"][row["row"]], abs=1e-9)
        assert row["candidate"] == pytest.approx(expected["new"][row["row"]], abs=1e-9)


def test_quality_is_that_of_the_two_models_and_its_loss_fails(place, compared):
    expected, truth = by_hand(place), place.sample["direction"]
    quality = {one["name"]: one for one in compared.result["quality"]}
    for name, metric in {"auc": roc_auc_score, "log_loss": log_loss}.items():
        assert quality[name]["value"] == pytest.approx(metric(truth, expected["new"]))
        assert quality[name]["base"] == pytest.approx(metric(truth, expected["old"]))
        assert quality[name]["difference_low"] < quality[name]["difference_high"]
    assert compared.code == 1
    assert compared.failing() == {"quality.base"}
    found = check(compared, "quality.base")
    assert "log_loss" in found["message"]
    assert "0.002 is allowed" in found["message"]


def test_contract_and_costs(place, compared):
    change = compared.result["change"]
    assert change["contract_changes"] == []
    base_bytes = len(pickle.dumps(place.base))
    assert change["costs"]["model file, bytes"] == [base_bytes, (TRADING / "model.pkl").stat().st_size]
    sizes = change["costs"]["ONNX file, bytes"]
    assert sizes[0] < sizes[1] == compared.result["conversion"]["onnx_bytes"]
    for name in ("one row on ONNX, median ms", "loading ONNX, ms", "memory after loading, bytes"):
        assert all(value > 0 for value in change["costs"][name])
    assert compared.result["latency"]["against_base"]["value"] > 0
    assert check(compared, "latency.base")["status"] in ("pass", "warn")


def test_the_report_says_it_before_the_checklist(compared):
    report = (compared.folder / "report.md").read_text()
    assert 0 < report.index("### Change against `origin/main`") < report.index("### Checklist")
    assert "rows get another label" in report
    stable = next((compared.folder / "artifact").glob("*/*/report.md")).read_text()
    assert "### Change against" in stable
    assert "median ms" not in stable


@pytest.fixture(scope="module")
def turned(place: Place, compared: Ran) -> Ran:
    """The base's model judged against the result that the other one left."""
    (place.folder / "few.pkl").write_bytes(pickle.dumps(place.base))
    return place.validate("--baseline", compared.folder / "result.json", out="turned", model="few.pkl")


def test_a_result_json_gives_the_same_diff_the_other_way_round(compared, turned):
    forth, back = compared.result["change"], turned.result["change"]
    assert turned.code == 0, turned.err
    assert back["status"] == "compared"
    assert back["base_version"] == compared.result["version"]
    assert back["label_changes"] == forth["label_changes"]
    assert back["score_quantiles"]["max"] == pytest.approx(-forth["score_quantiles"]["min"], abs=1e-9)
    assert [row["row"] for row in back["worst_rows"]] == [row["row"] for row in forth["worst_rows"]]
    assert check(turned, "quality.base")["status"] in ("pass", "warn")


@pytest.mark.parametrize("baseline", ["nosuch", "/no/such.pkl", "sample.parquet"])
def test_what_was_asked_for_and_is_not_there_is_an_error(place, baseline):
    ran = place.validate("--baseline", baseline, out="unread")
    assert ran.code == 2
    assert baseline in ran.err
    assert "hint:" in ran.err
    assert "Traceback" not in ran.err


@pytest.mark.long
class TestMore:
    """The other forms of a base version; each a whole run."""

    def test_an_artifact_folder_is_the_same_as_its_result(self, place, compared, turned):
        artifact = next((compared.folder / "artifact").glob("*/*"))
        ran = place.validate("--baseline", artifact, out="artifact", model="few.pkl")
        assert ran.result["change"]["score_quantiles"] == turned.result["change"]["score_quantiles"]

    def test_a_model_file_is_the_same_as_its_commit(self, place, compared):
        path = place.folder / "few.pkl"
        path.write_bytes(pickle.dumps(place.base))
        ran = place.validate("--baseline", path, out="file")
        assert ran.code == 0, ran.err
        for name in ("label_changes", "score_quantiles", "worst_rows"):
            assert ran.result["change"][name] == compared.result["change"][name]

    def test_the_same_file_is_stated_and_nothing_is_measured_twice(self, place):
        ran = place.validate("--baseline", "HEAD", out="same")
        assert ran.code == 0, ran.err
        assert ran.result["change"]["status"] == "identical"
        assert "same file" in (ran.folder / "report.md").read_text()
        for id in ("quality.base", "latency.base"):
            assert (check(ran, id)["status"], check(ran, id)["required"]) == ("skip", False)

    def test_a_removed_feature_that_the_sample_still_has(self, place):
        kept = place.features[:-1]
        (place.folder / "nine.pkl").write_bytes(pickle.dumps(place.fit(kept)))
        (place.folder / "ten.pkl").write_bytes(pickle.dumps(place.candidate))
        ran = place.validate(
            "--baseline", "ten.pkl", "--ignore", place.features[-1], out="nine", model="nine.pkl"
        )
        assert ran.code == 0, ran.err
        change = ran.result["change"]
        assert change["contract_changes"] == [f"feature `{place.features[-1]}` is gone"]
        assert change["status"] == "compared"
        assert change["rows"] == len(place.sample)

    def test_a_removed_feature_that_the_sample_has_no_more(self, place):
        kept = place.features[:-1]
        (place.folder / "nine.pkl").write_bytes(pickle.dumps(place.fit(kept)))
        (place.folder / "ten.pkl").write_bytes(pickle.dumps(place.candidate))
        place.sample[[*kept, "direction"]].to_parquet(place.folder / "narrow.parquet")
        arguments = ("--baseline", "ten.pkl", "--data", "narrow.parquet")
        ran = place.validate(*arguments, out="narrow", model="nine.pkl")
        assert ran.code == 0, ran.err
        change = ran.result["change"]
        assert change["status"] == "unavailable"
        assert change["contract_changes"] == [f"feature `{place.features[-1]}` is gone"]
        assert check(ran, "quality.base")["status"] == "warn"
        limited = place.validate(*arguments, "--max-quality-loss", "auc=0.1", out="narrow2", model="nine.pkl")
        assert "quality.base" in limited.failing()

    def test_a_hostile_base_is_refused_and_the_candidate_judged_all_the_same(self, place):
        (place.folder / "evil.pkl").write_bytes(b"cposix\nsystem\n(S'touch /tmp/owned'\ntR.")
        ran = place.validate("--baseline", "evil.pkl", out="evil")
        assert ran.code == 0, ran.err
        assert ran.result["change"]["status"] == "unavailable"
        assert check(ran, "quality.base")["status"] == "warn"
        assert "refused" in ran.result["change"]["reason"]

    def test_a_shallow_clone_of_a_pull_request_is_told_of_with_the_remedy(self, place):
        clone = place.repository.shallow_clone(place.folder.parent / "clone", "work")
        ran = judge("validate", MODEL, *QUICK, cwd=clone, **PULL_REQUEST)
        assert ran.code == 0, ran.err
        change = ran.result["change"]
        assert change["status"] == "unavailable"
        assert "fetch-depth" in change["reason"]
        assert "fetch-depth" in (ran.folder / "report.md").read_text()
