// Pictures of pages, for the documentation.
import { execFileSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join } from "node:path";

import { PAGES } from "./pages.mjs";
import { Visitor } from "./visitor.mjs";

/// Days over which the store is spread.
const DAYS = "24";
/// Pictures beside those of a desk in light: name, page, and the window.
const MORE = [
  ["home-dark", "", { scheme: "dark" }],
  ["repository-dark", "repositories/web/api", { scheme: "dark" }],
  ["home-phone", "", { width: 390 }],
  ["repository-phone", "repositories/web/api", { width: 390 }],
];

export async function takePictures({ browser, server, session }) {
  const folder = process.env.PICTURES ?? "docs/images";
  mkdirSync(folder, { recursive: true });
  await server.stop();
  execFileSync("python3", [join(import.meta.dirname ?? "tests/browser", "age.py"), join(server.directory, "data/registry.db"), DAYS]);
  await server.run();
  const desk = PAGES.map(([name, path, status]) => [name, path, {}, status]);
  for (const [name, path, window, status] of [...desk, ...MORE]) {
    const visitor = await Visitor.at(browser, server, window);
    await visitor.context.addCookies(session);
    await visitor.context.setExtraHTTPHeaders({ "X-Forwarded-Host": "registry.example.com" });
    await visitor.go(path, status);
    await visitor.page.screenshot({ path: `${folder}/${name}.png` });
    await visitor.leave();
  }
  // a quarter of the bytes, and no difference that is seen
  execFileSync("pngquant", ["--force", "--skip-if-larger", "--ext", ".png", "--quality", "80-98", ...[...desk, ...MORE].map(([name]) => `${folder}/${name}.png`)]);
}
