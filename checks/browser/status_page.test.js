// What a person sees who opens a node's page: all nodes, who leads, who hears whom, and what changes
// when one of them is killed; in light and dark, and with a token where the cluster wants one.
//
//     cargo build -p lockstep && cd checks/browser && npm ci && npm test
//
// LOCKSTEP_BIN is the program to test (default: the debug build), CHROMIUM the browser
// (default: /usr/bin/chromium).

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { after, before, test } from "node:test";
import { chromium } from "playwright-core";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const program = process.env.LOCKSTEP_BIN ?? here("../../target/debug/lockstep");
const executablePath = process.env.CHROMIUM ?? "/usr/bin/chromium";
const screenshots = process.env.SCREENSHOTS;
const TOKEN = "0123456789abcdef";

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

// Free ports of the loopback interface, all held until all are found.
async function ports(count) {
  const held = [];
  for (let n = 0; n < count; n += 1) {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    held.push(server);
  }
  const found = held.map((server) => server.address().port);
  await Promise.all(held.map((server) => new Promise((resolve) => server.close(resolve))));
  return found;
}

// Three nodes as processes. Hands back their addresses and the processes, which end with the test.
async function cluster(t, { tokens = false } = {}) {
  const folder = await mkdtemp(join(tmpdir(), "lockstep-page-"));
  const free = await ports(9);
  let text = 'cluster = "blue"\ninit_on_first_start = true\n[security]\nplaintext = true\n';
  if (tokens) {
    text += 'tokens = "tokens.toml"\n';
    const token = `[[token]]\nname = "all"\nrole = "admin"\ntoken = "${TOKEN}"\n`;
    await writeFile(join(folder, "tokens.toml"), token, { mode: 0o600 });
  }
  for (let id = 1; id <= 3; id += 1) {
    const [peer, client, metrics] = free.slice(3 * id - 3, 3 * id);
    text += `[[nodes]]\nid = ${id}\npeer_address = "127.0.0.1:${peer}"\n`;
    text += `client_address = "127.0.0.1:${client}"\nmetrics_address = "127.0.0.1:${metrics}"\n`;
    text += `data_directory = "data/${id}"\n`;
  }
  const file = join(folder, "cluster.toml");
  await writeFile(file, text);
  const nodes = [1, 2, 3].map((id) => {
    const args = ["node", "--config", file, "--id", String(id), "--stop-with-stdin"];
    const child = spawn(program, args, { stdio: ["pipe", "ignore", "ignore"] });
    return { id, child, ended: once(child, "exit") };
  });
  t.after(async () => {
    for (const { child } of nodes) child.kill("SIGKILL");
    await Promise.all(nodes.map(({ ended }) => ended));
    await rm(folder, { recursive: true, force: true });
  });
  const urls = [1, 2, 3].map((id) => `http://127.0.0.1:${free[3 * id - 2]}`);
  return { nodes, urls, file };
}

// A page that notes what it asks for and what goes wrong on it.
async function open(t, url, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1300, height: 700 }, ...options });
  t.after(() => context.close());
  const page = await context.newPage();
  page.asked = [];
  page.faults = [];
  page.on("request", (request) => page.asked.push(request.url()));
  page.on("pageerror", (error) => page.faults.push(error.message));
  const end = Date.now() + 20_000;
  for (;;) {
    const answer = await page.goto(url).catch(() => null);
    if (answer?.ok()) return page;
    assert.ok(Date.now() < end, `${url} serves no page`);
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

const summary = (page, words) =>
  page.waitForFunction(
    (text) => document.getElementById("summary").textContent.includes(text),
    words,
    { timeout: 20_000 },
  );

const rows = (page) =>
  page.$$eval("#nodes tr", (all) => all.map((row) => [...row.cells].map((td) => td.textContent.trim())));

test("a node's page shows the cluster live", async (t) => {
  const { nodes, urls, file } = await cluster(t);
  const page = await open(t, urls[0]);
  await summary(page, "all 3 nodes follow node");
  assert.equal(await page.textContent("#cluster"), "blue");
  const shown = await rows(page);
  assert.deepEqual(shown.map((row) => row[0]), ["1", "2", "3"]);
  assert.equal(shown.filter((row) => row[1] === "leader").length, 1);
  const heard = await page.$$eval("#hears tbody td", (all) => all.map((td) => td.textContent));
  assert.equal(heard.filter((word) => word === "yes").length, 6);

  const before = Number(shown[0][5]);
  const args = ["kv", "--config", file, "put", "colour", "blue"];
  assert.equal((await once(spawn(program, args), "exit"))[0], 0);
  await page.waitForFunction(
    (least) => Number(document.querySelector("#nodes tr").cells[5].textContent) > least,
    before,
  );
  await page.waitForSelector("svg.spark polyline");
  if (screenshots) {
    await page.screenshot({ path: join(screenshots, "status-page-light.png") });
    await page.emulateMedia({ colorScheme: "dark" });
    await page.screenshot({ path: join(screenshots, "status-page-dark.png") });
  }

  nodes[2].child.kill("SIGKILL");
  await summary(page, "1 of 3 nodes do not answer");
  assert.match((await rows(page)).map((row) => row.join(" ")).join("\n"), /error sending request|connect/i);
  assert.deepEqual(page.faults, []);
  assert.ok(page.asked.every((url) => url.startsWith(urls[0])), page.asked.join("\n"));
});

test("the page is readable in the dark", async (t) => {
  const { urls } = await cluster(t);
  const ground = async (colorScheme) => {
    const page = await open(t, urls[1], { colorScheme });
    return page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  };
  assert.notEqual(await ground("light"), await ground("dark"));
});

test("where the cluster wants a token, the page asks for it and shows nothing before", async (t) => {
  const { urls } = await cluster(t, { tokens: true });
  const page = await open(t, urls[0]);
  await page.waitForSelector("#access:not([hidden])", { timeout: 20_000 });
  assert.deepEqual(await rows(page), []);
  await page.getByLabel("This cluster wants a token").fill(TOKEN);
  await page.keyboard.press("Enter");
  await summary(page, "all 3 nodes follow node");
  assert.equal(await page.isVisible("#access"), false);
  assert.ok(!page.asked.some((url) => url.includes(TOKEN)), "a token in an address");
});
