// Servers with users and rights, and whoever pushes to them.
import { execFileSync, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

const BINARY = process.env.REGISTRY_BINARY;
const PASSWORD = "secret";
const RULES = {
  rules: [
    { repositories: "**", who: "ops", may: "admin" },
    { repositories: "web/**", who: "kim", may: "maintain" },
    { repositories: "web/**", who: "ann", may: "pull" },
    { repositories: "public/**", who: "anonymous", may: "pull" },
  ],
};
const POLICIES = [
  { repositories: "web/**", immutable: ["1.*"], tags: [{ match: ["pr-*", "nightly-*"], younger: "30d" }] },
];

export const MANIFEST = "application/vnd.oci.image.manifest.v1+json";
export const INDEX = "application/vnd.oci.image.index.v1+json";
export const digestOf = (bytes) => `sha256:${createHash("sha256").update(bytes).digest("hex")}`;

/// A running server on a directory of its own.
export class Server {
  /// Starts one below a prefix: `/` or `/below/`.
  static async start(prefix = "/", variables = {}) {
    const server = new Server();
    server.prefix = prefix;
    server.directory = mkdtempSync(join(tmpdir(), "registry-browser-"));
    const users = ["ops", "kim", "ann"].map((user) => execFileSync(BINARY, ["htpasswd", "-Bbn", "-C", "5", user, PASSWORD]));
    const path = join(server.directory, "htpasswd");
    writeFileSync(path, Buffer.concat(users));
    server.environment = {
      ...process.env,
      REGISTRY_AUTH: JSON.stringify({ htpasswd: { realm: "registry", path } }),
      REGISTRY_ACCESS: JSON.stringify(RULES),
      REGISTRY_POLICIES: JSON.stringify(POLICIES),
      REGISTRY_STORAGE_DELETE_ENABLED: "true",
      REGISTRY_HTTP_PREFIX: prefix,
      ...variables,
    };
    await server.run();
    return server;
  }

  async run() {
    const words = ["serve", "--addr", "127.0.0.1:0", "--data-dir", join(this.directory, "data")];
    this.process = spawn(BINARY, words, { env: this.environment, stdio: ["ignore", "pipe", "pipe"] });
    this.log = "";
    this.process.stderr.on("data", (text) => (this.log += text));
    this.ended = new Promise((resolve) => this.process.once("exit", resolve));
    const lines = createInterface({ input: this.process.stdout });
    const first = await Promise.race([new Promise((resolve) => lines.once("line", resolve)), this.ended.then(() => "")]);
    const address = /listening on http:\/\/([^,]*),/.exec(first)?.[1];
    if (!address) throw new Error(`the server did not start: ${first}${this.log}`);
    this.origin = `http://${address}`;
  }

  /// Address below the prefix.
  url(path) {
    return `${this.origin}${this.prefix}${path}`;
  }

  /// Address of a page.
  page(path) {
    return this.url(`ui/${path}`);
  }

  command(...words) {
    return execFileSync(BINARY, [...words, "--data-dir", join(this.directory, "data")], { env: this.environment, stdio: ["ignore", "pipe", "ignore"] }).toString();
  }

  pusher(user = "ops", agent = "buildx/0.19") {
    return new Pusher(this, user, PASSWORD, agent);
  }

  async stop() {
    this.process.kill("SIGTERM");
    await this.ended;
  }

  async end() {
    await this.stop();
    rmSync(this.directory, { recursive: true, force: true });
  }
}

/// Whoever pushes.
export class Pusher {
  constructor(server, user, password, agent) {
    this.server = server;
    this.headers = { Authorization: `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}`, "User-Agent": agent };
  }

  async send(method, path, body, headers = {}) {
    const url = this.server.url(path);
    const answer = await fetch(url, { method, body, headers: { ...this.headers, ...headers } });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text}`);
    return text;
  }

  /// Uploads bytes, and describes them.
  async blob(repository, bytes, mediaType) {
    const digest = digestOf(bytes);
    const type = { "Content-Type": "application/octet-stream" };
    await this.send("POST", `v2/${repository}/blobs/uploads/?digest=${digest}`, bytes, type);
    return { mediaType, digest, size: Buffer.byteLength(bytes) };
  }

  /// Pushes a manifest, by tag or by its digest; returns its description.
  async manifest(repository, document, tag) {
    const text = JSON.stringify(document);
    const digest = digestOf(text);
    await this.send("PUT", `v2/${repository}/manifests/${tag ?? digest}`, text, { "Content-Type": document.mediaType });
    return { mediaType: document.mediaType, digest, size: text.length };
  }

  async pull(repository, reference) {
    await this.send("GET", `v2/${repository}/manifests/${reference}`, undefined, { Accept: `${INDEX}, ${MANIFEST}` });
  }

  async delete(repository, reference) {
    await this.send("DELETE", `v2/${repository}/manifests/${reference}`);
  }
}
