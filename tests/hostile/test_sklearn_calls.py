"""Every place where scikit-learn looks up a name that a file could give, or opens a path, was read by somebody."""

from __future__ import annotations

import re
from pathlib import Path

import sklearn
import sklearn_calls as calls

from validator.model.safety import stand_ins, values

_ASKED = re.compile(
    r"self\.(\w+)(?:\[[^]]*\])?\.(?:transform|inverse_transform|apply|predict|predict_proba|decision_function|kneighbors)\("
)


def test_every_site_of_the_installed_version_was_read() -> None:
    found = list(calls.sites(Path(sklearn.__file__).parent))
    assert len(found) > 60
    assert [site for site in found if not calls.reason(site[0])] == []


def test_a_site_that_nobody_read_is_told(tmp_path: Path) -> None:
    package = tmp_path / "sklearn"
    (package / "ensemble").mkdir(parents=True)
    source = "class New:\n    def predict(self, X):\n        return getattr(self.model_, self.way_)(X)\n"
    (package / "ensemble" / "_new.py").write_text(
        source + "def f(self):\n    return getattr(self, 'fixed')\n"
    )
    (site,) = calls.sites(package)
    assert site == ("sklearn.ensemble._new.New.predict", "getattr(self.model_, self.way_)")
    assert not calls.reason(site[0])
    assert calls.reason("sklearn.ensemble._stacking._BaseStacking._transform") == calls.HELD


def test_the_attributes_that_are_looked_up_are_held() -> None:
    """What the sites that are held read: of stacking, chains, thresholds and scorers, text and feature selection."""
    assert {"stack_method_", "chain_method_", "response_method", "_response_method"} <= values.METHOD_NAMES
    assert {"importance_getter", "output_distribution"} <= values.WORDS.keys()
    assert "input" in values.TEXT_WORDS


def test_no_frame_stands_where_an_estimator_is_asked() -> None:
    """Attributes of estimators whose methods scikit-learn calls after fitting, by their names in its sources."""
    sources = [path for path in Path(sklearn.__file__).parent.rglob("*.py") if "tests" not in path.parts]
    asked = {name for path in sources for name in _ASKED.findall(path.read_text(encoding="utf-8"))}
    assert len(asked) > 20
    assert [name for name in sorted(asked) if not stand_ins.ASKED.match(name)] == []
    for kept in (
        "categories",
        "statistics",
        "classes_",
        "feature_names",
        "training_data",
        "columns",
        "sample",
    ):
        assert not stand_ins.ASKED.match(kept)
