#!/usr/bin/env python3
"""Registered workflows and the settings of runs: what lies beside the server is what runs get, and stays theirs."""
import os
import subprocess

from support import PATIENCE, SHORT, Case, Server, binary, eventually, graph, main

TOML = """
version = 1
title = "Greeting"
labels = { team = "a", kind = "demo" }
priority = 3
[vars]
who = "world"
[sandbox.env]
TOKEN = "hunter22"
[[hooks]]
name = "tell"
event = "run_failed"
url = "http://127.0.0.1:9/"
headers = { Authorization = "hunter22" }
"""
GREET = 'digraph greet { goal="Greet $who" label="Greet someone" s [shape=Mdiamond] e [shape=Msquare] s -> a -> e  a [shape=parallelogram, script="%s $who"] }'


class Workflows(Case):
    @classmethod
    def setUpClass(cls):
        cls.server = Server()
        cls.addClassCleanup(lambda: cls.server.close())
        cls.dir = cls.server.storage / "workflows"
        cls.dir.mkdir(parents=True)
        config = cls.server.home / "server.toml"
        config.write_text('[vars]\nwho = "nobody"\nsecret = "hunter22"\n[sandbox.env]\nSERVER = "hunter22"\n[setup]\ncommands = ["true"]\n')
        cls.server.environment["FABRO_CONFIG"] = str(config)
        cls.config = config
        cls.server.__enter__()

    def write(self, name, text):
        path = self.dir / name
        path.parent.mkdir(exist_ok=True)
        fresh = path.with_name(path.name + ".new")
        fresh.write_text(text)
        os.rename(fresh, path)

    def start(self, **body):
        reply = self.server.post("/runs", body)
        self.assertEqual(reply.status, 201, reply.body)
        return reply.json["id"]

    def said(self, run):
        """What the run's only command wrote."""
        self.server.await_status(run, "completed")
        return "".join(event["text"] for event in self.server.events(run) if event["event"] == "StageOutput")

    def workflow(self, name):
        return self.server.get(f"/workflows/{name}").json

    def test_one_is_started_by_its_name_and_a_change_counts_for_the_next_run(self):
        server = self.server
        self.write("greet/workflow.fabro", GREET % "echo hello")
        self.write("greet/workflow.toml", TOML)
        first = self.start(workflow="greet", vars={"who": "me"}, labels={"kind": "test"})
        self.assertIn("hello me", self.said(first))
        run = server.run(first)
        self.assertEqual((run["workflow"]["slug"], run["title"], run["labels"]), ("greet", "Greeting", {"team": "a", "kind": "test"}))
        self.write("greet/workflow.fabro", GREET % "echo bye")
        second = self.start(workflow="greet")
        self.assertIn("bye world", self.said(second))
        self.assertEqual([run["id"] for run in server.get("/workflows/greet/runs").json["data"]], [second, first])
        item = next(item for item in server.get("/workflows").json["data"] if item["slug"] == "greet")
        self.assertEqual((item["name"], item["filename"], item["valid"]), ("Greet someone", "workflow.fabro", True))
        self.assertEqual(item["last_run"]["ran_at"], server.run(second)["created_at"])

    def test_settings_are_shown_without_secrets_and_stay_the_runs(self):
        server = self.server
        self.write("kept.fabro", GREET % "echo kept")
        self.write("kept.toml", TOML)
        run = self.start(workflow="kept", settings={"sandbox": {"env": {"MINE": "hunter22"}}, "llm": {"model": "m"}})
        settings = server.get(f"/runs/{run}/settings").json
        self.assertEqual(set(settings["sandbox"]["env"]), {"SERVER", "TOKEN", "MINE"})
        self.assertEqual((settings["graph"], settings["goal"], settings["llm"]["model"]), ("kept.fabro", "Greet world", "m"))
        self.assertEqual(settings["setup"]["commands"], ["true"])
        self.assertEqual(settings["vars"], {"who": "world", "secret": "REDACTED"})
        self.assertEqual((settings["hooks"][0]["name"], settings["hooks"][0]["event"]), ("tell", "run_failed"))
        self.assertEqual(settings["labels"], {"team": "a", "kind": "demo"})
        self.write("kept.toml", "")
        self.assertEqual(server.get(f"/runs/{run}/settings").json, settings)
        for path in (f"/runs/{run}/settings", "/workflows/kept", "/settings"):
            self.assertNotIn("hunter22", server.get(path).body.decode(), path)
        mine = server.get("/settings").json
        self.assertEqual((mine["setup"]["commands"], set(mine["vars"])), (["true"], {"who", "secret"}))

    def test_a_broken_one_is_listed_with_what_is_wrong_and_not_started(self):
        self.write("broken.fabro", "digraph broken { s -> ")
        item = next(item for item in self.server.get("/workflows?page[limit]=100").json["data"] if item["slug"] == "broken")
        self.assertFalse(item["valid"])
        self.assertEqual(item["diagnostics"][0]["severity"], "error")
        self.refused(self.server.post("/runs", {"workflow": "broken"}), 400)
        report = self.server.post("/runs/validate", {"workflow": "broken"}).json
        self.assertEqual((report["valid"], report["diagnostics"]), (False, item["diagnostics"]))
        self.assertEqual(self.workflow("broken")["graph"], "digraph broken { s -> ")

    def test_refusals_name_what_is_wrong(self):
        server = self.server
        for reply in (server.get("/workflows/none"), server.get("/workflows/none/runs"), server.post("/runs", {"workflow": "none"}),
                      server.post("/runs/validate", {"workflow": "none"})):
            self.refused(reply, 404, "Workflow none not found.")
        self.refused(server.post("/runs", {"workflow": "none", "dot_source": SHORT}), 400)
        hooks = [{"event": "run_start", "command": "true"}, {"event": "run_start", "command": "true", "matcher": "("}]
        reply = server.post("/runs", {"dot_source": SHORT, "settings": {"hooks": hooks}})
        self.assertIn("settings.hooks[1].matcher", self.refused(reply, 400))
        reply = server.post("/runs", {"dot_source": SHORT, "settings": {"hooks": [{"event": "run_start", "type": "prompt", "prompt": "x"}]}})
        self.assertIn("settings.hooks[0].type", self.refused(reply, 400))
        self.write("strict.fabro", GREET % "echo $nothing")
        self.write("strict.toml", TOML)
        self.assertIn("nothing", self.refused(server.post("/runs", {"workflow": "strict"}), 400))

    def test_a_child_is_found_by_its_path(self):
        self.write("parts/lint.fabro", graph('a [shape=parallelogram, script="touch linted"]; s -> a -> e', "lint"))
        run = self.start(dot_source=graph('kid [shape=house, stack.child_workflow="parts/lint.fabro"]; s -> kid -> e'))
        self.server.await_status(run, "completed")
        self.assertTrue((self.server.work_dir(run) / "linted").exists())
        run = self.start(dot_source=graph('kid [shape=house, stack.child_workflow="../server.toml"]; s -> kid -> e'))
        self.assertIn("lies outside of the workflow's folder", str(self.server.await_event(run, "StageFailed", "kid")))

    def test_a_setting_that_changes_counts_for_runs_after_it(self):
        before = self.start(dot_source=SHORT)
        text = self.config.read_text()
        self.config.write_text(text.replace('commands = ["true"]', 'commands = ["true", "true"]'))
        eventually("the new setting", lambda: self.server.get("/settings").json["setup"]["commands"] == ["true", "true"], 10)
        after = self.start(dot_source=SHORT)
        self.config.write_text(text)
        eventually("the old setting", lambda: self.server.get("/settings").json["setup"]["commands"] == ["true"], 10)
        commands = [self.server.get(f"/runs/{run}/settings").json["setup"]["commands"] for run in (before, after)]
        self.assertEqual(commands, [["true"], ["true", "true"]])

    def test_the_command_line_takes_a_name(self):
        self.write("named.fabro", GREET % "echo named")
        for words, code, want in ((("run", "named", "--var", "who=you"), 0, "completed"), (("workflows",), 0, "named"), (("validate", "named"), 0, "no faults"),
                                  (("run", "nameless"), 1, "Workflow nameless not found.")):
            done = subprocess.run([binary("fabro"), "--server", self.server.url, *words], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                                  timeout=PATIENCE, env=self.server.environment, cwd=self.server.home, check=False)
            self.assertEqual(done.returncode, code, done.stdout + done.stderr)
            self.assertIn(want, done.stdout + done.stderr)


if __name__ == "__main__":
    main()
