#!/usr/bin/env python3
"""Measures the whole server: starts it on a private port with a fresh store, drives it with bench/loadgen, prints one table.

    bench/server.py BUILD_FOLDER [--write]      --write also puts the table into bench/results.md

The server gets one core and the generator another. Absolute figures say little on shared machines; the ratios, all from one run, say
more.
"""
import json
import os
import platform
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

CONNECTIONS = 64
SECONDS = 5
PASSWORD = "correct horse battery"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def pinned(core, command):
    return (["taskset", "-c", str(core)] if shutil.which("taskset") else []) + command


class Server:
    def __init__(self, program, folder, algorithm):
        self.program, self.data, self.port = program, os.path.join(folder, "data"), free_port()
        self.command = pinned(0, [program, "--data", self.data, "serve", "--listen", f"127.0.0.1:{self.port}",
                                  "--set", f"tokens.alg={algorithm}", "--set", "passwords.memory_kib=8192",
                                  "--set", "passwords.passes=1", "--set", "passwords.queue=1000",
                                  "--set", "throttle.account_burst=1000000", "--set", "throttle.address_burst=1000000",
                                  "--set", "log.level=error"])

    def start(self):
        """Seconds from exec to the first 200 of /readyz."""
        begin = time.monotonic()
        self.process = subprocess.Popen(self.command, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=1).read()
                return time.monotonic() - begin
            except OSError:
                if self.process.poll() is not None or time.monotonic() - begin > 20:
                    raise SystemExit("the server does not start")
                time.sleep(0.001)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(10)

    def resident_mib(self):
        with open(f"/proc/{self.process.pid}/status") as f:
            return next(int(line.split()[1]) for line in f if line.startswith("VmRSS")) / 1024

    def cpu_seconds(self):
        with open(f"/proc/{self.process.pid}/stat") as f:
            fields = f.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def add_users(self):
        for i in range(CONNECTIONS):
            subprocess.run([self.program, "--data", self.data, "user", "add", f"bench{i}", "--password-stdin"],
                           input=PASSWORD + "\n", text=True, check=True, stdout=subprocess.DEVNULL)


def load(generator, server, mode):
    before = server.cpu_seconds()
    out = subprocess.run(pinned(1, [generator, "--port", str(server.port), "--mode", mode, "--connections", str(CONNECTIONS),
                                    "--seconds", str(SECONDS), "--users", str(CONNECTIONS)]),
                         capture_output=True, text=True)
    if out.returncode != 0:
        raise SystemExit(f"loadgen {mode}: {out.stderr}")
    result = json.loads(out.stdout)
    result["cpu_us"] = (server.cpu_seconds() - before) * 1e6 / max(result["requests"], 1)
    return result


def machine():
    with open("/proc/cpuinfo") as f:
        model = next((line.split(":", 1)[1].strip() for line in f if line.startswith("model name")), "unknown")
    return f"{model}, {os.cpu_count()} cores, Linux {platform.release()}"


def measure(program, generator):
    rows, facts = [], []
    for algorithm, modes in (("ES256", ["health", "me", "verify", "refresh", "login"]), ("HS256", ["refresh"])):
        with tempfile.TemporaryDirectory(prefix="sallyport-bench-") as folder:
            server = Server(program, folder, algorithm)
            server.start()
            try:
                server.add_users()
                server.stop()
                again = server.start()
                idle = server.resident_mib()
                results = [(algorithm, mode, load(generator, server, mode)) for mode in modes]
                rows += results
                if algorithm == "ES256":
                    facts = [("start of an existing store to the first /readyz 200", f"{again * 1000:.0f} ms"),
                             ("resident memory, idle", f"{idle:.1f} MiB"),
                             ("resident memory, after the load", f"{server.resident_mib():.1f} MiB")]
            finally:
                server.stop()
    return rows, facts


def table(rows, facts):
    empty = next(r["rate"] for a, m, r in rows if m == "health")
    lines = ["| request | rate /s | of an empty GET | p50 ms | p99 ms | server CPU µs | not 2xx |", "| --- | --- | --- | --- | --- | --- | --- |"]
    names = {"health": "GET /healthz (empty)", "me": "GET /auth/me, token seen before", "verify": "GET /auth/verify, token seen before",
             "refresh": "POST /auth/refresh (rotation, durable)", "login": "POST /auth/login (Argon2id 8 MiB, 1 pass)"}
    for algorithm, mode, r in rows:
        label = names[mode] + ("" if mode == "health" else f", {algorithm}")
        lines.append(f"| {label} | {r['rate']:,.0f} | {r['rate'] / empty:.2f} | {r['p50_ms']:.2f} | {r['p99_ms']:.2f} | "
                     f"{r['cpu_us']:.1f} | {r['errors']} |")
        if r["errors"]:
            print(f"{label}: first error: {r['first_error']}", file=sys.stderr)
    lines += [""] + [f"- {name}: {value}" for name, value in facts]
    return "\n".join(lines)


def main():
    build, write = sys.argv[1], "--write" in sys.argv
    rows, facts = measure(os.path.join(build, "sallyport"), os.path.join(build, "bench", "loadgen"))
    text = table(rows, facts)
    print(text)
    if write:
        with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "results.md"), "w") as f:
            f.write("# What was measured\n\n"
                    f"`make bench` prints this table; `bench/server.py build/bench --write` puts it here. {CONNECTIONS} keep-alive "
                    f"connections, each following a session of its own, {SECONDS} s a row; the server has one core, the generator "
                    "another; SQLite with `synchronous=FULL`, so every rotation is on the disk before it is answered.\n\n"
                    f"Machine: {machine()}. Absolute figures move from run to run; ratios within one run say more.\n\n{text}\n")


main()
