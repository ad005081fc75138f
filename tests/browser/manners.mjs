// The keyboard alone, without scripts, hostile content, and pages of others.
import assert from "node:assert/strict";
import { createServer } from "node:http";

import { MANIFEST } from "./server.mjs";
import { image } from "./store.mjs";
import { Visitor, eventually } from "./visitor.mjs";

async function byKeyboard({ browser, server }) {
  await image(server.pusher(), "web/keys", 1, { tag: "v1" });
  const visitor = await Visitor.at(browser, server);
  const press = (key) => visitor.page.keyboard.press(key);
  await visitor.go("images/web/keys/v1", 401);
  await visitor.tabTo("link", "Log in");
  await press("Enter");
  await visitor.tabTo("textbox", "User");
  await visitor.page.keyboard.type("kim");
  await visitor.tabTo("textbox", "Password or token");
  await visitor.page.keyboard.type("secret");
  await press("Enter");
  await visitor.page.getByRole("button", { name: "Log out" }).first().waitFor();
  await press("/");
  await visitor.page.keyboard.type("web/keys");
  await press("Enter");
  await visitor.page.getByText("that match").waitFor();
  await visitor.tabTo("link", "keys");
  await press("Enter");
  await visitor.page.waitForURL("**/repositories/web/keys");
  await visitor.tabTo("link", "v1");
  await press("Enter");
  await visitor.page.waitForURL("**/images/web/keys/v1");
  await visitor.tabTo("link", "Delete…");
  await press("Enter");
  await visitor.page.waitForURL("**/delete/web/keys/v1");
  await visitor.tabTo("button", "Delete tag v1");
  await press("Enter");
  await visitor.page.getByRole("heading", { name: /^Deleted/ }).waitFor();
  await visitor.tabTo("button", "Undo");
  await press("Enter");
  await visitor.page.waitForURL("**/images/web/keys/v1");
  await visitor.leave();
}

async function withoutScripts({ browser, server }) {
  const visitor = await Visitor.at(browser, server, { script: false });
  await visitor.logIn("ops");
  await visitor.page.getByRole("searchbox", { name: "Search repositories" }).fill("web/api");
  await visitor.page.getByRole("searchbox", { name: "Search repositories" }).press("Enter");
  await visitor.page.getByText("that match").waitFor();
  await visitor.page.getByRole("table").getByRole("link", { name: "api", exact: true }).click();
  await visitor.page.getByRole("table").getByRole("link", { name: "latest", exact: true }).first().click();
  await visitor.page.getByText("docker pull").first().waitFor();
  for (const path of ["history/web/api/latest", "trash/web/api", "untagged/web/api", "usage", "activity", "tokens", "compare?from=web/api:1.8.2&to=web/api:1.8.3"]) {
    await visitor.go(path);
  }
  await visitor.leave();
}

const EVIL = "</td></code><script>globalThis.ran = 1</script><img src=x onerror='globalThis.ran = 1'>\" onfocus=\"globalThis.ran = 1\" autofocus x=\"";

async function hostileContent({ browser, server, session }) {
  const pusher = server.pusher("ops", EVIL);
  const long = "wide".repeat(300_000);
  const labels = { [EVIL]: EVIL, "org.opencontainers.image.url": "javascript:globalThis.ran=1", right: "\u202e\u2066gnp.exe\u200f", long };
  await image(pusher, "web/evil", 1, { tag: "v1", labels, environment: [EVIL, `LONG=${long}`] });
  await image(pusher, "web/evil", 2, { tag: "v2", labels: { [EVIL]: `${EVIL}2` } });
  const readme = await pusher.blob("web/evil", `# ${EVIL}\n\n[link](javascript:globalThis.ran=1)\n${long}`, "text/markdown");
  readme.annotations = { "org.opencontainers.image.title": EVIL, long };
  const config = await pusher.blob("web/evil", "{}", "application/vnd.oci.empty.v1+json");
  await pusher.manifest("web/evil", { schemaVersion: 2, mediaType: MANIFEST, artifactType: "text/x.evil", config, layers: [readme], annotations: { a: EVIL } }, "readme");
  const visitor = await Visitor.at(browser, server);
  await visitor.context.addCookies(session);
  for (const path of [
    "", "repositories/web/evil", "images/web/evil/v1", "images/web/evil/readme", "history/web/evil/v1", "delete/web/evil/v1", "activity",
    "compare?from=web/evil:v1&to=web/evil:v2", `?repositories=${encodeURIComponent(EVIL)}`, `login?to=${encodeURIComponent(EVIL)}`,
  ]) {
    await visitor.go(path);
    const found = await visitor.page.evaluate(() => ({
      ran: globalThis.ran,
      scripts: [...document.scripts].filter((script) => !script.src).length,
      images: document.images.length,
      links: [...document.links].filter(({ protocol }) => !protocol.startsWith("http")).length,
      reordered: /[\u202a-\u202e\u2066-\u2069\u200f]/.test(document.documentElement.outerHTML),
      large: document.documentElement.outerHTML.length > 200_000,
    }));
    assert.deepEqual(found, { ran: undefined, scripts: 0, images: 0, links: 0, reordered: false, large: false }, path);
    await visitor.page.setViewportSize({ width: 360, height: 900 });
    assert.ok((await visitor.overflow()) <= 0, `${path} scrolls sideways at 360 px`);
    await visitor.page.setViewportSize({ width: 1280, height: 900 });
  }
  await visitor.go("images/web/evil/v1");
  assert.ok((await visitor.text()).includes("<script>globalThis.ran"), "markup is not shown as text");
  await visitor.leave();
}

/// A page elsewhere can neither show pages in a frame nor send their forms.
async function pagesOfOthers({ browser, server, session }) {
  await image(server.pusher(), "web/mine", 1, { tag: "v1" });
  const form = `<form method="post" action="${server.page("delete/web/mine/v1")}"><button>Win</button></form>`;
  const elsewhere = createServer((request, answer) => {
    answer.setHeader("Content-Type", "text/html");
    answer.end(request.url === "/form" ? form : `<iframe name="inner" src="${server.page("")}"></iframe>`);
  });
  await new Promise((resolve) => elsewhere.listen(0, "127.0.0.1", resolve));
  // the same site, and so with cookies: the hardest case
  const host = `http://127.0.0.1:${elsewhere.address().port}`;
  const visitor = await Visitor.at(browser, server);
  await visitor.context.addCookies(session);
  await visitor.page.goto(`${host}/form`);
  const [answer] = await Promise.all([visitor.page.waitForResponse("**/delete/web/mine/v1"), visitor.page.getByRole("button").click()]);
  assert.equal(answer.status(), 403);
  await visitor.go("images/web/mine/v1");
  await visitor.page.goto(`${host}/frame`);
  await eventually("the browser refuses the frame", () => visitor.complaints.some((text) => text.includes("frame-ancestors")));
  visitor.complaints.length = 0;
  elsewhere.close();
  await visitor.leave();
}

export const MANNERS = [
  { name: "by keyboard", run: byKeyboard },
  { name: "without scripts", run: withoutScripts },
  { name: "hostile content", run: hostileContent },
  { name: "pages of others", run: pagesOfOthers },
];
