#!/usr/bin/env python3
"""What authentication costs: a token's check beside no authentication, and TLS handshakes beside `openssl s_server`.

usage: tests/bench/auth_bench.py [--bin build/release/bin] [--requests 5000] [--seconds 3] [--rounds 3] [PART...]
PART: tokens handshakes (both when none is named). Needs openssl.
"""
import argparse
import contextlib
import json
import pathlib
import re
import socket
import statistics
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "integration"))
import support  # noqa: E402  pylint: disable=wrong-import-position
from auth_test import AuthServer, TLS  # noqa: E402  pylint: disable=wrong-import-position
from support import SHORT, Server, eventually  # noqa: E402  pylint: disable=wrong-import-position


def p50(port, path, headers, requests):
    """Microseconds, one request at a time on one connection."""
    request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n".encode()
    took = []
    with socket.create_connection(("127.0.0.1", port)) as link:
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for _ in range(requests):
            begun = time.perf_counter_ns()
            link.sendall(request)
            answer = link.recv(65536)
            took.append(time.perf_counter_ns() - begun)
            assert answer.startswith(b"HTTP/1.1 200 "), answer
    return statistics.median(took) / 1000


def tokens(options):
    with Server() as bare, AuthServer('authentication_strategies = ["jwt"]') as guarded:
        header = f"Authorization: Bearer {guarded.token('alice')}\r\n"
        request = json.dumps({"dot_source": SHORT})
        open_run = bare.create(SHORT)
        guarded_run = guarded.post("/runs", request, {"Content-Type": "application/json"} | guarded.bearer("alice")).json["id"]
        without, with_token = [], []
        for _ in range(options.rounds):  # in turns: the host drifts
            without.append(p50(bare.port, f"/runs/{open_run}", "", options.requests))
            with_token.append(p50(guarded.port, f"/runs/{guarded_run}", header, options.requests))
    print("GET /runs/{id}, one connection, p50 (client in Python)")
    print(f"  without authentication  {statistics.median(without):8.1f} us")
    print(f"  with a token seen before{statistics.median(with_token):8.1f} us")


def s_time(port, certs, seconds, version, kind):
    """Handshakes a second."""
    done = subprocess.run(["openssl", "s_time", "-connect", f"localhost:{port}", f"-{kind}", "-time", str(seconds), version, "-CAfile",
                           certs / "ca.crt", "-cert", certs / "users" / "carol.crt", "-key", certs / "users" / "carol.key"],
                          capture_output=True, text=True, check=True, timeout=seconds * 4 + 30)
    counts = re.findall(r"(\d+) connections in (\d+) real seconds", done.stdout)
    assert counts, done.stdout + done.stderr
    return int(counts[-1][0]) / int(counts[-1][1])


@contextlib.contextmanager
def s_server(certs):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = subprocess.Popen(["openssl", "s_server", "-accept", str(port), "-cert", certs / "api.crt", "-key", certs / "api.key", "-CAfile",
                               certs / "ca.crt", "-Verify", "1", "-quiet"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL)
    try:
        def listens():
            with contextlib.suppress(OSError), socket.create_connection(("localhost", port)):
                return True
        eventually("s_server", listens)
        yield port
    finally:
        server.kill()
        server.wait()


def handshakes(options):
    server = AuthServer(f'authentication_strategies = ["jwt", "mtls"]{TLS}')
    server.await_ready = lambda port=None: None  # over plain HTTP nobody answers; s_time waits for the port
    with server, s_server(server.certs) as bare:
        print("mutual TLS handshakes a second (client: openssl s_time, one at a time, on the same machine)")
        # s_time reads nothing after the handshake, so that of TLS 1.3 it cannot resume.
        for version, kind in (("-tls1_3", "new"), ("-tls1_2", "new"), ("-tls1_2", "reuse")):
            ours, theirs = [], []
            for _ in range(options.rounds):
                ours.append(s_time(server.port, server.certs, options.seconds, version, kind))
                theirs.append(s_time(bare, server.certs, options.seconds, version, kind))
            ours, theirs = statistics.median(ours), statistics.median(theirs)
            name = f"{version[1:].replace('_', '.')} {'full' if kind == 'new' else 'resumed'}"
            print(f"  {name:16} fabro {ours:8,.0f}   s_server {theirs:8,.0f}   ratio {ours / theirs:.2f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", type=pathlib.Path, default=HERE.parent.parent / "build" / "release" / "bin")
    parser.add_argument("--requests", type=int, default=5000)
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("parts", nargs="*", metavar="PART")
    options = parser.parse_args()
    support.BIN = options.bin.resolve()
    for name, part in (("tokens", tokens), ("handshakes", handshakes)):
        if not options.parts or name in options.parts:
            part(options)


if __name__ == "__main__":
    main()
