#!/usr/bin/env python3
"""The programs as processes: who holds the storage, stopping, gateways beside each other and without a core."""
import signal
import subprocess
import time
import unittest

from support import Case, EventStream, GATE, Process, SHORT, Server, binary, chain, command, eventually, graph, main, processes_of

HARD = graph(command("hard", "test $FABRO_ATTEMPT -gt 1 || { touch began; sleep 3000; }") + chain("hard"))


class Processes(unittest.TestCase):
    def test_a_second_server_on_the_same_storage_refuses_and_names_the_holder(self):
        with Server("serve") as server:
            for program in ([binary("fabro"), "serve", "--port", "0"], [binary("fabro-core")]):
                second = subprocess.run([*program, "--storage-dir", server.storage], env=server.environment, capture_output=True, text=True,
                                        timeout=60, check=False)
                self.assertEqual(second.returncode, 1, second.stderr)
                self.assertIn(str(server.core.pid), second.stderr)
                self.assertIn(str(server.storage), second.stderr)
            self.assertEqual(server.get("/health/ready").status, 200)

    def test_a_port_that_is_taken_stops_the_start(self):
        with Server("serve") as server:
            other = Process([binary("fabro"), "serve", "--port", server.port, "--storage-dir", server.home / "other"], server.home / "other.log", server.environment)
            self.assertEqual(other.wait(), 1)
            self.assertIn(str(server.port), other.said())

    def test_the_storage_is_free_again_after_kill_9(self):
        with Server("serve") as server:
            server.kill9()
            server.start()

    def test_sigterm_with_nothing_at_work(self):
        for layout in ("serve", "split"):
            with Server(layout) as server:
                run = server.create(GATE)
                question = server.await_question(run)
                self.assertEqual(set(server.stop()), {0})
                server.start()
                self.assertEqual(server.await_question(run), question)

    def test_sigterm_waits_for_a_stage_and_ends_streams(self):
        for layout in ("serve", "split"):
            with Server(layout) as server:
                script = "touch began; until test -f go; do sleep 0.05; done; echo well"
                run = server.create(graph(command("one", script) + command("two", "echo two") + chain("one", "two")))
                eventually("the stage at work", (server.work_dir(run) / "began").exists)
                with EventStream(server.port, run) as stream:
                    frames = iter(stream)
                    next(frames)
                    server.core.signal(signal.SIGTERM)
                    eventually("no new work being taken", lambda s=server: self.is_draining(s))
                    (server.work_dir(run) / "go").touch()
                    self.assertEqual(server.core.wait(), 0)
                    if layout == "serve":
                        self.assertTrue(all(number for number, _ in self.whole(frames)))
                server.stop()
                server.start()
                server.await_status(run, "completed")
                attempts = [event["attempt"] for event in server.events(run) if event["event"] == "StageStarted" and event["node_id"] == "one"]
                self.assertEqual(attempts, [1])  # what was at work could finish

    @staticmethod
    def whole(frames):
        held = []
        try:
            for frame in frames:
                held.append(frame)
        except ConnectionError:
            pass
        return held

    @staticmethod
    def is_draining(server):
        try:
            return server.get("/health/ready").status == 503
        except OSError:
            return True

    def test_sigterm_suspends_what_outlives_the_grace(self):
        with Server("serve", args=["--grace", "300ms"]) as server:
            run = server.create(HARD)
            eventually("the stage at work", (server.work_dir(run) / "began").exists)
            self.assertEqual(server.stop(), [0])
            self.assertEqual(processes_of(run), [])
            server.start()
            server.await_status(run, "completed")
            started = [(event["node_id"], event["attempt"]) for event in server.events(run) if event["event"] == "StageStarted"]
            self.assertEqual(started, [("s", 1), ("hard", 1), ("hard", 2)])

    def test_a_second_signal_ends_it_at_once(self):
        with Server("serve", args=["--grace", "1h"]) as server:
            run = server.create(HARD)
            eventually("the stage at work", (server.work_dir(run) / "began").exists)
            server.core.signal(signal.SIGTERM)
            eventually("the first signal being taken", lambda: self.is_draining(server))
            server.core.signal(signal.SIGINT)
            self.assertEqual(server.core.wait(), 1)
            eventually("no process of the stage being left", lambda: not processes_of(run), 15)
            server.start()
            server.await_status(run, "completed")

    def test_bad_words_on_the_command_line(self):
        for program in ("fabro-core", "fabro-gateway"):
            done = subprocess.run([binary(program), "--prot", "1"], capture_output=True, text=True, timeout=60, check=False)
            self.assertEqual(done.returncode, 2)
            self.assertIn("--prot", done.stderr)
        open_to_all = subprocess.run([binary("fabro"), "serve", "--host", "0.0.0.0"], capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(open_to_all.returncode, 2)
        self.assertIn("authentication", open_to_all.stderr)


class Gateways(Case):
    @classmethod
    def setUpClass(cls):
        cls.server = Server("split").__enter__()
        cls.addClassCleanup(lambda: cls.server.close())

    def test_a_second_gateway(self):
        server = self.server
        second = server.new_gateway()
        try:
            port = server.announced(second)
            server.await_ready(port)
            run = server.create(GATE)
            self.assertEqual(server.get(f"/runs/{run}", port=port).json["id"], run)
            question = server.await_question(run)["id"]
            with EventStream(port, run) as stream:
                self.assertEqual(stream.status, 200)
                self.assertEqual(server.answer(run, question, selected_option_key="Y").status, 204)
                ids = [number for number, _ in stream]
            self.assertEqual(ids, [number for number, _ in server.follow(run, 0)])
        finally:
            second.signal(signal.SIGTERM)
            self.assertEqual(second.wait(), 0)

    def test_without_its_core(self):
        server = self.server
        run = server.create(GATE)
        question = server.await_question(run)
        server.kill9_core()
        for path in ("/runs", f"/runs/{run}", f"/runs/{run}/events", "/health/ready"):
            reply = server.get(path)
            self.refused(reply, 503)
            self.assertRegex(reply.headers["retry-after"], r"^\d+$")
        self.refused(server.post("/runs", {"dot_source": SHORT}), 503)
        self.assertEqual(server.get("/openapi.json").status, 200)
        self.refused(server.get("/nothing"), 404)
        server.start_core()
        began = time.monotonic()
        server.await_ready()
        self.assertLess(time.monotonic() - began, 15)
        self.assertEqual(server.await_question(run), question)

    def test_started_before_its_core(self):
        with Server("split") as server:
            server.kill9()
            server.start_gateway()
            self.refused(server.get("/runs"), 503)
            server.start_core()
            server.await_ready()
            self.assertEqual(server.get("/runs").status, 200)


if __name__ == "__main__":
    main()
