#!/usr/bin/env python3
"""Measures the revocation feed of a whole server: from a logout to the last verifier that knows.

    bench/feed.py BUILD_FOLDER

A server on one core; on the other bench/feed_load, which plays 100 and then 2,000 verifiers and logs sessions out one after another. Two
figures: when a verifier has read the event, counted from the answer to the logout; and how long a logout takes that waits for the
receipt of every verifier. The floors beside them, from the same run: the answer to a logout that nobody follows.
"""
import json
import os
import signal
import subprocess
import sys
import tempfile
import http.client
import socket

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from server import Server, pinned  # noqa: E402

LOGOUTS = 300
ROWS = [(0, []), (100, []), (100, ["receipts"]), (2000, []), (2000, ["receipts"])]
AIMS = [("event at 100 verifiers after the answer, p99", 1, "event_p99_ms", 5.0),
        ("event at 2,000 verifiers after the answer, p99", 3, "event_p99_ms", 20.0),
        ("logout with the receipt of 100 verifiers, p50", 2, "request_p50_ms", 10.0)]


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost")
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self.path)


def access_tokens(data, n):
    connection = UnixConnection(os.path.join(data, "admin.sock"))
    for i in range(n):
        connection.request("POST", "/admin/v1/sessions", json.dumps({"subject": f"bench{i % 50}"}), {"Content-Type": "application/json"})
        answer = connection.getresponse()
        body = json.loads(answer.read())
        if answer.status not in (200, 201):
            raise SystemExit(f"no session: {body}")
        yield body["access_token"]


def measure(program, load, folder):
    server = Server(program, folder, "ES256")
    server.start()
    try:
        made = subprocess.run([program, "--data", server.data, "client", "add", "bench", "--feed"], capture_output=True, text=True, check=True)
        credential = made.stdout.strip()
        for verifiers, extra in ROWS:
            tokens = "\n".join(access_tokens(server.data, LOGOUTS)) + "\n"
            out = subprocess.run(pinned(1, [load, str(server.port), credential, str(verifiers), str(LOGOUTS)] + extra), input=tokens,
                                 capture_output=True, text=True, timeout=300)
            if out.returncode != 0:
                raise SystemExit(out.stderr)
            yield json.loads(out.stdout)
    finally:
        server.stop()


def main():
    folder = sys.argv[1]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    program, load = (os.path.join(os.path.abspath(folder), name) for name in ("sallyport", "bench/feed_load"))
    with tempfile.TemporaryDirectory() as temporary:
        rows = list(measure(program, load, temporary))
    print("| verifiers | receipts | event p50 ms | p99 | max | logout p50 ms | p99 |\n| --- | --- | --- | --- | --- | --- | --- |")
    for (verifiers, extra), r in zip(ROWS, rows):
        event = [f"{r[k]:.2f}" if verifiers else "-" for k in ("event_p50_ms", "event_p99_ms", "event_max_ms")]
        print(f"| {verifiers:,} | {'yes' if extra else 'no'} | {' | '.join(event)} | {r['request_p50_ms']:.2f} | {r['request_p99_ms']:.2f} |")
    print("\n| aim | measured | wanted | |\n| --- | --- | --- | --- |")
    for name, row, key, most in AIMS:
        value = rows[row][key]
        print(f"| {name} | {value:.2f} ms | ≤ {most:.0f} ms | {'held' if value <= most else 'MISSED'} |")


if __name__ == "__main__":
    main()
