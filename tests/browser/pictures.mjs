// Pictures of pages, for the documentation.
import { mkdirSync } from "node:fs";

import { PAGES } from "./pages.mjs";
import { Visitor } from "./visitor.mjs";

export async function takePictures({ browser, server, session }) {
  const folder = process.env.PICTURES ?? "docs/images";
  mkdirSync(folder, { recursive: true });
  const visitor = await Visitor.at(browser, server);
  await visitor.context.addCookies(session);
  for (const [name, path, status] of PAGES) {
    await visitor.go(path, status);
    await visitor.page.screenshot({ path: `${folder}/${name}.png` });
  }
  await visitor.leave();
}
