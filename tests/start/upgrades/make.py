#!/usr/bin/env python3
"""Makes data directories of earlier versions, for tests/start/upgrades.

    git checkout COMMIT && cargo build --bin registry
    make.py BINARY NAME

starts a binary of its time on an empty directory, pushes, moves, deletes and restarts, and keeps the directory as
data/NAME.tar.gz. NAME begins with the number of its schema. `expected.json` in it lists what must still pull.
"""

import gzip, hashlib, http.client, io, json, os, pathlib, re, sqlite3, subprocess, sys, tarfile, tempfile

CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"


def digest(content):
    return "sha256:" + hashlib.sha256(content).hexdigest()


def descriptor(content, media_type):
    return {"mediaType": media_type, "digest": digest(content), "size": len(content)}


class Server:
    """A server of the version, on the directory."""

    def __init__(self, binary, directory, schema):
        environment = {"PATH": os.environ["PATH"], "REGISTRY_HTTP_ADDR": "127.0.0.1:0", "REGISTRY_STORAGE_DELETE_ENABLED": "true"}
        if schema >= 18:
            environment["REGISTRY_QUOTAS"] = '[{"repositories": "team/**", "bytes": 1000000}]'
        if schema >= 21:
            environment["REGISTRY_WEBHOOKS"] = '[{"name": "ci", "url": "http://127.0.0.1:9"}]'
        if schema >= 24:
            environment["REGISTRY_UPSTREAMS"] = '[{"prefix": "hub", "ns": "docker.io", "url": "http://127.0.0.1:9"}]'
        command = [binary, "serve", "--data-dir", directory]
        self.process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        line = self.process.stdout.readline()
        self.address = re.search(r"127\.0\.0\.1:\d+", line).group()

    def ask(self, method, path, body=None, kind=None, expected=(200, 201, 202)):
        connection = http.client.HTTPConnection(self.address, timeout=30)
        connection.request(method, path, body, {"Content-Type": kind} if kind else {})
        answer = connection.getresponse()
        answer.content = answer.read()
        assert answer.status in expected, (method, path, answer.status, answer.content)
        return answer

    def push_blob(self, repository, content):
        self.ask("POST", f"/v2/{repository}/blobs/uploads/?digest={digest(content)}", content, "application/octet-stream")

    def push(self, repository, reference, manifest, kind):
        self.ask("PUT", f"/v2/{repository}/manifests/{reference}", manifest, kind)

    def push_image(self, repository, tag, layers, **more):
        config = json.dumps({"architecture": "amd64", "os": "linux", "created": "2026-11-21T00:00:00Z", "config": {"Labels": {"tag": tag}}}).encode()
        for blob in [config, *layers]:
            self.push_blob(repository, blob)
        manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "config": descriptor(config, CONFIG), "layers": [descriptor(layer, LAYER) for layer in layers], **more}
        text = json.dumps(manifest).encode()
        self.push(repository, tag, text, MANIFEST)
        return text

    def stop(self):
        self.process.terminate()
        assert self.process.wait(60) == 0


def fill(server):
    """Returns what must be there in the end: manifests by repository and reference."""
    first, second = b"layer one\n" * 20, b"layer two\n" * 30
    before = server.push_image("team/app", "v0", [b"gone\n"])
    v1 = server.push_image("team/app", "v1", [first])
    server.push("team/app", "latest", v1, MANIFEST)
    v2 = server.push_image("team/app", "v2", [first, second])
    server.push("team/app", "latest", v2, MANIFEST)
    index = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": [
        {**descriptor(v1, MANIFEST), "platform": {"os": "linux", "architecture": "amd64"}},
        {**descriptor(v2, MANIFEST), "platform": {"os": "linux", "architecture": "arm64"}}]}).encode()
    server.push("team/app", "multi", index, INDEX)
    signature = server.push_image("team/app", "signed", [b"a signature"], subject=descriptor(v2, MANIFEST))
    server.ask("DELETE", f"/v2/team/app/manifests/{digest(before)}")
    server.ask("POST", f"/v2/team/lib/blobs/uploads/?mount={digest(first)}&from=team/app")
    lib = server.push_image("team/lib", "v1", [first])
    upload = server.ask("POST", "/v2/team/app/blobs/uploads/").getheader("location")
    server.ask("PATCH", upload.replace(f"http://{server.address}", ""), b"a part of a blob", "application/octet-stream")
    tags = {"team/app": {"v1": v1, "latest": v2, "v2": v2, "multi": index, "signed": signature}, "team/lib": {"v1": lib}}
    return {repository: {tag: digest(manifest) for tag, manifest in its.items()} for repository, its in tags.items()}


def settle(path):
    """Writes the log into the database, so that the archive is small."""
    database = sqlite3.connect(path)
    # triggers use it
    database.create_function("unixepoch", 1, lambda _: 0)
    version = database.execute("PRAGMA user_version").fetchone()[0]
    database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()
    return version


def main(binary, name):
    schema = int(name.split("-")[0])
    with tempfile.TemporaryDirectory() as temporary:
        directory = pathlib.Path(temporary, "data")
        server = Server(binary, str(directory), schema)
        expected = fill(server)
        server.stop()
        Server(binary, str(directory), schema).stop()
        assert settle(directory / "registry.db") == schema, schema
        (directory / "expected.json").write_text(json.dumps(expected))
        for suffix in ["-wal", "-shm"]:
            pathlib.Path(f"{directory}/registry.db{suffix}").unlink(missing_ok=True)
        raw = io.BytesIO()
        with tarfile.open(fileobj=raw, mode="w") as archive:
            archive.add(directory, ".")
        kept = pathlib.Path(__file__).parent / "data" / f"{name}.tar.gz"
        kept.write_bytes(gzip.compress(raw.getvalue(), 9, mtime=0))
        print(kept, kept.stat().st_size)


main(*sys.argv[1:])
