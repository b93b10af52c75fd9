"""Paths in a checked-out file stay in the checkout; nothing of another file is shown."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest

from validator.environments import requirements
from validator.errors import SettingsError, UsageError
from validator.settings.checkout import refuse_links
from validator.settings.sources import resolve, salvage


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout beside a secret, with links to it."""
    (tmp_path / "secret.txt").write_text("password = hunter2\n")
    root = tmp_path / "work"
    (root / ".git").mkdir(parents=True)
    (root / ".git" / "config").write_text("token = hunter2\n")
    (root / "models").mkdir()
    (root / "models" / "m.pkl").write_bytes(b"x")
    (root / "link.txt").symlink_to(tmp_path / "secret.txt")
    (root / "folder").symlink_to(tmp_path)
    monkeypatch.chdir(root)
    return root


def job(root: Path) -> dict[str, str]:
    return {
        "GITHUB_ACTIONS": "true",
        "CI": "true",
        "GITHUB_WORKSPACE": str(root),
        "GITHUB_EVENT_NAME": "pull_request",
    }


LEADS_OUT = [
    'requirements = "../secret.txt"', 'requirements = "link.txt"', 'requirements = ["folder/secret.txt"]',
    'requirements = "/proc/self/environ"', 'requirements = ".git/config"', 'data = "../secret.txt"',
    'data = "link.txt"', 'data = "/proc/self/environ"', 'onnx = "folder/x.onnx"', 'out = "../x"', 'out = "folder/x"',
    'model = "../m.pkl"', 'model = ["models/m.pkl", "folder/*.pkl"]', 'baseline = "../other"',
    'baseline = "link.txt"', 'reference = "link.txt"', 'reference = "/proc/self/environ"',
    'baseline = "folder:champion"', 'baseline = "oci:folder:v1"', f'baseline = "folder@sha256:{"0" * 64}"',
    'wrapper = "../serve.py:Model"', 'wrapper = "mlflow:folder"',
    '[[models]]\nmodel = "models/m.pkl"\ndata = "link.txt"',
    '[[models]]\nmodel = "models/m.pkl"\nreference = "folder/secret.txt"',
    '[[models]]\nmodel = "models/m.pkl"\nrequirements = ".git/config"',
    'requirements = ".GIT/config"', 'data = "models/../.Git/config"', 'reference = "GIT~1/config"',
]  # fmt: skip


@pytest.mark.parametrize("text", LEADS_OUT)
def test_a_path_that_leads_out_is_refused_by_name_and_nothing_is_quoted(checkout: Path, text: str) -> None:
    (checkout / "preflight.toml").write_text(text)
    with pytest.raises(SettingsError, match=r"checkout|Git's own folder") as refused:
        resolve({}, job(checkout), checkout)
    assert "hunter2" not in str(refused.value)
    if "out" in text.partition("=")[0]:
        assert salvage({}, job(checkout), checkout).out == Path("preflight")


@pytest.mark.parametrize(
    "name", ["data", "reference", "onnx", "out", "model", "wrapper", "requirements", "baseline"]
)
@pytest.mark.parametrize("path", ["a\\u0000b", "../secret.txt\\u0000.csv", "x" * 300, "../" + "x" * 5_000])
def test_what_can_be_no_path_is_no_error_of_the_program(checkout: Path, name: str, path: str) -> None:
    for text in (
        f'{name} = "{path}"',
        f'{name} = "oci:{path}"',
        f'{name} = "mlflow:{path}"',
        f'{name} = "{path}.py:M"',
    ):
        (checkout / "preflight.toml").write_text(text)
        for environ in (job(checkout), {}):
            with suppress(SettingsError):
                resolve({}, environ, checkout)
    with suppress(UsageError):
        requirements.read([path.replace("\\u0000", "\0")])


STAYS = [
    'model = "models/*.pkl"', 'data = "models/m.pkl"', 'out = "results/here"',
    'requirements = ["numpy==2.0", "a>1,<2"]',
    'baseline = "origin/main"', 'baseline = "none"', 'baseline = "models:champion"', 'baseline = "oci:models"',
    'wrapper = "package.module:Model"',
]  # fmt: skip


@pytest.mark.parametrize("text", STAYS)
def test_a_path_inside_is_taken(checkout: Path, text: str) -> None:
    (checkout / "preflight.toml").write_text(text)
    resolve({}, job(checkout), checkout)


def test_flags_and_inputs_may_lead_anywhere(checkout: Path) -> None:
    given = resolve({"data": "../secret.txt"}, job(checkout), checkout)
    assert given.data == "../secret.txt"


def test_on_a_machine_of_ones_own_a_file_may_lead_anywhere(checkout: Path) -> None:
    (checkout / "preflight.toml").write_text('data = "../secret.txt"')
    assert resolve({}, {}, checkout).data == "../secret.txt"


def test_a_configuration_that_is_a_link_is_refused(checkout: Path) -> None:
    (checkout / "preflight.toml").symlink_to(checkout.parent / "secret.txt")
    with pytest.raises(SettingsError, match="leads out of the checkout"):
        resolve({}, job(checkout), checkout)


def test_requirements_through_a_link_are_not_read_whoever_names_them(checkout: Path) -> None:
    with pytest.raises(UsageError, match="link that leads out") as refused:
        requirements.read(["link.txt"])
    assert "hunter2" not in str(refused.value)


def test_results_are_not_written_through_a_link(checkout: Path) -> None:
    (checkout / "preflight").symlink_to(checkout / "models")
    for out in ("preflight", "preflight/below", "folder/x", "."):
        with pytest.raises(UsageError):
            refuse_links(Path(out), checkout)
    refuse_links(Path("results"), checkout)


@pytest.mark.parametrize("name", ["status_context", "instance_key", "policy", "waiver_days", "github_token"])
def test_what_is_the_workflows_alone_is_refused_in_a_file(checkout: Path, name: str) -> None:
    (checkout / "preflight.toml").write_text(f"{name} = 5" if name == "waiver_days" else f'{name} = "x"')
    with pytest.raises(SettingsError, match=f"may not set '{name}'"):
        resolve({}, {}, checkout)
    given = {"INPUT_STATUS-CONTEXT": "mine", "INPUT_WAIVER-DAYS": "30", **job(checkout)}
    (checkout / "preflight.toml").unlink()
    assert resolve({}, given, checkout).waiver_days == 30


@pytest.mark.parametrize("name", ["worker_timeout_s", "latency_budget_s", "worker_memory_mb"])
def test_a_limit_beyond_reason_is_a_named_error(checkout: Path, name: str) -> None:
    (checkout / "preflight.toml").write_text(f"{name} = 1_000_000_000")
    with pytest.raises(SettingsError, match=name):
        resolve({}, {}, checkout)
