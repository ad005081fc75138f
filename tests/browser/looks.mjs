// Every page, light and dark, on a desk and on a phone.
import assert from "node:assert/strict";

import { PAGES } from "./pages.mjs";
import { Visitor } from "./visitor.mjs";

const NARROW = 360;

/// One test for each page.
export function looks({ axe }) {
  return PAGES.map(([name, path, status = 200]) => ({
    name: `looks ${name}`,
    async run({ browser, server, session }) {
      const visitor = await Visitor.at(browser, server);
      await visitor.context.addCookies(session);
      await visitor.go(path, status);
      await visitor.page.evaluate(axe);
      const findings = [];
      for (const width of [1280, NARROW]) {
        await visitor.page.setViewportSize({ width, height: 900 });
        const overflow = await visitor.overflow();
        if (overflow > 0) findings.push(`${width} px: scrolls sideways by ${overflow} px`);
        for (const colorScheme of ["light", "dark"]) {
          await visitor.page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
          const { violations } = await visitor.page.evaluate(() => globalThis.axe.run());
          for (const { id, help, nodes } of violations) {
            findings.push(`${width} px, ${colorScheme}: ${id}: ${help}: ${nodes[0].html.slice(0, 160)}`);
          }
        }
      }
      assert.deepEqual(findings, []);
      await visitor.leave();
    },
  }));
}
