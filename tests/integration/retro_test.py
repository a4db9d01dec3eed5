#!/usr/bin/env python3
"""The look back at a run that has ended: its stages, its numbers, what went against the grain."""
import pathlib
import tempfile
import unittest

from support import Server, command, graph, main

HUMAN = graph('gate [shape=hexagon label="Go?"]; s -> gate; gate -> e [label="[Y] Yes"];')


class Retro(unittest.TestCase):
    def retro(self, server, run):
        reply = server.get(f"/runs/{run}/retro")
        self.assertEqual(reply.status, 200, reply.body)
        return reply.json

    def test_runs_by_how_they_went_also_after_a_kill(self):
        with Server() as server:
            smooth = server.create(graph(command("work", "echo hi") + "s -> work -> e"))
            again = server.create(graph(command("work", "[ -e once ] || { touch once; sleep 60; }",
                                                  'max_retries=1, retry_policy=aggressive, timeout="2s"') + "s -> work -> e"))
            around = server.create(graph(command("work", "exit 3") + "s -> work -> e"))
            failed = server.create(graph(command("work", "exit 3") + 's -> work; work -> e [condition="outcome=success"];'))
            for run in (smooth, again, around, failed):
                server.await_status(run, "completed", "failed")
            told = {run: self.retro(server, run) for run in (smooth, again, around, failed)}

            retro = told[smooth]
            self.assertEqual((retro["run_id"], retro["smoothness"], retro.get("friction_points", [])), (smooth, "effortless", []))
            self.assertEqual([stage["stage_id"] for stage in retro["stages"]],
                             [stage["id"] for stage in server.get(f"/runs/{smooth}/stages?page[limit]=100").json["data"]])
            self.assertEqual({stage["status"] for stage in retro["stages"]}, {"success"})
            self.assertEqual((retro["stats"]["total_retries"], retro["stats"]["stages_failed"], retro["stats"]["files_touched"]), (0, 0, []))
            self.assertEqual(retro["stats"]["stages_completed"], len(retro["stages"]))
            end = next(event for event in server.events(smooth) if event["event"] == "WorkflowRunCompleted")
            self.assertEqual(retro["stats"]["total_duration_ms"], end["duration_ms"])

            retro = told[again]
            work = next(stage for stage in retro["stages"] if stage["stage_id"] == "work")
            self.assertEqual((retro["smoothness"], work["retries"], retro["stats"]["total_retries"]), ("smooth", 1, 1))
            self.assertEqual([(point["kind"], point["stage_id"]) for point in retro["friction_points"]], [("timeout", "work")])

            # The run went on past a stage that failed: a good end, but not wholly.
            self.assertEqual((told[around]["smoothness"], told[around]["stats"]["stages_failed"]), ("bumpy", 1))

            retro = told[failed]
            work = next(stage for stage in retro["stages"] if stage["stage_id"] == "work")
            self.assertEqual((retro["smoothness"], retro["stats"]["stages_failed"]), ("failed", 1))
            self.assertTrue(work["failure_reason"])
            self.assertEqual([(point["kind"], point["stage_id"]) for point in retro["friction_points"]], [("tool_failure", "work")])

            listed = self.listed(server)
            self.assertEqual({item["run"]["id"] for item in listed}, set(told))
            times = [item["timestamp"] for item in listed]
            self.assertEqual(times, sorted(times, reverse=True))
            for item in listed:  # one truth, told in two places
                retro = told[item["run"]["id"]]
                self.assertEqual({"smoothness": item["smoothness"], "stats": item["stats"], "timestamp": item["timestamp"],
                                  "frictions": item["friction_point_count"]},
                                 {"smoothness": retro["smoothness"], "stats": retro["stats"], "timestamp": retro["timestamp"],
                                  "frictions": len(retro.get("friction_points", []))})

            server.kill9()
            server.start()
            self.assertEqual({run: self.retro(server, run) for run in told}, told)
            self.assertEqual(self.listed(server), listed)
            self.assertEqual([item["run"]["id"] for item in self.listed(server, "smoothness=failed")], [failed])
            self.assertEqual(self.listed(server, "workflow=nobodys"), [])
            self.assertEqual(server.request("DELETE", f"/runs/{failed}").status, 204)
            self.assertEqual(self.listed(server, "smoothness=failed"), [])

    def listed(self, server, query=""):
        """All of them, two at a time."""
        found, more = [], True
        while more:
            reply = server.get(f"/retros?page[limit]=2&page[offset]={len(found)}&{query}")
            self.assertEqual(reply.status, 200, reply.body)
            found, more = found + reply.json["data"], reply.json["meta"]["has_more"]
        return found

    def test_what_ended_otherwise_is_listed_too(self):
        with Server(args=("--max-concurrent-runs", 1)) as server:
            stopped = server.create(graph(command("work", "touch began; sleep 60") + "s -> work -> e", "slow"))
            never = server.create(graph(command("work", "true") + "s -> work -> e", "never"))
            server.await_event(stopped, "StageStarted", "work")
            self.assertEqual(self.listed(server), [])
            for run in (never, stopped):
                self.assertEqual(server.post(f"/runs/{run}/cancel").status, 200)
                server.await_status(run, "cancelled")
            listed = self.listed(server)
            self.assertEqual([(item["run"]["id"], item["workflow"]["slug"], item["smoothness"], item["friction_point_count"]) for item in listed],
                             [(stopped, "slow", "failed", 0), (never, "never", "failed", 0)])
            for item in listed:
                self.assertEqual(item["stats"], self.retro(server, item["run"]["id"])["stats"])
            self.assertEqual(server.get("/retros?smoothness=rough").status, 400)
            self.assertEqual(len(self.listed(server, "workflow=slow&smoothness=failed")), 1)

    def test_null_before_the_end_and_404_for_nobody(self):
        with Server() as server:
            run = server.create(HUMAN)
            server.await_question(run)
            self.assertIsNone(self.retro(server, run))
            reply = server.get("/runs/nobody/retro")
            self.assertEqual((reply.status, reply.detail), (404, "Run nobody not found."))

    def test_switched_off(self):
        with tempfile.TemporaryDirectory() as folder:
            config = pathlib.Path(folder) / "server.toml"
            config.write_text("[features]\nretros = false\n")
            with Server(args=["--config", config]) as server:
                run = server.create(graph(command("work", "echo hi") + "s -> work -> e"))
                server.await_status(run, "completed")
                reply = server.get(f"/runs/{run}/retro")
                self.assertEqual((reply.status, reply.detail),
                                 (404, "Retros are switched off on this server. Set features.retros = true."))
                self.assertEqual(server.get("/retros").status, 404)


if __name__ == "__main__":
    main()
