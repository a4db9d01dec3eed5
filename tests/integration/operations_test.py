#!/usr/bin/env python3
"""A server in operation: its configuration changes while it runs, and its disk is full for a while."""
import contextlib
import os
import signal
import subprocess
import unittest

from support import Case, EventStream, GATE, SHORT, Server, binary, chain, command, eventually, graph, main


class Configured(Server):
    """A server with a file of its own."""

    def __init__(self, text, layout=None):
        super().__init__(layout)
        self.file = self.home / "server.toml"
        self.environment["FABRO_CONFIG"] = str(self.file)
        self.write(text)

    def write(self, text):
        fresh = self.home / "server.toml.new"
        fresh.write_text(text)
        os.rename(fresh, self.file)


class LiveReload(Case):
    @classmethod
    def setUpClass(cls):
        cls.server = Configured("max_concurrent_runs = 1\n").__enter__()
        cls.addClassCleanup(lambda: cls.server.close())

    def test_roles_and_slots_follow_the_file(self):
        server = self.server
        run = server.create(GATE)
        server.write('max_concurrent_runs = 9\n[access]\nviewers = ["local"]\n')
        eventually("the new role", lambda: server.post("/runs", {"dot_source": SHORT}).status == 403, 10)
        self.assertEqual(server.get(f"/runs/{run}").status, 200)
        self.assertIn("fabro_slots 9\n", server.get("/metrics").body.decode())
        server.write("max_concurrent_runs = lots\n")
        eventually("the complaint", lambda: server.core.find("the settings in force stay"), 10)
        self.assertEqual(server.post("/runs", {"dot_source": SHORT}).status, 403)
        server.write("max_concurrent_runs = 2\n")
        server.core.signal(signal.SIGHUP)
        eventually("the role being gone", lambda: server.post("/runs", {"dot_source": SHORT}).status == 201, 10)
        self.assertIn("fabro_slots 2\n", server.get("/metrics").body.decode())
        self.assertRegex(server.core.said(), r'"key":"max_concurrent_runs","from":"9","to":"2"')


class Health(unittest.TestCase):
    """`fabro health`, as probes call it."""

    def ask(self, server, *words):
        done = subprocess.run([binary("fabro"), "health", *words], env=server.environment, capture_output=True, text=True, timeout=60, check=False)
        return done.returncode, done.stdout + done.stderr

    def test_tells_a_server_that_works_from_one_that_answers_from_none(self):
        with Configured("") as server:
            server.write(f"[api]\nport = {server.port}\n")
            for words in ((), ("--live",), ("--server", server.url)):
                self.assertEqual(self.ask(server, *words)[0], 0, words)
            if server.layout == "split":
                server.kill9_core()
                self.assertEqual(self.ask(server)[0], 1, "the gateway is up, the core is not")
                self.assertEqual(self.ask(server, "--live")[0], 0)
            server.kill9()
            self.assertEqual(self.ask(server, "--live")[0], 3)

    def test_asks_a_core_without_its_gateway(self):
        server = Configured("", "split")
        try:
            server.write(f'storage_dir = "{server.storage}"\n')
            self.assertEqual(self.ask(server, "--core", "--live")[0], 3)
            server.start_core()
            eventually("the core", lambda: self.ask(server, "--core")[0] == 0)
            self.assertEqual(self.ask(server, "--core", "--live"), (0, f"live  unix:{server.storage}/core.sock\n"))
            server.core.signal(signal.SIGSTOP)
            self.assertEqual(self.ask(server, "--core", "--live")[0], 3, "a core that hangs is not live")
        finally:
            server.close()


class Metrics(Case):
    """The text that Prometheus reads: well formed, complete, and right."""

    def samples(self):
        reply = self.server.get("/metrics")
        self.assertEqual(reply.status, 200)
        self.assertEqual(reply.headers["content-type"], "text/plain; version=0.0.4; charset=utf-8")
        found, types = {}, {}
        for line in reply.body.decode().splitlines():
            if line.startswith("# TYPE "):
                _, _, name, kind = line.split()
                self.assertNotIn(name, types, "a family twice")
                types[name] = kind
            elif not line.startswith("#"):
                name, value = line.rsplit(" ", 1)
                family = name.split("{")[0]
                self.assertTrue(any(family == known or family in (known + "_bucket", known + "_sum", known + "_count") for known in types), line)
                self.assertNotIn(name, found, "a sample twice")
                found[name] = float(value)
        return found, types

    def test_counts_what_happens(self):
        server = self.server
        run = server.create(SHORT)
        server.await_status(run, "completed")
        server.get("/nothing")
        before, types = self.samples()
        self.assertGreaterEqual(before['fabro_runs{status="completed"}'], 1)
        self.assertGreaterEqual(before['fabro_core_calls_total{method="StartRun",code="OK"}'], 1)
        self.assertGreaterEqual(before['fabro_http_requests_total{operation="StartRun",status="2xx"}'], 1)
        self.assertGreaterEqual(before['fabro_http_requests_total{operation="none",status="4xx"}'], 1)
        self.assertGreater(before["fabro_store_commits_total"], 0)
        self.assertGreater(before["fabro_store_events_total"], 0)
        self.assertGreater(before['fabro_store_size_bytes{file="database"}'], 0)
        self.assertEqual(before["fabro_store_writable"], 1)
        self.assertEqual(before["fabro_core_up"], 1)
        self.assertGreater(before["process_resident_memory_bytes"], 1 << 20)
        self.assertEqual(types["fabro_http_request_duration_seconds"], "histogram")
        server.get(f"/runs/{run}")
        after, _ = self.samples()
        for name in ('fabro_core_calls_total{method="RetrieveRun",code="OK"}', 'fabro_core_call_duration_seconds_count{method="RetrieveRun"}',
                     'fabro_http_request_duration_seconds_count{operation="RetrieveRun"}'):
            self.assertEqual(after[name], before[name] + 1, name)
        infinite = 'fabro_core_call_duration_seconds_bucket{method="RetrieveRun",le="+Inf"}'
        self.assertEqual(after[infinite], after['fabro_core_call_duration_seconds_count{method="RetrieveRun"}'])

    def test_the_gateway_tells_its_own_without_a_core(self):
        if self.server.layout != "split":
            self.skipTest("one process")
        self.server.kill9_core()
        found, _ = self.samples()
        self.assertEqual(found["fabro_core_up"], 0)
        self.assertGreater(found["fabro_gateway_process_open_fds"], 0)
        self.server.start_core()
        self.server.await_ready()


class SmallDisk(Server):
    """A storage folder on a file system of its own that is soon full."""

    def __enter__(self):
        self.storage.mkdir()
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "fabro-test", self.storage], capture_output=True, check=False)
        if mounted.returncode != 0:
            super().close()
            raise unittest.SkipTest(f"no file system of our own: {mounted.stderr.decode().strip()}")
        return super().__enter__()

    def close(self):
        for process in self.processes():
            process.signal(signal.SIGKILL)
            process.wait()
        subprocess.run(["umount", "-l", self.storage], check=True)
        super().close()

    def fill(self):
        with open(self.storage / "ballast", "ab", buffering=0) as ballast, contextlib.suppress(OSError):
            for size in (1 << 20, 4096, 1):
                with contextlib.suppress(OSError):
                    while True:
                        ballast.write(bytes(size))

    def empty(self):
        (self.storage / "ballast").unlink()


class FullDisk(unittest.TestCase):
    def test_writes_are_refused_reads_go_on_and_nothing_is_lost(self):
        with SmallDisk() as server:
            done = server.create(SHORT)
            server.await_status(done, "completed")
            gate = server.create(GATE)
            question = server.await_question(gate)["id"]
            go = server.home / "go"
            script = f"until test -f {go}; do sleep 0.05; done; echo well"
            working = server.create(graph(command("one", script) + command("two", "echo two") + chain("one", "two")))
            server.await_event(working, "StageStarted", "one")
            made = [done, gate, working]

            server.fill()

            def refused():
                reply = server.post("/runs", {"dot_source": SHORT})
                if reply.status == 201:
                    made.append(reply.json["id"])
                return reply if reply.status == 503 else None
            reply = eventually("a write being refused", refused)
            self.assertRegex(reply.headers["retry-after"], r"^\d+$")
            for refusal in (server.post(f"/runs/{gate}/cancel"), server.answer(gate, question, selected_option_key="Y"),
                            server.request("DELETE", f"/runs/{done}")):
                self.assertEqual(refusal.status, 503, refusal.body)
                self.assertIn("retry-after", refusal.headers)
            ready = eventually("readiness being gone", lambda: (now := server.get("/health/ready")).status == 503 and now)
            self.assertIn("database", ready.detail)
            self.assertIn("disk", ready.detail)
            self.assertEqual(server.get("/health/live").status, 200)
            for run in made:
                self.assertEqual(server.run(run)["id"], run)
            self.assertTrue(server.events(done))
            go.touch()  # the stage at work ends while nothing can be written
            eventually("the run having to wait", lambda: server.core.find("cannot write; trying again"))
            self.assertEqual(server.run(working)["status"], "running")

            server.empty()

            eventually("readiness", lambda: server.get("/health/ready").status == 200)
            server.await_status(working, "completed")
            self.assertEqual([event["attempt"] for event in server.events(working) if event["event"] == "StageStarted" and event["node_id"] == "one"], [1])
            eventually("the answer being taken", lambda: server.answer(gate, question, selected_option_key="Y").status in (204, 409))
            for run in made:
                server.await_status(run, "completed")
            with EventStream(server.port, working, 0) as stream:
                self.assertEqual([number for number, _ in stream], list(range(1, len(server.events(working)) + 1)))
            server.kill9()
            server.start()
            for run in made:
                self.assertEqual(server.run(run)["status"], "completed")


if __name__ == "__main__":
    main()
