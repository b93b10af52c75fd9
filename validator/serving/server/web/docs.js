"use strict";
// Text from the description only ever becomes text.
const $ = (id) => document.getElementById(id);
let token = "";

function make(tag, text, parent, kind) {
  const element = document.createElement(tag);
  if (text !== undefined) element.textContent = text;
  if (kind) element.className = kind;
  if (parent) parent.append(element);
  return element;
}

function quoted(text) { return "'" + text.replaceAll("'", "'\\''") + "'"; }

function operation(path, method, what) {
  const section = make("section", undefined, $("paths"));
  const title = make("h2", undefined, section);
  make("span", method.toUpperCase() + " ", title, method);
  make("code", path, title);
  make("p", what.summary || "", section);
  const body = what.requestBody && what.requestBody.content["application/json"];
  if (body) make("pre", `curl ${quoted(new URL("." + path, location.href).href)} -H 'content-type: application/json' \\\n  -d ${quoted(JSON.stringify(body.example))}`, section);
  const list = make("dl", undefined, section);
  for (const [status, answer] of Object.entries(what.responses)) {
    make("dt", status, list);
    make("dd", answer.description, list);
  }
}

async function start() {
  const answer = await fetch("openapi.json", { headers: token ? { authorization: "Bearer " + token } : {} });
  $("unlock").hidden = answer.status !== 401;
  if (!answer.ok) return;
  const description = await answer.json();
  $("title").textContent = `${description.info.title} ${description.info.version}`;
  $("paths").replaceChildren();
  for (const [path, methods] of Object.entries(description.paths))
    for (const [method, what] of Object.entries(methods)) operation(path, method, what);
}

$("unlock").onsubmit = (event) => { event.preventDefault(); token = $("token").value; start(); };
start();
