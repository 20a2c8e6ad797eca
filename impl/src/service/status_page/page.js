// Shows a cluster live: asks one node every second for what all nodes say of themselves.

import { cell, duration, heading, shown } from "./parts.js";

const PERIOD_MS = 1000;
const POINTS = 60;

const element = (id) => document.getElementById(id);
// By node: the samples of what it has applied, and the rates between them.
const history = new Map();

function sample(node, now) {
  if (node.id === null || node.applied === null) return [];
  const kept = history.get(node.id) ?? { last: null, rates: [] };
  if (kept.last && node.applied >= kept.last.applied) {
    kept.rates.push(((node.applied - kept.last.applied) * 1000) / (now - kept.last.now));
    kept.rates.splice(0, kept.rates.length - POINTS);
  }
  kept.last = { applied: node.applied, now };
  history.set(node.id, kept);
  return kept.rates;
}

function sparkline(rates) {
  const td = document.createElement("td");
  const rate = rates.at(-1);
  td.append(rate === undefined ? "–" : rate.toFixed(rate < 10 ? 1 : 0));
  if (rates.length > 1) {
    const highest = Math.max(1, ...rates);
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    svg.setAttribute("class", "spark");
    svg.setAttribute("viewBox", `0 0 ${POINTS} 20`);
    svg.setAttribute("preserveAspectRatio", "none");
    svg.setAttribute("role", "img");
    svg.setAttribute("aria-label", `the last ${rates.length} seconds, at most ${highest.toFixed(0)}`);
    const line = document.createElementNS("http://www.w3.org/2000/svg", "polyline");
    const points = rates.map((value, at) => {
      const x = POINTS - rates.length + at;
      return `${x},${(19 - (value / highest) * 18).toFixed(2)}`;
    });
    line.setAttribute("points", points.join(" "));
    svg.append(line);
    td.append(" ", svg);
  }
  return td;
}

function nodeRow(node, furthest, now) {
  const row = document.createElement("tr");
  row.append(heading(shown(node.id), "row"));
  if (node.error) {
    const td = cell(`${node.address}: ${node.error}`, "error");
    td.colSpan = 11;
    row.append(td);
    return row;
  }
  const behind = node.last === null ? null : furthest - node.last;
  row.append(
    cell(shown(node.role), node.role === "leader" ? "word leader" : "word"),
    cell(shown(node.term)),
    cell(shown(node.leader)),
    cell(shown(node.committed)),
    cell(shown(node.applied)),
    cell(shown(node.last)),
    cell(shown(behind)),
    sparkline(sample(node, now)),
    cell(node.slow_disk ? "slow" : "ok", node.slow_disk ? "fault" : ""),
    cell(duration(node.uptime_ms)),
    cell(node.address, "word"),
  );
  return row;
}

function hearsTable(nodes) {
  const known = nodes.filter((node) => node.id !== null);
  const head = document.createElement("tr");
  head.append(heading("hears", "col"), ...known.map((node) => heading(String(node.id), "col")));
  const rows = known.map((node) => {
    const row = document.createElement("tr");
    row.append(heading(String(node.id), "row"));
    for (const other of known) {
      const heard = node.hears.includes(other.id);
      const self = node.id === other.id;
      row.append(cell(self ? "" : heard ? "yes" : "no", self || heard ? "" : "fault"));
    }
    return row;
  });
  const thead = document.createElement("thead");
  thead.append(head);
  const tbody = document.createElement("tbody");
  tbody.append(...rows);
  element("hears").replaceChildren(thead, tbody);
}

function summarize(all) {
  // Who takes no part, on purpose, need not agree.
  const nodes = all.filter((node) => node.role !== "unregistered");
  const leaders = new Set(nodes.map((node) => `${node.leader}/${node.term}`));
  const values = new Set(nodes.map((node) => node.applied));
  const silent = nodes.filter((node) => node.error).length;
  const first = nodes.find((node) => !node.error);
  if (!first) return ["no node answers", true];
  if (silent > 0) return [`${silent} of ${nodes.length} nodes do not answer`, true];
  // A counter has no leader: its nodes are to come to the same value.
  if (nodes.some((node) => node.role === "replica")) {
    if (values.size > 1) return [`the ${nodes.length} nodes know different values yet`, true];
    return [`all ${nodes.length} nodes know the value ${first.applied}`, false];
  }
  if (leaders.size > 1 || first.leader === null) return ["the nodes do not agree on a leader", true];
  return [`all ${nodes.length} nodes follow node ${first.leader}, in term or epoch ${first.term}`, false];
}

function show(page) {
  const { cluster, asked, nodes } = page;
  const furthest = Math.max(0, ...nodes.map((node) => node.last ?? 0));
  const now = performance.now();
  element("cluster").textContent = cluster;
  element("asked").textContent = `node ${asked}`;
  element("nodes").replaceChildren(...nodes.map((node) => nodeRow(node, furthest, now)));
  hearsTable(nodes);
  const [words, fault] = summarize(nodes);
  // Said to a screen reader only where it is news.
  if (element("summary").textContent !== words) element("summary").textContent = words;
  element("summary").className = fault ? "warn" : "";
}

async function look() {
  const token = sessionStorage.getItem("token");
  try {
    const answer = await fetch("/cluster", {
      headers: token ? { authorization: `Bearer ${token}` } : {},
      cache: "no-store",
    });
    element("access").hidden = answer.status !== 401;
    if (!answer.ok) throw new Error((await answer.text()).trim());
    show(await answer.json());
  } catch (error) {
    element("summary").textContent = `this node does not answer: ${error.message}`;
    element("summary").className = "warn";
  }
  setTimeout(look, PERIOD_MS);
}

element("access").addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem("token", element("token").value);
});

look();
