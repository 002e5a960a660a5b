#!/usr/bin/env python3
"""Measures the whole server and holds it against its floors: starts it with a fresh store, drives it with bench/loadgen, prints tables.

    bench/server.py BUILD_FOLDER [--write] [--full]

--write also puts the tables into bench/results.md; --full adds the row with a million sessions (two minutes).

The server gets one core and the generator another. Absolute figures say little on shared machines; the ratios, all from one run, say
more. They compare CPU time, which moves less than rates: a floor is what the parts that nobody can leave out cost by themselves (a bare
signature, a request of our HTTP layer that does nothing), measured minutes earlier on the same core.
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
TIME_OUT_S = 300  # of one step; the longest, a million sessions, takes two minutes
STARTS = 5
STORE_ROUNDS = 2  # the better one counts: the disk is others', too
PASSWORD = "correct horse battery"
NAMES = {"health": "GET /healthz", "me": "GET /auth/me, token seen before", "verify": "GET /auth/verify, token seen before",
         "fresh": "GET /auth/verify, token never seen before", "refresh": "POST /auth/refresh (rotation, durable)",
         "login": "POST /auth/login (Argon2id 8 MiB, 1 pass)"}


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def pinned(core, command):
    return (["taskset", "-c", str(core)] if shutil.which("taskset") else []) + command


def run_json(core, command, **options):
    out = subprocess.run(pinned(core, command), capture_output=True, text=True, timeout=TIME_OUT_S, **options)
    if out.returncode != 0:
        raise SystemExit(f"{' '.join(command)}: {out.stderr}")
    return json.loads(out.stdout)


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
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise SystemExit("the server does not stop")

    def restart(self):
        self.stop()
        return self.start()

    def resident_mib(self):
        with open(f"/proc/{self.process.pid}/status") as f:
            return next(int(line.split()[1]) for line in f if line.startswith("VmRSS")) / 1024

    def add_users(self):
        for i in range(CONNECTIONS):
            subprocess.run([self.program, "--data", self.data, "user", "add", f"bench{i}", "--password-stdin"],
                           input=PASSWORD + "\n", text=True, check=True, stdout=subprocess.DEVNULL)


def load(generator, server, mode):
    return run_json(1, [generator, "--port", str(server.port), "--mode", mode, "--connections", str(CONNECTIONS),
                        "--seconds", str(SECONDS), "--users", str(CONNECTIONS), "--pid", str(server.process.pid)])


def machine():
    with open("/proc/cpuinfo") as f:
        model = next((line.split(":", 1)[1].strip() for line in f if line.startswith("model name")), "unknown")
    return f"{model}, {os.cpu_count()} cores, Linux {platform.release()}"


def measure_server(program, generator, algorithm, modes):
    with tempfile.TemporaryDirectory(prefix="sallyport-bench-") as folder:
        server = Server(program, folder, algorithm)
        server.start()
        try:
            server.add_users()
            facts = {"start_ms": min(server.restart() for _ in range(STARTS)) * 1000, "idle_mib": server.resident_mib()}
            rows = {mode: load(generator, server, mode) for mode in modes}
            facts["loaded_mib"] = server.resident_mib()
        finally:
            server.stop()
    return rows, facts


def measure(build, full):
    bench = os.path.join(build, "bench")
    program, generator = os.path.join(build, "sallyport"), os.path.join(bench, "loadgen")
    m = {"sign": run_json(0, [os.path.join(bench, "bench_sign")])}
    m["http"] = json.loads(subprocess.run([os.path.join(bench, "http_bare"), "--seconds", "1", "--json", "1"], check=True,
                                          capture_output=True, text=True, timeout=TIME_OUT_S).stdout)
    m["ES256"], m["facts"] = measure_server(program, generator, "ES256", ["health", "me", "verify", "fresh", "refresh", "login"])
    m["HS256"], _ = measure_server(program, generator, "HS256", ["refresh"])
    store = os.path.join(os.path.abspath(bench), "bench_store")
    with tempfile.TemporaryDirectory(prefix="bench-", dir=build) as folder:  # beside the build: /tmp may be memory
        for sessions in [1000, 100000] * STORE_ROUNDS + ([1000000] if full else []):
            once = run_json(0, [store, str(sessions), str(CONNECTIONS), "2"], cwd=folder)
            m[f"store_{sessions}"] = min(once, m.get(f"store_{sessions}", once), key=lambda r: r["cpu_us"])
    return m


def requests_table(m):
    lines = ["| request | rate /s | p50 ms | p99 ms | server CPU µs | not 2xx |", "| --- | --- | --- | --- | --- | --- |"]
    for algorithm in ("ES256", "HS256"):
        for mode, r in m[algorithm].items():
            label = NAMES[mode] + ("" if mode == "health" else f", {algorithm}")
            lines.append(f"| {label} | {r['rate']:,.0f} | {r['p50_ms']:.2f} | {r['p99_ms']:.2f} | {r['cpu_us']:.1f} | {r['errors']} |")
            if r["errors"]:
                print(f"{label}: first error: {r['first_error']}", file=sys.stderr)
    return lines


def targets(m):
    """(what, figure, unit, wanted, held)"""
    es, hs, http, sign, facts = m["ES256"], m["HS256"], m["http"], m["sign"]["ES256"], m["facts"]
    get, parked = http["get"]["cpu_us"], http["parked"]["cpu_us"]

    def at_least(what, figure, bound, form):
        return what, form.format(figure), "≥ " + form.format(bound), figure >= bound

    def at_most(what, figure, bound, form):
        return what, form.format(figure), "≤ " + form.format(bound), figure <= bound

    rows = [
        at_least("refresh, ES256: rate", es["refresh"]["rate"], 14000, "{:,.0f} /s"),
        at_most("refresh, ES256: p99", es["refresh"]["p99_ms"], 25, "{:.1f} ms"),
        at_least("refresh, ES256: of one bare signature and one empty parked request", (sign["sign_us"] + parked) / es["refresh"]["cpu_us"],
                 0.5, "{:.2f}"),
        at_least("refresh, HS256: rate", hs["refresh"]["rate"], 25000, "{:,.0f} /s"),
        at_least("GET /auth/me, token seen before: rate", es["me"]["rate"], 100000, "{:,.0f} /s"),
        at_least("GET /auth/me: of an empty GET of our HTTP layer", get / es["me"]["cpu_us"], 0.6, "{:.2f}"),
        at_least("GET /auth/verify, token seen before: rate", es["verify"]["rate"], 100000, "{:,.0f} /s"),
        at_least("GET /auth/verify: of an empty GET of our HTTP layer", get / es["verify"]["cpu_us"], 0.6, "{:.2f}"),
        at_least("verify, ES256 token never seen before: of one bare check and an empty GET",
                 (sign["verify_us"] + get) / es["fresh"]["cpu_us"], 0.85, "{:.2f}"),
        at_most("HTTP layer, GET: CPU of bare epoll", get / http["bare_get"]["cpu_us"], 1.35, "{:.2f}"),
        at_most("HTTP layer, parked POST: CPU of bare epoll", parked / http["bare_parked"]["cpu_us"], 1.35, "{:.2f}"),
        at_most("start of an existing store to the first /readyz 200", facts["start_ms"], 50, "{:.0f} ms"),
        at_most("resident memory, idle", facts["idle_mib"], 12, "{:.1f} MiB"),
        at_most("disk a session (100,000 of them)", m["store_100000"]["bytes_a_session"], 400, "{:.0f} bytes"),
    ]
    for sessions in (100000, 1000000):
        if f"store_{sessions}" in m:
            more = m[f"store_{sessions}"]["cpu_us"] - m["store_1000"]["cpu_us"]  # of the store alone
            rows.append(at_most(f"CPU of a refresh, ES256, with {sessions:,} sessions: of the same with 1,000",
                                (es["refresh"]["cpu_us"] + more) / es["refresh"]["cpu_us"], 1.3, "{:.2f}"))
    return rows


def report(m):
    sign, http = m["sign"], m["http"]
    lines = requests_table(m)
    lines += ["", "| aim | measured | wanted | |", "| --- | --- | --- | --- |"]
    lines += [f"| {what} | {figure} | {wanted} | {'held' if held else 'MISSED'} |" for what, figure, wanted, held in targets(m)]
    lines += ["", "The floors of this run, CPU: " + ", ".join(
        f"{name} sign {s['sign_us']:.1f} µs, verify {s['verify_us']:.1f} µs" for name, s in sign.items()) + "; our HTTP layer with an empty handler: "
        f"GET {http['get']['cpu_us']:.1f} µs, parked POST {http['parked']['cpu_us']:.1f} µs; bare epoll without parsing: "
        f"{http['bare_get']['cpu_us']:.1f} and {http['bare_parked']['cpu_us']:.1f} µs. The store alone: " + ", ".join(
        f"{m[key]['cpu_us']:.1f} µs of CPU a rotation and {m[key]['rate']:,.0f}/s with {m[key]['sessions']:,} sessions" for key in sorted(m, key=len) if key.startswith("store_")) +
        f". Resident memory after the load: {m['facts']['loaded_mib']:.1f} MiB."]
    return "\n".join(lines)


def main():
    build, write, full = sys.argv[1], "--write" in sys.argv, "--full" in sys.argv
    text = f"Machine: {machine()}.\n\n{report(measure(build, full))}"
    print(text)
    if write:
        with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "results.md"), "w") as f:
            f.write("# What was measured\n\n"
                    "`make bench` prints these tables; `tools/bench server --write --full` puts them here. `tools/bench verify` has those of "
                    f"checks of tokens, revocations and the feed: `bench/results-verify.md`. {CONNECTIONS} keep-alive "
                    f"connections, each following a session of its own, {SECONDS} s a row; the server has one core, the generator "
                    "another; SQLite with `synchronous=FULL`, so every rotation is on the disk before it is answered. Ratios compare "
                    "CPU time with floors of the same run; absolute figures move from run to run and from machine to machine.\n\n"
                    f"{text}\n")


if __name__ == "__main__":
    main()
