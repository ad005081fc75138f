#!/usr/bin/env python3
"""Times what access rules cost: pulls of a manifest, pages of the catalogue, and pushes under quotas, in one run.

  benches/access.py BINARY [--rounds 5] [--seconds 2] [--repositories 100000] [--rules 1000] [--pushes 400] [--directory DIR]

Needs a release build. The servers take turns in each round, and medians are compared. Requests are sent in bursts on a few
connections, so that the client costs little; the server's CPU is what its threads used. Removes what it has written.
"""

import argparse
import base64
import hashlib
import http.client
import json
import os
import shutil
import signal
import socket
import sqlite3
import statistics
import subprocess
import tempfile
import threading
import time

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": [], "annotations": {"x": "y" * 1400}}).encode()
CONNECTIONS = 4
BURST = 32


class Server:
    def __init__(self, binary, directory, name, config):
        self.directory = os.path.join(directory, name)
        os.makedirs(self.directory)
        self.data = os.path.join(self.directory, "data")
        self.binary, self.config = binary, config
        self.process = None

    def start(self):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        file = os.path.join(self.directory, "config.yml")
        config = {"version": 0.1, "log": {"level": "error", "accesslog": {"disabled": True}}, **self.config}
        with open(file, "w") as out:
            json.dump(config, out)
        words = [self.binary, "serve", file, "--addr", f"127.0.0.1:{self.port}", "--data-dir", self.data]
        self.process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(200):
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
                return self
            except OSError:
                time.sleep(0.05)
        raise SystemExit(f"{self.directory} does not start")

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()

    def ask(self, method, path, body=b"", authorization=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port)
        headers = {"Content-Type": INDEX, **({"Authorization": authorization} if authorization else {})}
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        return answer.status, content

    def cpu(self):
        """CPU time of the server's threads, in seconds."""
        total = 0
        for thread in os.listdir(f"/proc/{self.process.pid}/task"):
            try:
                with open(f"/proc/{self.process.pid}/task/{thread}/schedstat") as file:
                    total += int(file.read().split()[0])
            except OSError:
                pass
        return total / 1e9

    def command(self, *words):
        output = subprocess.run([self.binary, *words, "--data-dir", self.data], capture_output=True, check=True)
        return output.stdout.decode().strip()


def burst(server, request, seconds):
    """Sends one request again and again; returns requests a second and the server's CPU for each, in microseconds."""
    counts = [0] * CONNECTIONS

    def work(number):
        connection = socket.create_connection(("127.0.0.1", server.port))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sendall(request)
        first = connection.recv(1 << 20)
        head, body = first.split(b"\r\n\r\n", 1)
        assert head.startswith(b"HTTP/1.1 200"), head
        fields = [line.split(b":", 1) for line in head.split(b"\r\n")[1:]]
        length = next(int(value) for name, value in fields if name.lower() == b"content-length")
        while len(body) < length:
            body += connection.recv(1 << 20)
        size = (len(head) + 4 + length) * BURST
        while time.perf_counter() < end:
            connection.sendall(request * BURST)
            left = size
            while left:
                left -= len(connection.recv(min(left, 1 << 20)))
            counts[number] += BURST
        connection.close()

    begin, used = time.perf_counter(), server.cpu()
    end = begin + seconds
    threads = [threading.Thread(target=work, args=[number]) for number in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    total, wall = sum(counts), time.perf_counter() - begin
    return total / wall, (server.cpu() - used) / total * 1e6


def request(path, authorization=None):
    login = f"Authorization: {authorization}\r\n" if authorization else ""
    return f"GET {path} HTTP/1.1\r\nHost: x\r\n{login}\r\n".encode()


def report(title, base, series):
    print(f"\n{title}\n  {'':34}{'rate/s':>9}{'CPU us':>9}{'of ' + base:>16}{'CPU':>7}")
    medians = {name: [statistics.median(column) for column in zip(*figures)] for name, figures in series.items()}
    for name, (rate, cpu) in medians.items():
        ratio, more = rate / medians[base][0], cpu / medians[base][1]
        print(f"  {name:34}{rate:9.0f}{cpu:9.1f}{ratio:15.2f}x{more:6.2f}x", flush=True)


def basic(user, password):
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def rules_of(number):
    """Rules for others, for groups and for networks, among which those for ann are few."""
    rules = [{"repositories": f"team{count}/**", "who": f"user{count}", "may": "push"} for count in range(number)]
    return [{"repositories": "team/**", "who": "ann", "may": "push"}, {"repositories": "team/**", "who": "token:ci", "may": "pull"}, *rules]


def manifests(options, users):
    auth = {"auth": {"htpasswd": {"realm": "x", "path": users}}}
    make = lambda name, config: Server(options.binary, options.directory, name, config)
    few, many = {"access": {"rules": rules_of(0)}}, {"access": {"rules": rules_of(options.rules)}}
    servers = {"none": make("open", {}), "htpasswd": make("users", auth), "few": make("few", auth | few), "many": make("many", auth | many)}
    path, login, cases = "/v2/team/app/manifests/v1", basic("ann", "secret"), {}
    for name, server in servers.items():
        server.start()
        status, answer = server.ask("PUT", path, MANIFEST, None if name == "none" else login)
        assert status == 201, answer
    cases["without a login"] = (servers["none"], request(path))
    cases["Basic, no rules"] = (servers["htpasswd"], request(path, login))
    for name, label in [("few", "2 rules"), ("many", f"{options.rules} rules")]:
        server = servers[name]
        token = server.command("token", "create", "ci")
        _, answer = server.ask("GET", "/v2/_token?service=registry&scope=repository:team/app:pull", authorization=login)
        bearer = "Bearer " + json.loads(answer)["token"]
        for kind, sent in [("Basic", login), ("token", basic("x", token)), ("Bearer", bearer)]:
            cases[f"{kind}, {label}"] = (server, request(path, sent))
    series = {name: [] for name in cases}
    for _ in range(options.rounds):
        for name, (server, sent) in cases.items():
            series[name].append(burst(server, sent, options.seconds))
    report("manifest by tag, 1.5 kB", "without a login", series)
    for server in servers.values():
        server.stop()


def fill(server, names):
    """Writes repositories with one manifest each into the database of a server that is stopped."""
    database = sqlite3.connect(os.path.join(server.data, "registry.db"))
    digest, now = "sha256:" + hashlib.sha256(MANIFEST).hexdigest(), int(time.time() * 1000)
    for number, name in enumerate(names, 1):
        database.execute("INSERT INTO repositories (id, name, created_at) VALUES (?, ?, ?)", (number, name, now))
        row = (number, number, digest, INDEX, len(MANIFEST), now)
        database.execute("INSERT INTO manifests (id, repository_id, digest, media_type, size, pushed_at) VALUES (?, ?, ?, ?, ?, ?)", row)
    database.commit()
    database.close()


def catalogue(options, users):
    own = [f"team/app{number}" for number in range(10)]
    spread = [f"org{number * options.repositories // 10}/app" for number in range(10)]
    others = [f"org{number}/app" for number in range(options.repositories)]
    config = lambda globs: {
        "auth": {"htpasswd": {"realm": "x", "path": users}},
        "access": {"rules": [{"repositories": globs, "who": "ann", "may": "pull"}]},
    }
    make = lambda name, globs: Server(options.binary, options.directory, name, config(globs))
    stores = {
        "only those 10": (make("ten", ["team/**"]), own),
        "10 of all, below one place": (make("below", ["team/**"]), own + others),
        "10 of all, each named": (make("named", spread), own + others),
        "only those 10, each named": (make("ten-named", spread), spread),
    }
    for server, names in stores.values():
        server.start().stop()
        fill(server, names)
        server.start()
    series = {name: [] for name in stores}
    for _ in range(options.rounds):
        for name, (server, _) in stores.items():
            sent = request("/v2/_catalog?n=100", basic("ann", "secret"))
            series[name].append(burst(server, sent, options.seconds))
    report(f"a page of the catalogue, 10 of {options.repositories + 10} repositories", "only those 10", series)
    for server, _ in stores.values():
        server.stop()


def push(server, number):
    """Pushes a small image, as docker does; returns the time, in seconds."""
    begin = time.perf_counter()
    blob = os.urandom(4096)
    digest = "sha256:" + hashlib.sha256(blob).hexdigest()
    connection = http.client.HTTPConnection("127.0.0.1", server.port)

    def ask(method, path, body=b""):
        connection.request(method, path, body, {"Content-Type": INDEX})
        answer = connection.getresponse()
        content = answer.read()
        assert answer.status in (201, 202), content
        return answer.getheader("Location") or ""

    location = ask("POST", "/v2/home/ann/app/blobs/uploads/")
    location = ask("PATCH", location, blob)
    ask("PUT", location + ("&" if "?" in location else "?") + "digest=" + digest)
    ask("PUT", f"/v2/home/ann/app/manifests/v{number}", MANIFEST.replace(b"y" * 20, f"{number:020}".encode()))
    connection.close()
    return time.perf_counter() - begin


def pushes(options):
    quotas = {"quotas": [{"repositories": "home/*/**", "bytes": "100GiB"}]}
    servers = {"no quota": Server(options.binary, options.directory, "free", {}), "quota": Server(options.binary, options.directory, "limited", quotas)}
    for server in servers.values():
        server.start()
    series = {name: [] for name in servers}
    for turn in range(options.rounds):
        for name, server in servers.items():
            begin, used = time.perf_counter(), server.cpu()
            for number in range(options.pushes):
                push(server, turn * options.pushes + number)
            wall = time.perf_counter() - begin
            series[name].append((options.pushes / wall, (server.cpu() - used) / options.pushes * 1e6))
    report("pushes of small images, one after the other", "no quota", series)
    for server in servers.values():
        server.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binary", type=os.path.abspath)
    for name, default in [("rounds", 5), ("seconds", 2), ("repositories", 100_000), ("rules", 1000), ("pushes", 400)]:
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--directory")
    parser.add_argument("--only", choices=["manifests", "catalogue", "pushes"])
    options = parser.parse_args()
    options.directory = tempfile.mkdtemp(dir=options.directory)
    try:
        users = os.path.join(options.directory, "htpasswd")
        words = [options.binary, "htpasswd", "-cbBC", "4", users, "ann", "secret"]
        subprocess.run(words, check=True, capture_output=True)
        if options.only in (None, "manifests"):
            manifests(options, users)
        if options.only in (None, "catalogue"):
            catalogue(options, users)
        if options.only in (None, "pushes"):
            pushes(options)
    finally:
        shutil.rmtree(options.directory)


if __name__ == "__main__":
    main()
