#!/usr/bin/env python3
"""Computes docs/scale.md: what a billion users cost, from measured constants.

    bench/scale.py [--check | --write [SIM_FEED]]

Without options prints the computed part; --write puts it into docs/scale.md, together with runs of the simulation when its program is given;
--check fails when the page is not what would be computed now (the simulation's part is not run again).
"""
import os
import re
import subprocess
import sys

PAGE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "docs", "scale.md")

# Measured on the machine of bench/results.md; each with the program that measures it.
ENTRY_BYTES = 18.7          # memory of one revocation in set and filter, ten million of them (bench/revoke_set)
ENTRY_PEAK = 1.1            # times that at the peak of growth (bench/revoke_set)
LOAD_S = 0.29e-6            # to load one row of a snapshot into a set that grows (bench/revoke_set)
PUSH_S = 8e-6               # server CPU to write one small piece to one of many subscribers (bench/feed.py)
ACK_S = 30e-6               # server CPU for one acknowledgement, of an answer of the whole server (bench/feed.py)
SIGN_S = 24e-6              # an Ed25519 signature: a beat, an answer to a nonce (bench/bench_sign)
EVENT_BYTES = 122           # one `revoke` with its id line (docs/feed.md)
BEAT_BYTES = 470            # one `beat`
ROW_BYTES = 12              # one row of a snapshot

# Assumed; change them and run this again.
USERS = 1_000_000_000
ACTIVE_A_DAY = 0.20         # of the users
SESSIONS_A_DAY = 1.5        # that an active user begins
ENDED_EARLY = 0.30          # of sessions: by logout, by "end this session", by a tripwire or an administrator
PEAK = 4                    # the busiest hour, times the mean
TOKEN_S = 15 * 60
SLACK_S = 60 + 60           # leeway and clock skew that an entry outlives its token by
VERIFIERS = 100_000         # processes that check tokens
FAN_OUT = 200               # verifiers or relays below one relay
PUSHES_A_S = 100            # a relay writes at most so often; what comes meanwhile goes out together
BEATS_A_S = 2
NONCE_EVERY_S = 300
LINK_BITS = 1e9             # of a machine


def figures():
    mean = USERS * ACTIVE_A_DAY * SESSIONS_A_DAY * ENDED_EARLY / 86400
    peak = mean * PEAK
    entries = peak * (TOKEN_S + SLACK_S)
    stream = peak * EVENT_BYTES + BEATS_A_S * BEAT_BYTES
    snapshot = entries * ROW_BYTES
    relays = -(-VERIFIERS // FAN_OUT)
    tops = -(-relays // FAN_OUT)
    pushes = min(peak, PUSHES_A_S)
    return [
        ("sessions ended early, mean", f"{mean:,.0f} /s", "users × active × sessions × ended early / 86,400 s"),
        ("the same, busiest hour", f"{peak:,.0f} /s", f"× {PEAK}"),
        ("revocations in force at once", f"{entries / 1e6:.1f} million", "an entry outlives its token by 2 minutes"),
        ("memory of a verifier for them", f"{entries * ENTRY_BYTES / 2**20:.0f} MiB", f"{ENTRY_BYTES} bytes each, filter included; {ENTRY_PEAK} times that while it grows"),
        ("a verifier's stream, busiest hour", f"{stream / 1e3:,.0f} kB/s", f"{EVENT_BYTES} bytes an event, {BEATS_A_S} beats a second"),
        ("a verifier's stream, nothing revoked", f"{BEATS_A_S * BEAT_BYTES / 1e3:.1f} kB/s", "beats alone"),
        ("a snapshot", f"{snapshot / 1e6:.0f} MB", f"{ROW_BYTES} bytes a row"),
        ("... to transfer", f"{snapshot * 8 / LINK_BITS:.2f} s", "at 1 Gbit/s"),
        ("... to load", f"{entries * LOAD_S:.2f} s", f"{LOAD_S * 1e9:.0f} ns a row"),
        ("relays directly above the verifiers", f"{relays:,}", f"{FAN_OUT} below each of them"),
        ("relays above those", f"{tops:,}", "which follow the origin"),
        ("CPU of a relay, busiest hour", f"{pushes * FAN_OUT * PUSH_S:.2f} cores", f"at most {PUSHES_A_S} writes a second to each of {FAN_OUT}; {peak / pushes:.0f} revocations a write"),
        ("sent by a relay, busiest hour", f"{stream * FAN_OUT * 8 / 1e6:,.0f} Mbit/s", "the stream to each of those below"),
        ("sent by the origin for the stream", f"{stream * tops * 8 / 1e6:,.1f} Mbit/s", "to the relays at the top"),
        ("what two levels of relays add to the lag", f"{2 * 1e3 / PUSHES_A_S:.0f} ms at most", "a turn of each; the network comes on top"),
        ("nonces that reach the origin", f"{VERIFIERS / NONCE_EVERY_S:,.0f} /s, {VERIFIERS / NONCE_EVERY_S * SIGN_S * 1e3:.0f} ms of CPU a second", "relays hand them through: only the origin's clock counts"),
        ("acknowledgements, one for every write", f"{VERIFIERS * pushes:,.0f} /s", "too many for one place: relays must gather them; for the origin those of the relays above remain"),
        ("... gathered by relays, at the origin", f"{tops * pushes:,.0f} /s, {tops * pushes * ACK_S * 1e3:.0f} ms of CPU a second", "the lowest sequence of all below"),
        ("the same with a round trip for each request", f"{USERS * ACTIVE_A_DAY * 200 / 86400 * PEAK / 1e6:.1f} million lookups/s", "200 requests a day of each active user: what a central list of revoked tokens would serve"),
    ]


def computed():
    lines = ["| | | |", "| --- | --- | --- |"]
    lines += [f"| {name} | {value} | {why} |" for name, value, why in figures()]
    return "\n".join(lines)


def simulated(program):
    runs = [("as assumed", []), ("bad networks: a cut every 3 minutes for 20 s on average, 2 % of segments lost",
                                 ["--cut-hours", "0.05", "--cut-s", "20", "--loss", "0.02", "--rate", "2"])]
    out = []
    for name, options in runs:
        text = subprocess.run([program, "--minutes", "30"] + options, check=True, capture_output=True, text=True, timeout=600).stdout
        out.append(f"{name[0].upper()}{name[1:]}:\n\n```\n{text}```")
    return "\n\n".join(out)


def put(page, name, text):
    page, found = re.subn(rf"(<!-- {name} -->\n).*?(\n<!-- end -->)", lambda m: m.group(1) + text + m.group(2), page, flags=re.S)
    if found != 1:
        raise SystemExit(f"docs/scale.md has {found} places marked {name}, not one")
    return page


def main():
    with open(PAGE) as f:
        page = f.read()
    if "--check" in sys.argv:
        if put(page, "computed", computed()) != page:
            raise SystemExit("docs/scale.md is not what bench/scale.py computes: run bench/scale.py --write")
    elif "--write" in sys.argv:
        page = put(page, "computed", computed())
        if sys.argv[-1] != "--write":
            page = put(page, "simulated", simulated(sys.argv[-1]))
        with open(PAGE, "w") as f:
            f.write(page)
    else:
        print(computed())


if __name__ == "__main__":
    main()
