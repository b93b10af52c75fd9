"""docs/elsewhere.md and the files beside it: the examples are those that are shown, and name what there is."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import jsonschema
import pytest
import yaml

from validator.cli.init import SCHEMA, render
from validator.cli.main import build_parser
from validator.libraries.known import LIBRARIES
from validator.results import Contract, FeatureSpec

ROOT = Path(__file__).parents[2]
DOC = (ROOT / "docs" / "elsewhere.md").read_text(encoding="utf-8")
EXAMPLES = sorted((ROOT / "examples" / "ci").iterdir())


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_the_examples_are_shown_as_they_are(path):
    assert f"\n{path.read_text()}```" in DOC
    assert f"../examples/ci/{path.name})" in DOC


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_the_examples_give_flags_that_there_are_and_keep_what_is_written(path):
    text = path.read_text()
    commands = next(action for action in build_parser()._actions if action.dest == "command").choices
    entry = next(
        line.removeprefix("ENTRYPOINT ")
        for line in reversed((ROOT / "Dockerfile").read_text().splitlines())
        if line.startswith("ENTRYPOINT ")
    )
    assert f"{' '.join(json.loads(entry))} validate " in text
    for flag in re.findall(r"(?<=\s)--[a-z][a-z-]+(?=\s)", text):
        assert flag in commands["validate"].format_help()
    assert "preflight/junit.xml" in text


def test_the_hook_is_the_one_that_is_shown_and_a_command_that_takes_several_files():
    (hook,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    assert f"- id: {hook['id']}" in DOC
    program, command, *rest = hook["entry"].split()
    assert (program, rest) == ("model-preflight", [])
    given = build_parser().parse_args([command, "a.pkl", "b.onnx"])
    assert given.model == ["a.pkl", "b.onnx"]
    for suffix in re.search(r"\((.*)\)", hook["files"])[1].split("|"):
        assert f"`.{suffix}`" in DOC
    assert re.search(hook["files"], "models/a.pkl")
    assert not re.search(hook["files"], "models/a.pkl.txt")
    assert LIBRARIES


def test_what_init_writes_names_the_schema_that_is_published_and_keeps_to_it():
    contract = Contract(
        features=(FeatureSpec(name="a", dtype="float64", minimum=0.0, maximum=1.0),),
        task="binary",
        classes=(0, 1),
    )
    text = render(model="m.pkl", data="s.csv", target="y", name="m", contract=contract)
    assert text.splitlines()[0] == f"#:schema {SCHEMA}"
    assert f"{text.splitlines()[0]}\n" in DOC
    site = re.search(r"^site_url: (\S+)$", (ROOT / "mkdocs.yml").read_text(), re.MULTILINE)[1]
    schema = ROOT / "docs" / SCHEMA.removeprefix(site)
    jsonschema.validate(tomllib.loads(text), json.loads(schema.read_text()))
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"max_latency": 3}, json.loads(schema.read_text()))
    built = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]
    ((source, place),) = built["wheel"]["force-include"].items()
    assert ROOT / source == schema
    assert f"`{place}`" in DOC
