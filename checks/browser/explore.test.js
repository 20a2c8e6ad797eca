// What a person sees who runs `checks explore` and opens the page: actions that can be read
// and clicked, states in words, the run as a diagram, a mutant's violation, a trace to follow,
// round its loop if it has one, and nothing fetched from elsewhere.
//
//     cargo build -p checks && cd checks/browser && npm ci && npm test
//
// CHECKS_BIN is the program to test (default: the debug build), CHROMIUM the browser
// (default: /usr/bin/chromium).

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { after, before, test } from "node:test";
import { chromium } from "playwright-core";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const program = process.env.CHECKS_BIN ?? here("../../target/debug/checks");
const executablePath = process.env.CHROMIUM ?? "/usr/bin/chromium";
// Where screenshots go, if anywhere.
const screenshots = process.env.SCREENSHOTS;

let browser;

before(async () => {
  browser = await chromium.launch({
    executablePath,
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
  if (screenshots) await mkdir(screenshots, { recursive: true });
});

after(() => browser?.close());

// Starts `checks explore` on a free port. Hands back its address and a way to stop it.
async function serve(t, ...args) {
  const server = spawn(program, ["explore", "--port", "0", ...args], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const ended = once(server, "exit");
  t.after(async () => {
    server.kill("SIGKILL");
    await ended;
  });
  let said = "";
  for await (const text of server.stdout.iterator({ destroyOnReturn: false })) {
    said += text;
    const url = /http:\/\/127\.0\.0\.1:\d+\/\S*/.exec(said)?.[0];
    if (url) return { url, server, ended };
  }
  const [code] = await ended;
  assert.fail(`checks explore ended with ${code} before it served anything: ${said}`);
}

// A page that notes what it asks for and what goes wrong on it.
async function open(t, url) {
  const context = await browser.newContext({ viewport: { width: 1500, height: 1100 } });
  t.after(() => context.close());
  const page = await context.newPage();
  const requests = [];
  const problems = [];
  page.on("request", (request) => requests.push(request.url()));
  page.on("requestfailed", (request) => {
    // Explorer does not read the empty answer, which the browser notes as aborted.
    if (request.url().endsWith("/.runtocompletion")) return;
    problems.push(`${request.failure()?.errorText}: ${request.method()} ${request.url()}`);
  });
  page.on("pageerror", (error) => problems.push(String(error)));
  page.on("console", (line) => {
    // Browsers ask for this by themselves; Explorer has none.
    const isIcon = line.location().url.endsWith("/favicon.ico");
    if (line.type() === "error" && !isIcon) problems.push(line.text());
  });
  await page.goto(url);
  await choices(page).first().waitFor();
  return { page, requests, problems };
}

const choices = (page) => page.locator('h2:has-text("Next Action Choices") + ul a');
const steps = (page) => page.locator("ol.path-list a");
const diagram = (page) => page.locator("svg.lockstep");
const state = (page) => page.locator("section.main-flex-right > div").last();

// Clicks the choice whose label fits, and waits until it has become the last step.
async function take(page, label) {
  const choice = choices(page).filter({ hasText: label }).first();
  const text = (await choice.textContent()).trim();
  const taken = await steps(page).count();
  await choice.click();
  await steps(page).nth(taken).waitFor();
  assert.equal((await steps(page).nth(taken).textContent()).trim(), text);
}

async function picture(page, name) {
  if (screenshots) await page.screenshot({ path: `${screenshots}/${name}.png`, fullPage: true });
}

function assertLocal(requests, url) {
  assert.ok(requests.length > 4, "the page hardly asked for anything");
  for (const request of requests) assert.equal(new URL(request).host, new URL(url).host, request);
}

test("an election can be clicked through", async (t) => {
  const { url } = await serve(t, "raft/election");
  const { page, requests, problems } = await open(t, url);
  await take(page, /^Init 0$/);
  assert.match(await state(page).textContent(), /n0: follower t0 vote=none log=\[\]/);
  await take(page, /^n0: Election timeout$/);
  assert.match(await state(page).textContent(), /n0: candidate with n0 t1/);
  await take(page, /^n0 → n1: RequestVote t1 last=0@t0$/);
  await take(page, /^n1 → n0: RequestVoteResponse t1 granted$/);
  assert.match(await state(page).textContent(), /n0: LEADER t1 vote=n0/);
  await take(page, /^n0 → n2: AppendEntries t1/);

  await page.getByLabel("Complete State?").check();
  const whole = await state(page).textContent();
  assert.match(whole, /n0: LEADER/);
  assert.match(whole, /n2: follower of n0/);
  assert.match(whole, /under way: \d/);
  assert.doesNotMatch(whole, /BTreeMap|Envelope \{/, "the state is a dump, not words");

  const drawn = await diagram(page).textContent();
  for (const words of ["n2", "Election timeout", "RequestVote t1", "candidate", "LEADER"]) {
    assert.ok(drawn.includes(words), `the diagram does not say "${words}"`);
  }
  assert.equal(await diagram(page).locator("line.arrow").count(), 3);
  const box = await diagram(page).boundingBox();
  assert.ok(box.width > 300 && box.height > 150, `the diagram is ${box.width} × ${box.height}`);
  await picture(page, "election");

  assertLocal(requests, url);
  assert.deepEqual(problems, []);
});

test("what a client asks and is answered is shown", async (t) => {
  const { url } = await serve(t, "raft/clients");
  const { page, problems } = await open(t, url);
  await take(page, /^Init 0$/);
  await take(page, /^n0: Election timeout$/);
  await take(page, /^n0 → n1: RequestVote t1/);
  await take(page, /^n1 → n0: RequestVoteResponse t1 granted/);
  await take(page, /^client 0 asks n0$/);
  await take(page, /^n0 → n1: AppendEntries t1 prev=0@t0 \[t1:no-op/);
  await take(page, /^n1 → n0: AppendEntriesResponse t1 accepted match=1/);
  await take(page, /^n0 → n1: AppendEntries t1 prev=1@t1/);
  await take(page, /^n1 → n0: AppendEntriesResponse t1 accepted match=2/);
  const drawn = await diagram(page).textContent();
  for (const words of ["client 0", "Add(1)", "Reply"]) {
    assert.ok(drawn.includes(words), `the diagram does not say "${words}": ${drawn}`);
  }
  await picture(page, "clients");
  assert.deepEqual(problems, []);
});

test("a mutant's violation is found and shown", async (t) => {
  const { url } = await serve(t, "--mutant", "RAFT-1");
  const { page, requests, problems } = await open(t, url);
  await page.getByRole("button", { name: "Run to completion" }).click();
  const counterexample = page.locator("b", { hasText: "Counterexample found" }).first();
  await counterexample.waitFor({ timeout: 60_000 });
  await counterexample.locator("xpath=following-sibling::a").click();
  await diagram(page).getByText("violated: One vote per term").waitFor();
  await page.getByLabel("Complete State?").check();
  assert.match(await state(page).textContent(), /BROKEN: One vote per term/);
  await picture(page, "violation");
  assertLocal(requests, url);
  assert.deepEqual(problems, []);
});

// Lets `checks verify` find what is wrong with a mutant. Hands back its report.
async function verify(t, model, mutant) {
  const folder = await mkdtemp(join(tmpdir(), "checks-"));
  t.after(() => rm(folder, { recursive: true }));
  const asked = ["verify", model, "--mutant", mutant, "--json", "--traces", folder];
  const run = spawn(program, asked, { stdio: ["ignore", "pipe", "inherit"] });
  let said = "";
  for await (const text of run.stdout) said += text;
  const [report] = JSON.parse(said);
  assert.equal(report.verdict, "violated");
  return report;
}

test("a run for ever can be followed to its loop, and round it", async (t) => {
  const report = await verify(t, "raft/live-retransmission", "RAFT-SENDS-ONCE");
  const [stem, all] = [report.loop_start, report.steps.length];
  const length = all - stem;
  assert.ok(stem > 2 && length > 1, `a stem and a loop: ${stem}, ${length}`);

  const { url } = await serve(t, "--trace", report.trace_file);
  const { page, requests, problems } = await open(t, url);
  await steps(page).nth(all + 1).waitFor();
  // The page opens at the trace's end. Before its steps stand two of the page's own.
  const labels = (await steps(page).allTextContents()).slice(2);
  assert.equal(labels.length, all);
  for (const [position, label] of labels.entries()) {
    const step = position < stem
      ? `trace, step ${position + 1} of ${stem}`
      : `step ${position - stem + 1} of ${length}`;
    assert.ok(label.endsWith(step), `${label} is not ${step}`);
    assert.equal(label.includes("here the loop begins"), position === stem, label);
  }
  const drawn = () => diagram(page).textContent();
  const ever = "and from here on for ever: violated: Every request is answered";
  assert.ok((await drawn()).includes(ever), await drawn());
  assert.ok((await drawn()).includes("once round"), await drawn());
  // All is as it was where the loop begins: the page marks states that are the same.
  const same = page.locator("ol.path-list a.is-same-state");
  assert.equal(await same.count(), 1);
  await picture(page, "loop");

  await take(page, /here the loop begins, step 1 of/);
  for (let step = 2; step <= length; step += 1) {
    await take(page, new RegExp(`loop, step ${step} of ${length}$`));
  }
  assert.ok((await drawn()).includes("2 times round"), await drawn());
  assert.equal(await same.count(), 2);
  await picture(page, "twice-round");

  assertLocal(requests, url);
  assert.deepEqual(problems, []);
});

test("a violation's trace can be followed", async (t) => {
  const report = await verify(t, "raft/divergence", "RAFT-VOTE-BY-LENGTH");
  const { url } = await serve(t, "--trace", report.trace_file);
  const { page, problems } = await open(t, url.split("#")[0]);
  await take(page, /^Init 0$/);
  for (let step = 1; step <= report.steps.length; step += 1) {
    await take(page, new RegExp(`trace, step ${step} of ${report.steps.length}$`));
  }
  await diagram(page).getByText("violated: ").waitFor();
  assert.deepEqual(problems, []);
});

test("Ctrl-C ends it well", async (t) => {
  const { url, server, ended } = await serve(t, "raft/clients");
  const response = await fetch(`${url}.status`);
  assert.equal(response.status, 200);
  server.kill("SIGINT");
  const [code, signal] = await ended;
  assert.deepEqual([code, signal], [0, null]);
  await assert.rejects(fetch(`${url}.status`), "the page is still served");
});
