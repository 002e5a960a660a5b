#!/usr/bin/env python3
"""Holds the verifier, the revocation set and the feed against their aims, and shows the usual way beside them, in one run.

    bench/verify.py BUILD_FOLDER [--write]

Runs bench_verify, revoke_set, bench/feed.py and bench/classic.py (some five minutes and 4 GB of memory); --write puts the tables into
bench/results-verify.md. Where node, npm, their packages or redis-server are missing the usual way is left out, with a line that says so.

The exit status is 1 when a ratio misses its aim: `MISS`. Times, rates and bytes are held against theirs, too, but how fast a machine is
and what else it does is not the program's fault: `missed, not counted`.
"""
import os
import re
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import classic  # noqa: E402
import feed  # noqa: E402
from server import machine  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
TIME_OUT_S = 900
WARM_RATE = 5_000_000  # a core; memory has to answer within 100 ns for that
SET_MIB, SET_GROWTH = 220, 1.5  # ten million entries; the peak, of what they take in the end
SNAPSHOT_S = 3  # ten million rows
OF_THE_FLOOR = [("warm check, zipf 0.99", "token seen before, 10 M revoked ids: of a bare loop that finds and compares"),
                ("ES256: cold check", "token never seen before, ES256: of a bare check of the signature"),
                ("RS256: cold check", "token never seen before, RS256: of a bare check of the signature"),
                ("EdDSA: cold check", "token never seen before, EdDSA: of a bare check of the signature"),
                ("HS256: cold check", "token never seen before, HS256: of a bare HMAC"),
                ("two threads (of one)", "two threads: of one"),
                ("two threads, 50,000 revocations/s (of one)", "two threads, 50,000 revocations/s beside them: of one")]


def lines_of(build, program):
    """{label: the rest of its line}: label and figures are separated by at least two blanks."""
    out = subprocess.run([os.path.join(build, "bench", program)], capture_output=True, text=True, timeout=TIME_OUT_S)
    if out.returncode != 0 or "WRONG" in out.stdout:
        raise SystemExit(f"{program}: {out.stderr or out.stdout}")
    rows = (re.match(r"\s*(.*?)\s{2,}(\S.*)", line) for line in out.stdout.splitlines())
    return {row[1]: row[2] for row in rows if row}


def first(text):
    return float(text.split()[0])


def rate(text):
    return float(re.search(r"ns\s+(\d+) /s", text)[1])


def ratio_row(what, figure, wanted, held):
    return what, figure, wanted, "held" if held else "MISS"


def other_row(what, figure, wanted, held):
    return what, figure, wanted, "held" if held else "missed, not counted"


def floor_row(what, text):
    """bench_verify knows the bound, and compares before it rounds."""
    figure, wanted = re.search(r"([\d.]+) of the floor, wanted ([\d.]+)", text).groups()
    return ratio_row(what, figure, f"≥ {wanted}", "MISSED" not in text)


def aims(checks, revoked, feeds):
    """(what, figure, wanted, how it came out)"""
    warm, memory = rate(checks["warm check, zipf 0.99"]), first(revoked["set and filter"])
    growth, loading = first(revoked["peak / final"]), first(revoked["load a dump, growth included"])
    rows = [other_row("token seen before, 10 M revoked ids: rate", f"{warm:,.0f} /s", f"≥ {WARM_RATE:,} /s", warm >= WARM_RATE)]
    rows += [floor_row(what, checks[label]) for label, what in OF_THE_FLOOR]
    rows += [other_row("10 M revoked ids: memory", f"{memory:.0f} MiB", f"< {SET_MIB} MiB", memory < SET_MIB),
             ratio_row("10 M revoked ids: peak of growth, of the final size", f"{growth:.2f}", f"< {SET_GROWTH}", growth < SET_GROWTH),
             other_row("10 M revoked ids: from a snapshot into a set", f"{loading:.2f} s", f"< {SNAPSHOT_S} s", loading < SNAPSHOT_S)]
    for what, row, key, most in feed.AIMS:
        rows.append(other_row(what, f"{feeds[row][key]:.2f} ms", f"< {most:.0f} ms", feeds[row][key] < most))
    return rows


def usual_way(build):
    try:
        return classic.report(classic.measure(build))
    except classic.Skip as why:
        print(f"SKIPPED: the usual way, jose and Redis: {why}", file=sys.stderr)
        return f"The usual way, jose and Redis, was skipped: {why}."


def measure(build):
    """The text, and whether all ratios held."""
    checks, revoked = lines_of(build, "bench_verify"), lines_of(build, "revoke_set")
    with tempfile.TemporaryDirectory(prefix="sallyport-bench-") as folder:
        feeds = list(feed.measure(os.path.join(build, "sallyport"), os.path.join(build, "bench/feed_load"), folder))
    rows = aims(checks, revoked, feeds)
    lines = ["| aim | measured | wanted | |", "| --- | --- | --- | --- |"] + [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join(lines) + "\n\n" + usual_way(build), all(row[-1] != "MISS" for row in rows)


def write(text):
    with open(os.path.join(HERE, "results-verify.md"), "w") as f:
        f.write("# What was measured: checks of tokens, revocations, the feed\n\n"
                "`make bench` prints these tables; `tools/bench verify --write` puts them here. Compare the figures of one run with each "
                "other: absolute ones move from run to run and from machine to machine, so only ratios make the run fail. The first table "
                "takes CPU times, but for the feed's; the second takes rates by the clock, of checks over distinct tokens evenly drawn, "
                "which is the hardest case for a cache. How each is measured stands at the head of [bench_verify.c](bench_verify.c), "
                f"[revoke_set.c](revoke_set.c), [feed.py](feed.py) and [classic.py](classic.py).\n\n{text}\n")


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    begin = time.monotonic()
    text, held = measure(os.path.abspath(sys.argv[1]))
    text = f"Machine: {machine()}.\n\n{text}"
    print(text)
    print(f"\n{time.monotonic() - begin:.0f} s", file=sys.stderr)
    if "--write" in sys.argv:
        write(text)
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
