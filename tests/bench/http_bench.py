#!/usr/bin/env python3
"""What the server does over HTTP, measured on the built programs: requests, whole runs, event streams, start-up.

usage: tests/bench/http_bench.py [--bin build/release/bin] [--seconds 3] [--rounds 3] [--parked 1000000] [PART...]
PART: requests runs streams start (all of them when none is named). Needs wrk.
"""
import argparse
import contextlib
import json
import os
import pathlib
import re
import shutil
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "integration"))
import support  # noqa: E402  pylint: disable=wrong-import-position
from support import GATE, Process, Server, eventually  # noqa: E402  pylint: disable=wrong-import-position

ONE_STEP = support.graph("d [shape=diamond]; s -> d -> e", "one")
TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def memory_kib(pid, field="VmRSS"):
    return int(re.search(rf"{field}:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text())[1])


def private_kib(pid):
    rollup = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
    return sum(int(found) for found in re.findall(r"Private_(?:Clean|Dirty):\s+(\d+)", rollup))


def wrk(url, seconds, connections, script=None):
    """(requests a second, {percentile: microseconds}, requests)"""
    command = ["wrk", "-t", "1" if connections == 1 else "2", "-c", str(connections), "-d", f"{seconds}s", "--latency", url]
    if script:
        command += ["-s", script]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in said or "Socket errors" in said:
        raise AssertionError(said)
    unit = {"us": 1, "ms": 1000, "s": 1e6}
    spread = {int(p): float(value) * unit[u] for p, value, u in re.findall(r"^\s+(50|90|99)%\s+([\d.]+)(us|ms|s)", said, re.M)}
    return float(re.search(r"Requests/sec:\s+([\d.]+)", said)[1]), spread, int(re.search(r"(\d+) requests in", said)[1])


class Table:
    def __init__(self, title):
        self.rows, self.title = [], title

    def add(self, what, value, unit, aim, beside=""):
        self.rows.append((what, f"{value:,.2f}" if value < 10 else f"{value:,.0f}", unit, aim, beside))

    def show(self):
        print(f"\n{self.title}")
        widths = [max(len(row[column]) for row in self.rows) for column in range(5)]
        for row in self.rows:
            print("  " + "  ".join(text.rjust(width) if column == 1 else text.ljust(width) for column, (text, width) in enumerate(zip(row, widths))).rstrip())
        sys.stdout.flush()


def median(values):
    return statistics.median(values)


@contextlib.contextmanager
def bare_beast(options, body):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.NamedTemporaryFile() as file:
        file.write(body)
        file.flush()
        server = subprocess.Popen([options.bin / "bare_beast", str(port), file.name])

        def listens():
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                return True
        try:
            eventually("bare_beast", listens)
            yield f"http://127.0.0.1:{port}/runs/x", server.pid
        finally:
            server.kill()
            server.wait()


def bare_grpc(options, address, run, calls):
    said = subprocess.run([options.bin / "bare_grpc_client", address, run, str(calls), str(options.seconds)], capture_output=True, text=True, check=True)
    return json.loads(said.stdout)


def requests(options):
    """GET /runs/{id}, embedded and as two programs, beside the least that Beast and gRPC do."""
    found = {}

    def note(name, value):
        found.setdefault(name, []).append(value)

    with Server("serve") as one, Server("split") as two:
        run_one, run_two = one.create(GATE), two.create(GATE)
        one.await_question(run_one)
        two.await_question(run_two)
        body = one.get(f"/runs/{run_one}").body
        core = f"unix:{two.storage}/core.sock"
        with bare_beast(options, body) as (beast, beast_pid):
            for _ in range(options.rounds):
                for connections in (64, 1):
                    for name, url, pids in (("beast", beast, [beast_pid]), ("serve", f"{one.url}/runs/{run_one}", [one.core.pid]),
                                            ("split", f"{two.url}/runs/{run_two}", [two.gateway.pid, two.core.pid])):
                        before = [cpu_seconds(pid) for pid in pids]
                        rate, spread, count = wrk(url, options.seconds, connections)
                        used = [cpu_seconds(pid) - start for pid, start in zip(pids, before)]
                        note(f"{name} {connections} rate", rate)
                        note(f"{name} {connections} p50", spread[50])
                        note(f"{name} {connections} p99", spread[99])
                        note(f"{name} {connections} cpu", used[0] / count * 1e6)
                    bare = bare_grpc(options, core, run_two, connections)
                    note(f"grpc {connections} rate", bare["calls_per_second"])
                    note(f"grpc {connections} p50", bare["p50_us"])
    got = {name: median(values) for name, values in found.items()}
    table = Table(f"GET /runs/{{id}}, {len(body)} bytes of JSON; medians of {options.rounds} rounds of {options.seconds} s")
    table.add("bare Beast server, 64 connections", got["beast 64 rate"], "/s", "", f"{got['beast 64 cpu']:.0f} us CPU each")
    table.add("fabro serve, 64 connections", got["serve 64 rate"], "/s", "aim 30,000", f"{got['serve 64 rate'] / got['beast 64 rate']:.2f} of Beast, {got['serve 64 cpu']:.0f} us CPU each, p99 {got['serve 64 p99'] / 1000:.1f} ms")
    table.add("bare gRPC client, 64 calls", got["grpc 64 rate"], "/s", "", "")
    table.add("gateway and core, 64 connections", got["split 64 rate"], "/s", "aim 0.8 of the bare client", f"{got['split 64 rate'] / got['grpc 64 rate']:.2f} of it, p99 {got['split 64 p99'] / 1000:.1f} ms")
    table.add("CPU a request in the gateway", got["split 64 cpu"], "us", "aim 45", "")
    table.add("bare gRPC call, alone, p50", got["grpc 1 p50"], "us", "", "")
    table.add("gateway and core, one connection, p50", got["split 1 p50"], "us", "aim 1.4 times the bare call", f"{got['split 1 p50'] / got['grpc 1 p50']:.2f} times, p99 {got['split 1 p99']:.0f} us")
    table.add("fabro serve, one connection, p50", got["serve 1 p50"], "us", "", f"p99 {got['serve 1 p99']:.0f} us (no 40 ms tail)")
    table.show()


def runs(options):
    """Whole one-step runs, posted by 64 connections, and one alone."""
    rates, alone = [], []
    with tempfile.TemporaryDirectory() as folder:
        script = pathlib.Path(folder, "post.lua")
        script.write_text(f"wrk.method = 'POST'\nwrk.headers['Content-Type'] = 'application/json'\nwrk.body = {json.dumps(json.dumps({'dot_source': ONE_STEP}))}\n")
        for _ in range(options.rounds):
            with Server("serve", args=["--max-concurrent-runs", "64"]) as server:
                begin = time.monotonic()
                wrk(f"{server.url}/runs", options.seconds, 64, str(script))
                # Posts that were cut off at wrk's end count too, if the server took them.
                eventually("the end of all runs", lambda s=server: s.get("/runs?filter[status]=completed&page[limit]=1").headers["x-total-count"] ==
                           s.get("/runs?page[limit]=1").headers["x-total-count"])
                total = int(server.get("/runs?page[limit]=1").headers["x-total-count"])
                rates.append(total / (time.monotonic() - begin))
            with Server("serve") as server:
                alone += [one_run(server.port) for _ in range(200)]
    table = Table(f"whole runs with one step, over HTTP; {options.rounds} rounds")
    table.add("64 connections", median(rates), "runs/s", "aim 8,000", f"{median(rates) / 8000:.2f} of the aim")
    alone.sort()
    table.add("one alone, POST to terminal event, p50", median(alone) * 1000, "ms", "aim 1.2", f"p99 {alone[len(alone) * 99 // 100] * 1000:.2f} ms; client in Python")
    table.show()


def one_run(port):
    body = json.dumps({"dot_source": ONE_STEP})
    post = f"POST /runs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()
    with socket.create_connection(("127.0.0.1", port)) as link:
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        begin = time.perf_counter()
        link.sendall(post)
        answer = link.recv(65536)
        at = answer.index(b'"id":"') + 6
        link.sendall(b"GET /runs/" + answer[at:at + 26] + b"/events HTTP/1.1\r\nHost: localhost\r\nLast-Event-ID: 0\r\n\r\n")
        seen = b""
        while b"WorkflowRunCompleted" not in seen:
            piece = link.recv(65536)
            if not piece:
                raise AssertionError(seen)
            seen += piece
        return time.perf_counter() - begin


def streams(options):
    """A thousand readers of one run that says something a hundred times a second."""
    readers = 1000
    # Paced by the clock, so that slow writing does not slow it down.
    script = ("import time\nstart = time.monotonic()\nn = 0\nopen('began', 'w').close()\nwhile time.monotonic() < start + 3600:\n"
              "  n += 1\n  time.sleep(max(0, start + n / 100 - time.monotonic()))\n  print('line', n, 'of what a build says while it works', flush=True)\n")
    source = support.graph(support.command("noisy", script, "language=python") + support.chain("noisy"))
    quiet = GATE
    with Server("serve") as server:
        pid = server.core.pid
        parked = server.create(quiet)
        server.await_question(parked)
        # Memory: readers of a run that says nothing, after a first round that fills every pool.
        sizes = []
        for count in (readers, readers * 2):
            idle = Process([options.bin / "sse_readers", server.port, parked, count], server.home / f"idle{count}.log", server.environment)
            eventually("all readers", lambda p=idle: p.find("connected"))
            sizes.append(private_kib(pid))
            idle.popen.kill()
            idle.wait()
        run = server.create(source)
        eventually("the stage at work", (server.work_dir(run) / "began").exists)
        results = []
        for _ in range(options.rounds):
            reading = Process([options.bin / "sse_readers", server.port, run, readers, options.seconds * 2], server.home / "readers.log", server.environment)
            eventually("all readers", lambda p=reading: p.find("connected"))
            before = cpu_seconds(pid)
            eventually("the readers' account", lambda p=reading: p.popen.poll() is not None)
            used = cpu_seconds(pid) - before
            result = json.loads(reading.said().splitlines()[-1])
            results.append(result | {"used": used})
        server.post(f"/runs/{run}/cancel")
    table = Table(f"{readers:,} readers of one run at 100 events/s, all on one machine; medians of {options.rounds} rounds")
    table.add("commit to reader, p50", median([r["p50_ms"] for r in results]), "ms", "", "")
    table.add("commit to reader, p99", median([r["p99_ms"] for r in results]), "ms", "aim 100", f"greatest {max(r['max_ms'] for r in results)} ms")
    table.add("events seen by each reader", median([r["frames"] / readers / r["seconds"] for r in results]), "/s", "100", f"{sum(r['gaps'] for r in results)} gaps")
    table.add("deliveries", median([r["frames"] / r["seconds"] for r in results]), "/s", "", "")
    table.add("deliveries a core's second", median([r["frames"] / r["used"] for r in results]), "", "aim 100,000", f"{median([r['used'] / r['seconds'] for r in results]):.2f} cores in use, the run's own work too")
    table.add("memory of a reader", (sizes[1] - sizes[0]) / readers, "KiB", "aim 8", f"{sizes[0]:,} KiB with {readers:,}, {sizes[1]:,} KiB with {readers * 2:,}")
    table.show()


def parked_database(server, count):
    """One real run at its gate, copied row by row."""
    with contextlib.closing(sqlite3.connect(server.storage / "fabro.db", isolation_level=None)) as db:
        for statement in ("PRAGMA journal_mode = OFF", "PRAGMA synchronous = OFF", "PRAGMA cache_size = -200000", "BEGIN",
                          f"CREATE TEMP TABLE n AS WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < {count - 1}) SELECT n FROM c"):
            db.execute(statement)
        db.create_function("another_id", 2, lambda run, n: run[:10] + n.to_bytes(6, "big"), deterministic=True)
        base = db.execute("SELECT max(run_key) FROM runs").fetchone()[0]
        for table in ("runs", "run_facts", "events", "snapshots"):
            columns = [row[1] for row in db.execute(f"PRAGMA table_info({table})")]
            values = ["run_key + n" if column == "run_key" else "another_id(x.id, n)" if column == "id" else f"x.{column}" for column in columns]
            db.execute(f"INSERT INTO {table} ({', '.join(columns)}) SELECT {', '.join(values)} FROM n, {table} x WHERE x.run_key = {base}")
        db.execute(f"UPDATE run_counts SET runs = {count} WHERE runs = 1")
        db.execute("COMMIT")
        db.execute("PRAGMA journal_mode = WAL")


def start(options):
    """From exec to the first answer of /health/ready."""
    table = Table(f"start-up; medians of {options.rounds + 2} starts")
    with Server("serve") as server:
        server.stop()
        took, sizes = started(server, options)
        table.add("empty: ready", took * 1000, "ms", "aim 50", "")
        table.add("empty: RSS", sizes / 1024, "MiB", "aim 30", "")
    with Server("serve") as server:
        server.await_question(server.create(GATE))
        server.stop()
        parked_database(server, options.parked)
        size = (server.storage / "fabro.db").stat().st_size
        took, sizes = started(server, options)
        table.add(f"{options.parked:,} parked runs: ready", took, "s", "aim 2", f"database of {size >> 20:,} MiB")
        table.add(f"{options.parked:,} parked runs: RSS", sizes / 1024, "MiB", "aim 150", "")
        server.start()
        assert server.get("/runs?page[limit]=1").headers["x-total-count"] == str(options.parked)
        begin = time.perf_counter()
        one = server.get("/runs?filter[status]=running&page[limit]=1&page[offset]=500").json["data"][0]["id"]
        assert server.get(f"/runs/{one}/questions").json["data"], one
        table.add("a page of them, and a run's question", (time.perf_counter() - begin) * 1000, "ms", "", "")
    table.show()


def started(server, options):
    times, sizes = [], []
    for _ in range(options.rounds + 2):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            server.port = probe.getsockname()[1]
        begin = time.perf_counter()
        command = [support.binary("fabro"), "serve", "--port", server.port, "--storage-dir", server.storage, "--log-format", "json"]
        server.core = Process(command, server.home / "server.log", server.environment)
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", server.port)) as link:
                link.sendall(b"GET /health/ready HTTP/1.1\r\nHost: localhost\r\n\r\n")
                if link.recv(100).startswith(b"HTTP/1.1 200"):
                    break
            time.sleep(0.001)
        times.append(time.perf_counter() - begin)
        sizes.append(memory_kib(server.core.pid))
        server.stop()
    return median(times), median(sizes)


PARTS = {"requests": requests, "runs": runs, "streams": streams, "start": start}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--bin", type=pathlib.Path, default=pathlib.Path("build/release/bin"))
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--parked", type=int, default=1_000_000)
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    options = parser.parse_args()
    options.bin = support.BIN = options.bin.resolve()
    if not shutil.which("wrk"):
        raise SystemExit("wrk is missing: apt-get install wrk")
    for part in options.parts or PARTS:
        PARTS[part](options)


if __name__ == "__main__":
    main()
