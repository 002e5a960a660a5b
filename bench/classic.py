#!/usr/bin/env python3
"""What services usually do, beside what ours do, in one run on one core: HS256 tokens, a million revoked ids.

    bench/classic.py BUILD_FOLDER

Theirs: Node with jose, which checks the token, and then `GET blocklist:<jti>` in Redis. Ours: sp_verifier_check, the heart of libsallyport,
with the same tokens, the same key and the same revoked ids in its own set. Both must refuse the same tokens, or the run fails.

Node and ours are pinned to one core and take turns in rounds of half a second. Redis is given for free: it has the other core, or shares
ours where that is faster (no processor has to be woken); the better of the two counts, as does the best round of each. Rates are by the clock.

Needs node, npm (the packages of bench/blocklist/package-lock.json, in BUILD_FOLDER) and redis-server; without them it says so and skips.
"""
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from server import machine, pinned  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
CORE, OTHER_CORE = 0, 1
TOKENS = 100_000
REVOKED = 1_000_000
LIFETIME_S = 3600  # as in sallyport.c
INSTALL_S = 120  # without a registry npm would try for minutes
ROUNDS = 6
BATCH = 10_000
MODULES = {"jose": "jose {0}", "jose5": "jose {0} (on Node's own crypto)"}
MODES = {"alone": "no revocation check", "serial": "and Redis, one after another", "many": "and Redis, 64 at once"}
OURS = {"cold": "sp_verifier, token never seen before", "warm": "sp_verifier, token seen before"}


class Skip(Exception):
    pass


class Worker:
    """A process that answers a line with a line."""

    def __init__(self, command):
        self.process = subprocess.Popen(pinned(CORE, command), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def read(self):
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"{self.process.args}: ended early")
        return line

    def ask(self, question):
        self.process.stdin.write(question + "\n")
        self.process.stdin.flush()
        return json.loads(self.read())

    def stop(self):
        self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Redis:
    """A server of our own: a socket in a folder, nothing on the disk."""

    def __init__(self, folder):
        self.path = os.path.join(folder, "redis.sock")
        command = ["redis-server", "--port", "0", "--unixsocket", self.path, "--save", "", "--appendonly", "no", "--dir", folder]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        self.socket = socket.socket(socket.AF_UNIX)
        for _ in range(500):
            try:
                return self.socket.connect(self.path)
            except OSError:
                time.sleep(0.01)
        self.stop()
        raise SystemExit("redis-server does not start")

    def stop(self):
        self.socket.close()
        self.process.terminate()
        self.process.wait()

    def load(self, ids):
        """As a logout does it: SET blocklist:<jti> 1 EX <what the token has left>."""
        for begin in range(0, len(ids), BATCH):
            batch = ids[begin:begin + BATCH]
            self.socket.sendall("".join(
                f"*5\r\n$3\r\nSET\r\n${10 + len(jti)}\r\nblocklist:{jti}\r\n$1\r\n1\r\n$2\r\nEX\r\n${len(str(LIFETIME_S))}\r\n{LIFETIME_S}\r\n"
                for jti in batch).encode())
            answer = b"+OK\r\n" * len(batch)
            if self.receive(len(answer)) != answer:
                raise SystemExit("redis-server did not take the ids")

    def receive(self, n):
        parts = b""
        while len(parts) < n:
            more = self.socket.recv(n - len(parts))
            if not more:
                raise SystemExit("redis-server ended early")
            parts += more
        return parts

    def used_bytes(self):
        self.socket.sendall(b"INFO memory\r\n")
        answer = self.socket.recv(1 << 16).decode()
        return next(int(line.split(":")[1]) for line in answer.splitlines() if line.startswith("used_memory:"))


def install(build):
    """npm ci beside the build, so that the sources stay as they are. The folder."""
    for program, package in (("node", "nodejs"), ("npm", "npm"), ("redis-server", "redis-server")):
        if not shutil.which(program):
            raise Skip(f"{package} is not installed (tools/install-deps bench)")
    folder = os.path.join(os.path.abspath(build), "blocklist")
    os.makedirs(folder, exist_ok=True)
    for name in ("package.json", "package-lock.json", "classic.mjs"):
        shutil.copy2(os.path.join(HERE, "blocklist", name), folder)
    try:
        done = subprocess.run(["npm", "ci", "--prefer-offline", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=folder,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=INSTALL_S)
    except subprocess.TimeoutExpired:
        raise Skip(f"npm ci did not end within {INSTALL_S} s") from None
    if done.returncode != 0:
        raise Skip("npm ci failed: " + " ".join(done.stderr.split())[:300])
    return folder


def version(folder, module):
    with open(os.path.join(folder, "node_modules", module, "package.json")) as f:
        return json.load(f)["version"]


def rounds(ours, theirs, redis):
    """The best rate of each row."""
    best = {}

    def note(key, answer):
        best[key] = max(best.get(key, 0), answer["rate"])

    for _ in range(ROUNDS):
        for mode in OURS:
            note(mode, ours.ask(mode))
        for core in {CORE, OTHER_CORE % os.cpu_count()}:
            os.sched_setaffinity(redis.process.pid, {core})
            for module in MODULES:
                for mode in MODES:
                    note((module, mode), theirs.ask(f"{module} {mode}"))
    return best


def measure(build):
    """Raises Skip where the other side cannot run."""
    packages = install(build)
    with tempfile.TemporaryDirectory(prefix="sallyport-bench-") as folder:
        started = []
        try:
            redis = Redis(folder)
            started.append(redis)
            ours = Worker([os.path.join(os.path.abspath(build), "bench/sallyport_blocklist"), folder, str(TOKENS), str(REVOKED)])
            started.append(ours)
            ours.read()
            empty = redis.used_bytes()
            with open(os.path.join(folder, "revoked")) as f:
                redis.load(f.read().split())
            theirs = Worker(["node", os.path.join(packages, "classic.mjs"), folder, redis.path])
            started.append(theirs)
            return {"best": rounds(ours, theirs, redis), "memory": ours.ask("memory"), "redis_bytes": redis.used_bytes() - empty,
                    "versions": versions(packages)}
        finally:
            for process in reversed(started):
                process.stop()


def versions(packages):
    found = {module: version(packages, module) for module in [*MODULES, "ioredis"]}
    for name, command in (("node", ["node", "--version"]), ("redis", ["redis-server", "--version"])):
        found[name] = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split("v=")[-1].split()[0].lstrip("v")
    return found


def report(m):
    best, memory, v = m["best"], m["memory"], m["versions"]
    usual = {mode: max(best[module, mode] for module in MODULES) for mode in MODES}
    lines = ["| HS256 and a revocation check, one core | tokens/s | of the best with Redis, 64 at once |", "| --- | --- | --- |"]
    rows = [(f"{MODULES[module].format(v[module])}, {MODES[mode]}", best[module, mode]) for module in MODULES for mode in MODES]
    rows += [(OURS[mode], best[mode]) for mode in OURS]
    lines += [f"| {label} | {rate:,.0f} | {rate / usual['many']:.{1 if rate < 10 * usual['many'] else 0}f} |" for label, rate in rows]
    ours, theirs = memory["bytes"], m["redis_bytes"]
    lines += ["", f"{REVOKED:,} revoked ids: {theirs / 1e6:.0f} MB in Redis ({theirs / REVOKED:.0f} bytes each), {ours / 1e6:.1f} MB in our "
              f"set ({ours / memory['ids']:.1f} bytes each): {theirs / ours:.1f} times less. Checked with Redis one after another, ours is "
              f"{best['cold'] / usual['serial']:.0f} times as fast cold and {best['warm'] / usual['serial']:.0f} warm; 64 at once, "
              f"{best['cold'] / usual['many']:.0f} and {best['warm'] / usual['many']:.0f}. {TOKENS:,} distinct tokens in turn, one in a "
              f"hundred revoked, refused by both. Node {v['node']}, ioredis {v['ioredis']}, Redis {v['redis']}."]
    return "\n".join(lines)


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        print(f"Machine: {machine()}.\n\n{report(measure(sys.argv[1]))}")
    except Skip as why:
        print(f"SKIPPED: {why}")


if __name__ == "__main__":
    main()
