#!/usr/bin/env python3
"""How long a normal client waits while others mean harm, beside how long it waits in quiet; and what the server's memory does.

usage: hostile_bench.py [BIN_FOLDER] [--seconds N]     default: build/release/bin, 5 s an attack"""
import argparse
import contextlib
import os
import pathlib
import resource
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests/integration"))
import support  # noqa: E402
from hostile_test import HostileToTls  # noqa: E402
from support import GATE, Server  # noqa: E402

GET = b"GET /runs/%s HTTP/1.1\r\nHost: localhost\r\n\r\n"


def link_to(port, receive_buffer=None):
    link = socket.socket()
    if receive_buffer:
        link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    link.settimeout(30)
    link.connect(("127.0.0.1", port))
    return link


class Normal:
    """One keep-alive connection that asks for a run, again and again."""

    def __init__(self, server, run):
        self.server, self.request = server, GET % run.encode()

    def connect(self):
        link = link_to(self.server.port)
        return self.server.tls.wrap_socket(link, server_hostname="localhost") if self.server.tls else link

    def measure(self, seconds):
        times, until = [], time.monotonic() + seconds
        with self.connect() as link:
            while time.monotonic() < until:
                began = time.perf_counter()
                link.sendall(self.request)
                answer = link.recv(65536)
                times.append(time.perf_counter() - began)
                if not answer.startswith(b"HTTP/1.1 200 "):
                    raise AssertionError(answer[:200])
        times.sort()
        return times


# Attacks: each is repeated by some threads until it is told to stop. They hold what they have opened in `held`.

def slow_heads(port, held):
    link = link_to(port)
    held.append(link)
    link.sendall(b"GET / HTTP/1.1\r\nX: ")
    time.sleep(0.005)
    with contextlib.suppress(OSError):
        held[len(held) // 2].send(b"x")


def slow_bodies(port, held):
    link = link_to(port)
    held.append(link)
    link.sendall(b"POST /runs HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4000000\r\n\r\n" + b" " * 65_536)
    time.sleep(0.01)


def slow_readers(port, held):
    link = link_to(port, 4096)
    held.append(link)
    link.setblocking(False)
    with contextlib.suppress(OSError):
        for _ in range(100):
            link.send(b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n")
    time.sleep(0.05)


def half_open(port, held):
    link = link_to(port)
    link.shutdown(socket.SHUT_WR)
    held.append(link)
    time.sleep(0.002)


def resets(port, _):
    link = link_to(port)
    link.sendall(b"GET /runs HTTP/1.1\r\nHost: localhost\r\n\r\n")
    link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    link.close()
    time.sleep(0.002)


def large_heads(port, _):
    with link_to(port) as link, contextlib.suppress(OSError):
        link.sendall(b"GET / HTTP/1.1\r\nX: " + b"a" * 200_000)
        link.recv(4096)
    time.sleep(0.002)


def large_bodies(port, _):
    with link_to(port) as link, contextlib.suppress(OSError):
        link.sendall(b"POST /runs HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5000000\r\n\r\n" + b" " * 1_000_000)
        link.recv(4096)
    time.sleep(0.01)


def garbage(port, _):
    with link_to(port) as link, contextlib.suppress(OSError):
        link.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n" * 5 + os.urandom(500) + b"\r\n\r\n")
        link.recv(65536)
    time.sleep(0.002)


# A ClientHello that any server begins to answer, without its certificate ever being looked at.
def hello():
    out = ssl.MemoryBIO()
    context = ssl.create_default_context()
    with contextlib.suppress(ssl.SSLWantReadError):
        context.wrap_bio(ssl.MemoryBIO(), out, server_hostname="localhost").do_handshake()
    return out.read()


HELLO = hello()


def silent_handshakes(port, held):
    link = link_to(port)
    held.append(link)
    link.sendall(HELLO if len(held) % 2 else HELLO[:100])
    time.sleep(0.005)


def cut_handshakes(port, _):
    link = link_to(port)
    link.sendall(HELLO)
    link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    link.close()
    time.sleep(0.005)


def renegotiations(port, _):
    subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-tls1_2"], input=b"R\n", capture_output=True, timeout=30, check=False)


def tls_garbage(port, _):
    with link_to(port) as link, contextlib.suppress(OSError):
        link.sendall(b"\x16\x03\x01\x40\x00" + os.urandom(16_384))
        link.recv(65536)
    time.sleep(0.002)


ATTACKS = (slow_heads, slow_bodies, slow_readers, half_open, resets, large_heads, large_bodies, garbage)
TLS_ATTACKS = (silent_handshakes, cut_handshakes, renegotiations, tls_garbage)


def attacked(attack, port, work):
    """The result of work() while two threads do that."""
    over, held = threading.Event(), []

    def repeat():
        while not over.is_set():
            with contextlib.suppress(OSError):
                attack(port, held)

    threads = [threading.Thread(target=repeat) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        return work()
    finally:
        over.set()
        for thread in threads:
            thread.join()
        for link in held:
            link.close()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("bin", nargs="?", default=ROOT / "build/release/bin")
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--idle", type=int, default=9_500)
    options = parser.parse_args()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    support.BIN, support.LAYOUT = pathlib.Path(options.bin).resolve(), "serve"
    compare(Server(), ATTACKS, options, options.idle)
    print("over HTTPS")
    compare(HostileToTls.make_server(), TLS_ATTACKS, options, 0)


def compare(server, attacks, options, idle_links):
    with server:
        run = server.create(GATE)
        server.await_question(run)
        normal = Normal(server, run)
        normal.measure(1)
        quiet = normal.measure(options.seconds)

        def show(name, times, memory):
            p50, p99 = (times[int(len(times) * share)] * 1000 for share in (0.5, 0.99))
            ratio = p99 / (quiet[int(len(quiet) * 0.99)] * 1000)
            print(f"{name:16} {len(times) / options.seconds:8.0f}/s   p50 {p50:7.2f} ms   p99 {p99:7.2f} ms   {ratio:6.1f} x   RSS {memory:6.0f} MiB", flush=True)

        def rss():
            return server.metric("process_resident_memory_bytes") / (1 << 20)

        show("quiet", quiet, rss())
        for attack in attacks:
            times, memory = attacked(attack, server.port, lambda: (normal.measure(options.seconds), rss()))
            show(attack.__name__, times, memory)
        if idle_links:
            idle = [link_to(server.port) for _ in range(idle_links)]
            show(f"{idle_links} idle", normal.measure(options.seconds), rss())
            for link in idle:
                link.close()
        show("quiet again", normal.measure(options.seconds), rss())


if __name__ == "__main__":
    main()
