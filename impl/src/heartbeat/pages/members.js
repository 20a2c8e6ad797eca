// Shows who lives and who leads: asks one member every second whom it knows.

import { cell, duration, heading, shown } from "./parts.js";

const PERIOD_MS = 1000;

const element = (id) => document.getElementById(id);

function memberRow(member, leader) {
  const leads = leader !== null && leader.id === member.id;
  const role = leads ? "leader" : member.votes ? "voter" : "member";
  const row = document.createElement("tr");
  row.append(
    heading(String(member.id), "row"),
    cell(role, leads ? "word leader" : "word"),
    cell(member.load === null ? "–" : member.load.toFixed(2)),
    // By this machine's clock and that of the member.
    cell(duration(Math.max(0, Date.now() - member.started_ms))),
    cell(member.address, "word"),
    cell(shown(member.service_address), "word"),
  );
  return row;
}

function show(page) {
  const { cluster, asked, hindrance, age_ms: age, leader, members } = page;
  element("cluster").textContent = cluster;
  element("asked").textContent = String(asked);
  element("age").textContent = duration(age);
  element("members").replaceChildren(...members.map((member) => memberRow(member, leader)));
  const words =
    hindrance ?? `member ${leader.id} leads in term ${leader.term}; ${members.length} members live`;
  // Said to a screen reader only where it is news.
  if (element("summary").textContent !== words) element("summary").textContent = words;
  element("summary").className = hindrance === null ? "" : "warn";
}

async function look() {
  try {
    const answer = await fetch("/members", { cache: "no-store" });
    if (!answer.ok) throw new Error((await answer.text()).trim());
    show(await answer.json());
  } catch (error) {
    element("summary").textContent = `this member does not answer: ${error.message}`;
    element("summary").className = "warn";
  }
  setTimeout(look, PERIOD_MS);
}

look();
