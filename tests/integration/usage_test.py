#!/usr/bin/env python3
"""What the stages of a run used: every execution once, over retries, loops, rewinds, forks and a kill -9."""
import unittest

from support import Server, command, graph, main

TRAIL = graph(command("a", "echo a") + command("b", "echo b")
              + 'gate [shape=hexagon label="Go?"]; s -> a -> b -> gate; gate -> e [label="[Y] Yes"]; gate -> b [label="[N] No"];')


class Usage(unittest.TestCase):
    def stages(self, server, run):
        """Seconds by stage, compared with what the events say of each node."""
        reply = server.get(f"/runs/{run}/usage")
        self.assertEqual(reply.status, 200, reply.body)
        usage = reply.json
        spent = {}
        for event in server.events(run):
            if event["event"] in ("StageCompleted", "StageFailed"):
                spent[event["node_id"]] = spent.get(event["node_id"], 0) + event["duration_ms"] / 1000
        told = {}
        for stage in usage["stages"]:
            node = stage["stage"]["id"].split("-")[0]
            told[node] = told.get(node, 0) + stage["runtime_secs"]
            self.assertEqual(stage["usage"], {"input_tokens": 0, "output_tokens": 0, "cost": 0})
        for node, seconds in spent.items():
            self.assertAlmostEqual(told[node], seconds, msg=node)
        self.assertAlmostEqual(usage["totals"]["runtime_secs"], sum(spent.values()))
        self.assertEqual((usage["totals"]["input_tokens"], usage["totals"]["output_tokens"], usage["totals"]["cost"], usage["by_model"]),
                         (0, 0, 0, []))
        ids = [stage["stage"]["id"] for stage in usage["stages"]]
        self.assertEqual(ids, [stage["id"] for stage in server.get(f"/runs/{run}/stages?page[limit]=100").json["data"]])
        return ids

    def test_every_execution_counts_once_also_after_a_kill(self):
        with Server() as server:
            run = server.create(TRAIL)
            question = server.await_question(run)
            server.answer(run, question["id"], selected_option_key="N")
            server.await_event(run, "InterviewCompleted")
            question = server.await_question(run)
            expected = ["s", "a", "b", "gate", "b-2", "gate-2"]
            self.assertEqual(self.stages(server, run), expected)
            server.kill9()
            server.start()
            question = server.await_question(run)
            self.assertEqual(self.stages(server, run), expected)
            server.answer(run, question["id"], selected_option_key="Y")
            server.await_status(run, "completed")
            self.assertEqual(self.stages(server, run), expected)

    def test_all_runs_together_also_those_that_are_gone(self):
        with Server() as server:
            nothing = {"runs": 0, "input_tokens": 0, "output_tokens": 0, "cost": 0, "runtime_secs": 0}
            self.assertEqual(server.get("/usage").json, {"totals": nothing, "by_model": []})
            loop = graph(command("work", "sleep 0.01; [ $FABRO_STAGE_ID = work-3 ]")
                         + 's -> work; work -> e [condition="outcome=success"]; work -> work [condition="outcome=fail"];')
            spent = 0
            for _ in range(2):
                run = server.create(loop)
                server.await_status(run, "completed")
                spent += sum(event["duration_ms"] for event in server.events(run) if event["event"] in ("StageCompleted", "StageFailed"))
            self.assertGreaterEqual(spent, 60)
            self.assertEqual(server.request("DELETE", f"/runs/{run}").status, 204)
            queued = server.create(graph('gate [shape=hexagon, label="On?"]; s -> gate; gate -> e [label="Y"]; gate -> e [label="N"];'))
            server.await_question(queued)
            server.kill9()
            server.start()
            gate = sum(event["duration_ms"] for event in server.events(queued) if event["event"] == "StageCompleted")
            totals = server.get("/usage").json["totals"]
            self.assertEqual((totals["runs"], round(totals["runtime_secs"] * 1000)), (2, spent + gate))

    def test_a_retry_belongs_to_its_stage(self):
        with Server() as server:
            run = server.create(graph(command("work", "[ -e once ] || { touch once; sleep 60; }",
                                              'max_retries=1, retry_policy=aggressive, timeout="2s"') + "s -> work -> e"))
            server.await_status(run, "completed", "failed")
            self.assertEqual(sum(event["event"] == "StageRetrying" for event in server.events(run)), 1)
            self.assertEqual(self.stages(server, run), ["s", "work"])

    def test_a_rewind_takes_nothing_back_and_a_fork_begins_at_nothing(self):
        with Server() as server:
            run = server.create(TRAIL)
            server.await_question(run)
            back = next(c["id"] for c in server.get(f"/runs/{run}/checkpoints").json["data"] if c["node_id"] == "a")
            fork = server.post(f"/runs/{run}/fork", {"checkpoint": back}).json
            self.assertEqual(fork["forked_from_run_id"], run)
            server.await_question(fork["id"])
            self.assertEqual(self.stages(server, fork["id"]), ["b", "gate"])
            self.assertEqual(server.post(f"/runs/{run}/rewind", {"checkpoint": back}).status, 200)
            server.await_question(run)
            self.assertEqual(self.stages(server, run), ["s", "a", "b", "gate", "b-2", "gate-2"])

    def test_nobody(self):
        with Server() as server:
            reply = server.get("/runs/nobody/usage")
            self.assertEqual((reply.status, reply.detail), (404, "Run nobody not found."))


if __name__ == "__main__":
    main()
