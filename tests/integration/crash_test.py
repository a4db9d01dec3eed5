#!/usr/bin/env python3
"""kill -9 of the server, and what must still be true afterwards."""
import contextlib
import datetime
import http.client
import signal
import threading
import time
import unittest

from support import GATE, SHORT, Server, chain, command, eventually, graph, in_threads, main, processes_of


def when(event):
    return datetime.datetime.fromisoformat(event["ts"].replace("Z", "+00:00")).timestamp()


class Crash(unittest.TestCase):
    def restart(self, server):
        server.kill9()
        server.start()

    def test_a_stage_in_hand_dies_with_the_server_and_runs_again(self):
        script = """echo $FABRO_ATTEMPT >> attempts
            if [ $FABRO_ATTEMPT -eq 1 ]; then sleep 3000 & (trap '' TERM HUP INT; sleep 3001) & touch began; sleep 3002; fi
            echo attempt $FABRO_ATTEMPT"""
        with Server() as server:
            run = server.create(graph(command("before", "echo before >> once") + command("hard", script) + chain("before", "hard")))
            eventually("the stage at work", (server.work_dir(run) / "began").exists)
            self.assertGreaterEqual(len(processes_of(run)), 3)
            known = server.events(run)
            server.kill9()
            eventually("no process of the stage being left", lambda: not processes_of(run), 15)
            server.start()
            server.await_status(run, "completed")
            events = server.events(run)
            self.assertEqual(events[:len(known)], known)
            started = [(event["node_id"], event["attempt"]) for event in events if event["event"] == "StageStarted"]
            self.assertEqual(started, [("s", 1), ("before", 1), ("hard", 1), ("hard", 2)])
            self.assertEqual([event["attempt"] for event in events if event["event"] == "StageCompleted" and event["node_id"] == "hard"], [2])
            self.assertEqual((server.work_dir(run) / "attempts").read_text().split(), ["1", "2"])
            self.assertEqual((server.work_dir(run) / "once").read_text(), "before\n")
            self.assertEqual(server.get(f"/runs/{run}/context").json["command.output"].strip(), "attempt 2")
            # An attempt that the crash cut short uses up no retry.
            self.assertEqual(server.get(f"/runs/{run}/checkpoint").json["node_retries"].get("hard", 0), 0)

    def test_a_gate_keeps_its_question_and_takes_its_answer(self):
        with Server() as server:
            runs = [server.create(GATE) for _ in range(8)]  # more than there are slots: waiting takes none
            questions = {run: server.await_question(run) for run in runs}
            events = {run: server.events(run) for run in runs}
            self.restart(server)
            for run in runs:
                self.assertEqual(server.get(f"/runs/{run}/questions").json["data"], [questions[run]])
                self.assertEqual(server.events(run), events[run])
                self.assertEqual(server.answer(run, questions[run]["id"], selected_option_key="Y").status, 204)
            server.kill9()  # a moment after the answers were accepted
            server.start()
            for run in runs:
                server.await_status(run, "completed")
                self.assertEqual(server.get(f"/runs/{run}/context").json["human.gate.selected"], "Y")

    def test_a_wait_keeps_its_due_time(self):
        with Server() as server:
            run = server.create(graph('nap [shape=insulator, duration=5s]; s -> nap -> e'))
            began = when(server.await_event(run, "StageStarted", "nap"))
            server.kill9()
            eventually("most of the wait being over", lambda: time.time() > began + 4)
            server.start()
            server.await_status(run, "completed")
            waited = when(server.await_event(run, "StageCompleted", "nap")) - began
            self.assertGreaterEqual(waited, 4.99)
            self.assertLess(waited, 8.9)  # from the restart on it would be 9

    def test_a_wait_that_fell_due_while_the_server_was_away(self):
        with Server() as server:
            run = server.create(graph('nap [shape=insulator, duration=1s]; s -> nap -> e'))
            began = when(server.await_event(run, "StageStarted", "nap"))
            server.kill9()
            eventually("the wait being over", lambda: time.time() > began + 1.2)
            server.start()
            server.await_status(run, "completed")

    def test_a_paused_run_stays_paused(self):
        with Server() as server:
            run = server.create(GATE)
            question = server.await_question(run)
            self.assertEqual(server.post(f"/runs/{run}/pause").json["status"], "paused")
            self.restart(server)
            self.assertEqual(server.run(run)["status"], "paused")
            self.assertEqual(server.post(f"/runs/{run}/unpause").json["status"], "running")
            self.assertEqual(server.await_question(run)["id"], question["id"])
            server.answer(run, question["id"], selected_option_key="Y")
            server.await_status(run, "completed")

    def test_every_run_that_was_accepted_under_load_is_there(self):
        with Server() as server:
            accepted, enough, over = [], threading.Event(), threading.Event()

            def post(_):
                while not over.is_set():
                    with contextlib.suppress(OSError, http.client.HTTPException):
                        reply = server.post("/runs", {"dot_source": SHORT})
                        if reply.status == 201:
                            accepted.append(reply.json["id"])
                    if len(accepted) >= 200:
                        enough.set()

            def kill():
                enough.wait()
                server.core.signal(signal.SIGKILL)
                over.set()

            killer = threading.Thread(target=kill)
            killer.start()
            in_threads(16, post)
            killer.join()
            server.kill9()
            server.start()
            self.assertGreaterEqual(len(accepted), 200)
            self.assertEqual(len(set(accepted)), len(accepted))
            for run in accepted:
                server.await_status(run, "completed")
            # What was stored and never said may be there too, and ends as well.
            eventually("all runs having ended", lambda: server.get("/runs?filter[status]=completed").headers["x-total-count"] ==
                       server.get("/runs").headers["x-total-count"])

    def test_kill_after_kill(self):
        stages = 12
        with Server() as server:
            run = server.create(graph("".join(command(f"c{n}", f"echo {n} >> done; sleep 0.05") for n in range(stages)) + chain(*(f"c{n}" for n in range(stages)))))
            known = []
            for kill in range(3):
                eventually("another stage", lambda k=kill: sum(event["event"] == "StageCompleted" for event in server.events(run)) > 2 + 3 * k)
                seen = server.events(run)
                self.assertEqual(seen[:len(known)], known)
                known = seen
                self.restart(server)
            server.await_status(run, "completed")
            events = server.events(run)
            self.assertEqual(events[:len(known)], known)
            self.assertEqual([event["id"] for event in events], list(range(1, len(events) + 1)))
            done = [event["node_id"] for event in events if event["event"] == "StageCompleted"]
            self.assertEqual(done, ["s", *(f"c{n}" for n in range(stages))])

    def test_a_stage_that_is_cancelled_is_stopped(self):
        with Server() as server:
            run = server.create(graph(command("hard", "trap '' TERM; sleep 3000 & touch began; wait; sleep 3001") + chain("hard")))
            eventually("the stage at work", (server.work_dir(run) / "began").exists)
            self.assertTrue(processes_of(run))
            self.assertEqual(server.post(f"/runs/{run}/cancel").json["status"], "cancelled")
            eventually("its processes being gone", lambda: not processes_of(run), 15)
            self.assertEqual(server.run(run)["status"], "cancelled")


if __name__ == "__main__":
    main()
