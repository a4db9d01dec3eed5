#!/usr/bin/env python3
"""Values that are too large for a run's context: kept once by their hash, as long as a run names them, over every crash."""
import hashlib
import json
import random
import re
import unittest

from support import Server, chain, command, graph, main

LINES = "".join(f"line {n}\n" for n in range(30000))
LARGE = "for n in $(seq 0 29999); do echo line $n; done"


def sha(text):
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


class Artifacts(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server().start()
        cls.addClassCleanup(cls.server.close)

    def finished(self, *scripts):
        run = self.server.create(graph("".join(command(f"c{n}", script) for n, script in enumerate(scripts)) + chain(*(f"c{n}" for n in range(len(scripts))))))
        self.server.await_status(run, "completed")
        return run

    def listed(self, run, query=""):
        reply = self.server.get(f"/runs/{run}/artifacts?{query}")
        self.assertEqual(reply.status, 200, reply.body)
        return reply.json

    def context(self, run):
        return self.server.get(f"/runs/{run}/context").json

    def test_a_large_output_is_named_and_can_be_read(self):
        run = self.finished("echo small", LARGE)
        reference = {"$artifact": sha(LINES), "bytes": len(LINES)}
        self.assertEqual(self.context(run)["command.output"], reference)
        page = self.listed(run)
        self.assertEqual([(item["hash"], item["bytes"], item["key"], item["stage_id"]) for item in page["data"]],
                         [(sha(LINES), len(LINES), "command.output", "c1")])
        self.assertFalse(page["meta"]["has_more"])
        for name in (sha(LINES), sha(LINES).removeprefix("sha256:"), sha(LINES).replace(":", "%3A")):
            reply = self.server.get(f"/artifacts/{name}")
            self.assertEqual((reply.status, reply.headers["content-type"], reply.body.decode()), (200, "application/octet-stream", LINES))
        end = next(event for event in self.server.events(run) if event["event"] == "WorkflowRunCompleted")
        self.assertEqual(end["artifact_count"], 1)
        # What the stage said is told in its turns as before.
        self.assertIn("line 0\n", json.dumps(self.server.get(f"/runs/{run}/stages/c1/turns").json).replace("\\n", "\n"))

    def test_what_is_too_large_for_a_sandbox_to_keep(self):
        run = self.finished("head -c 12000000 /dev/zero | tr '\\0' y")
        item = self.listed(run)["data"][0]
        content = self.server.get(f"/artifacts/{item['hash']}").body
        self.assertEqual((len(content), "sha256:" + hashlib.sha256(content).hexdigest()), (item["bytes"], item["hash"]))
        self.assertGreater(len(content), 10_000_000)

    def test_another_value_is_kept_as_compact_json(self):
        script = 'python3 -c "import json; print(json.dumps({\\"context_updates\\": {\\"list\\": list(range(20000)), \\"small\\": 1}}))"'
        run = self.finished(script)
        content = json.dumps(list(range(20000)), separators=(",", ":"))
        self.assertEqual(self.context(run)["list"], {"$artifact": sha(content), "bytes": len(content)})
        self.assertEqual(self.server.get(f"/artifacts/{sha(content)}").body.decode(), content)
        self.assertEqual([item["key"] for item in self.listed(run)["data"]], ["command.output", "list"])

    def test_the_same_content_lives_as_long_as_a_run_names_it(self):
        text = "x" * 150000 + "\n"
        script = "head -c 150000 /dev/zero | tr '\\0' x; echo"
        first, second = self.finished(script, script), self.finished(script)
        self.assertEqual([item["stage_id"] for item in self.listed(first)["data"]], ["c0", "c1"])
        page = self.listed(first, "page[limit]=1&page[offset]=1")
        self.assertEqual(([item["stage_id"] for item in page["data"]], page["meta"]["has_more"]), (["c1"], False))
        fork = self.server.post(f"/runs/{first}/fork").json["id"]
        self.server.await_status(fork, "completed")
        self.assertEqual(self.context(fork)["command.output"], self.context(first)["command.output"])
        for run in (first, second, fork):
            self.assertEqual(self.server.get(f"/artifacts/{sha(text)}").status, 200)
            self.assertEqual(self.server.request("DELETE", f"/runs/{run}").status, 204)
        self.assertEqual(self.server.get(f"/artifacts/{sha(text)}").status, 404)

    def test_a_name_that_a_stage_makes_up_keeps_nothing(self):
        forged = {"$artifact": "sha256:" + "0" * 64, "bytes": 200000}
        run = self.finished("echo '" + json.dumps({"context_updates": {"forged": forged}}) + "'")
        self.assertEqual(self.context(run)["forged"], forged)
        self.assertEqual(self.listed(run)["data"], [])
        self.assertEqual(self.server.get(f"/artifacts/{forged['$artifact']}").status, 404)

    def test_refusals(self):
        for name in ("nobody", "sha256:" + "g" * 64, "0" * 63, "0" * 65, "SHA256:" + "0" * 64, "md5:" + "0" * 64):
            reply = self.server.get(f"/artifacts/{name}")
            self.assertEqual((reply.status, reply.detail),
                             (400, "hash: must be 64 lower-case hex digits, with or without sha256: before them."), name)
        reply = self.server.get("/artifacts/" + "0" * 64)
        self.assertEqual((reply.status, reply.detail), (404, f"There is no artifact {'0' * 64}."))
        self.assertEqual(self.server.get("/runs/nobody/artifacts").status, 404)


class Crashes(unittest.TestCase):
    def test_no_event_names_what_is_not_there(self):
        """Killed again and again, while each of many stages leaves a large value of its own."""
        stages = 25
        body = "".join(command(f"c{n}", f"echo {n}; head -c 300000 /dev/zero | tr '\\0' z") for n in range(stages))
        chance = random.Random(7)
        with Server() as server:
            run = server.create(graph(body + chain(*(f"c{n}" for n in range(stages)))))
            for stage in sorted(chance.sample(range(1, stages), 5)):
                server.await_event(run, "StageCompleted", f"c{stage - 1}")
                server.kill9()
                server.start()
                self.check(server, run)
            server.await_status(run, "completed")
            self.assertEqual(self.check(server, run), stages)

    def check(self, server, run):
        """Every stage that ended has its own, and each is there."""
        ended = [event["node_id"] for event in server.events(run) if event["event"] == "StageCompleted" and event["node_id"].startswith("c")]
        items = server.get(f"/runs/{run}/artifacts?page[limit]=100").json["data"]
        self.assertGreaterEqual(len(items), len(ended))  # more may have come since
        self.assertEqual([item["stage_id"] for item in items][:len(ended)], ended)
        for item in items:
            content = server.get(f"/artifacts/{item['hash']}").body
            self.assertEqual("sha256:" + hashlib.sha256(content).hexdigest(), item["hash"])
            self.assertEqual(re.sub(r"\D.*", "", content.decode(), flags=re.S), item["stage_id"][1:])
        return len(items)


if __name__ == "__main__":
    main()
