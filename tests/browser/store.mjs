// Images worth looking at.
import { createCipheriv, createHash } from "node:crypto";

import { INDEX, MANIFEST } from "./server.mjs";

const CONFIG = "application/vnd.oci.image.config.v1+json";
const LAYER = "application/vnd.oci.image.layer.v1.tar+gzip";
const HISTORY = [
  { created_by: "/bin/sh -c #(nop) ADD file:3f1c9a in / ", created: "2026-11-01T00:00:00Z" },
  { created_by: "RUN /bin/sh -c apt-get update && apt-get install -y --no-install-recommends ca-certificates tzdata libpq5 # buildkit" },
  { created_by: "WORKDIR /srv", empty_layer: true },
  { created_by: "COPY --from=build /out/api /usr/local/bin/api # buildkit" },
  { created_by: "COPY migrations/ /srv/migrations/ # buildkit" },
  { created_by: "ENV PORT=8080 RUST_LOG=info", empty_layer: true },
  { created_by: "USER 65532", empty_layer: true },
  { created_by: 'ENTRYPOINT ["/usr/local/bin/api"]', empty_layer: true },
  { created_by: 'CMD ["serve"]', empty_layer: true },
];

/// Bytes that look random and are the same for the same seed.
function bytes(seed, length) {
  const key = createHash("sha256").update(seed).digest();
  return createCipheriv("aes-256-ctr", key, Buffer.alloc(16)).update(Buffer.alloc(length));
}

/// Factor of the sizes of layers: tests are quick, and pictures look like a team's.
let scale = 1;

/// Pushes an image of one platform; `labels` and `environment` are added to its configuration.
export async function image(pusher, repository, version, { architecture = "amd64", own = 30_000, tag, labels = {}, environment = [] } = {}) {
  const seed = `${repository} ${version} ${architecture}`;
  const sizes = [[`debian ${architecture}`, 90_000], [`packages ${architecture}`, 40_000], [seed, own], [`${seed} migrations`, 900]];
  const layers = sizes.map(([layer, size]) => bytes(layer, size * scale));
  const config = {
    architecture, os: "linux", created: "2026-11-27T10:01:44Z",
    config: {
      Entrypoint: ["/usr/local/bin/api"], Cmd: ["serve"], User: "65532", WorkingDir: "/srv", ExposedPorts: { "8080/tcp": {} },
      Env: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "PORT=8080", "RUST_LOG=info", ...environment],
      Labels: {
        "org.opencontainers.image.source": "https://git.example.com/team/api", "org.opencontainers.image.revision": "3f91c2e07ab4",
        "org.opencontainers.image.version": String(version), "org.opencontainers.image.licenses": "Apache-2.0", ...labels,
      },
    },
    rootfs: { type: "layers", diff_ids: layers.map((layer) => `sha256:${createHash("sha256").update(layer).digest("hex")}`) },
    history: HISTORY,
  };
  const manifest = {
    schemaVersion: 2, mediaType: MANIFEST, config: await pusher.blob(repository, JSON.stringify(config), CONFIG), layers: [],
    annotations: { "org.opencontainers.image.base.name": "docker.io/library/debian:bookworm-slim" },
  };
  for (const layer of layers) manifest.layers.push(await pusher.blob(repository, layer, LAYER));
  const pushed = await pusher.manifest(repository, manifest, tag);
  return { ...pushed, platform: { architecture, os: "linux" } };
}

/// Pushes something about an image.
export async function attach(pusher, repository, { digest, mediaType, size }, artifactType, content) {
  const empty = await pusher.blob(repository, "{}", "application/vnd.oci.empty.v1+json");
  await pusher.manifest(repository, {
    schemaVersion: 2, mediaType: MANIFEST, artifactType, config: empty, layers: [await pusher.blob(repository, content, artifactType)],
    subject: { mediaType, digest, size }, annotations: { "org.opencontainers.image.created": "2026-11-27T10:05:00Z" },
  });
}

/// Pushes an image of two platforms with their attestations.
async function index(pusher, repository, version, tags, own = 30_000) {
  const manifests = [await image(pusher, repository, version, { own }), await image(pusher, repository, version, { architecture: "arm64", own })];
  for (const { platform: { architecture }, digest } of [...manifests]) {
    const layer = await pusher.blob(repository, JSON.stringify({ predicate: { architecture, version } }), "application/vnd.in-toto+json");
    const unknown = { architecture: "unknown", os: "unknown" };
    const config = await pusher.blob(repository, JSON.stringify({ ...unknown, rootfs: { type: "layers", diff_ids: [layer.digest] } }), CONFIG);
    layer.annotations = { "in-toto.io/predicate-type": "https://slsa.dev/provenance/v1" };
    const pushed = await pusher.manifest(repository, { schemaVersion: 2, mediaType: MANIFEST, config, layers: [layer] });
    const annotations = { "vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": digest };
    manifests.push({ ...pushed, platform: unknown, annotations });
  }
  const document = { schemaVersion: 2, mediaType: INDEX, manifests };
  let pushed;
  for (const tag of tags) pushed = await pusher.manifest(repository, document, tag);
  return pushed;
}

const FEW = [
  ["web/frontend", 4, 50_000], ["web/worker", 3, 9_000], ["web/docs-site", 2, 2_000], ["infra/builder", 3, 90_000], ["infra/backup", 2, 6_000],
  ["public/cli", 3, 10_000], ["ml/embed-small", 1, 200_000], ["team/very/deeply/nested/repository-with-a-long-name", 1, 1_000],
];

/// Fills a store as a team would.
export async function fill(server, factor = 1) {
  scale = factor;
  const ops = server.pusher("ops", "docker/29.8.2");
  const kim = server.pusher("kim", "buildx/0.38");
  const few = async ([repository, number, own]) => {
    const pusher = repository.startsWith("web/") ? kim : ops;
    for (let version = 1; version <= number; version++) await image(pusher, repository, version, { own, tag: `${version}.0` });
    if (number % 2) await ops.pull(repository, "1.0");
  };
  const main = async () => {
    for (const version of ["1.7.9", "1.8.0", "1.8.1", "1.8.2", "1.8.3"]) {
      const tags = version === "1.8.3" ? [version, "1.8", "latest"] : [version, "latest"];
      const pushed = await index(kim, "web/api", version, tags, 24_000 + 1_700 * Number(version.replaceAll(".", "")) % 9_000);
      await attach(kim, "web/api", pushed, "application/vnd.dev.cosign.artifact.sig.v1+json", `signature of ${version}`);
      const packages = Array.from({ length: 40 }, (_, number) => ({ name: `package-${number}`, versionInfo: version }));
      await attach(kim, "web/api", pushed, "application/spdx+json", JSON.stringify({ spdxVersion: "SPDX-2.3", packages }));
      await attach(kim, "web/api", pushed, "application/vnd.in-toto+json", JSON.stringify({ predicate: version }));
    }
    for (const tag of ["main", "nightly-11-27"]) await index(kim, "web/api", tag, [tag]);
    for (let number = 410; number < 432; number += 3) await image(kim, "web/api", number, { own: number * 50, tag: `pr-${number}` });
    for (const tag of ["latest", "1.8.3", "main", "pr-419"]) await ops.pull("web/api", tag);
    for (const tag of ["pr-410", "pr-413"]) await kim.delete("web/api", tag);
  };
  await Promise.all([main(), ...FEW.map(few)]);
  server.command("token", "create", "ci", "--repositories", "web/**", "--may", "push", "--for", "kim");
  server.command("token", "create", "deploy", "--repositories", "**", "--may", "pull");
}
