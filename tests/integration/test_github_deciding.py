"""Which names decide: compared with what Git itself says of random histories with links, submodules and renames."""

from __future__ import annotations

import hashlib
import os
import shutil
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.integration.github_history import commit, git
from validator.cli.scope import config_paths, deciding_paths, scope_of
from validator.github.changed import ChangedFiles, WatchedModel, as_merged, touched
from validator.github.checkout import DoubtError, open_checkout
from validator.github.deciding import Deciding, Names
from validator.github.event import Target
from validator.settings.table import Settings


def target(head: str) -> Target:
    return Target(
        kind="push",
        event_name="push",
        repository="o/r",
        api_url="https://api.github.com",
        server_url="https://github.com",
        run_id=1,
        run_attempt=1,
        head_sha=head,
    )


@dataclass
class Place:
    """A repository in a workspace, checked out there."""

    workspace: Path
    top: Path

    def names(self, head: str, monkeypatch: pytest.MonkeyPatch, here: str = ".", **given: Any) -> Names:
        one = Settings.model_validate({"model": "models/m.pkl", "data": "models/s.csv", **given})
        monkeypatch.chdir(self.workspace / here)
        try:
            with open_checkout(target(head), {"GITHUB_WORKSPACE": str(self.workspace)}) as checkout:
                paths, modules = deciding_paths(one)
                return Deciding(checkout=checkout).names([*config_paths(one), *paths], modules)
        except DoubtError as error:
            return Names(doubt=str(error))


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return made(tmp_path)


def made(folder: Path, inside: str = ".") -> Place:
    top = folder / "w" / inside
    (top / "models").mkdir(parents=True)
    for name, text in (
        ("models/m.pkl", "1"),
        ("models/s.csv", "a\n"),
        ("README.md", "r"),
        ("other/n.pkl", "2"),
    ):
        (top / name).parent.mkdir(exist_ok=True)
        (top / name).write_text(text)
    git(top, "init", "-q", "-b", "main")
    return Place(folder / "w", top)


def is_judged(names: Names, *changed: str) -> bool:
    model = WatchedModel(path="models/m.pkl", names=names)
    return bool(touched([model], ChangedFiles(paths=frozenset(changed))))


def test_a_plain_checkout(place: Place, monkeypatch: pytest.MonkeyPatch):
    names = place.names(commit(place.top, "a"), monkeypatch)
    assert names.doubt == ""
    assert names.files >= {"models/m.pkl", "models/s.csv", "preflight.toml"}
    assert is_judged(names, "models/s.csv")
    assert not is_judged(names, "README.md", "other/n.pkl", "models/m.pkl.bak")


def test_a_checkout_below_the_workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """`path: src` for actions/checkout: GitHub knows nothing of `src`."""
    place = made(tmp_path, "src")
    names = place.names(
        commit(place.top, "a"), monkeypatch, model="src/models/m.pkl", data="src/models/s.csv"
    )
    assert (names.doubt, "models/m.pkl" in names.files) == ("", True)


def test_links_and_what_they_lead_to(place: Place, monkeypatch: pytest.MonkeyPatch):
    shutil.move(place.top / "models", place.top / "v1")
    (place.top / "models").symlink_to("v1")
    shutil.move(place.top / "v1/s.csv", place.top / "other/real.csv")
    (place.top / "v1/s.csv").symlink_to("../other/real.csv")
    (place.top / "conf").mkdir()
    (place.top / "conf/gate.toml").write_text("")
    (place.top / "preflight.toml").symlink_to("conf/gate.toml")
    names = place.names(commit(place.top, "a"), monkeypatch)
    assert names.doubt == ""
    for name in (
        "models",
        "v1",
        "v1/m.pkl",
        "v1/s.csv",
        "other/real.csv",
        "conf/gate.toml",
        "conf",
        "preflight.toml",
    ):
        assert is_judged(names, name), name
    assert not is_judged(names, "other/n.pkl")


def test_requirements_baselines_and_wrappers(place: Place, monkeypatch: pytest.MonkeyPatch):
    for name, text in (
        ("requirements.txt", "-r base.txt\n"),
        ("base.txt", "-r deep/more.txt\nnumpy\n"),
        ("deep/more.txt", "pandas\n"),
        ("serving/web.py", "import helper\n"),
        ("serving/helper.py", ""),
        ("serving/pkg_v1/__init__.py", ""),
        ("serving/pkg_v1/table.json", "{}"),
    ):
        (place.top / name).parent.mkdir(exist_ok=True)
        (place.top / name).write_text(text)
    (place.top / "serving/pkg").symlink_to("pkg_v1")
    given = {
        "requirements": ("requirements.txt",),
        "baseline": "other/n.pkl",
        "wrapper": "serving/web.py:Web",
        "config": "gate.toml",
        "onnx": "gone.onnx",
    }
    (place.top / "gate.toml").write_text("")
    names = place.names(commit(place.top, "a"), monkeypatch, **given)
    assert names.doubt == ""
    for name in (
        "requirements.txt", "base.txt", "deep/more.txt", "deep", "other/n.pkl", "gate.toml", "gone.onnx",
        "serving/web.py", "serving/helper.py", "serving/removed.py", "serving/pkg", "serving/pkg_v1/table.json",
        "serving",
    ):  # fmt: skip
        assert is_judged(names, name), name
    assert not is_judged(names, "serving/notes.md", "deep/other.txt")


def test_what_the_commit_does_not_hold_is_in_doubt(
    place: Place, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    (place.top / ".gitignore").write_text("made.pkl\n")
    head = commit(place.top, "a")
    (place.top / "made.pkl").write_text("made by an earlier step")
    assert "made.pkl is no part" in place.names(head, monkeypatch, model="made.pkl").doubt
    (tmp_path / "far.pkl").touch()
    assert "outside" in place.names(head, monkeypatch, model=str(tmp_path / "far.pkl")).doubt
    (place.top / "models/s.csv").write_text("rewritten\n")
    assert "models/s.csv is not what" in place.names(head, monkeypatch).doubt
    assert "not a checkout of the commit" in place.names("f" * 40, monkeypatch).doubt
    shutil.rmtree(place.top / ".git")
    assert "no Git repository" in place.names(head, monkeypatch).doubt


def test_a_large_file_is_the_one_that_its_pointer_names(place: Place, monkeypatch: pytest.MonkeyPatch):
    content = b"the model" * 100
    digest = hashlib.sha256(content).hexdigest()
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{digest}\nsize {len(content)}\n"
    (place.top / "models/m.pkl").write_text(pointer)
    head = commit(place.top, "a")
    (place.top / "models/m.pkl").write_bytes(content)
    assert place.names(head, monkeypatch).doubt == ""
    (place.top / "models/m.pkl").write_bytes(content[:-1] + b"x")
    assert "is not what" in place.names(head, monkeypatch).doubt


def test_a_submodule(place: Place, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    inner = made(tmp_path / "inner").top
    commit(inner, "inner")
    git(place.top, "submodule", "add", "-q", str(inner), "sub")
    head = commit(place.top, "a")
    names = place.names(head, monkeypatch, model="sub/models/m.pkl")
    assert (names.doubt, is_judged(names, "sub"), is_judged(names, "README.md")) == ("", True, False)
    git(place.top / "sub", "commit", "-q", "--allow-empty", "-m", "moved on")
    assert "not at the commit" in place.names(head, monkeypatch, model="sub/models/m.pkl").doubt


def test_a_merge_is_a_checkout_of_what_it_merged(place: Place, monkeypatch: pytest.MonkeyPatch):
    commit(place.top, "base")
    git(place.top, "checkout", "-q", "-b", "feature")
    (place.top / "README.md").write_text("new")
    head = commit(place.top, "change")
    git(place.top, "checkout", "-q", "--detach", "main")
    git(place.top, "merge", "-q", "--no-ff", "-m", "merged", "feature")
    assert place.names(head, monkeypatch).doubt == ""


def test_a_merge_may_have_a_change_under_a_name_that_the_base_gave(
    place: Place, monkeypatch: pytest.MonkeyPatch
):
    """The base has moved the models, the pull request replaces one where it was: the merge has it where it is now."""
    (place.top / "models/m.pkl").write_text("a model\n" * 50)
    commit(place.top, "base")
    git(place.top, "checkout", "-q", "-b", "feature")
    (place.top / "models/m.pkl").write_text("a model\n" * 49 + "another\n")
    head = commit(place.top, "change")
    git(place.top, "checkout", "-q", "main")
    git(place.top, "mv", "models", "current")
    commit(place.top, "moved")
    git(place.top, "checkout", "-q", "--detach", "main")
    git(place.top, "merge", "-q", "--no-ff", "-m", "merged", "feature")
    assert (place.top / "current/m.pkl").read_text().endswith("another\n")
    names = place.names(head, monkeypatch, model="current/m.pkl", data="current/s.csv")
    assert (names.doubt, is_judged(names, "models/m.pkl")) == ("", False)  # the list alone does not tell
    listed = frozenset({"models/m.pkl"})
    with open_checkout(target(head), {"GITHUB_WORKSPACE": str(place.workspace)}) as checkout:
        found = as_merged(ChangedFiles(paths=listed, present=listed), checkout)
        assert (found.paths, found.reason) == (None, "the merge that is checked out has no models/m.pkl")
        kept = ChangedFiles(paths=frozenset({"README.md", "gone.txt"}), present=frozenset({"README.md"}))
        assert as_merged(kept, checkout) == kept
        assert checkout.merged_in(["README.md", "gone.txt", "current/s.csv"]) == ""
        assert checkout.merged_in(["README.md", "current/m.pkl"]) == "current/m.pkl"
    one = Settings.model_validate(
        {"model": "current/m.pkl", "data": "current/s.csv", "only_changed": True, "config": "current/m.pkl"}
    )
    around: Any = SimpleNamespace(environ={"GITHUB_WORKSPACE": str(place.workspace)})
    monkeypatch.setattr("validator.github.publication.open_api", lambda *_: nullcontext())
    monkeypatch.setattr("validator.github.changed.why_again", lambda *_: "")
    for changed, judged in ((listed, 1), (frozenset({"README.md"}), 0)):
        found = ChangedFiles(paths=changed, present=changed)
        monkeypatch.setattr("validator.github.changed.changed_files", lambda *_, found=found: found)
        scope = scope_of([one], one, target(head), around)
        assert (len(scope.judged), scope.rules.doubt) == (judged, "the pull request changes current/m.pkl")


# --- random histories ---
FOLDERS = ("a", "b", "c")
FILES = ("m.pkl", "s.csv", "x.txt")
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["write", "link file", "link folder", "move", "remove", "submodule"]),
        st.sampled_from(FOLDERS), st.sampled_from(FILES), st.sampled_from(FOLDERS), st.sampled_from(FILES),
        st.integers(0, 2),
    ),
    min_size=1, max_size=6,
)  # fmt: skip


def apply(top: Path, inner: Path, step: tuple[str, str, str, str, str, int]) -> None:
    """One edit of the work tree; one that is not possible is left out."""
    kind, folder, name, other, named, number = step
    place, source = top / folder / name, top / other / named
    try:
        if kind in ("write", "link file"):
            place.parent.mkdir(exist_ok=True)
            place.unlink(missing_ok=True)
            place.write_text(f"{number}\n") if kind == "write" else place.symlink_to(Path("..", other, named))
        elif kind == "move":
            place.parent.mkdir(exist_ok=True)
            source.rename(place)
        elif kind == "remove":
            place.unlink(missing_ok=True)
        else:
            whole = top / folder
            shutil.rmtree(whole) if whole.is_dir() and not whole.is_symlink() else whole.unlink(
                missing_ok=True
            )
            if kind == "link folder":
                whole.symlink_to(other)
            else:
                shutil.copytree(inner, whole, symlinks=True)
                (whole / "m.pkl").write_text(f"in the submodule {number}\n")
                commit(whole, "inner")
    except OSError:
        return


def content(path: Path) -> bytes | None:
    """What a run would read there, all links followed; None where there is nothing."""
    try:
        return path.read_bytes()
    except OSError:
        return None


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(before=STEPS, after=STEPS)
def test_a_change_of_what_is_read_is_never_skipped(
    tmp_path_factory: pytest.TempPathFactory, before: Any, after: Any
):
    """The bytes that a run reads in a clean checkout of two commits differ: Git lists a name that decides."""
    folder = tmp_path_factory.mktemp("history")
    inner, top = folder / "inner", folder / "w"
    for place in (inner, top):
        place.mkdir()
        git(place, "init", "-q", "-b", "main")
    for name in FILES:
        (inner / name).write_text("inner\n")
    commit(inner, "inner")
    commits, read = [], []
    paths = [f"{one}/{name}" for one in FOLDERS for name in FILES[:2]]
    for steps in ([("write", "a", "m.pkl", "a", "m.pkl", 0), *before], after):
        for step in steps:
            apply(top, inner, step)
        commits.append(commit(top, "change"))
        read.append({path: content(top / path) for path in paths})
    changed = set(git(top, "diff", "--name-only", "--no-renames", "-z", *commits).split("\0")) - {""}
    here = Path.cwd()
    os.chdir(top)
    try:
        with open_checkout(target(commits[1]), {"GITHUB_WORKSPACE": str(top)}) as checkout:
            found = {path: Deciding(checkout=checkout).names([path]) for path in paths}
    finally:
        os.chdir(here)
        shutil.rmtree(folder)
    for path in paths:
        if read[0][path] != read[1][path]:
            assert found[path].doubt or is_judged(found[path], *changed), (path, changed, found[path])
