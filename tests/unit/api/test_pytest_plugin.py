"""The fixture and the marker, in a pytest of a user's: what they hand on, what fails a test, what is kept."""

from __future__ import annotations

from importlib.metadata import entry_points
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

import validator.api.validate
from validator import Validation
from validator.errors import UsageError
from validator.results import GateResult

pytest_plugins = ["pytester"]
INPUTS = Path(__file__).parents[2] / "golden" / "inputs"
#: In a checkout that was installed before the plugin was there, pytest does not find it by itself.
FOUND = any(point.name == "preflight" for point in entry_points(group="pytest11"))


@pytest.fixture
def run(pytester, monkeypatch):
    """Runs a test file with a gate that judges by the model's name; `run.calls` are what it was asked."""

    def judge(model, data=None, **settings):
        run.calls.append((str(model), data, settings))
        name = Path(model).stem
        if name == "absent":
            raise UsageError("there is no absent.pkl", hint="check the path")
        result = GateResult.model_validate_json((INPUTS / f"{name}.json").read_text())
        return Validation(result=result, out=Path(settings["out"]))

    def run(source, *arguments):
        run.calls = []
        pytester.makepyfile("import pytest\n" + source)
        plugin = () if FOUND else ("-p", "validator.api.pytest_plugin")
        return pytester.runpytest_inprocess(*plugin, "-p", "no:cacheprovider", "--strict-markers", *arguments)

    monkeypatch.setattr(validator.api.validate, "validate", judge)
    run.folder = pytester.path
    return run


def test_the_fixture_judges_and_the_test_decides(run):
    found = run(
        """
def test_it(preflight):
    assert preflight("pass.pkl", "s.csv", target="y")
    assert not preflight("blocked.pkl")
def test_other(preflight):
    assert preflight("blocked.pkl"), "not this one"
"""
    )
    found.assert_outcomes(passed=1, failed=1)
    (model, data, settings), again, _ = run.calls
    assert (model, data) == (str(run.folder / "pass.pkl"), str(run.folder / "s.csv"))
    assert settings["target"] == "y"
    assert settings["out"] != again[2]["out"], "each has a folder of its own"


def test_a_failing_model_is_named_with_its_hint_and_shown_as_on_a_terminal(run):
    found = run("def test_it(preflight):\n    preflight('blocked.pkl').raise_for_failure()\n")
    found.assert_outcomes(failed=1)
    text = found.stdout.str()
    assert "NotFitToShipError" in text
    assert "hint:" in text
    assert "Checklist" in text
    assert "validation.py" not in text, "the traceback ends in the user's line"


@pytest.mark.parametrize(
    ("name", "outcome"), [("pass", "passed"), ("blocked", "failed"), ("stopped", "failed")]
)
def test_a_marked_test_fails_unless_its_model_passes(run, name, outcome):
    found = run(
        f"@pytest.mark.preflight('{name}.pkl', 's.csv', max_latency_ms=20)\ndef test_it():\n    print('ran')\n"
    )
    found.assert_outcomes(**{outcome: 1})
    assert run.calls[0][:2] == (str(run.folder / f"{name}.pkl"), str(run.folder / "s.csv"))
    assert run.calls[0][2]["max_latency_ms"] == 20


def test_a_marked_test_that_asks_for_the_fixture_judges_once_and_when_it_wants(run):
    found = run(
        """
@pytest.mark.preflight("blocked.pkl", target="a", max_load_ms=9)
class TestIt:
    @pytest.mark.preflight("pass.pkl", target="b")
    def test_it(self, preflight):
        assert preflight(target="c")
"""
    )
    found.assert_outcomes(passed=1)
    ((model, _, settings),) = run.calls
    assert model == str(run.folder / "pass.pkl")
    assert (settings["target"], settings["max_load_ms"]) == ("c", 9)


def test_what_cannot_be_judged_fails_the_test(run):
    found = run("@pytest.mark.preflight('absent.pkl')\ndef test_it():\n    pass\n")
    found.assert_outcomes(failed=1)
    found.stdout.fnmatch_lines(["*no verdict: there is no absent.pkl*", "*hint: check the path*"])


def test_a_marker_without_a_model_is_no_pass(run):
    assert run("@pytest.mark.preflight(target='y')\ndef test_it():\n    pass\n").ret != 0
    assert run("@pytest.mark.preflight('a', 'b', 'c')\ndef test_it():\n    pass\n").ret != 0


def test_results_are_kept_where_the_option_says_and_versions_stand_in_the_junit_file(run):
    found = run(
        "@pytest.mark.parametrize('x', ['a/b', '..'])\n@pytest.mark.preflight('pass.pkl')\n"
        "def test_it(x):\n    pass\n",
        "--preflight-out=kept",
        "--junit-xml=junit.xml",
    )
    found.assert_outcomes(passed=2)
    outs = [Path(settings["out"]) for _, _, settings in run.calls]
    assert len(set(outs)) == 2
    for out in outs:
        assert out.parent.parent == run.folder / "kept"
    properties = ET.parse(run.folder / "junit.xml").findall(".//property")
    assert [one.get("value") for one in properties if one.get("name") == "preflight_verdict"] == ["pass"] * 2
