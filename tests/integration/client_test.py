#!/usr/bin/env python3
"""The `fabro` client against a server: what it prints and the codes it exits with."""
import json
import pathlib
import signal
import subprocess
import tempfile

from support import Case, GATE, PATIENCE, Process, SHORT, binary, chain, command, eventually, graph, main

FAILING = graph(command("bad", "exit 3") + 's -> bad; bad -> e [condition="outcome=success"]')


class Client(Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.folder = pathlib.Path(folder.name)

    def file(self, source):
        path = self.folder / f"{self._testMethodName}.fabro"
        path.write_text(source)
        return path

    def command(self, *words):
        return [binary("fabro"), "--server", self.server.url, *words]

    def fabro(self, *words, code=0):
        done = subprocess.run([str(word) for word in self.command(*words)], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE,
                              env=self.server.environment, check=False)
        self.assertEqual(done.returncode, code, f"{words}: {done.stdout}{done.stderr}")
        return done.stdout

    def test_run_exits_with_how_the_run_ended(self):
        self.assertIn("completed", self.fabro("run", self.file(SHORT)))
        self.fabro("run", self.file(FAILING), code=1)
        self.fabro("run", self.file("digraph x { a -> }"), code=1)
        self.fabro("run", self.folder / "missing.fabro", code=1)
        self.fabro("run", code=2)

    def test_run_json(self):
        events = [json.loads(line) for line in self.fabro("run", self.file(SHORT), "--json").splitlines()]
        events = [event for event in events if "event" in event]
        self.assertEqual([event["id"] for event in events], list(range(1, len(events) + 1)))
        self.assertEqual(events[-1]["event"], "WorkflowRunCompleted")
        self.assertEqual(events, self.server.events(events[0]["run_id"]))

    def test_run_answers(self):
        events = [json.loads(line) for line in self.fabro("run", self.file(GATE), "--json", "--answer", "N").splitlines()]
        answers = [event["answer"] for event in events if event.get("event") == "InterviewCompleted"]
        self.assertEqual(answers, ["[N] No"])

    def test_sigint_cancels_the_run(self):
        client = Process(self.command("run", self.file(graph(command("hard", "echo at work; sleep 3000") + chain("hard"))), "--json"),
                         self.folder / "sigint.log", self.server.environment)
        run = eventually("the stage at work", lambda: client.find(r'"run_id":"(\w+)"[^\n]*at work|at work[^\n]*"run_id":"(\w+)"'))
        client.signal(signal.SIGINT)
        self.assertEqual(client.wait(), 130)
        self.assertEqual(self.server.run(run[1] or run[2])["status"], "cancelled")

    def test_a_run_that_someone_else_cancels(self):
        client = Process(self.command("run", self.file(GATE), "--title", "to be cancelled"), self.folder / "cancelled.log", self.server.environment)
        run = eventually("the run", lambda: [item["id"] for item in self.server.get("/runs").json["data"] if item["title"] == "to be cancelled"])[0]
        self.fabro("cancel", run)
        self.assertEqual(client.wait(), 130)
        self.fabro("cancel", run, code=1)

    def test_run_goes_on_over_a_restart_of_the_server(self):
        source = graph(command("one", "touch began; until test -f go; do sleep 0.05; done") + chain("one"))
        client = Process(self.command("run", self.file(source), "--json", "--title", "survivor"), self.folder / "survivor.log", self.server.environment)
        run = eventually("the run", lambda: [item["id"] for item in self.server.get("/runs").json["data"] if item["title"] == "survivor"])[0]
        eventually("the stage at work", (self.server.work_dir(run) / "began").exists)
        self.server.kill9()
        self.server.start()
        (self.server.work_dir(run) / "go").touch()
        self.assertEqual(client.wait(), 0)
        printed = [json.loads(line) for line in client.said().splitlines() if line.startswith("{")]
        self.assertEqual([event for event in printed if "event" in event], self.server.events(run))

    def test_validate(self):
        self.fabro("validate", self.file(GATE))
        said = self.fabro("validate", self.file("digraph x {\n  a [shape=Mdiamond]; b [shape=parallelogram]; a -> b }"), code=1)
        self.assertRegex(said, r"\.fabro:\d+:\d+: error: .*\[\w+\]")

    def test_looking_at_a_run_and_steering_it(self):
        run = self.fabro("run", self.file(GATE), "--detach", "--title", "looked at").split()[-1]
        question = self.server.await_question(run)["id"]
        self.assertRegex(self.fabro("ps"), rf"{run} +running .*Ship it\?")
        self.assertIn("looked at", self.fabro("show", run))
        self.assertIn("Ship it?", self.fabro("show", run))
        self.assertIn("Ship it?", self.fabro("events", run))
        self.fabro("pause", run)
        self.fabro("pause", run, code=1)
        self.assertIn("paused", self.fabro("show", run))
        self.fabro("unpause", run)
        follower = Process(self.command("events", run, "--follow", "--json"), self.folder / "follower.log", self.server.environment)
        self.fabro("answer", run, "Q", code=1)
        self.fabro("answer", run, question, "Y")
        self.assertEqual(follower.wait(), 0)
        followed = [json.loads(line) for line in follower.said().splitlines() if line.startswith("{")]
        self.assertEqual(followed, self.server.events(run))
        self.assertEqual([json.loads(line) for line in self.fabro("events", run, "--json").splitlines()], followed)
        self.assertIn("<svg", self.fabro("graph", run))
        self.fabro("graph", run, "-o", self.folder / "out.svg")
        self.assertIn("<svg", (self.folder / "out.svg").read_text())
        self.fabro("delete", run)
        self.fabro("show", run, code=1)

    def test_looking_back(self):
        source = graph(command("work", "exit 3") + 's -> work; work -> e [condition="outcome=success"];')
        run = self.fabro("run", self.file(source), "--detach", "--title", "went wrong").strip()
        self.server.await_status(run, "failed")
        self.assertRegex(self.fabro("retros"), rf"{run} +failed .*went wrong")
        self.assertIn(run, self.fabro("retros", "--smoothness", "failed", "--limit", 1))
        self.assertNotIn(run, self.fabro("retros", "--smoothness", "smooth"))
        self.assertNotIn(run, self.fabro("retros", "--workflow", "nobodys"))
        self.assertIn(run, [item["run"]["id"] for item in json.loads(self.fabro("retros", "--json"))])
        self.assertRegex(self.fabro("retro", run), r"went +failed[^$]*tool_failure +work: ")
        self.assertEqual(json.loads(self.fabro("retro", run, "--json")), self.server.get(f"/runs/{run}/retro").json)
        self.fabro("retros", "--smoothness", "rough", code=2)

    def test_going_back(self):
        run = self.fabro("run", self.file(GATE), "--detach").strip()
        self.server.await_question(run)
        first, = json.loads(self.fabro("checkpoints", run, "--json"))
        self.assertEqual(first["node_id"], "s")
        self.assertIn(str(first["id"]), self.fabro("checkpoints", run))
        self.assertIn(f"is back at checkpoint {first['id']}", self.fabro("rewind", run, first["id"]))
        fork = self.fabro("fork", run, first["id"], "--title", "Other").strip()
        self.assertEqual(self.server.get("/runs").json["data"][0]["title"], "Other")
        for each in (run, fork):
            self.server.await_question(each)
            self.fabro("cancel", each)
        self.fabro("rewind", run, first["id"], code=1)
        self.fabro("rewind", run, code=2)

    def test_no_server(self):
        done = subprocess.run([binary("fabro"), "--server", "http://127.0.0.1:1", "ps"], capture_output=True, text=True, timeout=PATIENCE, check=False)
        self.assertEqual(done.returncode, 3)


if __name__ == "__main__":
    main()
