#!/usr/bin/env python3
"""Times moving in: a store of registry:2 taken over, beside `skopeo sync` of the same.

  benches/move_in.py BINARY [--images 5000] [--layers 20] [--size 2048] [--synced 100] [--directory DIR]

Needs Debian's packages docker-registry and skopeo, and a release build. `skopeo sync` copies the first images only; its
time for all is extrapolated. Removes what it has written.
"""

import argparse
import gzip
import hashlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
# repositories of ten images each
TAGS = 10


def write(path, content):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(content)


class Store:
    """A store in the layout of registry:2."""

    def __init__(self, root):
        self.root = os.path.join(root, "docker/registry/v2")

    def blob(self, content):
        digest = hashlib.sha256(content).hexdigest()
        write(f"{self.root}/blobs/sha256/{digest[:2]}/{digest}/data", content)
        return digest

    def link(self, repository, place, digest):
        path = f"{self.root}/repositories/{repository}/{place}/link"
        write(path, f"sha256:{digest}".encode())

    def layer(self, repository, media_type, content):
        digest = self.blob(content)
        self.link(repository, f"_layers/sha256/{digest}", digest)
        return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(content)}

    def image(self, repository, tag, layers):
        diffs = [f"sha256:{hashlib.sha256(layer).hexdigest()}" for layer in layers]
        config = {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": diffs}}
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": self.layer(repository, CONFIG, json.dumps(config).encode()),
            "layers": [self.layer(repository, LAYER, gzip.compress(layer, 1, mtime=0)) for layer in layers],
        }
        digest = self.blob(json.dumps(manifest).encode())
        self.link(repository, f"_manifests/revisions/sha256/{digest}", digest)
        self.link(repository, f"_manifests/tags/{tag}/current", digest)
        self.link(repository, f"_manifests/tags/{tag}/index/sha256/{digest}", digest)


def fill(directory, options):
    store, noise = Store(directory), random.Random(1)
    for number in range(options.images):
        layers = [noise.randbytes(options.size) for _ in range(options.layers)]
        store.image(f"team{number // TAGS:04}/app", f"v{number % TAGS}", layers)


class Process:
    """A server, its address and its log."""

    def __init__(self, command, pattern, **options):
        self.child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options)
        self.lines, self.news, found = [], threading.Condition(), None
        while found is None:
            line = self.child.stdout.readline()
            if not line:
                sys.exit(f"{command[0]} did not start:\n{''.join(self.lines)}")
            self.lines.append(line)
            found = re.search(pattern, line)
        self.address = found.group(1)
        threading.Thread(target=self.collect, daemon=True).start()

    def collect(self):
        for line in self.child.stdout:
            with self.news:
                self.lines.append(line)
                self.news.notify_all()

    def wait_for(self, text):
        with self.news:
            self.news.wait_for(lambda: any(text in line for line in self.lines))

    def peak(self):
        """Largest memory, in MB."""
        with open(f"/proc/{self.child.pid}/status") as status:
            return int(re.search(r"VmHWM:\s+(\d+)", status.read()).group(1)) / 1000

    def stop(self):
        self.child.send_signal(signal.SIGTERM)
        self.child.wait()


def ours(options, directory, **environment):
    command = [options.binary, "serve", "--addr", "127.0.0.1:0", "--data-dir", directory]
    settings = {"REGISTRY_LOG_ACCESSLOG_DISABLED": "true", **environment}
    return Process(command, r"listening on http://([^, \n]+)", env={**os.environ, **settings})


def wait_until_served(address):
    while True:
        try:
            return urllib.request.urlopen(f"http://{address}/v2/")
        except urllib.error.HTTPError as error:
            if error.code != 503:
                raise
        time.sleep(0.02)


def take_over(directory, options):
    os.sync()
    begun = time.monotonic()
    server = ours(options, directory)
    wait_until_served(server.address)
    print(f"taken over and served after {time.monotonic() - begun:.1f} s, {server.peak():.0f} MB at most", flush=True)
    server.wait_for("checked the blobs that were taken over")
    print(f"all blobs compared after {time.monotonic() - begun:.1f} s, {server.peak():.0f} MB at most", flush=True)
    server.stop()


def import_elsewhere(directory, target, options):
    """The import into another data directory, twice."""
    for run in ["first", "second"]:
        begun = time.monotonic()
        command = [options.binary, "import", directory, "--data-dir", target]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            sys.exit(done.stdout + done.stderr)
        print(f"{run} import, with the comparison of all blobs: {time.monotonic() - begun:.1f} s", flush=True)


def sync(directory, target, options):
    """The way without us: the old registry, skopeo, and the new one."""
    config = os.path.join(target, "theirs.json")
    write(config, json.dumps({
        "version": 0.1,
        "storage": {"filesystem": {"rootdirectory": directory}},
        "http": {"addr": "127.0.0.1:0"},
    }).encode())
    old = Process(["docker-registry", "serve", config], r'listening on ([0-9.:]+)')
    new = ours(options, os.path.join(target, "synced"))
    repositories = -(-options.synced // TAGS)
    begun = time.monotonic()
    for number in range(repositories):
        team = f"team{number:04}"
        done = subprocess.run(
            ["skopeo", "--insecure-policy", "sync", "--src", "docker", "--dest", "docker",
             "--src-tls-verify=false", "--dest-tls-verify=false", f"{old.address}/{team}/app", f"{new.address}/{team}"],
            capture_output=True, text=True)
        if done.returncode:
            sys.exit(done.stdout + done.stderr)
    took, synced = time.monotonic() - begun, repositories * TAGS
    print(f"skopeo sync of {synced} images: {took:.1f} s; of {options.images}: {took / synced * options.images:.0f} s (extrapolated)")
    old.stop()
    new.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binary")
    parser.add_argument("--images", type=int, default=5000)
    parser.add_argument("--layers", type=int, default=20)
    parser.add_argument("--size", type=int, default=2048, help="of a layer, in bytes")
    parser.add_argument("--synced", type=int, default=100, help="images that skopeo copies")
    parser.add_argument("--directory", help="place for everything, such as another disk")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.directory) as place:
        store = os.path.join(place, "store")
        fill(store, options)
        print(f"{options.images} images of {options.layers} layers of {options.size} bytes", flush=True)
        import_elsewhere(store, os.path.join(place, "imported"), options)
        shutil.rmtree(os.path.join(place, "imported"))
        sync(store, place, options)
        take_over(store, options)


main()
