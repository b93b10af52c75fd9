"""`test REF`: a published artifact that works passes, and each way of being broken fails the check that is for it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tests.rollout.site import until
from tests.unit.integration.test_following import is_there
from tests.unit.serving.conftest import NAMES, WEIGHTS, contract_of, features, logistic_graph, result_of
from validator.artifact.write import write_artifact
from validator.cli.main import main
from validator.errors import UsageError
from validator.integration import report as view
from validator.integration.rehearsal import TOOLS, missing_tools, stand_in
from validator.integration.run import Parts, TestReport, Tried, run
from validator.serving import Deployment

BROKEN = str(Path(__file__).with_name("broken_server.py"))
ROWS = [dict(zip(NAMES, values, strict=True)) for values in ([0.1, -0.5, 2.0, 0.25], [1.0, 2.0, 0.0, -1.0])]


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An artifact with golden requests, as the gate writes it."""
    folder = tmp_path_factory.mktemp("published")
    contract = contract_of(features(*NAMES))
    document = json.loads(contract.model_dump_json()) | {"schema_version": 1}
    answers = Deployment.for_validation(onnx=logistic_graph(), contract=document).predict_batch(ROWS)
    golden = {
        "schema_version": 1,
        "rows": ROWS,
        "answers": {"label": answers.label.tolist(), "probabilities": answers.probabilities.tolist()},
    }
    written = write_artifact(
        folder,
        result=result_of(contract),
        onnx=logistic_graph(),
        report_md="# R\n",
        golden=json.dumps(golden).encode(),
    )
    assert len(WEIGHTS) == len(NAMES)
    return Path(written.path)


def tried(artifact: Path, fault: str = "", **changes: object) -> TestReport:
    serve = (sys.executable, BROKEN, fault) if fault else Parts().serve
    return run(str(artifact), Parts(**({"serve": serve, "rehearse": False} | changes)), lambda _: None)


def failed(report: TestReport) -> list[str]:
    return [one.id for one in report.tried if one.status == "fail"]


def test_what_works_passes_and_says_what_was_not_tried(
    artifact: Path, tmp_path: Path, capsys, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["test", str(artifact), "--no-rehearsal"]) == 0
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 80
    assert "works as published: 8 passed, 0 failed, 2 not tried" in " ".join(out.split())
    assert "left out by --no-rehearsal" in out
    document = json.loads((tmp_path / "preflight-test" / "test.json").read_text())
    assert document["verdict"] == "pass"
    assert document["version"] == artifact.name
    suite = ET.parse(tmp_path / "preflight-test" / "junit.xml").getroot()[0]
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("10", "0", "2")
    assert "| ✓ | Golden requests" in (tmp_path / "preflight-test" / "test.md").read_text()


@pytest.mark.parametrize(
    ("fault", "named", "told"),
    [
        ("another_version", "server.version", "names version 'v_20200101T000000Z_00000000'"),
        ("another_answer", "answers.golden", "is answered with label 0, not 1"),
        ("takes_anything", "answers.refusals", "is answered with 200, not refused"),
        ("mixed_up_callers", "answers.concurrency", "callers at once: golden request"),
        ("uncounted_refusals", "server.metrics", "10 requests were refused, the server has counted 0"),
        ("dies_at_once", "server.drain", "requests were lost"),
        ("never_ready", "server.start", "no memory"),
    ],
)
def test_each_fault_fails_the_check_that_is_for_it(artifact: Path, fault: str, named: str, told: str) -> None:
    """That check, by what the fault does; every other one passes, so that nothing but the fault was found."""
    report = tried(artifact, fault)
    assert report.verdict == "fail"
    found = next(one for one in report.tried if one.status == "fail")
    assert found.id == named
    assert told in found.message
    # A label that is turned round is wrong whoever asks for it.
    also = {"answers.concurrency", "server.drain"} if fault == "another_answer" else set()
    # Answers are compared while the server ends, too: now and then one of those is another caller's.
    also |= {"server.drain"} & set(failed(report)) if fault == "mixed_up_callers" else set()
    assert set(failed(report)) == {named} | also
    passed = [one.id for one in report.tried if one.status == "pass"]
    assert len(passed) == (1 if fault == "never_ready" else 7 - len(also))


def test_a_changed_file_is_found_before_anything_is_served(artifact: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(artifact, copy)
    (copy / "model.onnx").write_bytes(logistic_graph(width=4, double=False))
    report = tried(copy)
    assert failed(report) == ["published.artifact"]
    assert {one.status for one in report.tried[1:]} == {"skip"}


def test_an_image_is_tried_by_its_digest_and_another_digest_is_found(
    artifact: Path, tmp_path: Path, capsys
) -> None:
    layout = tmp_path / "m"
    assert main(["registry", "push", str(artifact), str(layout), "--json"]) == 0
    digest = json.loads(capsys.readouterr().out)["digest"]
    report = run(f"oci:{layout}@{digest}", Parts(rehearse=False), lambda _: None)
    assert (report.verdict, report.digest) == ("pass", digest)
    blob = max((layout / "blobs" / "sha256").iterdir(), key=lambda one: one.stat().st_size)
    blob.write_bytes(blob.read_bytes()[:-1] + b"x")
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "model-preflight"
    assert digest.partition(":")[2] not in {one.name for one in cache.rglob("*")}
    assert failed(run(f"oci:{layout}@{digest}", Parts(rehearse=False), lambda _: None)) == [
        "published.artifact"
    ]


@pytest.fixture
def swapping_registry(artifact: Path, tmp_path: Path, capsys) -> Iterator[str]:
    """A version in a registry that answers for every digest with another version, whole and judged."""
    wanted, other = tmp_path / "wanted", tmp_path / "other"
    copy = stand_in(artifact, tmp_path / f"{artifact.name}.stand-in")
    digests = []
    for folder, layout in ((artifact, wanted), (copy, other)):
        assert main(["registry", "push", str(folder), str(layout), "--json"]) == 0
        digests.append(json.loads(capsys.readouterr().out)["digest"])

    class Swapping(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            kind, asked = self.path.rsplit("/", 2)[1:]
            digest = digests[1] if kind == "manifests" else asked
            file = other / "blobs" / "sha256" / digest.partition(":")[2]
            found = file.read_bytes() if file.is_file() else b""
            self.send_response(200 if found else 404)
            self.send_header("content-type", "application/vnd.oci.image.manifest.v1+json")
            self.send_header("docker-content-digest", asked)
            self.send_header("content-length", str(len(found)))
            self.end_headers()
            self.wfile.write(found)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Swapping) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"oci://127.0.0.1:{server.server_address[1]}/models/churn@{digests[0]}"
        server.shutdown()
        thread.join()


def test_a_registry_that_gives_another_version_is_found_by_the_digest(swapping_registry: str) -> None:
    report = run(swapping_registry, Parts(rehearse=False), lambda _: None)
    assert failed(report) == ["published.artifact"]
    assert " gave sha256:" in report.tried[0].message
    assert {one.status for one in report.tried[1:]} == {"skip"}


def test_in_a_job_the_input_names_it_and_outputs_and_summary_tell_of_all(
    artifact: Path, tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    calls = []

    def attempt(reference: str, parts: Parts, tell: Callable[[Tried], None]) -> TestReport:
        calls.append((reference, parts.rehearse))
        tried = Tried(id="server.start", status="fail" if reference.endswith("two") else "pass")
        tell(tried)
        return TestReport(
            reference=reference, model="m", version=f"v_{reference[-3:]}", digest="", tried=(tried,)
        )

    monkeypatch.setattr("validator.integration.run.run", attempt)
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_OUTPUT", str(tmp_path / "outputs"))
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary"))
    assert main(["test"]) == 2, "nothing named is nothing tried"
    monkeypatch.setenv("INPUT_IMAGE", "oci:one\noci:two\n")
    monkeypatch.setenv("INPUT_OUT", "tried")
    assert main(["test"]) == 1
    assert calls == [("oci:one", True), ("oci:two", True)]
    outputs = (tmp_path / "outputs").read_text()
    assert "verdict<<" in outputs
    assert "\nfail\n" in outputs
    assert "v_one\nv_two" in outputs
    assert "tried/1/test.md\ntried/2/test.md" in outputs
    summary = (tmp_path / "summary").read_text()
    assert "oci:one" in summary
    assert "oci:two" in summary
    assert (tmp_path / "tried/2/junit.xml").is_file()


def test_what_is_not_there_is_no_failure_of_the_model(tmp_path: Path) -> None:
    assert main(["test", f"oci:{tmp_path}@sha256:{'0' * 64}", "--out", str(tmp_path / "o")]) == 2
    assert main(["test", str(tmp_path / "absent"), "--out", str(tmp_path / "o")]) == 2


def test_without_golden_requests_nothing_is_called_right(tmp_path: Path) -> None:
    written = write_artifact(
        tmp_path, result=result_of(contract_of(features(*NAMES))), onnx=logistic_graph(), report_md="# R\n"
    )
    with pytest.raises(UsageError, match="no golden requests"):
        tried(Path(written.path))
    assert main(["test", str(written.path)]) == 2


def test_nothing_tried_is_no_pass() -> None:
    assert TestReport(reference="x", model="", version="", digest="", tried=()).verdict == "fail"


def test_what_a_name_holds_is_escaped() -> None:
    report = TestReport(reference="a`|<b>\x1b[2J", model="", version="", digest="", tried=())
    text = view.render_markdown(report)
    assert "a`" not in text, "it ends the code that it stands in"
    assert "\x1b" not in text
    assert "\x1b" not in view.headline(report)
    ET.fromstring(view.render_junit(report))


@pytest.fixture
def deaf_proxy(tmp_path: Path) -> Callable[[], tuple[str, ...]]:
    """HAProxy that gives every request to one server, whatever the weights."""

    def make() -> tuple[str, ...]:
        script = tmp_path / "haproxy"
        script.write_text(
            "#!/bin/sh\nsed -i '/^backend model$/a\\    use-server blue if TRUE' \"$3\"\nexec "
            f'{shutil.which("haproxy")} "$@"\n'
        )
        script.chmod(script.stat().st_mode | stat.S_IXUSR)
        return (str(script),)

    return make


needs_tools = pytest.mark.skipif(
    bool(missing_tools()) and not os.environ.get("CI"), reason=f"needs {' and '.join(TOOLS)}"
)


@pytest.mark.long
@pytest.mark.drill
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGKILL])
def test_when_it_is_ended_its_server_ends_too_and_no_report_is_left(
    artifact: Path, tmp_path: Path, how: signal.Signals
) -> None:
    line = [sys.executable, "-m", "validator.cli", "test", str(artifact), "--no-rehearsal"]
    killed = how == signal.SIGKILL
    with subprocess.Popen(
        [*line, "--out", str(tmp_path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        # Whoever starts the tests in the background ignores them, and nohup is respected.
        preexec_fn=None if killed else lambda: signal.signal(how, signal.SIG_DFL),
    ) as process:  # fmt: skip
        assert process.stdout is not None
        for told in process.stdout:
            if "becomes ready" in told:
                break
        (server,) = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        assert is_there(int(server))
        process.send_signal(how)
        assert process.wait(60) == (-signal.SIGKILL if killed else 130)
        if killed:
            until(lambda: not is_there(int(server)), 60, "the server to follow")
        assert not is_there(int(server)), "it is killed, and its end awaited"
        assert process.stderr is not None
        assert process.stderr.read() == ("" if killed else "model-preflight: interrupted; no verdict\n")
    assert list(tmp_path.iterdir()) == [], "a report would tell of more than was tried"


@needs_tools
@pytest.mark.long
@pytest.mark.drill
def test_the_rollback_is_rehearsed(artifact: Path) -> None:
    report = tried(artifact, rehearse=True)
    assert [(one.id, one.message) for one in report.tried if one.status != "pass"] == []
    assert report.tried[-1].id == "rollout.rollback"


@needs_tools
@pytest.mark.long
@pytest.mark.drill
def test_a_proxy_that_ignores_weights_is_found(
    artifact: Path, deaf_proxy: Callable[[], tuple[str, ...]]
) -> None:
    report = tried(artifact, rehearse=True, proxy=deaf_proxy())
    # Weights that nobody heeds take no candidate out either; the same site without the fault passes both.
    assert failed(report) == ["rollout.weights", "rollout.rollback"]
