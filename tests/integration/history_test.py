#!/usr/bin/env python3
"""Going back: checkpoints, rewind and fork over HTTP, also over a kill -9; and what a stage said, turn by turn."""
import pathlib
import tempfile
import unittest

from support import Server, command, graph, main


def turns(server, run, stage):
    return server.get(f"/runs/{run}/stages/{stage}/turns").json["data"]


LINE = graph(command("a", "echo a >> trace; echo one") + command("b", "echo b >> trace; echo two")
             + 'gate [shape=hexagon, label="On?"];' + command("c", "echo c >> trace")
             + 's -> a -> b -> gate; gate -> c [label="[Y] Yes"]; gate -> e [label="[N] No"]; c -> e;')


class History(unittest.TestCase):
    def checkpoints(self, server, run):
        page = server.get(f"/runs/{run}/checkpoints").json
        self.assertFalse(page["meta"]["has_more"])
        return {item["node_id"]: item["id"] for item in page["data"]}

    def test_a_paused_run_goes_back_and_on_from_there_over_a_kill(self):
        with Server() as server:
            run = server.create(LINE)
            server.await_question(run)
            found = self.checkpoints(server, run)
            self.assertEqual(list(found), ["s", "a", "b"])
            self.assertEqual(server.post(f"/runs/{run}/pause").status, 200)
            reply = server.post(f"/runs/{run}/rewind", {"checkpoint": found["a"]})
            self.assertEqual((reply.status, reply.json["status"]), (200, "paused"))
            known = server.events(run)
            server.kill9()
            server.start()
            self.assertEqual(server.events(run), known)
            self.assertEqual(server.get(f"/runs/{run}/questions").json["data"], [])
            self.assertEqual(server.post(f"/runs/{run}/unpause").status, 200)
            question = server.await_question(run)
            server.answer(run, question["id"], selected_option_key="Y")
            server.await_status(run, "completed")
            self.assertEqual((server.work_dir(run) / "trace").read_text().split(), ["a", "b", "b", "c"])
            stages = [stage["id"] for stage in server.get(f"/runs/{run}/stages").json["data"]]
            self.assertEqual(stages, ["s", "a", "b", "gate", "b-2", "gate-2", "c"])
            ids = [event["id"] for event in server.events(run)]
            self.assertEqual(ids, list(range(1, len(ids) + 1)))

    def test_a_fork_is_a_run_of_its_own_and_leaves_the_first_as_it_was(self):
        with Server() as server:
            first = server.create(LINE, title="First")
            question = server.await_question(first)
            server.answer(first, question["id"], selected_option_key="N")
            server.await_status(first, "completed")
            before = server.events(first)
            reply = server.post(f"/runs/{first}/fork", {"checkpoint": self.checkpoints(server, first)["a"], "title": "Second"})
            self.assertEqual(reply.status, 201)
            second = reply.json["id"]
            self.assertEqual(reply.json["forked_from_run_id"], first)
            question = server.await_question(second)  # no stage is in hand that a crash would repeat
            for _ in range(2):
                listed = {run["id"]: run.get("forked_from_run_id") for run in server.get("/runs").json["data"]}
                self.assertEqual(listed, {first: None, second: first})
                self.assertEqual(server.get(f"/runs/{second}").json["forked_from_run_id"], first)
                self.assertNotIn("forked_from_run_id", server.get(f"/runs/{first}").json)
                server.kill9()
                server.start()
            self.assertTrue(reply.headers["location"].endswith(f"/runs/{second}"))
            server.answer(second, question["id"], selected_option_key="Y")
            server.await_status(second, "completed")
            self.assertEqual((server.work_dir(second) / "trace").read_text().split(), ["b", "c"])
            self.assertEqual(server.events(first), before)
            self.assertEqual(server.get("/runs").json["data"][0]["title"], "Second")

    def test_forks_are_bounded_as_new_runs_are(self):
        with tempfile.TemporaryDirectory() as folder:
            config = pathlib.Path(folder) / "server.toml"
            config.write_text("max_concurrent_runs = 1\n[limits]\nmax_queued_runs = 2\n")
            with Server(args=["--config", config]) as server:
                run = server.create(graph(command("a", "true") + command("b", "touch reached; sleep 60") + "s -> a -> b -> e"))
                server.await_event(run, "StageStarted", "b")  # the only slot
                fork = {"checkpoint": self.checkpoints(server, run)["a"]}
                for _ in range(2):
                    self.assertEqual(server.post(f"/runs/{run}/fork", fork).status, 201)
                for path, body in ((f"/runs/{run}/fork", fork), ("/runs", {"dot_source": LINE})):
                    reply = server.post(path, body)
                    self.assertEqual((reply.status, reply.detail), (429, "The queue is full: 2 runs are waiting. Try again later."))
                    self.assertTrue(reply.headers["retry-after"])
                self.assertEqual(len(server.get("/runs").json["data"]), 3)

    def test_what_cannot_be_says_why(self):
        with Server() as server:
            nobody = "01HZZZZZZZZZZZZZZZZZZZZZZZ"
            run = server.create(LINE)
            server.await_question(run)
            for verb in ("rewind", "fork"):
                reply = server.post(f"/runs/{nobody}/{verb}", {"checkpoint": 4})
                self.assertEqual((reply.status, reply.detail), (404, f"Run {nobody} not found."))
                reply = server.post(f"/runs/{run}/{verb}", {"checkpoint": 1})
                self.assertEqual((reply.status, reply.detail), (404, f"Run {run} has no checkpoint 1."))
            self.assertEqual(server.post(f"/runs/{run}/rewind", {}).status, 400)
            at = self.checkpoints(server, run)["a"]
            self.assertEqual(server.post(f"/runs/{run}/cancel").status, 200)
            reply = server.post(f"/runs/{run}/rewind", {"checkpoint": at})
            self.assertEqual((reply.status, reply.detail), (409, "Run is not rewindable."))
            reply = server.get(f"/runs/{run}/stages/none/turns")
            self.assertEqual((reply.status, reply.detail), (404, "Stage none not found."))

    def test_a_page_of_checkpoints(self):
        with Server() as server:
            run = server.create(LINE)
            server.await_question(run)
            page = server.get(f"/runs/{run}/checkpoints?page[limit]=1&page[offset]=1").json
            self.assertEqual(([item["node_id"] for item in page["data"]], page["meta"]["has_more"]), (["a"], True))


class Turns(unittest.TestCase):
    def test_each_attempt_of_each_visit_shows_its_script_and_output(self):
        loop = graph(command("try", 'echo "$goal $FABRO_STAGE_ID"; [ $FABRO_STAGE_ID = try-2 ]')
                     + 's -> try; try -> e [condition="outcome=success"]; try -> try [condition="outcome=fail"];')
        with Server() as server:
            run = server.create(loop, goal="win")
            server.await_status(run, "completed")
            for stage, failed in (("try", True), ("try-2", False)):
                turn, = turns(server, run, stage)
                self.assertEqual(turn["kind"], "tool")
                use, = turn["tools"]
                self.assertEqual((use["tool_name"], use["result"], use["is_error"]), ("shell", f"win {stage}\n", failed))
                self.assertIn("echo \\\"win $FABRO_STAGE_ID", use["input"])
                self.assertGreaterEqual(use["duration_ms"], 0)

    def test_gates_and_models_show_what_was_asked_and_said(self):
        both = graph('say [shape=tab, prompt="Say it of $goal."]; gate [shape=hexagon, label="On?"];'
                     's -> say -> gate; gate -> e [label="[Y] Yes"]; gate -> say [label="[N] No"];')
        with Server() as server:
            run = server.create(both, goal="life")
            question = server.await_question(run)
            self.assertEqual([turn.get("content") for turn in turns(server, run, "say")],
                             ["Say it of life.", "[Simulated] Response for stage: say"])
            use, = turns(server, run, "gate")[0]["tools"]
            self.assertEqual((use["tool_name"], use["input"], use["result"]), ("human", '{"question":"On?"}', ""))
            server.answer(run, question["id"], selected_option_key="Y")
            server.await_status(run, "completed")
            use, = turns(server, run, "gate")[0]["tools"]
            self.assertEqual(use["result"], "[Y] Yes")
            self.assertEqual(turns(server, run, "s"), [])

    def test_a_long_output_is_cut_in_the_middle(self):
        with Server() as server:
            run = server.create(graph(command("long", "echo first; head -c 3000000 /dev/zero | tr '\\0' x; echo last") + "s -> long -> e;"))
            server.await_status(run, "completed")
            use, = turns(server, run, "long")[0]["tools"]
            self.assertTrue(use["result"].startswith("first\nxxx"))
            self.assertTrue(use["result"].endswith("xxxlast\n"))
            self.assertLess(len(use["result"]), 300_000)


if __name__ == "__main__":
    main()
