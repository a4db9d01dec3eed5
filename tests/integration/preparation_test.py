#!/usr/bin/env python3
"""What happens around a run's stages, on the built server: set-up commands and hooks."""
import contextlib
import http.server
import json
import threading

from support import Case, Server, chain, command, eventually, graph, main, processes_of

WORK = graph(command("build", "ls; touch built") + chain("build"), "ship")


@contextlib.contextmanager
def listener(answer=b"", status=200):
    """An HTTP server that keeps what it is sent: (path, headers, document)."""
    received = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            received.append((self.path, dict(self.headers), json.loads(body)))
            self.send_response(status)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", received
        finally:
            server.shutdown()
            thread.join()


def kinds(events):
    return [event["event"] for event in events]


class SetUp(Case):
    def test_commands_run_before_the_first_stage_where_it_runs(self):
        run = self.server.create(WORK, settings={"setup": {"commands": ["echo 1 > first", "cat first > second"]}})
        self.server.await_status(run, "completed")
        events = self.server.events(run)
        order = [kind for kind in kinds(events) if kind.startswith(("Sandbox", "Setup", "Stage")) and kind != "StageOutput"]
        self.assertEqual(order[:8], ["Sandbox.Initializing", "Sandbox.Ready", "SetupStarted", "SetupCommandStarted",
                                     "SetupCommandCompleted", "SetupCommandStarted", "SetupCommandCompleted", "SetupCompleted"])
        self.assertEqual(order[8], "StageStarted")
        output = "".join(event["text"] for event in events if event["event"] == "StageOutput")
        self.assertEqual(output, "first\nsecond\n")

    def test_a_failure_is_the_runs(self):
        run = self.server.create(WORK, settings={"setup": {"commands": ["echo no such package >&2; exit 7", "touch never"]}})
        row = self.server.await_status(run, "failed")
        self.assertIn("set-up command 1 of 2 failed with exit code 7: echo no such package", json.dumps(row))
        events = self.server.events(run)
        failed = next(event for event in events if event["event"] == "SetupFailed")
        self.assertEqual((failed["index"], failed["exit_code"]), (0, 7))
        self.assertIn("no such package", failed["stderr"])
        self.assertNotIn("built", [path.name for path in self.server.work_dir(run).iterdir()])

    def test_cancel_during_it_leaves_no_process(self):
        run = self.server.create(WORK, settings={"setup": {"commands": ["(setsid sleep 1000 &); touch up; sleep 1000"]}})
        eventually("the set-up", (self.server.work_dir(run) / "up").exists)
        self.assertEqual(self.server.post(f"/runs/{run}/cancel").status, 200)
        self.server.await_status(run, "cancelled")
        eventually("no process of the run", lambda: not processes_of(run))

    def test_a_crash_during_it_repeats_it(self):
        with Server() as server:
            script = "echo x >> starts; touch up; while [ ! -e go ]; do sleep 0.02; done"
            run = server.create(WORK, settings={"setup": {"commands": [script]}})
            folder = server.work_dir(run)
            eventually("the set-up", (folder / "up").exists)
            server.kill9()
            eventually("no process of the run", lambda: not processes_of(run))
            (folder / "go").touch()
            server.start()
            server.await_status(run, "completed")
            self.assertEqual((folder / "starts").read_text(), "x\nx\n")
            self.assertEqual(kinds(server.events(run)).count("SetupCompleted"), 1)


class Hooks(Case):
    def test_a_blocking_command_vetoes_a_stage(self):
        hook = {"name": "freeze", "event": "stage_start", "command": "echo frozen until Monday >&2; exit 1", "matcher": "^build$", "blocking": True}
        run = self.server.create(WORK, settings={"hooks": [hook]})
        self.server.await_status(run, "completed")  # by the edge behind the failed stage, which has no condition
        failed = next(event for event in self.server.events(run) if event["event"] == "StageFailed")
        self.assertIn('hook "freeze" (stage_start): it failed with exit code 1: frozen until Monday', json.dumps(failed["failure"]).replace('\\"', '"'))
        self.assertFalse((self.server.work_dir(run) / "built").exists())

    def test_a_blocking_command_vetoes_the_run(self):
        hook = {"event": "run_start", "command": 'echo \'{"decision": "block", "reason": "not on a Friday"}\'', "blocking": True}
        run = self.server.create(WORK, settings={"hooks": [hook]})
        row = self.server.await_status(run, "failed")
        self.assertIn("not on a Friday", json.dumps(row))
        self.assertNotIn("StageStarted", kinds(self.server.events(run)))

    def test_an_http_hook_is_told_of_the_end(self):
        with listener() as (url, received):
            hooks = [{"event": event, "type": "http", "url": f"{url}/{event}", "headers": {"X-Team": "ship"}, "blocking": blocking}
                     for event, blocking in (("run_complete", True), ("stage_complete", False), ("run_failed", True))]
            run = self.server.create(WORK, settings={"hooks": hooks})
            self.server.await_status(run, "completed")
            eventually("both hooks", lambda: {path for path, _, _ in received} >= {"/run_complete", "/stage_complete"})
            _, headers, document = next(found for found in received if found[0] == "/run_complete")
            self.assertEqual(headers["X-Team"], "ship")
            self.assertEqual((document["event"], document["run_id"], document["status"]), ("run_complete", run, "completed"))
            stages = {document["node_id"]: document for path, _, document in received if path == "/stage_complete"}
            self.assertEqual(stages["build"]["status"], "success")
            self.assertEqual(stages["build"]["handler_type"], "command")
            self.assertNotIn("/run_failed", {path for path, _, _ in received})

    def test_headers_take_from_the_environment_what_the_servers_own_hooks_allow(self):
        with listener() as (url, received):
            server = Server(environment={"HOOK_TOKEN": "correct-horse-battery", "OTHER_TOKEN": "another-horse-battery"})
            file = server.home / "server.toml"
            server.environment["FABRO_CONFIG"] = str(file)
            file.write_text(f'[[hooks]]\nevent = "run_complete"\nurl = "{url}/own"\nblocking = true\n'
                            'headers = { Authorization = "Bearer $HOOK_TOKEN" }\nallowed_env_vars = ["HOOK_TOKEN"]\n')
            with server:
                foreign = {"event": "run_complete", "type": "http", "url": f"{url}/foreign", "blocking": True,
                           "headers": {"X-Token": "$OTHER_TOKEN"}, "allowed_env_vars": ["OTHER_TOKEN"]}
                run = server.create(WORK, settings={"hooks": [foreign]})
                server.await_status(run, "completed")
                eventually("the refusal in the log", lambda: server.core.find("names the variable OTHER_TOKEN, which is not set, or not in"))
                self.assertEqual([(path, headers["Authorization"]) for path, headers, _ in received], [("/own", "Bearer correct-horse-battery")])


if __name__ == "__main__":
    main()
