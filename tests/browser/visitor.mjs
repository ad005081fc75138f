// Somebody in front of a browser, who notes whatever the browser complains of.
import assert from "node:assert/strict";

/// Words of the browser about an answer that a test expects.
const REFUSED = /^Failed to load resource: the server responded with a status of 4\d\d/;

export class Visitor {
  /// Opens a window on a server.
  static async at(browser, server, { scheme = "light", width = 1280, script = true } = {}) {
    const visitor = new Visitor();
    visitor.server = server;
    visitor.complaints = [];
    visitor.context = await browser.newContext({
      colorScheme: scheme, viewport: { width, height: 900 }, javaScriptEnabled: script, permissions: ["clipboard-read", "clipboard-write"],
    });
    // slow machines are slow; nothing waits longer than it must
    visitor.context.setDefaultTimeout(60_000);
    visitor.page = await visitor.context.newPage();
    const note = (text) => visitor.complaints.push(`${visitor.page.url()}: ${text}`);
    visitor.page.on("console", (message) => REFUSED.test(message.text()) || note(message.text()));
    visitor.page.on("pageerror", (error) => note(error.message));
    visitor.page.on("dialog", (dialog) => note(`dialog ${dialog.message()}`) && dialog.dismiss());
    return visitor;
  }

  /// Opens a page, which must have this status.
  async go(path, status = 200) {
    const answer = await this.page.goto(this.server.page(path));
    assert.equal(answer.status(), status, `${path} is ${answer.status()}`);
  }

  async logIn(user, password = "secret") {
    await this.go("login");
    await this.page.getByLabel("User", { exact: true }).fill(user);
    await this.page.getByLabel("Password or token").fill(password);
    await this.page.getByRole("button", { name: "Log in" }).click();
    await this.page.getByRole("button", { name: "Log out" }).first().waitFor();
  }

  async text() {
    return await this.page.locator("main").innerText();
  }

  /// Presses keys until this is focused; the focus must be seen.
  async tabTo(role, name) {
    for (let presses = 0; presses < 200; presses++) {
      await this.page.keyboard.press("Tab");
      const target = this.page.getByRole(role, { name, exact: true });
      if ((await target.count()) && (await target.first().evaluate((element) => element === document.activeElement))) {
        const outline = await target.first().evaluate((element) => {
          const style = getComputedStyle(element);
          return `${style.outlineStyle} ${style.outlineWidth} ${style.boxShadow} ${getComputedStyle(element.parentElement).boxShadow} ${style.borderColor}`;
        });
        assert.ok(!/^none.*none none/.test(outline), `the focus of ${name} is not seen: ${outline}`);
        return;
      }
    }
    assert.fail(`no key leads to ${role} ${name} on ${this.page.url()}`);
  }

  /// Pixels by which the page is wider than its window.
  async overflow() {
    return await this.page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  }

  async leave() {
    await this.context.close();
    assert.deepEqual(this.complaints, [], "the browser complains");
  }
}

/// Waits until something holds that no element shows, however slow the machine is.
export async function eventually(what, holds) {
  for (const end = Date.now() + 60_000; Date.now() < end; await new Promise((resolve) => setTimeout(resolve, 50))) {
    if (await holds()) return;
  }
  assert.fail(`never: ${what}`);
}
