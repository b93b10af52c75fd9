"use strict";
// Text from the model only ever becomes text: textContent, never markup.
const $ = (id) => document.getElementById(id);
const SVG = "http://www.w3.org/2000/svg";
const EVERY_MS = 2000, MOST = 150, OUTCOMES = ["ok", "refused", "invalid_output", "error", "shed"];
const points = [];
let last = null, token = "", about = null;

function make(tag, text, parent) {
  const element = document.createElement(tag);
  if (text !== undefined) element.textContent = text;
  if (parent) parent.append(element);
  return element;
}

async function ask(path, options = {}) {
  const headers = { ...(options.headers || {}) };
  if (token) headers.authorization = "Bearer " + token;
  return fetch(path, { ...options, headers });
}

function line(id, values, floor) {
  const svg = $(id);
  svg.replaceChildren();
  const top = Math.max(floor, ...values) || 1;
  const base = document.createElementNS(SVG, "line");
  for (const [name, value] of Object.entries({ x1: 0, x2: 300, y1: 79, y2: 79 })) base.setAttribute(name, value);
  svg.append(base);
  if (values.length < 2) return;
  const path = document.createElementNS(SVG, "path");
  const step = 300 / (MOST - 1), start = 300 - (values.length - 1) * step;
  path.setAttribute("d", values.map((v, i) => `${i ? "L" : "M"}${(start + i * step).toFixed(1)} ${(78 - 74 * v / top).toFixed(1)}`).join(""));
  svg.append(path);
}

const percent = (share) => (share * 100).toFixed(share && share < 0.1 ? 2 : 0) + " %";

async function tick() {
  const answer = await ask("recent").catch(() => null);
  if (!answer || !answer.ok) { show(false, answer ? "no access" : "not reached"); return; }
  const now = await answer.json();
  const total = (one) => OUTCOMES.reduce((sum, name) => sum + one[name], 0);
  if (last && now.time > last.time && total(now) >= total(last)) {
    const requests = total(now) - total(last), answered = now.answered - last.answered;
    points.push({
      rate: requests / (now.time - last.time),
      bad: requests ? 1 - (now.ok - last.ok) / requests : 0,
      mean: answered ? (now.seconds - last.seconds) / answered * 1e3 : 0,
      slow: answered ? (now.slow - last.slow) / answered : 0,
    });
    if (points.length > MOST) points.shift();
  }
  last = now;
  const end = points[points.length - 1];
  if (end) {
    $("rate").textContent = end.rate.toFixed(1);
    $("bad").textContent = percent(end.bad);
    $("mean").textContent = end.mean.toFixed(2);
    $("slow").textContent = percent(end.slow);
  }
  line("chart-rate", points.map((p) => p.rate), 1);
  line("chart-bad", points.map((p) => p.bad), 0.01);
  line("chart-mean", points.map((p) => p.mean), 0.1);
  line("chart-slow", points.map((p) => p.slow), 0.01);
  $("totals").textContent = "Since the start: " + OUTCOMES.map((name) => `${now[name]} ${name.replace("_", " ")}`).join(", ") + `; ${now.rows} rows.`;
  const ready = await fetch("v2/health/ready").catch(() => null);
  if (ready) show(ready.ok, ready.ok ? "" : (await ready.json()).error);
}

function show(good, why) {
  $("state").textContent = good ? "ready" : why;
  $("state").className = "pill " + (good ? "good" : "bad");
}

function field(feature, value) {
  const label = make("label", feature.name, $("fields"));
  let input;
  if (feature.categories) {
    input = make("select", undefined, label);
    feature.categories.forEach((one, i) => { make("option", String(one), input).value = i; });
  } else if (feature.datatype === "BOOL") {
    input = make("select", undefined, label);
    for (const one of ["false", "true"]) make("option", one, input).value = one;
  } else {
    input = make("input", undefined, label);
    input.value = String(value);
  }
  if (feature.missing && input.tagName === "SELECT") make("option", "(missing)", input).value = "";
  return () => {
    if (input.value === "" && (feature.missing || feature.datatype !== "BYTES")) return null;
    if (feature.categories) return feature.categories[Number(input.value)];
    if (feature.datatype === "BOOL") return input.value === "true";
    if (feature.datatype === "BYTES") return input.value;
    const number = Number(input.value);
    return Number.isFinite(number) ? number : input.value;
  };
}

function range(feature) {
  if (feature.categories) return feature.categories.slice(0, 12).map(String).join(", ") + (feature.categories.length > 12 ? ", …" : "");
  if (feature.minimum === null || feature.minimum === undefined) return "";
  const short = (value) => (Number.isInteger(value) ? value : Number(Number(value).toPrecision(5)));
  return `${short(feature.minimum)} to ${short(feature.maximum)}`;
}

function draw() {
  document.title = `${about.model}: Model Preflight`;
  $("model").replaceChildren(about.model, " ");
  make("small", about.version, $("model"));
  if (about.override || about.verdict !== "pass") {
    $("override").hidden = false;
    $("override").textContent = `Served in spite of the gate (verdict: ${about.verdict || "none"}): ${about.override}`;
  }
  $("slow-title").textContent = `Slower than ${Number(about.slo_ms.toPrecision(6))} ms`;
  const parity = about.parity || {};
  const facts = { Verdict: about.verdict || "none", Made: about.created_at, Commit: about.git_commit, Digest: about.digest, Task: about.task, Classes: about.classes.map(String).join(", "), "Same as the original": parity.level };
  $("facts").replaceChildren();
  for (const [name, value] of Object.entries(facts)) {
    if (!value) continue;
    make("dt", name, $("facts"));
    make("dd", value, $("facts"));
  }
  const body = $("contract").tBodies[0];
  body.replaceChildren();
  $("fields").replaceChildren();
  const readers = about.features.map((feature) => {
    const row = make("tr", undefined, body);
    for (const text of [feature.name, feature.dtype, range(feature), feature.missing ? "yes" : "no"]) make("td", text, row);
    return [feature.name, field(feature, about.example[feature.name])];
  });
  $("try").onsubmit = async (event) => {
    event.preventDefault();
    const row = Object.fromEntries(readers.map(([name, read]) => [name, read()]));
    const answer = await ask("predict", { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ rows: [row] }) }).catch(() => null);
    $("answer").hidden = false;
    $("answer").textContent = answer ? JSON.stringify(await answer.json(), null, 2) : "the server was not reached";
    tick();
  };
}

async function start() {
  const answer = await ask("about").catch(() => null);
  $("unlock").hidden = !(answer && answer.status === 401);
  if (!answer || !answer.ok) { show(false, answer ? "a token is needed" : "not reached"); return; }
  about = await answer.json();
  draw();
  await tick();
  setInterval(tick, EVERY_MS);
}

$("unlock").onsubmit = (event) => { event.preventDefault(); token = $("token").value; start(); };
start();
