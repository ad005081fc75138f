// Runs the tests: one browser, a few windows at a time.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { availableParallelism } from "node:os";
import { join } from "node:path";

import { looks } from "./looks.mjs";
import { MANNERS } from "./manners.mjs";
import { fillForPeople, people } from "./people.mjs";
import { takePictures } from "./pictures.mjs";
import { Server } from "./server.mjs";
import { fill } from "./store.mjs";
import { Visitor } from "./visitor.mjs";

const modules = createRequire(join(process.env.BROWSER_MODULES, "package.json"));
const { chromium } = modules("playwright-core");

const begun = Date.now();
const words = process.argv.slice(2).filter((word) => !word.startsWith("-"));
const isForPictures = process.argv.includes("--pictures");

/// Cookies of an administrator, for tests that are not about logins.
async function administrator(browser, server) {
  const visitor = await Visitor.at(browser, server);
  await visitor.logIn("ops");
  const cookies = await visitor.context.cookies();
  await visitor.leave();
  return cookies;
}

async function runAll(tests, world) {
  const failed = [];
  const waiting = [...tests];
  const worker = async () => {
    for (let test = waiting.shift(); test; test = waiting.shift()) {
      try {
        await test.run(world);
      } catch (error) {
        failed.push(test.name);
        console.error(`\n${test.name}: ${error.stack}`);
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(4, availableParallelism() + 1) }, worker));
  const seconds = Math.round((Date.now() - begun) / 1000);
  console.log(`browser: ${tests.length - failed.length} passed, ${failed.length} failed, in ${seconds} s${failed.map((name) => `\n  ${name}`).join("")}`);
  return failed.length === 0;
}

const [browser, server, below] = await Promise.all([
  // of root, Chromium wants no sandbox of its own; containers lack /dev/shm
  chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox", "--disable-dev-shm-usage"] }),
  Server.start(),
  Server.start("/below/"),
]);
let isGood = false;
try {
  await Promise.all([fill(server, isForPictures ? 60 : 1), ...(isForPictures ? [] : [fillForPeople(server), fillForPeople(below)])]);
  const world = { browser, server, below, session: await administrator(browser, server) };
  if (isForPictures) {
    await takePictures(world);
    isGood = true;
  } else {
    const axe = readFileSync(modules.resolve("axe-core/axe.min.js"), "utf8");
    const places = [["at the root", () => server], ["below a prefix", () => below]];
    const tests = [...people(places), ...MANNERS, ...looks({ axe })];
    isGood = await runAll(tests.filter(({ name }) => !words.length || words.some((word) => name.includes(word))), world);
  }
} finally {
  await browser.close();
  await Promise.all([server.end(), below.end()]);
}
process.exit(isGood ? 0 : 1);
