// What anonymous, reader, writer and administrator see and do.
import assert from "node:assert/strict";

import { image } from "./store.mjs";
import { Visitor } from "./visitor.mjs";

const link = (visitor, name) => visitor.page.getByRole("link", { name, exact: true }).first();

async function search(visitor, word) {
  await visitor.go("");
  await visitor.page.keyboard.press("/");
  await visitor.page.keyboard.type(word);
  await visitor.page.keyboard.press("Enter");
  await visitor.page.getByText("that match").waitFor();
  return await visitor.text();
}

/// Whoever may pull reads pages, follows links and compares; `hidden` is what they must not see, and is answered so.
async function reads(visitor, repository, hidden, status = 404) {
  const found = await search(visitor, repository.split("/").pop());
  assert.match(found, new RegExp(repository.split("/").pop()));
  for (const name of hidden) {
    assert.doesNotMatch(await search(visitor, name), new RegExp(`\\b${name}\\b(?!\\s*\\. A glob)[^]*tags`), `${name} is listed`);
    await visitor.go(`repositories/${name}`, status);
    await visitor.go(`images/${name}/1.0`, status);
  }
  await visitor.go(`repositories/${repository}`);
  await visitor.page.getByRole("table").getByRole("link", { name: "1.0", exact: true }).click();
  await visitor.page.getByRole("heading", { name: "Use" }).waitFor();
  await visitor.page.getByRole("link", { name: "Compare…" }).click();
  await visitor.page.getByLabel("To", { exact: true }).fill(`${repository}:2.0`);
  await visitor.page.getByRole("button", { name: "Compare" }).click();
  await visitor.page.getByText("A host that has").waitFor();
}

/// Whoever may not change anything is offered no change, and makes none.
async function changesNothing(visitor, repository, status) {
  await visitor.go(`images/${repository}/1.0`);
  assert.equal(await link(visitor, "Delete…").count(), 0);
  await visitor.go(`delete/${repository}/1.0`, status);
  const sent = await visitor.page.evaluate(async (path) => (await fetch(path, { method: "POST" })).status, visitor.server.page(`delete/${repository}/1.0`));
  assert.equal(sent, status);
  await visitor.go(`images/${repository}/1.0`);
}

/// Whoever may delete does, undoes it, brings a tag back from the trash, and a state from its history.
async function deletesAndRestores(visitor, repository) {
  const pusher = visitor.server.pusher("ops");
  const former = await image(pusher, repository, 1, { tag: "v1" });
  await image(pusher, repository, 2, { tag: "v1" });
  await visitor.go(`images/${repository}/v1`);
  await link(visitor, "Delete…").click();
  await visitor.page.getByRole("heading", { name: "Comes back" }).waitFor();
  await visitor.page.getByRole("button", { name: "Delete tag v1" }).click();
  await visitor.page.getByRole("button", { name: "Undo" }).click();
  await visitor.page.waitForURL(`**/images/${repository}/v1`);
  await visitor.go(`delete/${repository}/v1`);
  await visitor.page.getByRole("button", { name: "Delete tag v1" }).click();
  await visitor.page.getByRole("button", { name: "Undo" }).waitFor();
  await visitor.go(`images/${repository}/v1`, 404);
  await visitor.go(`trash/${repository}`);
  await visitor.page.getByRole("row", { name: /v1/ }).getByRole("button", { name: "Restore" }).click();
  await visitor.page.waitForURL(`**/images/${repository}/v1`);
  await visitor.go(`history/${repository}/v1`);
  const row = visitor.page.getByRole("row", { name: new RegExp(former.digest.slice(7, 19)) });
  await row.getByRole("button", { name: /^Restore/ }).click();
  await visitor.page.getByRole("heading", { name: "Use" }).waitFor();
  assert.match(await visitor.text(), new RegExp(former.digest));
}

async function seesAPush(visitor, repository) {
  await visitor.go(`repositories/${repository}`);
  await image(visitor.server.pusher("ops"), repository, 3, { tag: "arrived" });
  await visitor.page.getByRole("link", { name: "arrived", exact: true }).waitFor();
}

export const PEOPLE = [
  {
    name: "anonymous",
    async run(visitor) {
      assert.match(await visitor.page.content(), /Log in/);
      await reads(visitor, "public/app", ["web/app", "private/app"], 401);
      await changesNothing(visitor, "public/app", 401);
      for (const path of ["activity", "tokens", "upstreams", "webhooks"]) await visitor.go(path, 401);
    },
  },
  {
    name: "reader",
    user: "ann",
    async run(visitor) {
      await reads(visitor, "web/app", ["private/app"]);
      await changesNothing(visitor, "web/app", 403);
      for (const path of ["activity", "tokens", "upstreams", "webhooks"]) await visitor.go(path, 403);
    },
  },
  {
    name: "writer",
    user: "kim",
    async run(visitor, tag) {
      await reads(visitor, "web/app", ["private/app"]);
      await deletesAndRestores(visitor, `web/written-${tag}`);
      await seesAPush(visitor, `web/written-${tag}`);
      for (const path of ["activity", "tokens", "upstreams", "webhooks"]) await visitor.go(path, 403);
    },
  },
  {
    name: "administrator",
    user: "ops",
    async run(visitor, tag) {
      await reads(visitor, "private/app", []);
      await deletesAndRestores(visitor, `private/written-${tag}`);
      await visitor.go("activity?who=ops&action=untag");
      assert.match(await visitor.text(), new RegExp(`private/written-${tag}`));
      const name = `made-${tag}`;
      const secret = visitor.server.command("token", "create", name, "--repositories", "web/**", "--may", "pull").trim();
      await visitor.go("tokens");
      assert.match(await visitor.text(), new RegExp(name));
      await visitor.page.getByRole("button", { name: "Log out" }).click();
      await link(visitor, "Log in").waitFor();
      await visitor.logIn("anybody", secret);
      await visitor.go("images/web/app/1.0");
      await visitor.go("images/private/app/1.0", 404);
    },
  },
];

/// Images that people look at.
export async function fillForPeople(server) {
  const pusher = server.pusher("ops");
  for (const repository of ["public/app", "web/app", "private/app"]) {
    for (const version of ["1.0", "2.0"]) await image(pusher, repository, version, { tag: version, own: 2_000 });
  }
}

/// One test for each of them, on each server.
export function people(places) {
  return places.flatMap(([place, choose]) => PEOPLE.map(({ name, user, run }) => ({
    name: `${name} ${place}`,
    async run(world) {
      const visitor = await Visitor.at(world.browser, choose(world));
      await visitor.go("");
      if (user) {
        await visitor.logIn(user);
        assert.equal(await visitor.page.evaluate(() => document.cookie), "", "a script reads the cookie");
      }
      await run(visitor, name);
      await visitor.leave();
    },
  })));
}
