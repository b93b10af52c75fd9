"""What a pull request's configuration loosens is told, against its base branch; a policy is never passed."""

from __future__ import annotations

from pathlib import Path

import pytest
from dulwich import porcelain

from validator.cli.gate_changes import changes, hold_to_policy
from validator.cli.targets import targets
from validator.errors import SettingsError
from validator.settings.sources import resolve

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


def test_without_a_base_branch_the_defaults_are_compared_with(repository: Path) -> None:
    assert told(repository, BASE, GITHUB_BASE_REF="") == ()
    assert told(repository, "max_slowdown = 5\n" + BASE, GITHUB_BASE_REF="") == (
        "max_slowdown 5 instead of 0.1",
    )


def test_a_base_that_cannot_be_read_is_said(repository: Path) -> None:
    lines = told(repository, "max_slowdown = 5\n" + BASE, GITHUB_BASE_REF="gone")
    assert any("compared with the defaults" in line for line in lines)


def held(folder: Path, policy: str, text: str = BASE, **environ: str) -> None:
    (folder / "preflight.toml").write_text(text)
    settings = resolve({"policy": policy}, {}, folder)
    hold_to_policy(settings, targets(settings), environ)


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
