"""A stateful stand-in for GitHub's REST API, for tests: it keeps what is posted and judges every call.

  python tests/peers/github_api_server.py [--port 8080] [--spec github_openapi_subset.json] [--seed seed.json] [--strict]

or in a test:

  with GitHub() as gh:                       # a free port on 127.0.0.1
      gh.fault("secondary_limit", method="POST", path=r"/comments$", times=2)
      ...run the program with GITHUB_API_URL=gh.url, GITHUB_REPOSITORY=gh.repo, a token of any text...
      assert gh.problems == [] and len(gh.comments(1)) == 1

Judged against GitHub's own OpenAPI description (github_openapi_subset.json): path, query, body, and this server's own
replies. A request that breaks a schema gets GitHub's 422. A field or query parameter that GitHub doesn't know is
accepted, as GitHub does, but noted in `problems` (refused with --strict). Limits that GitHub states only in prose (a
comment's 65,536 characters, a status description's 140, ...) are in the functions marked `rules`. An operation of the
description that no function here plays gets the description's example as its reply. Answers under /api/v3 too.

Tokens: any text may do everything, except  read-only (403 on writes)  and  bad (401).  A token that starts with ghp_ or
github_pat_ is a person's: it may not write check runs. `tokens` in the seed sets permissions one by one, as a workflow's
`permissions:` does: {"abc": {"issues": "write", "contents": "read"}}; then all other tokens are refused.

Control, over HTTP (in Python: the methods of GitHub of the same names):
  GET /_fake/calls     every call: method, path, operation, headers, query, body, status, fault, problems
  GET /_fake/problems  what was wrong, with requests and with this server's replies
  GET /_fake/state     comments, check runs, statuses, deployments, labels
  GET /_fake/event/pull-request-synchronize?number=1    a payload that fits: also -opened, -reopened, -labeled, -closed,
                       push, workflow-dispatch, issue-comment-created
  POST /_fake/faults   {"kind": K, "method": RE, "path": RE, "times": N (1; -1 always), "after": N calls, ...}; see FAULTS
  POST /_fake/seed     see SEED;  POST /_fake/reset

Needs: jsonschema. The rest is the standard library.
"""

import argparse
import base64
import contextlib
import copy
import datetime as dt
import hashlib
import io
import json
import pathlib
import re
import socket
import struct
import subprocess
import sys
import threading
import time
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

import jsonschema
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT7

HERE = pathlib.Path(__file__).resolve().parent
sha = lambda text: hashlib.sha1(text.encode()).hexdigest()

# What the repository holds at the start; POST /_fake/seed or GitHub(seed=...) replaces the keys it names.
SEED = {
    "repo": "octo/models",
    "private": False,
    "refs": {"main": sha("main"), "feature": sha("feature")},  # branch or tag -> commit
    "commits": [],  # more commits that exist
    "git": None,  # a folder with a Git repository that has these commits: comparisons are made there
    "comparisons": {},  # "BASE...HEAD": {"status": "behind", "files": []}, instead of what else would be answered
    "pulls": [
        {
            "number": 1,
            "title": "A new model",
            "head": "feature",
            "base": "main",
            "author": "octocat",
            "fork": False,
            "draft": False,
            "locked": False,
            "state": "open",
            "labels": [],
        }
    ],
    "files": {
        "1": [
            {"filename": "models/model.onnx", "status": "modified"},
            {"filename": "README.md", "status": "modified", "patch": "@@ -1 +1 @@\n-a\n+b"},
        ]
    },
    "comments": {},  # "1": [{"user": "octocat", "body": "hi"}]
    "contents": {},  # "path": "text"
    "artifacts": [],  # {"name": , "run_id": , "files": {"path": "text"}}
    "bot": "github-actions[bot]",  # whom an app's token writes as
    "tokens": None,
}
# kind -> what a matching call gets; every key can be overridden in the fault: status, body, headers, retry_after, seconds
DOC = "https://docs.github.com/rest"
FAULTS = {
    "read_only": {"status": 403, "message": "Resource not accessible by integration"},
    "bad_credentials": {"status": 401, "message": "Bad credentials"},
    "not_found": {"status": 404, "message": "Not Found"},
    "gone": {"status": 410, "message": "This issue was deleted"},
    "conflict": {"status": 409, "message": "Conflict"},
    "validation": {
        "status": 422,
        "message": "Validation Failed",
        "errors": [{"resource": "Fault", "code": "custom", "field": "fault"}],
    },
    "abuse_422": {"status": 422, "message": "Validation Failed: was submitted too quickly"},
    "secondary_limit": {
        "status": 429,
        "retry_after": 1,
        "message": "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.",
    },
    "secondary_limit_403": {
        "status": 403,
        "retry_after": 1,
        "message": "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.",
    },
    "primary_limit": {"status": 403, "reset": 2, "message": "API rate limit exceeded for installation ID 1."},
    "server_error": {"status": 500, "message": "Server Error"},
    "bad_gateway": {"status": 502, "html": "<html><title>502 Bad Gateway</title></html>"},
    "unavailable": {"status": 503, "message": "Service Unavailable"},
    "slow": {"seconds": 2},  # the right reply, late
    "drop": {"drop": "before"},  # the connection is reset; nothing was done
    "drop_after": {"drop": "after"},  # the connection is reset; what was asked for HAS been done
    "truncate": {"drop": "middle"},  # half of the right reply, then the end of the connection
    "garbage": {"status": 200, "html": "<html>not JSON</html>"},
}
# which permission an operation needs: first match wins; two words: either will do
PERMISSIONS = [
    (r"/check-(runs|suites)", "checks"),
    (r"/deployments", "deployments"),
    (r"/status(es)?(/|$)", "statuses"),
    (r"/issues", "issues pull_requests"),
    (r"/pulls", "pull_requests"),
    (r"/actions|/dispatches$", "actions"),
    (r"/code-scanning", "security_events"),
    (r"/environments", "deployments"),
    (r"/(contents|commits|compare|branches|git|releases)", "contents"),
]


class Refused(Exception):
    """An error reply in GitHub's form."""

    def __init__(self, status, message, **more):
        self.status, self.body = status, {"message": message, **more}


def invalid(resource, field, code="invalid", **more):
    return Refused(
        422, "Validation Failed", errors=[{"resource": resource, "code": code, "field": field, **more}]
    )


class Spec:
    """GitHub's description: which operation a request is, and what is wrong with a request or a reply."""

    def __init__(self, path):
        self.doc = json.loads(pathlib.Path(path).read_text())
        converted = self.nullable(self.doc)
        self.registry = Registry().with_resource("urn:gh", Resource(contents=converted, specification=DRAFT7))
        self.formats = jsonschema.FormatChecker(())
        self.formats.checkers = {"date-time": (self.is_time, ()), "uri": (self.is_uri, ())}
        self.routes = []
        for template in sorted(self.doc["paths"], key=lambda t: (t.count("{"), -len(t))):
            pattern = re.sub(
                r"\{(\w+)\}",
                lambda m: (
                    f"(?P<{m[1]}>.+)"
                    if m[1] in ("ref", "path", "basehead", "branch", "name")
                    else f"(?P<{m[1]}>[^/]+)"
                ),
                template,
            )
            self.routes.append((re.compile(pattern + "$"), template))

    @staticmethod
    def is_time(text):
        return not isinstance(text, str) or bool(
            re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:?\d\d)$", text)
        )

    @staticmethod
    def is_uri(text):  # GitHub itself gives "" for some
        return not isinstance(text, str) or bool(
            re.match(r"([a-zA-Z][a-zA-Z0-9+.-]*:[^\s<>\"{}|\\^`\[\]]*)?$", text)
        )

    def nullable(self, node):
        """OpenAPI 3.0's `nullable` in JSON Schema's terms."""
        if isinstance(node, list):
            return [self.nullable(x) for x in node]
        if not isinstance(node, dict):
            return node
        out = {k: self.nullable(v) for k, v in node.items()}
        return {"anyOf": [out, {"type": "null"}]} if node.get("nullable") is True else out

    def find(self, method, path):
        """(template, operation, path parameters), or the template alone, or nothing."""
        for pattern, template in self.routes:
            if match := pattern.match(path):
                operation = self.doc["paths"][template].get("get" if method == "HEAD" else method.lower())
                return template, operation, {k: unquote(v) for k, v in match.groupdict().items()}
        return None, None, {}

    def resolve(self, node):
        while "$ref" in node:
            for part in node["$ref"].split("/")[1:]:
                node = (self.doc if part == "components" else node)[part.replace("~1", "/")]
        return node

    def errors(self, pointer, value):
        schema = {
            "$ref": "urn:gh#/"
            + "/".join(quote(p.replace("~", "~0").replace("/", "~1"), safe="~") for p in pointer)
        }
        validator = jsonschema.Draft7Validator(schema, registry=self.registry, format_checker=self.formats)
        return sorted(validator.iter_errors(value), key=lambda e: list(map(str, e.path)))

    def query(self, operation, query):
        """(what GitHub refuses, what it does not know)."""
        known = {
            p["name"]: p["schema"]
            for p in map(self.resolve, operation.get("parameters", ()))
            if p["in"] == "query"
        }
        refused = [
            f"For 'query/{k}', \"{v}\" is not a member of {json.dumps(known[k]['enum'])}."
            for k, v in query.items()
            if k in known and v not in known[k].get("enum", [v])
        ]
        odd = [
            f"query {k}={v}: not an integer"
            for k, v in query.items()
            if known.get(k, {}).get("type") == "integer" and not v.isdigit()
        ]
        odd += [
            f"query {k}={v}: more than 100 a page"
            for k, v in query.items()
            if k == "per_page" and v.isdigit() and int(v) > 100
        ]
        return refused, odd + [f"unknown query parameter {k!r}" for k in query if k not in known]

    def body(self, template, method, operation, body):
        """(what GitHub refuses, what it does not know)."""
        if "requestBody" not in operation:
            return [], ["a body, where none is expected"] if body not in (None, "") else []
        content = operation["requestBody"]["content"]
        if "application/json" not in content or (
            body is None and not operation["requestBody"].get("required")
        ):
            return [], []
        if not isinstance(body, (dict, list)):
            raise Refused(400, "Body should be a JSON object")
        pointer = ["paths", template, method.lower(), "requestBody", "content", "application/json", "schema"]
        return (
            [self.say(e) for e in self.errors(pointer, body)],
            list(self.unknown(content["application/json"]["schema"], body)),
        )

    @staticmethod
    def say(e):
        """A schema error in GitHub's words."""
        where = "/".join(["properties", *map(str, e.path)]) if e.path else "properties"
        if e.validator == "required":
            return f'"{re.match(r".(.*?). is", e.message)[1]}" wasn\'t supplied.'
        shown = "nil" if e.instance is None else json.dumps(e.instance)[:80]
        if e.validator == "enum":
            return f"For '{where}', {shown} is not a member of {json.dumps(e.validator_value)}."
        if e.validator == "type":
            return f"For '{where}', {shown} is not {'an' if e.validator_value[0] in 'aio' else 'a'} {e.validator_value}."
        return f"For '{where}', {e.message[:200]}"

    def unknown(self, schema, value, at="body"):
        """Fields that the description has no name for."""
        schema = self.resolve(schema)
        parts = [schema] + [self.resolve(s) for k in ("allOf", "oneOf", "anyOf") for s in schema.get(k, ())]
        if isinstance(value, list):
            items = next((p["items"] for p in parts if "items" in p), {})
            for i, x in enumerate(value):
                yield from self.unknown(items, x, f"{at}[{i}]")
        elif isinstance(value, dict):
            known = {k: v for p in parts for k, v in p.get("properties", {}).items()}
            if not known or schema.get("additionalProperties") not in (None, False):
                return
            for key, x in value.items():
                if key in known:
                    yield from self.unknown(known[key], x, f"{at}.{key}")
                else:
                    yield f"unknown field {at}.{key}"

    def reply(self, template, method, operation, status, body):
        """What is wrong with a reply of this server's."""
        method = "get" if method == "HEAD" else method.lower()
        response = operation["responses"].get(str(status))
        if response is None:
            return [f"the description has no {status} reply here"] if status < 400 else []
        pointer = ["paths", template, method, "responses", str(status)]
        if "$ref" in response:
            pointer = response["$ref"].split("/")[1:]
            response = self.resolve(response)
        if "application/json" not in response.get("content", {}):
            return ["a body where none is described"] if body is not None else []
        found = self.errors([*pointer, "content", "application/json", "schema"], body)
        return [f"{'/'.join(map(str, e.absolute_path))}: {e.message[:200]}" for e in found]

    def example(self, name):
        return copy.deepcopy(self.doc["components"]["examples"][name]["value"])

    def static_reply(self, operation):
        """The description's example, for an operation that nothing here plays."""
        for status in sorted(s for s in operation["responses"] if s < "400"):
            content = (
                self.resolve(operation["responses"][status]).get("content", {}).get("application/json", {})
            )
            for example in content.get("examples", {}).values():
                return int(status), copy.deepcopy(self.resolve(example)["value"])
            return int(status), content.get("example")


PLAYED = []  # (method, path pattern, function)


def plays(method, *paths):
    def keep(function):
        for path in paths:
            pattern = re.sub(
                r"\{(\w+)\}",
                lambda m: rf"(?P<{m[1]}>\d+)" if m[1].endswith(("_id", "_number")) else f"(?P<{m[1]}>.+)",
                path,
            )
            PLAYED.append((method, re.compile(pattern + "$"), function))
        return function

    return keep


class GitHub:
    def __init__(
        self, port=0, spec=HERE / "github_openapi_subset.json", seed=None, strict=False, host="127.0.0.1"
    ):
        self.spec, self.strict, self.lock = Spec(spec), strict, threading.RLock()
        self.server = ThreadingHTTPServer((host, port), type("H", (Handler,), {"github": self}))
        self.server.daemon_threads = True
        self.url = f"http://{host}:{self.server.server_address[1]}"
        self.start_seed = seed or {}
        self.reset()

    # --- control -----------------------------------------------------------------------------------------------------
    def __enter__(self):
        self.thread = threading.Thread(
            target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        )
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    def reset(self):
        with self.lock:
            self.calls, self.faults, self.last_id, self.remaining = [], [], 1000, 5000
            self.store = {
                k: {} for k in ("comment", "check", "status", "deployment", "deployment_status", "issue")
            }
            self.annotations = {}
            self.s = copy.deepcopy(SEED)
            self.seed(self.start_seed)

    def seed(self, more):
        with self.lock:
            self.s.update(copy.deepcopy(more))
            self.repo = self.s["repo"]
            self.labels = {p["number"]: list(p.get("labels", ())) for p in self.s["pulls"]}
            for number, comments in self.s.pop("comments", {}).items():
                for c in comments:
                    self.new_comment(int(number), c["body"], c.get("user", self.s["bot"]))

    def fault(self, kind, method=".*", path=".*", times=1, after=0, **more):
        if kind not in FAULTS:
            raise ValueError(f"no fault {kind!r}; there are {', '.join(FAULTS)}")
        with self.lock:
            self.faults.append(
                {
                    **FAULTS[kind],
                    "kind": kind,
                    "method": method,
                    "path": path,
                    "times": times,
                    "after": after,
                    **more,
                }
            )

    @property
    def problems(self):
        return [f"{c['method']} {c['path']}: {p}" for c in self.calls for p in c["problems"]]

    def made(self, method, path=".*"):
        """The recorded calls of a method on paths that match."""
        return [c for c in self.calls if re.fullmatch(method, c["method"]) and re.search(path, c["path"])]

    def comments(self, number):
        return [c for c in self.store["comment"].values() if c["issue_url"].endswith(f"/issues/{number}")]

    def check_runs(self, commit=None):
        return [c for c in self.store["check"].values() if commit in (None, c["head_sha"])]

    def statuses(self, commit=None):
        return [s for s in self.store["status"].values() if commit in (None, s["url"].rsplit("/", 1)[1])]

    def issues(self):
        return list(self.store["issue"].values())

    def deployments(self):
        return list(self.store["deployment"].values())

    def deployment_statuses(self, deployment):
        return [
            s
            for s in self.store["deployment_status"].values()
            if s["deployment_url"].endswith(f"/deployments/{deployment}")
        ]

    def state(self):
        return {
            **{k: list(v.values()) for k, v in self.store.items()},
            "annotations": self.annotations,
            "labels": self.labels,
            "refs": self.s["refs"],
        }

    def event(self, hook, number=1, **fields):
        """A webhook's payload that fits this repository, right by GitHub's schema: event("pull-request-synchronize")."""
        pull, repo = self.pull_reply(self.pull(number)), self.get_repo(None)[1]
        repo = {k: v for k, v in repo.items() if k not in ("template_repository", "organization")}
        for side in ("head", "base"):
            pull[side]["repo"]["visibility"] = "private" if self.s["private"] else "public"
        none = dict.fromkeys(
            ("+1", "-1", "laugh", "confused", "heart", "hooray", "eyes", "rocket", "total_count"), 0
        )
        reactions = {**none, "url": self.api("/reactions")}
        body = {"repository": repo, "sender": pull["user"]}
        if hook.startswith("pull-request-"):
            pull["state"] = "closed" if hook.endswith("closed") else "open"
            body |= {"action": hook.removeprefix("pull-request-"), "number": number, "pull_request": pull}
            body |= {
                "pull-request-synchronize": {"before": "0" * 40, "after": pull["head"]["sha"]},
                "pull-request-labeled": {"label": self.label("validate")},
            }.get(hook, {})
        elif hook == "push":
            head = self.s["refs"]["main"]
            body |= {
                "ref": "refs/heads/main",
                "before": "0" * 40,
                "after": head,
                "pusher": {"name": "octocat"},
                "commits": [],
                "created": False,
                "deleted": False,
                "forced": False,
                "base_ref": None,
                "head_commit": None,
                "compare": self.html(f"/compare/{head}"),
            }
        elif hook == "workflow-dispatch":
            body |= {"ref": "refs/heads/main", "inputs": {}, "workflow": ".github/workflows/ci.yml"}
        elif hook == "issue-comment-created":
            link = {
                "url": self.api(f"/pulls/{number}"),
                "html_url": self.html(f"/pull/{number}"),
                "diff_url": self.html(f"/pull/{number}.diff"),
                "patch_url": self.html(f"/pull/{number}.patch"),
            }
            issue = self.example(
                "issue",
                number=number,
                title=pull["title"],
                reactions=reactions,
                pull_request=link,
                user=pull["user"],
            )
            body |= {
                "action": "created",
                "issue": issue,
                "comment": {**self.new_comment(number, "/validate", "octocat"), "reactions": reactions},
            }
        else:
            raise ValueError(f"no payload for {hook}")
        body.update(fields)
        pointer = ["x-webhooks", hook, "post", "requestBody", "content", "application/json", "schema"]
        wrong = [
            f"{'/'.join(map(str, e.absolute_path))}: {e.message[-200:]}"
            for e in self.spec.errors(pointer, body)
        ]
        if wrong:
            raise ValueError(f"{hook} breaks GitHub's schema: {wrong}")
        return body

    # --- building blocks ---------------------------------------------------------------------------------------------
    def now(self):
        return dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    def id(self):
        self.last_id += 1
        return self.last_id

    def example(self, name, /, **fields):
        """The description's example under this repository's and server's names, with some fields set."""
        text = json.dumps(self.spec.example(name))
        for old in ("octocat/Hello-World", "octocat/example", "github/hello-world", "octocat/hello-world"):
            text = text.replace(old, self.repo)
        return {**json.loads(text.replace("https://api.github.com", self.url)), **fields}

    def user(self, login):
        user = json.loads(
            json.dumps(self.spec.example("issue-comment")["user"]).replace("octocat", quote(login))
        )
        bot = login.endswith("[bot]")
        return {
            **user,
            "login": login,
            "id": 41898282 if login == "github-actions[bot]" else 1 + int(sha(login)[:6], 16),
            "type": "Bot" if bot else "User",
        }

    def app(self):
        slug = self.s["bot"].removesuffix("[bot]")
        return {
            **self.spec.example("check-run")["app"],
            "id": 15368,
            "slug": slug,
            "name": slug,
            "description": "",
        }

    def api(self, path):
        return f"{self.url}/repos/{self.repo}{path}"

    def html(self, path):
        return f"https://github.com/{self.repo}{path}"

    def pull(self, number):
        for pull in self.s["pulls"]:
            if pull["number"] == int(number):
                return pull
        raise Refused(404, "Not Found")

    def head_sha(self, pull):
        return pull.get("head_sha") or self.s["refs"][pull["head"]]

    def merge_sha(self, pull):
        return sha(f"merge {self.head_sha(pull)} {pull['number']}")

    def commit_of(self, ref):
        """The commit that a branch, tag, refs/... or commit name names, or nothing."""
        name = re.sub(r"^(refs/)?(heads|tags)/", "", ref)
        known = {*self.s["refs"].values(), *self.s["commits"]}
        for pull in self.s["pulls"]:
            known |= {self.head_sha(pull), self.merge_sha(pull)}
            if ref in (f"refs/pull/{pull['number']}/merge", f"pull/{pull['number']}/merge"):
                return self.merge_sha(pull)
            if ref in (f"refs/pull/{pull['number']}/head", f"pull/{pull['number']}/head"):
                return self.head_sha(pull)
        return self.s["refs"].get(name) or next(
            (c for c in sorted(known) if len(ref) >= 7 and c.startswith(ref.lower())), None
        )

    def need_commit(self, ref, status=422):
        found = self.commit_of(ref)
        if not found:
            raise Refused(
                status,
                f"No commit found for {'SHA' if status == 422 else 'the ref'}: {ref}"
                if status == 422
                else "Not Found",
            )
        return found

    def page(self, call, items):
        """One page of a list, and the Link header that GitHub would send."""
        number = lambda k, d, most: (
            min(int(call["query"][k]), most)
            if call["query"].get(k, "").isdigit() and int(call["query"][k])
            else d
        )
        size, page = number("per_page", 30, 100), number("page", 1, 10**9)
        last = max(1, -(-len(items) // size))
        links = {"prev": page - 1, "next": page + 1, "last": last, "first": 1}
        url = lambda n: f"{self.url}{call['path']}?{urlencode({**call['query'], 'page': n})}"
        wanted = [
            k
            for k in links
            if (k in ("prev", "first") and page > 1) or (k in ("next", "last") and page < last)
        ]
        if wanted:
            call["reply_headers"]["Link"] = ", ".join(f'<{url(links[k])}>; rel="{k}"' for k in wanted)
        return items[(page - 1) * size : page * size]

    def get(self, kind, key):
        try:
            return self.store[kind][int(key)]
        except KeyError:
            raise Refused(404, "Not Found") from None

    # --- issues and pull requests ------------------------------------------------------------------------------------
    def new_issue(self, title, body, login):
        taken = [p["number"] for p in self.s["pulls"]] + list(self.store["issue"])
        n, now = max(taken, default=0) + 1, self.now()
        issue = self.example(
            "issue",
            id=self.id(),
            node_id=f"I_{n}",
            number=n,
            title=title,
            body=body,
            state="open",
            state_reason=None,
            locked=False,
            active_lock_reason=None,
            user=self.user(login),
            labels=[],
            assignee=None,
            assignees=[],
            milestone=None,
            comments=0,
            closed_at=None,
            created_at=now,
            updated_at=now,
            url=self.api(f"/issues/{n}"),
            html_url=self.html(f"/issues/{n}"),
        )
        for key in ("pull_request", "closed_by"):
            issue.pop(key, None)
        self.store["issue"][n] = issue
        return issue

    def issue_rules(self, body):
        if "title" in body and not str(body["title"]).strip():
            raise invalid("Issue", "title", "missing_field")
        if len(body.get("body") or "") > 65536:
            raise invalid("Issue", "body", message="body is too long (maximum is 65536 characters)")

    @plays("POST", "/issues")
    def post_issue(self, call):
        self.issue_rules(call["body"])
        issue = self.new_issue(str(call["body"]["title"]), call["body"].get("body"), call["login"])
        call["reply_headers"]["Location"] = issue["url"]
        return 201, issue

    @plays("GET", "/issues")
    def list_issues(self, call):
        state = call["query"].get("state", "open")
        found = [issue for issue in self.issues() if state in ("all", issue["state"])]
        found.sort(
            key=lambda issue: issue["number"], reverse=call["query"].get("direction", "desc") == "desc"
        )
        return 200, self.page(call, found)

    @plays("PATCH", "/issues/{issue_number}")
    def patch_issue(self, call, issue_number):
        issue, body = self.get("issue", issue_number), call["body"]
        self.issue_rules(body)
        issue.update({key: body[key] for key in ("title", "body", "state", "state_reason") if key in body})
        issue.update(updated_at=self.now(), closed_at=self.now() if issue["state"] == "closed" else None)
        return 200, issue

    def new_comment(self, number, body, login):
        n, now = self.id(), self.now()
        comment = self.example(
            "issue-comment",
            id=n,
            node_id=f"IC_{n}",
            body=body,
            user=self.user(login),
            created_at=now,
            updated_at=now,
            url=self.api(f"/issues/comments/{n}"),
            issue_url=self.api(f"/issues/{number}"),
            html_url=self.html(f"/pull/{number}#issuecomment-{n}"),
            author_association="NONE",
            performed_via_github_app=self.app() if login.endswith("[bot]") else None,
        )
        self.store["comment"][n] = comment
        return comment

    def comment_rules(self, body):
        if not body.strip():
            raise invalid("IssueComment", "data", "unprocessable", message="Body cannot be blank")
        if len(body) > 65536:
            raise invalid(
                "IssueComment",
                "data",
                "unprocessable",
                message="Body is too long (maximum is 65536 characters)",
            )

    @plays("POST", "/issues/{issue_number}/comments")
    def post_comment(self, call, issue_number):
        if self.pull(issue_number).get("locked"):
            raise Refused(403, "Unable to create comment because issue is locked.")
        self.comment_rules(call["body"]["body"])
        comment = self.new_comment(int(issue_number), call["body"]["body"], call["login"])
        call["reply_headers"]["Location"] = comment["url"]
        return 201, comment

    @plays("GET", "/issues/{issue_number}/comments")
    def list_comments(self, call, issue_number):
        self.pull(issue_number)
        since = call["query"].get("since", "")
        return 200, self.page(call, [c for c in self.comments(issue_number) if c["updated_at"] >= since])

    @plays("GET", "/issues/comments")
    def list_all_comments(self, call):
        return 200, self.page(call, list(self.store["comment"].values()))

    @plays("GET", "/issues/comments/{comment_id}")
    def get_comment(self, call, comment_id):
        return 200, self.get("comment", comment_id)

    @plays("PATCH", "/issues/comments/{comment_id}")
    def edit_comment(self, call, comment_id):
        comment = self.get("comment", comment_id)
        self.comment_rules(call["body"]["body"])
        comment.update(body=call["body"]["body"], updated_at=self.now())
        return 200, comment

    @plays("DELETE", "/issues/comments/{comment_id}")
    def delete_comment(self, call, comment_id):
        self.get("comment", comment_id)
        del self.store["comment"][int(comment_id)]
        return 204, None

    def label(self, name):
        return {
            **self.spec.example("label-items")[0],
            "name": name,
            "url": self.api(f"/labels/{quote(name)}"),
        }

    @plays("GET", "/issues/{issue_number}/labels")
    def list_labels(self, call, issue_number):
        self.pull(issue_number)
        return 200, self.page(call, [self.label(n) for n in self.labels[int(issue_number)]])

    @plays("POST", "/issues/{issue_number}/labels")
    @plays("PUT", "/issues/{issue_number}/labels")
    def add_labels(self, call, issue_number):
        self.pull(issue_number)
        body = call["body"].get("labels", []) if isinstance(call["body"], dict) else call["body"]
        names = [x if isinstance(x, str) else x["name"] for x in body]
        had = self.labels[int(issue_number)] if call["method"] == "POST" else []
        self.labels[int(issue_number)] = list(dict.fromkeys(had + names))
        return 200, [self.label(n) for n in self.labels[int(issue_number)]]

    @plays("DELETE", "/issues/{issue_number}/labels/{name}")
    def remove_label(self, call, issue_number, name):
        self.pull(issue_number)
        if name not in self.labels[int(issue_number)]:
            raise Refused(404, "Label does not exist")
        self.labels[int(issue_number)].remove(name)
        return 200, [self.label(n) for n in self.labels[int(issue_number)]]

    def pull_reply(self, pull, name="pull-request"):
        n, head, author = pull["number"], self.head_sha(pull), self.user(pull.get("author", "octocat"))
        text = re.sub(r"/(pulls?|issues)/1347\b", rf"/\1/{n}", json.dumps(self.example(name)))
        reply = json.loads(text)
        fork = pull["fork"] and pull.get("author", "octocat") + "/" + self.repo.split("/")[1]
        side = lambda part, ref, commit, full: {
            **part,
            "ref": ref,
            "sha": commit,
            "label": f"{full.split('/')[0]}:{ref}",
            "repo": {**part["repo"], "full_name": full, "fork": bool(fork) and full == fork},
        }
        reply.update(
            number=n,
            title=pull.get("title", ""),
            state=pull.get("state", "open"),
            draft=pull.get("draft", False),
            locked=pull.get("locked", False),
            user=author,
            merge_commit_sha=self.merge_sha(pull),
            body=pull.get("body"),
            head=side(reply["head"], pull["head"], head, fork or self.repo),
            merged_at=None,
            closed_at=None,
            base=side(reply["base"], pull["base"], self.s["refs"][pull["base"]], self.repo),
            labels=[self.label(x) for x in self.labels[n]],
            requested_teams=[],
            requested_reviewers=[],
            milestone=None,
        )
        if name == "pull-request":
            reply.update(
                merged=False,
                changed_files=len(self.s["files"].get(str(n), ())),
                comments=len(self.comments(n)),
                commits=1,
            )
        return reply

    @plays("GET", "/pulls")
    def list_pulls(self, call):
        q = call["query"]
        return 200, self.page(
            call,
            [
                self.pull_reply(p, "pull-request-simple")
                for p in reversed(self.s["pulls"])
                if q.get("state", "open") in ("all", p.get("state", "open"))
                and q.get("base", p["base"]) == p["base"]
                and q.get("head", p["head"]).split(":")[-1] == p["head"]
            ],
        )

    @plays("GET", "/compare/{basehead}")
    def compare(self, call, basehead):
        """What the head has gained since it left the base: from a repository, the seeds, or a pull request."""
        base, head = (self.need_commit(one, 404) for one in basehead.split("..."))
        found = self.compare_in_git(base, head) if self.s["git"] else self.compare_in_seeds(base, head)
        example = self.example("commit-comparison")
        plain = {k: v for k, v in self.spec.example("diff-entry-items")[0].items() if k != "patch"}
        commit = example["base_commit"]
        return 200, {
            **example,
            "status": found["status"],
            "base_commit": {**commit, "sha": base},
            "merge_base_commit": {**commit, "sha": found["common"]},
            "total_commits": len(found["commits"]),
            "commits": [{**commit, "sha": one} for one in found["commits"][-250:]],
            "files": [{**plain, **file} for file in found["files"][:300]],
        }

    def compare_in_seeds(self, base, head):
        same = [p for p in self.s["pulls"] if self.head_sha(p) == head and self.s["refs"][p["base"]] == base]
        files = self.s["files"].get(str(same[0]["number"]), []) if same else []
        commits, status = ([head], "ahead") if base != head else ([], "identical")
        found = {"common": base, "commits": commits, "status": status, "files": files}
        return {**found, **self.s["comparisons"].get(f"{base}...{head}", {})}

    def compare_in_git(self, base, head):
        """As GitHub does: renames found, a submodule as its one name."""
        run = lambda *args: subprocess.run(
            ["git", *args], cwd=self.s["git"], capture_output=True, text=True, check=True
        ).stdout.strip("\n")
        common = run("merge-base", base, head)
        ahead, behind = (
            int(run("rev-list", "--count", f"{a}..{b}")) for a, b in ((base, head), (head, base))
        )
        status = "diverged" if ahead and behind else "ahead" if ahead else "behind" if behind else "identical"
        words = {"A": "added", "D": "removed", "M": "modified", "R": "renamed", "C": "copied", "T": "changed"}
        parts, files = run("diff", "--name-status", "-M", "-z", common, head).split("\0")[:-1], []
        while parts:
            letter = parts.pop(0)[0]
            names = [parts.pop(0) for _ in range(2 if letter in "RC" else 1)]
            old = {"previous_filename": names[0]} if len(names) == 2 else {}
            files.append({"filename": names[-1], "status": words[letter], **old})
        commits = run("rev-list", "--reverse", f"{base}..{head}").split()
        return {"common": common, "commits": commits, "status": status, "files": files}

    @plays("GET", "/commits/{ref}/pulls")
    def commit_pulls(self, call, ref):
        commit = self.need_commit(ref)
        return 200, self.page(
            call,
            [
                self.pull_reply(p, "pull-request-simple")
                for p in self.s["pulls"]
                if commit == self.head_sha(p)
            ],
        )

    @plays("GET", "/pulls/{pull_number}")
    def get_pull(self, call, pull_number):
        pull = self.pull(pull_number)
        if re.search(r"\.(diff|patch)\b", call["headers"].get("accept", "")):
            return 200, "".join(
                f"diff --git a/{f['filename']} b/{f['filename']}\n--- a/{f['filename']}\n+++ b/{f['filename']}\n"
                f"{f['patch']}\n"
                if "patch" in f
                else f"Binary files a/{f['filename']} and b/{f['filename']} differ\n"
                for f in self.s["files"].get(pull_number, ())
            )
        return 200, self.pull_reply(pull)

    @plays("GET", "/pulls/{pull_number}/files")
    def pull_files(self, call, pull_number):
        pull = self.pull(pull_number)
        files = []
        for f in self.s["files"].get(str(pull_number), ()):
            name, commit = quote(f["filename"], safe=""), self.head_sha(pull)
            example = {k: v for k, v in self.spec.example("diff-entry-items")[0].items() if k != "patch"}
            changes = [line[0] for line in f.get("patch", "").split("\n") if line[:1] in "+-" and line]
            files.append(
                {
                    **example,
                    "sha": sha(f["filename"]),
                    "additions": changes.count("+"),
                    "deletions": changes.count("-"),
                    "changes": len(changes),
                    "blob_url": self.html(f"/blob/{commit}/{name}"),
                    "raw_url": self.html(f"/raw/{commit}/{name}"),
                    "contents_url": self.api(f"/contents/{name}?ref={commit}"),
                    **f,
                }
            )
        return 200, self.page(call, files[:3000])

    # --- check runs --------------------------------------------------------------------------------------------------
    def check_rules(self, call, run=None):
        body = call["body"]
        if call["token"].startswith(("ghp_", "github_pat_")):
            raise Refused(403, "You must authenticate via a GitHub App.")
        if body.get("conclusion") == "stale":
            raise invalid("CheckRun", "conclusion", message="conclusion may not be set to stale")
        done = body.get("status") == "completed" or "completed_at" in body
        if done and "conclusion" not in body and not (run and run["conclusion"]):
            raise Refused(422, 'Invalid request.\n\n"conclusion" wasn\'t supplied.')
        if "name" in body and not body["name"].strip():
            raise invalid("CheckRun", "name", "missing_field")
        for i, a in enumerate(body.get("output", {}).get("annotations", ())):
            at = f"output/annotations/{i}"
            if a["start_line"] != a["end_line"] and ("start_column" in a or "end_column" in a):
                raise invalid(
                    "CheckRun",
                    at,
                    message="start_column and end_column need start_line and end_line to be the same",
                )
            if a["end_line"] < a["start_line"] or a["start_line"] < 0:
                raise invalid("CheckRun", at, message="end_line must be start_line or later")
            if (
                len(a.get("title", "")) > 255
                or max(len(a.get(k, "").encode()) for k in ("message", "raw_details")) > 65536
            ):
                raise invalid(
                    "CheckRun", at, message="title has at most 255 characters, message and raw_details 64 KB"
                )
            if not a["message"] or not a["path"]:
                raise invalid("CheckRun", at, "missing_field")

    def update_check(self, run, body):
        for key in ("name", "external_id", "details_url", "started_at", "status"):
            if key in body:
                run[key] = body[key]
        if "conclusion" in body:
            run.update(
                conclusion=body["conclusion"],
                status="completed",
                completed_at=body.get("completed_at", self.now()),
            )
        elif run["status"] != "completed":
            run.update(conclusion=None, completed_at=None)
        output = body.get("output", {})
        run["output"].update({k: output[k] for k in ("title", "summary", "text") if k in output})
        self.annotations.setdefault(run["id"], []).extend(
            output.get("annotations", ())
        )  # added to, never replaced
        run["output"]["annotations_count"] = len(self.annotations[run["id"]])
        return run

    @plays("POST", "/check-runs")
    def post_check(self, call):
        self.check_rules(call)
        body, n = call["body"], self.id()
        commit = self.need_commit(body["head_sha"])
        run = self.example(
            "check-run",
            id=n,
            node_id=f"CR_{n}",
            head_sha=commit,
            name=body["name"],
            status="queued",
            conclusion=None,
            completed_at=None,
            started_at=self.now(),
            external_id="",
            app=self.app(),
            details_url=self.html(f"/runs/{n}"),
            html_url=self.html(f"/runs/{n}"),
            pull_requests=[],
            url=self.api(f"/check-runs/{n}"),
            check_suite={"id": int(commit[:6], 16)},
            output={
                "title": None,
                "summary": None,
                "text": None,
                "annotations_count": 0,
                "annotations_url": self.api(f"/check-runs/{n}/annotations"),
            },
        )
        self.store["check"][n] = run
        return 201, self.update_check(run, body)

    @plays("PATCH", "/check-runs/{check_run_id}")
    def patch_check(self, call, check_run_id):
        run = self.get("check", check_run_id)
        self.check_rules(call, run)
        return 200, self.update_check(run, call["body"])

    @plays("GET", "/check-runs/{check_run_id}")
    def get_check(self, call, check_run_id):
        return 200, self.get("check", check_run_id)

    @plays("GET", "/check-runs/{check_run_id}/annotations")
    def list_annotations(self, call, check_run_id):
        run = self.get("check", check_run_id)
        blank = {"start_column": None, "end_column": None, "title": None, "raw_details": None}
        return 200, self.page(
            call,
            [
                {**blank, "blob_href": self.html(f"/blob/{run['head_sha']}/{a['path']}"), **a}
                for a in self.annotations[run["id"]]
            ],
        )

    @plays("GET", "/commits/{ref}/check-runs", "/check-suites/{check_suite_id}/check-runs")
    def list_checks(self, call, ref=None, check_suite_id=None):
        q, commit = call["query"], ref and self.need_commit(ref)
        runs = [
            r
            for r in self.store["check"].values()
            if (r["head_sha"] == commit if ref else r["check_suite"]["id"] == int(check_suite_id))
            and q.get("check_name", r["name"]) == r["name"]
            and q.get("status", r["status"]) == r["status"]
            and q.get("app_id", str(r["app"]["id"])) == str(r["app"]["id"])
        ]
        if q.get("filter", "latest") == "latest":
            runs = list({r["name"]: r for r in runs}.values())
        return 200, {"total_count": len(runs), "check_runs": self.page(call, runs[::-1])}

    # --- commit statuses ---------------------------------------------------------------------------------------------
    @plays("POST", "/statuses/{ref}")
    def post_status(self, call, ref):
        body = call["body"]
        commit, context, n, now = self.need_commit(ref), body.get("context", "default"), self.id(), self.now()
        if len(body.get("description") or "") > 140:  # rules
            raise invalid(
                "Status",
                "description",
                "custom",
                message="description is too long (maximum is 140 characters)",
            )
        if len(context) > 255:
            raise invalid(
                "Status", "context", "custom", message="context is too long (maximum is 255 characters)"
            )
        if body.get("target_url") and not re.match(r"https?://", body["target_url"]):
            raise invalid("Status", "target_url", "custom", message="target_url must use http(s) scheme")
        if sum(s["context"].lower() == context.lower() for s in self.statuses(commit)) >= 1000:
            raise Refused(
                422,
                "Validation Failed",
                errors=[
                    {
                        "resource": "Status",
                        "code": "custom",
                        "message": "This SHA and context has reached the maximum number of statuses.",
                    }
                ],
            )
        self.store["status"][n] = self.example(
            "status",
            id=n,
            node_id=f"SC_{n}",
            state=body["state"],
            description=body.get("description"),
            context=context,
            target_url=body.get("target_url"),
            created_at=now,
            updated_at=now,
            creator=self.user(call["login"]),
            url=self.api(f"/statuses/{commit}"),
        )
        return 201, self.store["status"][n]

    @plays("GET", "/commits/{ref}/statuses")
    def list_statuses(self, call, ref):
        return 200, self.page(call, self.statuses(self.need_commit(ref))[::-1])

    @plays("GET", "/commits/{ref}/status")
    def combined_status(self, call, ref):
        commit = self.need_commit(ref, 404)
        latest = list({s["context"].lower(): s for s in self.statuses(commit)}.values())
        states = {s["state"] for s in latest}
        state = (
            "failure" if states & {"error", "failure"} else "success" if states == {"success"} else "pending"
        )
        reply = self.example(
            "combined-commit-status",
            state=state,
            sha=commit,
            total_count=len(latest),
            url=self.api(f"/commits/{commit}/status"),
            commit_url=self.api(f"/{commit}"),
        )
        drop = ("creator",)
        return 200, {
            **reply,
            "statuses": self.page(call, [{k: v for k, v in s.items() if k not in drop} for s in latest]),
        }

    # --- deployments -------------------------------------------------------------------------------------------------
    @plays("POST", "/deployments")
    def post_deployment(self, call):
        body, n, now = call["body"], self.id(), self.now()
        commit = self.commit_of(body["ref"])
        if not commit:
            raise Refused(422, f"No ref found for: {body['ref']}")
        latest = {s["context"]: s["state"] for s in self.statuses(commit)}
        for context in body.get("required_contexts", latest):  # rules
            if latest.get(context) != "success":
                raise Refused(409, f"Conflict: Commit status checks failed for {body['ref']}.")
        environment = body.get("environment", "production")
        deployment = self.example(
            "deployment",
            id=n,
            node_id=f"DE_{n}",
            sha=commit,
            ref=body["ref"],
            task=body.get("task", "deploy"),
            payload=body.get("payload", {}),
            environment=environment,
            original_environment=environment,
            description=body.get("description") or "",
            creator=self.user(call["login"]),
            created_at=now,
            updated_at=now,
            url=self.api(f"/deployments/{n}"),
            statuses_url=self.api(f"/deployments/{n}/statuses"),
            repository_url=self.api(""),
            transient_environment=body.get("transient_environment", False),
            production_environment=body.get("production_environment", environment == "production"),
        )
        self.store["deployment"][n] = deployment
        return 201, deployment

    @plays("GET", "/deployments")
    def list_deployments(self, call):
        keys = {k: v for k, v in call["query"].items() if k in ("sha", "ref", "task", "environment")}
        return 200, self.page(
            call, [d for d in self.deployments()[::-1] if all(d[k] == v for k, v in keys.items())]
        )

    @plays("GET", "/deployments/{deployment_id}")
    def get_deployment(self, call, deployment_id):
        return 200, self.get("deployment", deployment_id)

    @plays("DELETE", "/deployments/{deployment_id}")
    def delete_deployment(self, call, deployment_id):
        self.get("deployment", deployment_id)
        states = [s["state"] for s in self.deployment_statuses(deployment_id)]
        if len(self.store["deployment"]) > 1 and states[-1:] not in ([], ["inactive"]):  # rules
            raise Refused(
                422,
                "We cannot delete an active deployment unless it is the only deployment in a given environment.",
            )
        del self.store["deployment"][int(deployment_id)]
        return 204, None

    def new_deployment_status(self, deployment, login, **fields):
        n, now, d = self.id(), self.now(), deployment["id"]
        status = self.example(
            "deployment-status",
            id=n,
            node_id=f"DES_{n}",
            creator=self.user(login),
            created_at=now,
            updated_at=now,
            **{
                **{
                    "environment": deployment["environment"],
                    "description": "",
                    "target_url": "",
                    "log_url": "",
                    "environment_url": "",
                },
                **fields,
            },
            url=self.api(f"/deployments/{d}/statuses/{n}"),
            deployment_url=self.api(f"/deployments/{d}"),
            repository_url=self.api(""),
        )
        self.store["deployment_status"][n] = status
        return status

    @plays("POST", "/deployments/{deployment_id}/statuses")
    def post_deployment_status(self, call, deployment_id):
        deployment, body = self.get("deployment", deployment_id), dict(call["body"])
        if len(body.get("description", "")) > 140:  # rules
            raise invalid(
                "DeploymentStatus",
                "description",
                "custom",
                message="description is too long (maximum is 140 characters)",
            )
        auto = body.pop("auto_inactive", True)
        if "log_url" in body:
            body["target_url"] = body["log_url"]
        if "environment" in body:
            deployment["environment"] = body["environment"]
        known = ("state", "target_url", "log_url", "description", "environment", "environment_url")
        status = self.new_deployment_status(
            deployment, call["login"], **{k: body[k] for k in known if k in body}
        )
        if auto and status["state"] == "success":
            for other in self.deployments():
                states = [s["state"] for s in self.deployment_statuses(other["id"])]
                if (
                    other["id"] < deployment["id"]
                    and other["environment"] == deployment["environment"]
                    and states[-1:] == ["success"]
                    and not other["transient_environment"]
                    and not other["production_environment"]
                ):
                    self.new_deployment_status(other, call["login"], state="inactive")
        return 201, status

    @plays("GET", "/deployments/{deployment_id}/statuses")
    def list_deployment_statuses(self, call, deployment_id):
        self.get("deployment", deployment_id)
        return 200, self.page(call, self.deployment_statuses(deployment_id)[::-1])

    @plays("GET", "/deployments/{deployment_id}/statuses/{status_id}")
    def get_deployment_status(self, call, deployment_id, status_id):
        return 200, self.get("deployment_status", status_id)

    # --- the repository ----------------------------------------------------------------------------------------------
    @plays("GET", "")
    def get_repo(self, call):
        reply = self.example(
            "full-repository-default-response",
            full_name=self.repo,
            name=self.repo.split("/")[1],
            private=self.s["private"],
            default_branch="main",
            fork=False,
        )
        return 200, {k: v for k, v in reply.items() if k not in ("parent", "source")} | {"language": None}

    @plays("GET", "/contents/{path}")
    def get_contents(self, call, path):
        if "ref" in call["query"]:
            self.need_commit(call["query"]["ref"], 404)
        if path not in self.s["contents"]:
            raise Refused(404, "Not Found")
        data = self.s["contents"][path].encode()
        if "raw" in call["headers"].get("accept", ""):
            return 200, data
        return 200, self.example(
            "content-file-response-if-content-is-a-file",
            name=path.split("/")[-1],
            path=path,
            size=len(data),
            sha=hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest(),
            encoding="base64",
            content=base64.encodebytes(data).decode(),
        )

    def artifact(self, i):
        a, n = self.s["artifacts"][i], i + 1
        return self.example(
            "artifact",
            id=n,
            name=a["name"],
            size_in_bytes=len(self.zip(n)),
            expired=a.get("expired", False),
            url=self.api(f"/actions/artifacts/{n}"),
            archive_download_url=self.api(f"/actions/artifacts/{n}/zip"),
            workflow_run=None,
        )

    def zip(self, n):
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w") as z:
            for name, text in self.s["artifacts"][n - 1].get("files", {}).items():
                z.writestr(zipfile.ZipInfo(name), text)
        return out.getvalue()

    @plays("GET", "/actions/runs/{run_id}/artifacts")
    def list_artifacts(self, call, run_id):
        found = [
            self.artifact(i)
            for i, a in enumerate(self.s["artifacts"])
            if a["run_id"] == int(run_id) and call["query"].get("name", a["name"]) == a["name"]
        ]
        return 200, {"total_count": len(found), "artifacts": self.page(call, found)}

    @plays("GET", "/actions/artifacts/{artifact_id}/zip")
    def download_artifact(self, call, artifact_id):
        if not 0 < int(artifact_id) <= len(self.s["artifacts"]):
            raise Refused(404, "Not Found")
        if self.s["artifacts"][int(artifact_id) - 1].get("expired"):
            raise Refused(410, "Artifact has expired")
        call["reply_headers"]["Location"] = f"{self.url}/_fake/blob/{artifact_id}?sig=secret"
        return 302, None

    # --- one call ----------------------------------------------------------------------------------------------------
    def allow(self, call, template):
        """Who calls, and may it: 401 and 403 as GitHub gives them."""
        auth = call["headers"].get("authorization", "")
        kind, _, token = auth.partition(" ")
        if not call["headers"].get("user-agent"):
            raise Refused(
                403,
                "Request forbidden by administrative rules. Please make sure your request has a User-Agent header",
            )
        if kind.lower() not in ("bearer", "token") or not token:
            call["problems"].append("no Authorization header")
            raise Refused(401, "Requires authentication")
        call["token"], call["login"] = (
            token,
            "octocat" if token.startswith(("ghp_", "github_pat_")) else self.s["bot"],
        )
        tokens = self.s["tokens"]
        if token == "bad" or (tokens is not None and token not in tokens):
            raise Refused(401, "Bad credentials")
        granted = tokens[token] if tokens else None
        write = call["method"] not in ("GET", "HEAD")
        wanted = next((p for pattern, p in PERMISSIONS if re.search(pattern, template)), "metadata").split()
        level = "write" if write else "read"
        call["reply_headers"]["X-Accepted-GitHub-Permissions"] = "; ".join(f"{p}={level}" for p in wanted)
        ok = (
            (token != "read-only" or not write)
            if granted is None
            else wanted == ["metadata"]
            or any(granted.get(p) in (("write",) if write else ("read", "write")) for p in wanted)
        )
        if not ok:
            raise Refused(403, "Resource not accessible by integration")

    def answer(self, call):
        """(status, body) of a call; notes what is wrong with it."""
        path = re.sub(r"^/repositories/\d+", f"/repos/{self.repo}", call["path"].removeprefix("/api/v3"))
        template, operation, _ = self.spec.find(call["method"], path)
        try:
            if operation is None:
                call["problems"].append("this method and path are not in the description's subset")
                raise Refused(404, "Not Found")
            call["operation"] = operation["operationId"]
            self.allow(call, template)
            version = call["headers"].get("x-github-api-version")
            if version and not re.fullmatch(r"\d{4}-\d\d-\d\d", version):
                raise Refused(400, f"The X-GitHub-Api-Version {version} is not supported")
            refused, odd = self.spec.query(operation, call["query"])
            more, odd2 = self.spec.body(template, call["method"], operation, call["body"])
            call["problems"] += refused + more + odd + odd2
            if refused + more or (self.strict and odd + odd2):
                raise Refused(422, "Invalid request.\n\n" + "\n".join(refused + more + odd + odd2))
            if template.startswith("/repos/"):
                _, _, owner, repo, *_ = path.split("/")
                if f"{owner}/{repo}".lower() != self.repo.lower():
                    raise Refused(404, "Not Found")
            rest = "".join("/" + part for part in path.split("/")[4:])
            for method, pattern, function in PLAYED:
                match = pattern.match(rest)
                if (
                    match
                    and method == ("GET" if call["method"] == "HEAD" else call["method"])
                    and template.startswith("/repos/")
                ):
                    status, body = function(
                        self, call, **{k: unquote(v) for k, v in match.groupdict().items()}
                    )
                    break
            else:
                call["static"] = True
                status, body = self.spec.static_reply(operation)
        except Refused as refusal:
            status, body = (
                refusal.status,
                {
                    **refusal.body,
                    "status": str(refusal.status),
                    "documentation_url": (operation or {}).get("externalDocs", {}).get("url") or DOC,
                },
            )
        if operation and not call.get("static") and not isinstance(body, (str, bytes)):
            call["problems"] += [
                "THE FAKE'S REPLY: " + p
                for p in self.spec.reply(template, call["method"], operation, status, body)
            ]
        return status, copy.deepcopy(body)

    def next_fault(self, call):
        for fault in self.faults:
            if (
                fault["times"]
                and re.fullmatch(fault["method"], call["method"])
                and re.search(fault["path"], call["path"])
            ):
                if fault["after"] > 0:
                    fault["after"] -= 1
                    continue
                fault["times"] -= 1
                return fault
        return None


class Handler(BaseHTTPRequestHandler):
    protocol_version, server_version, sys_version = "HTTP/1.1", "GitHub.com", ""
    disable_nagle_algorithm = True
    github: GitHub

    def log_message(self, *_):
        pass

    def read_body(self):
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            raw = b""
            while size := int(self.rfile.readline().split(b";")[0], 16):
                raw += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return raw
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def handle_any(self):
        github, raw, url = self.github, self.read_body(), urlsplit(self.path)
        if url.path.startswith("/_fake/"):
            return self.control(url, raw)
        call = {
            "n": len(github.calls) + 1,
            "time": time.time(),
            "method": self.command,
            "path": url.path,
            "operation": None,
            "query": dict(parse_qsl(url.query, keep_blank_values=True)),
            "headers": {k.lower(): v for k, v in self.headers.items()},
            "body": None,
            "status": None,
            "fault": None,
            "problems": [],
            "reply_headers": {},
        }
        with github.lock:
            github.calls.append(call)
            github.remaining = max(0, github.remaining - 1)
            fault = github.next_fault(call)
        call["fault"] = fault and fault["kind"]
        try:
            call["body"] = json.loads(raw) if raw else None
        except ValueError:
            call["body"] = raw.decode("utf-8", "replace")
            call["problems"].append("the body is not JSON")
            return self.reply(
                call, 400, {"message": "Problems parsing JSON", "documentation_url": DOC, "status": "400"}
            )
        if fault:
            time.sleep(fault.get("seconds", 0))
            if fault.get("drop") == "before":
                return self.reset(call)
            if "status" in fault:
                return self.faulty_reply(call, fault)
        with github.lock:
            status, body = github.answer(call)
        if fault and fault.get("drop") == "after":
            return self.reset(call)
        self.reply(call, status, body, half=bool(fault) and fault.get("drop") == "middle")

    do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = do_HEAD = handle_any

    def faulty_reply(self, call, fault):
        headers = dict(fault.get("headers", {}))
        if "retry_after" in fault:
            headers["Retry-After"] = str(fault["retry_after"])
        if "reset" in fault:
            headers.update(
                {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(int(time.time()) + fault["reset"])}
            )
        call["reply_headers"].update(headers)
        if "html" in fault:
            return self.reply(call, fault["status"], fault["html"])
        body = fault.get("body") or {
            "message": fault["message"],
            "documentation_url": DOC,
            "status": str(fault["status"]),
            **({"errors": fault["errors"]} if "errors" in fault else {}),
        }
        self.reply(call, fault["status"], body)

    def reset(self, call):
        call["status"] = "dropped"
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.connection.close()
        self.wfile, self.rfile = io.BytesIO(), io.BytesIO()  # what the base class flushes afterwards

    def reply(self, call, status, body, half=False):
        kind = "application/json; charset=utf-8"
        if isinstance(body, bytes):
            data, kind = body, "application/octet-stream"
        elif isinstance(body, str):
            data, kind = body.encode(), "text/html" if body.startswith("<") else "text/plain; charset=utf-8"
        else:
            data = b"" if body is None else json.dumps(body).encode()
        headers = {
            "Content-Type": kind,
            "X-GitHub-Request-Id": f"FAKE:{call['n']}",
            "X-GitHub-Media-Type": "github.v3; format=json",
            "X-RateLimit-Limit": "5000",
            "X-RateLimit-Remaining": str(self.github.remaining),
            "X-RateLimit-Resource": "core",
            "X-RateLimit-Used": str(5000 - self.github.remaining),
            "X-RateLimit-Reset": str(int(time.time()) + 3600),
        }
        if status == 200 and self.command == "GET":
            headers["ETag"] = f'W/"{hashlib.sha256(data).hexdigest()}"'
            if call["headers"].get("if-none-match") == headers["ETag"]:
                status, data = 304, b""
        headers.update(call["reply_headers"])
        call["status"] = status
        for problem in call["problems"]:
            print(f"github_api_server: {call['method']} {call['path']}: {problem}", file=sys.stderr)
        self.send_response(status)
        for key, value in headers.items():
            if status != 204 or key != "Content-Type":
                self.send_header(key, value)
        if status not in (204, 304):
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if half:
            self.wfile.write(data[: len(data) // 2])
            self.close_connection = True
        elif self.command != "HEAD":
            self.wfile.write(data)

    def control(self, url, raw):
        github, verb = self.github, url.path.split("/")[2]
        call = {
            "n": 0,
            "method": self.command,
            "path": url.path,
            "headers": {},
            "problems": [],
            "reply_headers": {},
        }
        body = json.loads(raw) if raw else {}
        try:
            if verb == "blob":
                if self.headers.get(
                    "Authorization"
                ):  # the storage behind GitHub refuses a request with two credentials
                    github.calls.append(
                        {
                            **call,
                            "operation": "blob",
                            "query": {},
                            "body": None,
                            "status": 400,
                            "fault": None,
                            "problems": ["the API token was sent on to the artifact storage"],
                        }
                    )
                    return self.reply(
                        call,
                        400,
                        "<?xml version='1.0'?><Error><Code>InvalidAuthenticationInfo</Code></Error>",
                    )
                return self.reply(call, 200, github.zip(int(url.path.split("/")[3])))
            answer = {
                "calls": lambda: github.calls,
                "problems": lambda: github.problems,
                "state": github.state,
                "event": lambda: github.event(
                    url.path.split("/")[3], **{k: int(v) for k, v in parse_qsl(url.query)}
                ),
                "reset": github.reset,
                "seed": lambda: github.seed(body),
                "faults": lambda: github.fault(**body),
            }[verb]
            with github.lock:
                result = answer()
            self.reply(call, 200, {"ok": True} if result is None else result)
        except (KeyError, ValueError, TypeError) as e:
            self.reply(call, 400, {"message": repr(e)})


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("--port", type=int, default=8080)
    args.add_argument("--host", default="127.0.0.1")
    args.add_argument("--spec", default=HERE / "github_openapi_subset.json")
    args.add_argument("--seed", type=pathlib.Path)
    args.add_argument(
        "--strict", action="store_true", help="422 for unknown fields and query parameters as well"
    )
    o = args.parse_args()
    github = GitHub(o.port, o.spec, json.loads(o.seed.read_text()) if o.seed else None, o.strict, o.host)
    print(
        f"GITHUB_API_URL={github.url} GITHUB_REPOSITORY={github.repo} GITHUB_SHA={github.s['refs']['feature']}",
        flush=True,
    )
    with contextlib.suppress(KeyboardInterrupt):
        github.server.serve_forever()


if __name__ == "__main__":
    main()
