"""run_as_action.py ACTION_DIR --event FILE.json [--event-name pull_request] [--with NAME=VALUE]... [--env NAME=VALUE]...

Runs a Docker container action as GitHub's runner does: reads ACTION_DIR/action.yml, builds its image (or takes --image),
fills in the inputs, mounts what the runner mounts, sets what it sets, then reads back outputs, environment, step summary,
masks and annotations. Prints them; --json FILE keeps them. Its exit status is the step's (0 success, 1 failure).

    run_as_action.py . --event pr.json --with model-path=m.onnx --with fail-on=error --secret github-token=t \\
        --workspace ./checkout --api-url http://127.0.0.1:8080

As on GitHub: the runner's files belong to user 1001 with mode 644, so an image with a USER that is not root cannot write
GITHUB_OUTPUT; HOME is /github/home; an input that is not given is an empty string; names keep their dashes
(INPUT_MODEL-PATH); ${{ github.workspace }} is the host's path, GITHUB_WORKSPACE the container's.
Only ${{ inputs.* }}, ${{ github.* }}, ${{ env.* }}, ${{ runner.* }} and ${{ toJson(matrix) }}, of no matrix, are filled in. Needs: docker, PyYAML.
"""

import argparse
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import uuid

import yaml

FILES = {
    "GITHUB_OUTPUT": "set_output",
    "GITHUB_ENV": "set_env",
    "GITHUB_PATH": "add_path",
    "GITHUB_STATE": "save_state",
    "GITHUB_STEP_SUMMARY": "step_summary",
}
ANNOTATIONS_A_STEP = 10  # GitHub shows ten errors, ten warnings and ten notices of a step
SUMMARY_BYTES = 1024 * 1024


def pairs(values):
    return dict(v.split("=", 1) for v in values)


def contexts(o, event):
    """(github.*, the GITHUB_* variables) of the run that this event would start."""
    pull, repo = event.get("pull_request"), event.get("repository", {})
    default = repo.get("default_branch", "main")
    if o.event_name.startswith("pull_request") and pull:
        target = o.event_name == "pull_request_target"
        ref = f"refs/heads/{pull['base']['ref']}" if target else f"refs/pull/{pull['number']}/merge"
        sha = pull["base"]["sha"] if target else pull.get("merge_commit_sha") or pull["head"]["sha"]
        head, base, name = pull["head"]["ref"], pull["base"]["ref"], ref.split("/", 2)[2]
    else:
        ref = event.get("ref") or f"refs/heads/{default}"
        ref = ref if ref.startswith("refs/") else f"refs/heads/{ref}"
        sha, head, base, name = (
            event.get("after") or event.get("deployment", {}).get("sha") or "0" * 40,
            "",
            "",
            ref.split("/", 2)[2],
        )
    sha = o.sha or sha
    repository = repo.get("full_name", "octo/models")
    server = "https://github.com"
    github = {
        "action": "__self",
        "action_ref": "",
        "action_repository": "",
        "actor": event.get("sender", {}).get("login", "octocat"),
        "api_url": o.api_url,
        "base_ref": base,
        "event": event,
        "event_name": o.event_name,
        "event_path": "/home/runner/work/_temp/_github_workflow/event.json",
        "graphql_url": o.api_url.rstrip("/") + "/graphql",
        "head_ref": head,
        "job": o.job,
        "ref": ref,
        "ref_name": name,
        "ref_protected": "false",
        "ref_type": "tag" if ref.startswith("refs/tags/") else "branch",
        "repository": repository,
        "repository_id": str(repo.get("id", 1)),
        "repository_owner": repository.split("/")[0],
        "repository_owner_id": "1",
        "retention_days": "90",
        "run_attempt": "1",
        "run_id": "7",
        "run_number": "3",
        "server_url": server,
        "sha": sha,
        "triggering_actor": event.get("sender", {}).get("login", "octocat"),
        "workflow": "CI",
        "workflow_ref": f"{repository}/.github/workflows/ci.yml@{ref}",
        "workflow_sha": sha,
        "workspace": f"/home/runner/work/{repository.split('/')[1]}/{repository.split('/')[1]}",
        "token": o.token,
    }
    env = {"GITHUB_" + k.upper(): str(v) for k, v in github.items() if k not in ("event", "token")}
    env.update(
        {
            "GITHUB_WORKSPACE": "/github/workspace",
            "GITHUB_EVENT_PATH": "/github/workflow/event.json",
            "GITHUB_ACTIONS": "true",
            "CI": "true",
            "HOME": "/github/home",
            "RUNNER_OS": "Linux",
            "RUNNER_ARCH": "X64",
            "RUNNER_NAME": "GitHub Actions 2",
            "RUNNER_ENVIRONMENT": "github-hosted",
            "RUNNER_TEMP": "/github/runner_temp",
            "RUNNER_TOOL_CACHE": "/opt/hostedtoolcache",
            "RUNNER_WORKSPACE": str(pathlib.Path(github["workspace"]).parent),
        }
    )
    if o.debug:
        env["RUNNER_DEBUG"] = "1"
    return github, env


def fill(text, scope):
    """${{ a.b.c }} put in; anything more than such a path is refused, so that it isn't mistaken for tested."""

    def value(match):
        node, path = scope, match[1].strip()
        if path == "toJson(matrix)":
            return json.dumps(scope.get("matrix"))
        if not re.fullmatch(r"[\w-]+(\.[\w-]+)+", path) or path.split(".")[0] not in scope:
            sys.exit(f"run_as_action: cannot evaluate ${{{{ {path} }}}}")
        for key in path.split("."):
            low = {k.lower(): v for k, v in node.items()} if isinstance(node, dict) else {}
            node = low.get(key.lower(), "")
        return json.dumps(node) if isinstance(node, (dict, list, bool)) else str("" if node is None else node)

    return re.sub(r"\$\{\{(.*?)\}\}", value, str(text))


def text_of(value):
    """A YAML default as the runner sees it: the text in the file."""
    return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def read_pairs(path, what, problems):
    """NAME=value and NAME<<DELIMITER lines of a file command."""
    out, lines = {}, iter(path.read_text(errors="replace").splitlines())
    for line in lines:
        if not line:
            continue
        equals, heredoc = line.find("="), line.find("<<")
        if heredoc >= 0 and (equals < 0 or heredoc < equals):
            name, end = line.split("<<", 1)
            value = []
            for line in lines:
                if line == end:
                    break
                value.append(line)
            else:
                problems.append(
                    f"Unable to process file command '{what}' successfully. Matching delimiter not found '{end}'"
                )
            out[name] = "\n".join(value)
        elif equals > 0:
            out[line[:equals]] = line[equals + 1 :]
        else:
            problems.append(f"Unable to process file command '{what}' successfully. Invalid format '{line}'")
    return out


def unescape(text, more=()):
    for code, char in (("%0D", "\r"), ("%0A", "\n"), *more, ("%25", "%")):
        text = text.replace(code, char)
    return text


def commands(log, result, masks):
    """Workflow commands in what the container printed; returns the log as GitHub shows it."""
    shown, stop = [], None
    for line in log.splitlines():
        match = re.match(r"\s*::([\w-]+)(?: (.*?))?::(.*)$", line)
        if stop:
            if line.strip() == f"::{stop}::":
                stop = None
            else:
                shown.append(line)
            continue
        if not match:
            shown.append(line)
            continue
        name, props, text = match[1].lower(), match[2] or "", unescape(match[3])
        props = {
            k.strip(): unescape(v, (("%3A", ":"), ("%2C", ",")))
            for k, _, v in (p.partition("=") for p in props.split(","))
            if k.strip()
        }
        if name in ("error", "warning", "notice"):
            result["annotations"].append({"level": name, "message": text, **props})
            shown.append(f"{name.capitalize()}: {text}")
        elif name == "add-mask":
            masks.add(text)
        elif name == "stop-commands":
            stop = text
        elif name in ("set-output", "save-state", "set-env", "add-path"):
            result["problems"].append(f"the {name} command is disabled or deprecated: use the file")
            if name == "set-output":
                result["outputs"][props.get("name", "")] = text
        elif name in ("group", "debug"):
            shown.append(f"##[{name}]{text}")
        elif name not in ("endgroup", "echo", "add-matcher", "remove-matcher"):
            shown.append(line)
            result["problems"].append(f"unknown workflow command {name!r}")
    text = "\n".join(shown)
    for mask in sorted(filter(None, masks), key=len, reverse=True):
        text = text.replace(mask, "***")
    return text


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = args.add_argument
    add("action", type=pathlib.Path)
    add("--event", type=pathlib.Path, required=True, help="the event's payload")
    add("--event-name", default="pull_request")
    add("--with", dest="inputs", action="append", default=[], metavar="NAME=VALUE")
    add(
        "--secret",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="an input whose value is masked in the log",
    )
    add("--env", action="append", default=[], metavar="NAME=VALUE")
    add("--workspace", type=pathlib.Path, help="what actions/checkout left (default: an empty folder)")
    add("--image", help="a built image, instead of building ACTION_DIR's Dockerfile")
    add("--build-arg", action="append", default=[], metavar="FLAG", help="more flags for docker build")
    add("--api-url", default="https://api.github.com")
    add("--token", default="fake-github-token", help="github.token")
    add("--sha"), add("--job", default="validate"), add("--debug", action="store_true")
    add("--network", help="docker's network (default: host if the API is on 127.0.0.1, else none)")
    add(
        "--docker-arg",
        action="append",
        default=[],
        metavar="FLAG",
        help="more flags for docker run (--docker-arg=--memory=1g)",
    )
    add("--runner-uid", type=int, default=1001)
    add("--timeout", type=int, default=600)
    add("--json", type=pathlib.Path)
    o = args.parse_args()

    file = next((o.action / n for n in ("action.yml", "action.yaml") if (o.action / n).is_file()), None)
    if not file:
        sys.exit(f"run_as_action: no action.yml in {o.action}")
    action = yaml.load(file.read_text(), yaml.BaseLoader)  # BaseLoader: every value stays the text that it is
    if action["runs"]["using"] != "docker":
        sys.exit("run_as_action: only runs.using: docker")
    event = json.loads(o.event.read_text())
    github, env = contexts(o, event)
    result = {
        "exit_code": None,
        "outputs": {},
        "env": {},
        "state": {},
        "path": [],
        "summary": "",
        "annotations": [],
        "masks": [],
        "problems": [],
        "log": "",
    }

    # inputs: given, else default, else empty; names compare without case
    given, declared = {**pairs(o.inputs), **pairs(o.secret)}, action.get("inputs") or {}
    scope = {
        "github": github,
        "env": pairs(o.env),
        "runner": {"os": "Linux", "arch": "X64", "temp": "/home/runner/work/_temp"},
    }
    lower = {k.lower(): k for k in declared}
    inputs = {}
    for name, value in given.items():
        if name.lower() not in lower:
            result["problems"].append(f"Unexpected input(s) '{name}', valid inputs are {sorted(declared)}")
        elif (declared[lower[name.lower()]] or {}).get("deprecationMessage"):
            result["annotations"].append(
                {
                    "level": "warning",
                    "message": f"Input '{name}' has been deprecated with message: "
                    + declared[lower[name.lower()]]["deprecationMessage"],
                }
            )
        inputs[lower.get(name.lower(), name)] = value
    for name, about in declared.items():
        if name not in inputs:
            inputs[name] = fill(text_of((about or {}).get("default")), scope)
            if (about or {}).get("required") == "true" and "default" not in about:
                result["problems"].append(
                    f"note: required input {name!r} is not given (the runner does not check)"
                )
    scope["inputs"] = inputs
    env.update(pairs(o.env))
    env.update({"INPUT_" + k.replace(" ", "_").upper(): v for k, v in inputs.items()})
    env.update(
        {
            k: fill(v, scope).replace(github["workspace"], "/github/workspace")
            for k, v in (action["runs"].get("env") or {}).items()
        }
    )
    command = [fill(a, scope) for a in action["runs"].get("args") or ()]
    masks = {o.token, *pairs(o.secret).values()}

    image = o.image
    if not image:
        image = action["runs"]["image"]
        if image.startswith("docker://"):
            image = image[len("docker://") :]
        else:
            dockerfile, image = o.action / image, f"action-{uuid.uuid4().hex[:12]}"
            subprocess.run(
                [
                    "docker",
                    "build",
                    "--quiet",
                    "-t",
                    image,
                    "-f",
                    str(dockerfile),
                    *o.build_arg,
                    str(dockerfile.parent),
                ],
                check=True,
                stdout=subprocess.DEVNULL,
            )

    temp = pathlib.Path(tempfile.mkdtemp(prefix="run-as-action."))
    folders = {
        "/github/home": temp / "_github_home",
        "/github/workflow": temp / "_github_workflow",
        "/github/file_commands": temp / "_runner_file_commands",
        "/github/runner_temp": temp / "_temp",
        "/github/workspace": o.workspace.resolve() if o.workspace else temp / "workspace",
    }
    for folder in folders.values():
        folder.mkdir(exist_ok=True)
    (folders["/github/workflow"] / "event.json").write_text(json.dumps(event, indent=2))
    files = {}
    for variable, name in FILES.items():
        files[variable] = folders["/github/file_commands"] / f"{name}_{uuid.uuid4()}"
        files[variable].touch(0o644)
        env[variable] = f"/github/file_commands/{files[variable].name}"
    if os.geteuid() == 0:  # else whoever runs this is the runner's user
        for root in (temp, *temp.rglob("*")):
            os.chown(root, o.runner_uid, o.runner_uid)
    os.chmod(temp, 0o755)

    local = re.match(r"https?://(127\.|localhost)", o.api_url)
    name = f"run-as-action-{uuid.uuid4().hex[:12]}"
    run = [
        "docker",
        "run",
        "--name",
        name,
        "--rm",
        "--workdir",
        "/github/workspace",
        "--network",
        o.network or ("host" if local else "none"),
    ]
    for key in env:
        run += ["-e", key]  # the value comes from docker's own environment, as the runner does it
    for inside, outside in folders.items():
        run += ["-v", f"{outside}:{inside}"]
    entrypoint = action["runs"].get("entrypoint")
    run += (["--entrypoint", entrypoint] if entrypoint else []) + o.docker_arg + [image, *command]
    try:
        done = subprocess.run(
            run,
            env={**os.environ, **env, "HOME": env["HOME"]}
            | {"DOCKER_CONFIG": os.environ.get("DOCKER_CONFIG", os.path.expanduser("~/.docker"))},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=o.timeout,
        )
        result["exit_code"], log = done.returncode, done.stdout.decode(errors="replace")
    except subprocess.TimeoutExpired as e:
        subprocess.run(["docker", "kill", name], capture_output=True)
        result["exit_code"], log = 124, (e.stdout or b"").decode(errors="replace")
        result["problems"].append(f"stopped after {o.timeout} s")

    result["log"] = commands(log, result, masks)
    bad = []  # what makes the runner fail the step
    result["outputs"].update(read_pairs(files["GITHUB_OUTPUT"], "output", bad))
    result["env"], result["state"] = (
        read_pairs(files[v], w, bad) for v, w in (("GITHUB_ENV", "env"), ("GITHUB_STATE", "state"))
    )
    result["path"] = files["GITHUB_PATH"].read_text().splitlines()
    result["summary"] = files["GITHUB_STEP_SUMMARY"].read_text(errors="replace")
    result["masks"] = sorted(masks - {o.token})
    result["problems"] += bad
    if len(result["summary"].encode()) > SUMMARY_BYTES:
        result["problems"].append(
            "$GITHUB_STEP_SUMMARY upload aborted, supports content up to a size of 1024k"
        )
        result["summary"] = ""
    for level in ("error", "warning", "notice"):
        n = sum(a["level"] == level for a in result["annotations"])
        if n > ANNOTATIONS_A_STEP:
            result["problems"].append(f"{n} {level} annotations; GitHub keeps {ANNOTATIONS_A_STEP} of a step")
    for output in set(result["outputs"]) - set(action.get("outputs") or {}):
        result["problems"].append(f"note: output {output!r} is not declared in action.yml")
    result["success"] = result["exit_code"] == 0 and not bad
    shutil.rmtree(temp, ignore_errors=True)

    if o.json:
        o.json.write_text(json.dumps(result, indent=1))
    print(result["log"])
    print("----")
    for a in result["annotations"]:
        where = ":".join(filter(None, (a.get("file"), a.get("line"))))
        print(f"annotation {a['level']}: {where and where + ' '}{a.get('title', '')} {a['message']}".rstrip())
    for kind in ("outputs", "env"):
        for key, value in result[kind].items():
            print(f"{kind.rstrip('s') if kind == 'outputs' else kind} {key}={value}")
    if result["summary"]:
        print("summary:\n" + "\n".join("  | " + line for line in result["summary"].splitlines()))
    for p in result["problems"]:
        print("runner:", p)
    print(f"step {'succeeded' if result['success'] else 'failed'}, exit code {result['exit_code']}")
    return 0 if result["success"] else 1


if __name__ == "__main__":
    sys.exit(main())
