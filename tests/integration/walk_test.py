#!/usr/bin/env python3
"""Runs from their creation to their last event, over HTTP, as a client sees them."""
import json
import pathlib
import shutil
import tempfile

from support import Case, EventStream, GATE, SHORT, TERMINAL, Server, chain, command, eventually, graph, main

# A failing test, its repair, a decision of a person.
STORY = graph(
    command("build", "echo building; echo careful >&2; echo 1 > built")
    + command("test", "test -f fixed || { echo broken >&2; exit 3; }; echo fine")
    + "green [shape=diamond];"
    + command("fix", "touch fixed")
    + 'ask [shape=hexagon, label="Ship it?"];'
    + command("ship", "tar czf out.tar.gz built")
    + """s -> build -> test -> green;
    green -> fix [condition="outcome=fail"]; fix -> test;
    green -> ask [condition="outcome=success"];
    ask -> ship [label="[Y] Yes, ship"]; ask -> build [label="[N] Not yet"]; ship -> e""", "story")


class Walk(Case):
    def test_a_story_from_post_to_the_last_event(self):
        server = self.server
        created = server.post("/runs", {"dot_source": STORY, "title": "A story", "goal": "ship", "labels": {"repository": "shop", "team": "a"},
                                        "vars": {"who": "me"}})
        self.assertEqual(created.status, 201, created.body)
        run = created.json["id"]
        self.assertEqual(created.json["status"], "queued")
        self.assertGreaterEqual(created.json["queue_position"], 1)
        self.assertTrue(created.headers["location"].endswith(f"/runs/{run}"), created.headers["location"])
        self.assertRegex(created.json["created_at"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")

        with EventStream(server.port, run) as stream:
            self.assertEqual(stream.status, 200)
            self.assertEqual(stream.headers["content-type"], "text/event-stream")
            self.assertEqual(stream.headers["cache-control"], "no-store")
            self.assertEqual(stream.headers["x-accel-buffering"], "no")
            frames = iter(stream)
            seen = []
            while not seen or seen[-1]["event"] != "InterviewStarted":
                seen.append(self.event_of(next(frames), run))

            question = server.await_question(run)
            self.assertEqual(question["text"], "Ship it?")
            self.assertEqual([(option["key"], option["label"]) for option in question["options"]], [("Y", "[Y] Yes, ship"), ("N", "[N] Not yet")])
            self.assertEqual(question["stage_id"], "ask")
            self.assertFalse(question["allow_freeform"])
            self.assertIn("fine", question["context"])
            listed = [item for item in server.get("/runs").json["data"] if item["id"] == run][0]
            self.assertEqual((listed["status"], listed["run_status"]), ("pending", "running"))
            self.assertEqual(listed["question"], {"text": "Ship it?"})

            answered = server.answer(run, question["id"], selected_option_key="y")
            self.assertEqual((answered.status, answered.body), (204, b""))
            seen += [self.event_of(frame, run) for frame in frames]

        self.assertEqual([event["id"] for event in seen], list(range(1, len(seen) + 1)))
        self.assertEqual(seen[0]["event"], "WorkflowRunStarted")
        self.assertEqual(seen[-1]["event"], "WorkflowRunCompleted")
        done = [event["node_id"] for event in seen if event["event"] == "StageCompleted"]
        self.assertEqual(done, ["s", "build", "green", "fix", "test", "green", "ask", "ship"])
        edges = [(event["to_node"], event["reason"]) for event in seen if event["event"] == "EdgeSelected" and event["from_node"] in ("green", "ask")]
        self.assertEqual(edges, [("fix", "condition"), ("ask", "condition"), ("ship", "preferred_label")])
        output = "".join(event["text"] for event in seen if event["event"] == "StageOutput" and event["node_id"] == "build" and event["stream"] == "stderr")
        self.assertEqual(output.strip(), "careful")
        self.assertEqual(seen, server.events(run))
        self.look_back(run)

    def event_of(self, frame, run):
        number, data = frame
        event = json.loads(data)
        self.assertEqual((event["id"], event["run_id"]), (number, run))
        return event

    def look_back(self, run):
        server = self.server
        shown = server.run(run)
        self.assertEqual((shown["status"], shown["outcome"], shown["title"], shown["labels"]),
                         ("completed", "success", "A story", {"repository": "shop", "team": "a"}))
        self.assertLessEqual(shown["created_at"], shown["started_at"])
        self.assertLessEqual(shown["started_at"], shown["finished_at"])
        self.assertNotIn("queue_position", shown)

        listed = [item for item in server.get("/runs").json["data"] if item["id"] == run][0]
        self.assertEqual((listed["status"], listed["run_status"], listed["repository"], listed["workflow"]),
                         ("review", "completed", {"name": "shop"}, {"slug": "story"}))

        checkpoint = server.get(f"/runs/{run}/checkpoint").json
        self.assertEqual(checkpoint["current_node"], "ship")
        self.assertEqual(checkpoint["node_visits"]["test"], 2)
        self.assertEqual(checkpoint["node_outcomes"]["ship"]["status"], "success")
        self.assertEqual(checkpoint["node_outcomes"]["ask"]["preferred_label"], "[Y] Yes, ship")

        context = server.get(f"/runs/{run}/context").json
        self.assertEqual(context["human.gate.selected"], "Y")
        self.assertEqual(context["human.gate.by"], "local")
        self.assertEqual(context["graph.goal"], "ship")
        self.assertEqual(context["internal.run_id"], run)

        drawn = server.get(f"/runs/{run}/graph")
        self.assertEqual((drawn.status, drawn.headers["content-type"]), (200, "image/svg+xml"))
        self.assertIn(b"<svg", drawn.body)
        self.assertIn(b"Ship it?", drawn.body)

        stages = server.get(f"/runs/{run}/stages?page[limit]=100").json["data"]
        kinds = {stage["dot_id"]: stage["handler_type"] for stage in stages}
        self.assertEqual((kinds["build"], kinds["ask"]), ("command", "human"))
        self.assertEqual([stage["visits"] for stage in stages if stage["dot_id"] == "ask"][0], 1)
        self.assertEqual({stage["dot_id"]: stage["status"] for stage in stages if stage["dot_id"] in ("build", "fix", "ask")},
                         {"build": "completed", "fix": "completed", "ask": "completed"})
        settings = server.get(f"/runs/{run}/settings").json
        self.assertEqual((settings["goal"], settings["labels"]["team"], settings["vars"]), ("ship", "a", {"who": "me"}))
        self.assertTrue((server.work_dir(run) / "out.tar.gz").exists())

        self.assertEqual(server.request("DELETE", f"/runs/{run}").status, 204)
        self.refused(server.get(f"/runs/{run}"), 404, f"Run {run} not found.")
        self.refused(server.get(f"/runs/{run}/events"), 404, f"Run {run} not found.")
        eventually("the run's folder being gone", lambda: not server.work_dir(run).parent.exists())

    def test_answers(self):
        server = self.server
        source = graph('gate [shape=hexagon, label="Where to?"]; s -> gate; gate -> e [label="[L] Left"]; gate -> e [label="Right"];'
                       'gate -> e [freeform=true]', "gate")
        for answer, selected, label in (({"selected_option_key": "L"}, "L", "[L] Left"), ({"selected_option_keys": ["r"]}, "R", "Right"),
                                        ({"value": "left"}, "L", "[L] Left"), ({"value": "RIGHT"}, "R", "Right"),
                                        ({"value": "straight on"}, "freeform", "straight on")):
            with self.subTest(answer=answer):
                run = server.create(source)
                question = server.await_question(run)
                self.assertTrue(question["allow_freeform"])
                self.assertEqual(server.answer(run, question["id"], **answer).status, 204)
                server.await_status(run, "completed")
                context = server.get(f"/runs/{run}/context").json
                self.assertEqual((context["human.gate.selected"], context["human.gate.label"]), (selected, label))
                self.assertEqual(server.get(f"/runs/{run}/questions").json["data"], [])

    def test_answers_that_do_not_fit(self):
        server = self.server
        run = server.create(GATE)
        question = server.await_question(run)["id"]
        self.refused(server.answer(run, question, selected_option_key="Q"), 400, "Invalid option key.")
        self.refused(server.answer(run, question, selected_option_keys=["Y", "N"]), 400)
        self.refused(server.answer(run, question, value="perhaps"), 400)
        self.refused(server.answer(run, question), 400)
        self.refused(server.answer(run, question, selected_option_key=5), 400)
        gone = "Question no longer exists or was already answered."
        self.refused(server.answer(run, "no-such-question", selected_option_key="Y"), 409, gone)
        self.refused(server.answer("nobody", question, selected_option_key="Y"), 404, "Run nobody not found.")
        self.assertEqual(server.await_question(run)["id"], question)
        self.assertEqual(server.answer(run, question, selected_option_key="N").status, 204)
        self.refused(server.answer(run, question, selected_option_key="N"), 409, gone)
        server.await_status(run, "completed")
        self.refused(server.answer(run, question, selected_option_key="N"), 409, gone)

    def test_cancel_pause_unpause(self):
        server = self.server
        run = server.create(GATE)
        server.await_question(run)
        self.refused(server.post(f"/runs/{run}/unpause"), 409, "Run is not paused.")
        self.refused(server.request("DELETE", f"/runs/{run}"), 409)
        paused = server.post(f"/runs/{run}/pause")
        self.assertEqual((paused.status, paused.json["status"]), (200, "paused"))
        self.refused(server.post(f"/runs/{run}/pause"), 409, "Run is not pausable.")
        unpaused = server.post(f"/runs/{run}/unpause")
        self.assertEqual((unpaused.status, unpaused.json["status"]), (200, "running"))
        cancelled = server.post(f"/runs/{run}/cancel")
        self.assertEqual((cancelled.status, cancelled.json["status"]), (200, "cancelled"))
        self.refused(server.post(f"/runs/{run}/cancel"), 409, "Run is not cancellable.")
        self.refused(server.post(f"/runs/{run}/pause"), 409, "Run is not pausable.")
        self.refused(server.post(f"/runs/{run}/unpause"), 409, "Run is not paused.")
        kinds = [event["event"] for event in server.events(run)]
        self.assertEqual(kinds[-1], "WorkflowRunCancelled")
        self.assertEqual([kind for kind in kinds if kind in ("WorkflowRunPaused", "WorkflowRunUnpaused")], ["WorkflowRunPaused", "WorkflowRunUnpaused"])
        for verb in ("cancel", "pause", "unpause"):
            self.refused(server.post(f"/runs/nobody/{verb}"), 404, "Run nobody not found.")

    def test_a_pause_lets_the_stage_in_hand_finish_and_holds_the_next(self):
        server = self.server
        run = server.create(graph(command("first", "touch began; until test -f go; do sleep 0.05; done") + command("second", "echo 2") + chain("first", "second")))
        eventually("the first stage at work", (server.work_dir(run) / "began").exists)
        self.assertEqual(server.post(f"/runs/{run}/pause").json["status"], "paused")
        (server.work_dir(run) / "go").touch()
        server.await_event(run, "StageCompleted", "first")
        self.assertEqual(server.run(run)["status"], "paused")
        self.assertFalse([event for event in server.events(run) if event.get("node_id") == "second"])
        server.post(f"/runs/{run}/unpause")
        server.await_status(run, "completed")

    def test_a_failed_run_says_why(self):
        server = self.server
        run = server.create(graph(command("bad", "echo oh no >&2; exit 7") + 's -> bad; bad -> e [condition="outcome=success"]'))
        shown = server.await_status(run, "failed")
        self.assertIn("bad", shown["error"]["message"])
        self.assertIn("7", shown["error"]["message"])
        last = server.events(run)[-1]
        self.assertEqual((last["event"], last["error"]), ("WorkflowRunFailed", shown["error"]["message"]))

    def test_streams_of_ended_runs(self):
        server = self.server
        run = server.create(SHORT)
        server.await_status(run, "completed")
        last = len(server.events(run))
        closed = "Event stream closed."
        self.refused(server.get(f"/runs/{run}/events", {"Accept": "text/event-stream"}), 410, closed)
        self.refused(server.get(f"/runs/{run}/events", {"Last-Event-ID": str(last)}), 410, closed)
        self.refused(server.get(f"/runs/{run}/events", {"Last-Event-ID": str(last + 5)}), 410, closed)
        for after in (0, 1, last - 1):
            replayed = server.follow(run, after)
            self.assertEqual([number for number, _ in replayed], list(range(after + 1, last + 1)))
        with EventStream(server.port, run, query=f"?last_event_id={last - 2}") as stream:
            self.assertEqual([number for number, _ in stream], [last - 1, last])
        for wrong in ("x", "-1", "1.5", "99999999999999999999999"):
            self.refused(server.get(f"/runs/{run}/events", {"Last-Event-ID": wrong}), 400)

    def test_events_as_json(self):
        server = self.server
        run = server.create(SHORT)
        server.await_status(run, "completed")
        every = server.events(run)
        accept = {"Accept": "application/json"}
        page = server.get(f"/runs/{run}/events?page[limit]=2&page[offset]=1", accept).json
        self.assertEqual(page, {"data": every[1:3], "meta": {"has_more": True}})
        beyond = server.get(f"/runs/{run}/events?page[offset]=1000", accept).json
        self.assertEqual(beyond, {"data": [], "meta": {"has_more": False}})
        self.assertIn(every[-1]["event"], TERMINAL)
        self.refused(server.get("/runs/nobody/events", accept), 404, "Run nobody not found.")


class Queue(Case):
    args = ("--max-concurrent-runs", "1")

    def test_a_queued_run_waits_in_order(self):
        server = self.server
        first = server.create(graph(command("hold", "touch began; until test -f go; do sleep 0.05; done") + chain("hold")))
        eventually("the first run at work", (server.work_dir(first) / "began").exists)
        second, third = server.create(SHORT), server.create(GATE)
        self.assertEqual((server.run(second)["status"], server.run(second)["queue_position"]), ("queued", 1))
        self.assertEqual(server.run(third)["queue_position"], 2)
        self.refused(server.answer(third, "any", selected_option_key="Y"), 409, "Run is not yet running.")
        self.refused(server.post(f"/runs/{third}/pause"), 409, "Run is not pausable.")
        self.assertEqual(server.get(f"/runs/{third}/checkpoint").json, None)
        with EventStream(server.port, second) as stream:
            self.assertEqual(stream.status, 200)
            self.assertEqual(server.post(f"/runs/{third}/cancel").json["status"], "cancelled")
            (server.work_dir(first) / "go").touch()
            ids = [number for number, _ in stream]
        self.assertEqual(ids, list(range(1, len(ids) + 1)))
        server.await_status(first, "completed")

    def test_a_picture_without_graphviz_is_502(self):
        with tempfile.TemporaryDirectory() as folder:
            for program in ("bash", "sh"):
                pathlib.Path(folder, program).symlink_to(shutil.which(program))
            with Server(environment={"PATH": folder}) as server:
                run = server.create(SHORT)
                self.refused(server.get(f"/runs/{run}/graph"), 502)


if __name__ == "__main__":
    main()
