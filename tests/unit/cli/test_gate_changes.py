"""What a pull request's configuration loosens is told, against its base branch; a policy is never passed."""

from __future__ import annotations

from pathlib import Path

import pytest
from dulwich import porcelain

from validator.cli.gate_changes import changes, hold_to_policy
from validator.cli.targets import targets
from validator.errors import SettingsError
from validator.gate.strictness import _OTHER, COMPARED
from validator.settings.sources import resolve
from validator.settings.table import NOT_FROM_FILE, Settings

BASE = 'model = "m.pkl"\nmax_latency_ms = 20\ntarget = "y"\n[quality]\nauc = 0.8\nrmse = 1.0\n'


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout of a pull request whose base branch has BASE."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "m.pkl").write_bytes(b"x")
    (tmp_path / "preflight.toml").write_text(BASE)
    (tmp_path / "policy.toml").write_text("max_latency_ms = 50\n")
    found = porcelain.init(str(tmp_path))
    porcelain.add(
        str(tmp_path), [str(tmp_path / name) for name in ("m.pkl", "preflight.toml", "policy.toml")]
    )
    head = porcelain.commit(str(tmp_path), message=b"base", author=b"a <a@b>", committer=b"a <a@b>")
    found.refs[b"refs/remotes/origin/main"] = head
    found.close()
    return tmp_path


def told(folder: Path, text: str, **environ: str) -> tuple[str, ...]:
    (folder / "preflight.toml").write_text(text)
    variables = {"GITHUB_BASE_REF": "main", **environ}
    models = targets(resolve({}, variables, folder))
    return changes(models, {}, variables, folder)["m.pkl"]


def test_an_unchanged_configuration_loosens_nothing(repository: Path) -> None:
    assert told(repository, BASE) == ()


def test_a_stricter_one_loosens_nothing(repository: Path) -> None:
    stricter = BASE.replace("20", "10").replace("0.8", "0.9").replace("1.0", "0.5")
    assert told(repository, f"tolerance = 1e-9\n{stricter}") == ()


LOOSENED = [
    (BASE.replace("20", "200"), "max_latency_ms 200 instead of 20"),
    (BASE.replace("max_latency_ms = 20\n", ""), "max_latency_ms 50 instead of 20"),
    ("tolerance = 1e9\n" + BASE, "tolerance 1e+09"),
    (BASE.replace("0.8", "0.5"), "quality of auc 0.5 instead of 0.8"),
    (BASE.replace("1.0", "9.0"), "quality of rmse 9 instead of 1"),
    (BASE.replace("auc = 0.8\n", ""), "quality of auc is gone"),
    (BASE.replace('target = "y"\n', ""), "target is gone"),
    ('baseline = "none"\n' + BASE, "baseline none"),
    ("boundary_rows = 100\n" + BASE, "boundary_rows 100"),
    ("sample_rows = 10\n" + BASE, "sample_rows 10"),
    ("tolerance = 1e-5\n" + BASE, "tolerance 1e-05 instead of the default by model kind"),
    ('baseline = "HEAD"\n' + BASE, "compared with HEAD instead of the base branch"),
    ('wrapper_differs = "warn"\n' + BASE, "wrapper_differs warn"),
    ("latency_budget_s = 0.1\n" + BASE, "latency_budget_s 0.1"),
    ("batch_sizes = [1]\n" + BASE, "batch_sizes without 100, 10000"),
    ("worker_timeout_s = 80000\n" + BASE, "worker_timeout_s 80000"),
    (BASE + "[contract]\nallow_infinite = true\n", "contract: infinite features"),
    ('isolation = "reduced"\n' + BASE, "isolation reduced"),
    ('inconclusive = "warn"\n' + BASE, "inconclusive warn"),
    ('trust_pickle = "it is mine"\n' + BASE, "trust_pickle"),
    ('allow = ["mine.*"]\n' + BASE, "allow takes mine.*"),
    ("comment = false\n" + BASE, "comment is off"),
    ('onnx = "other.onnx"\n' + BASE, "onnx is given"),
    ('[[waivers]]\ncheck = "smoke.nan"\nreason = "because of that"\nexpires = 2030-01-01\n'.join(["", ""]) + BASE,
     "smoke.nan waived until 2030-01-01"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "said"), LOOSENED, ids=[said for _, said in LOOSENED])
def test_what_is_loosened_is_told(repository: Path, text: str, said: str) -> None:
    if text.startswith("[[waivers]]"):
        waiver, _, rest = text.partition("model =")
        text = f"model ={rest}{waiver}"
    assert any(said in line for line in told(repository, text)), told(repository, text)


STRICT = (
    BASE.replace(
        "model =",
        'quality_chance = "fail"\nprofile_drift = "fail"\ntolerance = 1e-9\nrequire_publish = true\nmodel =',
    )
    + """[contract]
output_maximum = 10
[[contract.features]]
name = "a"
minimum = 0
maximum = 9
[[contract.features]]
name = "b"
categories = ["x", "y"]
"""
)
LOOSENED_STRICT = [
    (STRICT.replace('quality_chance = "fail"\n', ""), "quality_chance warn instead of fail"),
    (STRICT.replace('profile_drift = "fail"\n', ""), "profile_drift warn instead of fail"),
    (STRICT.replace("tolerance = 1e-9\n", ""), "tolerance is the default by model kind instead of 1e-09"),
    (STRICT.replace("require_publish = true\n", ""), "require_publish is off"),
    (STRICT.replace("output_maximum = 10\n", ""), "contract: outputs up to none instead of 10"),
    (STRICT.replace("minimum = 0", "minimum = -5"), "contract: a from -5 instead of 0"),
    (STRICT.replace("maximum = 9\n", "maximum = 9\nmissing = true\n"), "contract: missing values of a"),
    (STRICT.replace('["x", "y"]', '["x", "y", "z"]'), "contract: b takes further categories"),
    (STRICT.replace('name = "a"', 'name = "c"'), "contract: a is not fixed any more"),
]


@pytest.mark.parametrize(("text", "said"), LOOSENED_STRICT, ids=[said for _, said in LOOSENED_STRICT])
def test_what_a_strict_base_branch_fixed_is_not_loosened_quietly(
    repository: Path, text: str, said: str
) -> None:
    base(repository, {"preflight.toml": STRICT})
    assert told(repository, STRICT) == ()
    assert any(said in line for line in told(repository, text)), told(repository, text)


def base(folder: Path, files: dict[str, str]) -> None:
    """What the base branch has besides; of its own configuration only what is named here."""
    (folder / "preflight.toml").unlink()
    for name, text in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    porcelain.add(str(folder), [str(folder / name) for name in {"preflight.toml", *files}])
    head = porcelain.commit(str(folder), message=b"more", author=b"a <a@b>", committer=b"a <a@b>")
    with porcelain.open_repo_closing(str(folder)) as found:
        found.refs[b"refs/remotes/origin/main"] = head


@pytest.mark.parametrize("place", ["models/preflight.toml", "models/pyproject.toml", "pyproject.toml"])
def test_a_new_file_before_the_base_branchs_hides_nothing(repository: Path, place: str) -> None:
    text = BASE.replace("m.pkl", "models/m.pkl" if "/" not in place else "m.pkl")
    if place.endswith("pyproject.toml"):
        text = "[tool.model-preflight]\n" + text.replace("[quality]", "[tool.model-preflight.quality]")
    base(repository, {place: text, "models/m.pkl": "x"})
    (repository / "preflight.toml").write_text("max_latency_ms = 500\n")
    variables = {"GITHUB_BASE_REF": "main"}
    flags = {"model": "models/m.pkl"}
    models = targets(resolve(flags, variables, repository))
    lines = changes(models, flags, variables, repository)["models/m.pkl"]
    assert "max_latency_ms 500 instead of 20" in lines
    assert any("quality of auc is gone" in line for line in lines)


def test_a_deleted_file_is_still_the_base_branchs(repository: Path) -> None:
    """What stood behind it and counted for nothing is in force now, and is not what it is compared with."""
    loose = "[tool.model-preflight]\nmodel = 'm.pkl'\nmax_latency_ms = 900\n"
    base(repository, {"preflight.toml": BASE, "pyproject.toml": loose})
    (repository / "preflight.toml").unlink()
    variables = {"GITHUB_BASE_REF": "main"}
    models = targets(resolve({}, variables, repository))
    assert "max_latency_ms 900 instead of 20" in changes(models, {}, variables, repository)["m.pkl"]


def test_a_model_that_is_judged_no_longer_is_told(repository: Path) -> None:
    (repository / "n.pkl").write_bytes(b"y")
    base(repository, {"preflight.toml": BASE.replace('"m.pkl"', '["m.pkl", "n.pkl"]'), "n.pkl": "y"})
    assert "n.pkl is judged no longer" in told(repository, BASE)


#: Settings that make no verdict milder, or that no file can set.
NEUTRAL = NOT_FROM_FILE | {"model", "models", "out", "max_minutes", "quiet", "json_output"}


def test_every_setting_is_compared_or_known_to_be_harmless() -> None:
    assert set(Settings.model_fields) - COMPARED - set(_OTHER) == NEUTRAL


def test_without_a_base_branch_the_defaults_are_compared_with(repository: Path) -> None:
    assert told(repository, BASE, GITHUB_BASE_REF="") == ()
    assert told(repository, "max_slowdown = 5\n" + BASE, GITHUB_BASE_REF="") == (
        "max_slowdown 5 instead of 0.1",
    )


def test_a_base_that_cannot_be_read_is_said(repository: Path) -> None:
    lines = told(repository, "max_slowdown = 5\n" + BASE, GITHUB_BASE_REF="gone")
    assert any("compared with the defaults" in line for line in lines)


def held(folder: Path, policy: str, text: str = BASE, **environ: str) -> Settings:
    (folder / "preflight.toml").write_text(text)
    settings = resolve({"policy": policy}, {}, folder)
    (one,) = hold_to_policy(settings, targets(settings), environ)
    return one


def test_a_policy_is_not_passed(repository: Path) -> None:
    held(repository, "max_latency_ms = 50\n")
    held(repository, "tolerance = 1e-5\n")
    for policy, text in (
        ("max_latency_ms = 10\n", BASE),
        ("tolerance = 1e-5\n", "tolerance = 1e-3\n" + BASE),
        ("quality = {auc = 0.9}\n", BASE),
        ("min_rows = 100\n", BASE),
        ("trust_pickle = false\n", 'trust_pickle = "mine"\n' + BASE),
        ("allow = []\n", 'allow = ["mine.*"]\n' + BASE),
    ):
        with pytest.raises(SettingsError, match="passes the policy"):
            held(repository, policy, text)


def test_a_policys_tolerance_bounds_the_defaults_too(repository: Path) -> None:
    one = held(repository, "tolerance = 1e-7\n")
    assert one.tolerance is None  # what is set is not loosened to it
    assert one.most_tolerance == one.model_copy(update={"onnx": None}).most_tolerance == 1e-7
    assert held(repository, "max_latency_ms = 50\n").most_tolerance is None
    with pytest.raises(SettingsError, match="most_tolerance"):
        held(repository, "tolerance = 1e-7\n", "most_tolerance = 1.0\n" + BASE)


def test_an_unknown_bound_is_refused(repository: Path) -> None:
    with pytest.raises(SettingsError, match="no bound named 'max_latncy_ms'"):
        held(repository, "max_latncy_ms = 5\n")


def test_on_a_pull_request_the_policy_is_the_base_branchs(repository: Path) -> None:
    variables = {
        "GITHUB_BASE_REF": "main", "GITHUB_EVENT_NAME": "pull_request", "GITHUB_ACTIONS": "true",
        "GITHUB_WORKSPACE": str(repository),
    }  # fmt: skip
    (repository / "policy.toml").write_text("max_latency_ms = 5000\n")
    held(repository, "policy.toml", BASE, **variables)
    with pytest.raises(SettingsError, match="max_latency_ms 200 instead of 50"):
        held(repository, "policy.toml", BASE.replace("20", "200"), **variables)
