"""python tests/peers/github_openapi_subset.py OUT.json: trims GitHub's OpenAPI description to what an action that reports on pull requests
calls. The description is GitHub's own, as the npm package @octokit/openapi (MIT) carries it; npm fetches it (29 MB).

The result is again an OpenAPI 3.0 document (prism and other tools read it): the operations in PATHS with all that they
refer to, and the webhook payloads in WEBHOOKS. Prose is left out; schemas, enums, limits and examples are untouched."""

import json
import pathlib
import subprocess
import sys
import tarfile
import tempfile

PACKAGE = "@octokit/openapi@23.0.2"
R = "/repos/{owner}/{repo}"
PATHS = ["/", "/rate_limit", "/user", "/app", R] + [
    R + p
    for p in [
        "/issues",
        "/issues/{issue_number}",
        "/issues/{issue_number}/comments",
        "/issues/comments",
        "/issues/comments/{comment_id}",
        "/issues/comments/{comment_id}/reactions",
        "/issues/{issue_number}/labels",
        "/issues/{issue_number}/labels/{name}",
        "/pulls",
        "/pulls/{pull_number}",
        "/pulls/{pull_number}/files",
        "/pulls/{pull_number}/commits",
        "/pulls/{pull_number}/reviews",
        "/pulls/{pull_number}/comments",
        "/pulls/{pull_number}/requested_reviewers",
        "/check-runs",
        "/check-runs/{check_run_id}",
        "/check-runs/{check_run_id}/annotations",
        "/check-suites/{check_suite_id}",
        "/check-suites/{check_suite_id}/check-runs",
        "/commits/{ref}/check-runs",
        "/commits/{ref}/check-suites",
        "/statuses/{sha}",
        "/commits/{ref}/status",
        "/commits/{ref}/statuses",
        "/commits",
        "/commits/{ref}",
        "/commits/{commit_sha}/pulls",
        "/commits/{commit_sha}/comments",
        "/compare/{basehead}",
        "/branches/{branch}",
        "/git/ref/{ref}",
        "/contents/{path}",
        "/collaborators/{username}/permission",
        "/deployments",
        "/deployments/{deployment_id}",
        "/deployments/{deployment_id}/statuses",
        "/deployments/{deployment_id}/statuses/{status_id}",
        "/environments",
        "/environments/{environment_name}",
        "/actions/runs/{run_id}",
        "/actions/runs/{run_id}/jobs",
        "/actions/runs/{run_id}/artifacts",
        "/actions/artifacts/{artifact_id}",
        "/actions/artifacts/{artifact_id}/{archive_format}",
        "/actions/workflows/{workflow_id}/dispatches",
        "/dispatches",
        "/code-scanning/sarifs",
        "/releases/latest",
        "/releases/tags/{tag}",
    ]
]
WEBHOOKS = [
    "push",
    "workflow-dispatch",
    "pull-request-opened",
    "pull-request-synchronize",
    "pull-request-reopened",
    "pull-request-labeled",
    "pull-request-closed",
    "issue-comment-created",
    "deployment-created",
    "deployment-status-created",
    "check-run-rerequested",
    "check-run-requested-action",
]
DROP = {
    "x-octokit",
    "x-github",
    "tags",
    "externalDocs",
    "summary",
    "deprecated",
    "x-multi-segment",
    "operationId-old",
}


def load(package):
    with tempfile.TemporaryDirectory() as tmp:
        name = subprocess.run(
            ["npm", "pack", "--silent", package], cwd=tmp, check=True, capture_output=True, text=True
        ).stdout.split()[-1]
        with tarfile.open(pathlib.Path(tmp, name)) as tar:
            return json.load(tar.extractfile("package/generated/api.github.com.json"))


def strip(node, in_properties=False):
    """Without prose. A key right under `properties` is a field's name, never a keyword."""
    if isinstance(node, list):
        return [strip(x) for x in node]
    if not isinstance(node, dict):
        return node
    out = {}
    for key, value in node.items():
        if not in_properties and key in ("example", "value"):  # data, not schema
            out[key] = value
        elif in_properties or (key not in DROP and not (key == "description" and "responses" not in node)):
            out[key] = strip(
                value,
                key in ("properties", "schemas", "examples", "parameters", "responses", "headers")
                and isinstance(value, dict),
            )
    return out


def refs(node, found):
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            found.add(node["$ref"])
        for value in node.values():
            refs(value, found)
    elif isinstance(node, list):
        for value in node:
            refs(value, found)
    return found


def main(out):
    full = load(PACKAGE)
    missing = [p for p in PATHS if p not in full["paths"]] + [
        w for w in WEBHOOKS if w not in full["x-webhooks"]
    ]
    for name in missing:
        print("not in the description:", name, file=sys.stderr)
    docs = {
        p: {
            m: o.get("externalDocs", {}).get("url", "")
            for m, o in full["paths"][p].items()
            if isinstance(o, dict)
        }
        for p in PATHS
        if p in full["paths"]
    }
    small = {
        "openapi": full["openapi"],
        "info": {
            **full["info"],
            "description": f"A subset of GitHub's OpenAPI description, out of the npm package "
            f"{PACKAGE} (MIT License, Copyright (c) 2020 Octokit contributors; description by GitHub, MIT).",
        },
        "servers": full["servers"],
        "paths": {p: strip(full["paths"][p]) for p in PATHS if p in full["paths"]},
        "x-webhooks": {w: strip(full["x-webhooks"][w]) for w in WEBHOOKS if w in full["x-webhooks"]},
        "components": {},
    }
    for path, methods in docs.items():
        for method, url in methods.items():
            small["paths"][path][method]["externalDocs"] = {"url": url}
    todo, done = refs(small, set()), set()
    while todo:
        ref = todo.pop()
        if ref in done:
            continue
        done.add(ref)
        _, _, section, name = ref.split("/", 3)
        name = name.replace("~1", "/")
        part = strip({section: {name: full["components"][section][name]}})[section][name]
        small["components"].setdefault(section, {})[name] = part
        todo |= refs(part, set()) - done
    for response in (r for s in [small["components"].get("responses", {})] for r in s.values()):
        response.setdefault("description", "")  # OpenAPI wants one
    for path in small["paths"].values():
        for op in path.values():
            for response in op.get("responses", {}).values() if isinstance(op, dict) else ():
                if "$ref" not in response:
                    response.setdefault("description", "")
    for hook in small["x-webhooks"].values():
        for response in hook["post"]["responses"].values():
            response.setdefault("description", "")
    text = json.dumps(small, separators=(",", ":"), ensure_ascii=False, sort_keys=True)
    pathlib.Path(out).write_text(text + "\n")
    print(
        f"{out}: {len(text):,} bytes, {len(small['paths'])} paths,",
        {k: len(v) for k, v in small["components"].items()},
        file=sys.stderr,
    )


if __name__ == "__main__":
    main(sys.argv[1])
