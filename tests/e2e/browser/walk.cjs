// Steps of a real browser on the pages of a running gateway. Started by tests/e2e/browser.rs with a scenario, a base
// URL, a key and a message id (a folder for `pictures`). Exits with 0 on success, otherwise prints the failed
// assertion.
"use strict";
const assert = require("node:assert/strict");
const fs = require("node:fs");
const puppeteer = require("puppeteer-core").default ?? require("puppeteer-core");

const [scenario, base, key, message] = process.argv.slice(2);
const axe = fs.readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
const LIMIT_MS = 30_000;

const audit = async (page, label) => {
  const violations = await page.evaluate(async (source) => {
    if (!window.axe) (0, eval)(source);
    const { violations } = await window.axe.run(document, { resultTypes: ["violations"] });
    return violations.flatMap((one) => one.nodes.map((node) => `${one.id}: ${node.html} ${node.failureSummary}`));
  }, axe).catch(async () => {
    // The content security policy forbids eval in the page, but not in the debugger.
    const session = await page.createCDPSession();
    await session.send("Runtime.evaluate", { expression: axe });
    const reply = await session.send("Runtime.evaluate", {
      expression: `axe.run(document, { resultTypes: ["violations"] }).then((found) => found.violations.flatMap(
        (one) => one.nodes.map((node) => one.id + ": " + node.html + " " + node.failureSummary)))`,
      awaitPromise: true,
      returnByValue: true,
    });
    assert.ok(Array.isArray(reply.result.value), JSON.stringify(reply));
    return reply.result.value;
  });
  assert.deepEqual(violations, [], `${label}: ${violations.join("\n")}`);
};

const fits = async (page, label) => {
  const [content, window] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
  assert.ok(content <= window, `${label}: content is ${content} px wide in a window of ${window} px`);
};

const text = (page) => page.evaluate(() => document.body.innerText);

const until = (page, wanted) =>
  page.waitForFunction((wanted) => document.body.innerText.includes(wanted), { timeout: LIMIT_MS }, wanted);

const go = async (page, path) => {
  const response = await page.goto(base + path, { waitUntil: "load" });
  return response.status();
};

const focused = (page) =>
  page.evaluate(() => {
    const { activeElement: at } = document;
    return at.name && at.type !== "submit" ? `${at.name}` : (at.textContent || at.tagName).trim();
  });

// Presses Tab until the wanted element has the focus.
const tabTo = async (page, wanted) => {
  const seen = [];
  for (let presses = 0; presses < 120; presses += 1) {
    await page.keyboard.press("Tab");
    const at = await focused(page);
    if (at === wanted) return;
    seen.push(at);
  }
  assert.fail(`Tab never reached ${wanted}: ${seen.join(" | ")}`);
};

const enter = (page) => Promise.all([page.waitForNavigation({ waitUntil: "load" }), page.keyboard.press("Enter")]);

const signIn = async (page, path) => {
  await go(page, path);
  if (!page.url().includes("/sign-in")) return;
  await page.type("#key", key);
  await enter(page);
};

const scenarios = {
  // Every page at both widths, light and dark, without axe violations and script errors.
  async audit(browser) {
    const page = await browser.newPage();
    const errors = [];
    page.on("pageerror", (error) => errors.push(String(error)));
    page.on("console", (line) => line.type() === "error" && errors.push(line.text()));
    await go(page, "/operate");
    assert.ok(page.url().includes("/sign-in"), page.url());
    for (const path of ["/sign-in", "/", "/?search=09122222222", `/messages/${message}`, "/operate",
      "/operate/messages?q=state%3Afailed", "/operate/messages?q=", "confirm", "/usage?user_id=ann", "/broadcasts", "broadcast"]) {
      for (const width of [390, 1280]) {
        for (const scheme of ["light", "dark"]) {
          const label = `${path} at ${width} pixels, ${scheme}`;
          await page.setViewport({ width, height: 900 });
          await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
          if (path === "confirm") {
            await go(page, "/operate/messages?q=state%3Afailed");
            await Promise.all([page.waitForNavigation(), page.click('button[value="resend:all"]')]);
          } else if (path === "broadcast") {
            await go(page, "/broadcasts");
            await Promise.all([page.waitForNavigation(), page.click('a[href^="/broadcasts/"]')]);
            await until(page, "Opened / received");
          } else {
            assert.equal(await go(page, path), 200, label);
          }
          if (path === "/") await until(page, "Top ten addresses");
          if (path === "/operate") await until(page, "The numbers are live.");
          await fits(page, label);
          await audit(page, label);
        }
      }
      if (path === "/sign-in") await signIn(page, "/operate");
    }
    assert.deepEqual(errors, []);
  },

  // A failed delivery is found, selected and sent again with the keyboard only.
  async keyboard(browser) {
    const page = await browser.newPage();
    await page.setViewport({ width: 1280, height: 900 });
    await go(page, "/operate");
    await tabTo(page, "key");
    await page.keyboard.type(key);
    await enter(page);
    assert.equal(new URL(page.url()).pathname, "/operate");
    await tabTo(page, "q");
    await page.keyboard.type("state:failed provider:red");
    await enter(page);
    await until(page, "The numbers are live.");
    await tabTo(page, "id");
    await page.keyboard.press("Space");
    await until(page, "Updates are paused while something is selected.");
    await tabTo(page, "Send selected again");
    await enter(page);
    assert.match(await text(page), /Send 1 delivery again\?/);
    // A key that is held down must not confirm the action.
    assert.equal(await focused(page), "Send 1 delivery again?");
    await tabTo(page, "Send 1 again");
    await enter(page);
    assert.match(await text(page), /1 will be sent again at once\./);
  },

  // Numbers update automatically, except while something is selected; a provider is paused and resumed.
  async live(browser) {
    const page = await browser.newPage();
    await signIn(page, "/operate");
    await until(page, "The numbers are live.");
    const number = (name) => page.$eval(`[data-live="${name}"]`, (element) => Number(element.textContent));
    const before = await number("waiting");
    const send = async () => {
      const response = await fetch(`${base}/sms/send?number=09125555555&body=live`, { headers: { "X-Api-Key": key } });
      assert.equal(response.status, 200);
    };
    await send();
    const grown = (at) => page.waitForFunction(
      (at) => Number(document.querySelector('[data-live="waiting"]').textContent) === at, { timeout: LIMIT_MS }, at);
    await grown(before + 1);
    // Puppeteer misses elements that still move, such as a page that scrolls to its anchor or a row that changes its height.
    await page.emulateMediaFeatures([{ name: "prefers-reduced-motion", value: "reduce" }]);
    const click = async (selector) => {
      await until(page, "The numbers are live.");
      await Promise.all([page.waitForNavigation(), page.click(selector)]);
    };
    await click('[aria-label="Pause blue"]');
    assert.match(await text(page), /blue is paused/);
    assert.equal(await page.$eval('[data-show="provider-blue-pause"]', (form) => form.hidden), true);
    await click('[aria-label="Resume blue"]');
    assert.match(await text(page), /blue is resumed/);
    await go(page, "/operate/messages?q=state%3Awaiting");
    await page.setJavaScriptEnabled(false);
    await go(page, "/operate");
    assert.match(await text(page), /These numbers do not update automatically\./);
    assert.ok(await page.$('meta[http-equiv="refresh"]'), "a browser without scripts reloads");
    await go(page, "/operate/messages?q=state%3Awaiting");
    assert.ok(!(await page.$('meta[http-equiv="refresh"]')), "no reload while something can be selected");
  },

  // Screenshots for the README.
  async pictures(browser) {
    const page = await browser.newPage();
    await page.setViewport({ width: 1100, height: 1000 });
    for (const [name, path] of [["report", "/"], ["operate", "/operate"]]) {
      await signIn(page, path);
      await go(page, path);
      if (name === "operate") await until(page, "The numbers are live.");
      await page.screenshot({ path: `${message}/${name}.png` });
    }
  },
};

(async () => {
  const browser = await puppeteer.launch({
    executablePath: process.env.CHROMIUM,
    args: ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--no-first-run"],
    protocolTimeout: 120_000,
  });
  try {
    await scenarios[scenario](browser);
  } finally {
    await browser.close();
  }
})().catch((error) => {
  console.error(error);
  process.exit(1);
});
