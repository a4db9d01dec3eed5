#!/usr/bin/env python3
"""Parallel branches and child runs with real processes: side by side, cut short, and over a kill -9."""
import json
import unittest

from support import Server, command, eventually, graph, main, processes_of


def fan(attributes, *branches):
    """`s -> fan -> each branch -> join -> e`; a branch is (name, script)."""
    nodes = "".join(command(name, script) for name, script in branches)
    edges = "".join(f"fan -> {name} -> join;" for name, _ in branches)
    return graph(f"fan [shape=component {attributes}]; join [shape=tripleoctagon]; s -> fan; join -> e; {nodes}{edges}")


def lines(path):
    return path.read_text().split() if path.exists() else []


class Branches(unittest.TestCase):
    def test_branches_work_at_the_same_time(self):
        meet = "touch {0}; for i in $(seq 100); do [ -e {1} ] && exit 0; sleep 0.1; done; exit 1"
        with Server() as server:
            run = server.create(fan("", ("a", meet.format("A", "B")), ("b", meet.format("B", "A"))))
            server.await_status(run, "completed")
            results = server.get(f"/runs/{run}/context").json["parallel.results"]
            self.assertEqual([(result["id"], result["status"]) for result in results], [("a", "success"), ("b", "success")])

    def test_a_finished_branch_is_not_repeated_after_a_kill(self):
        with Server() as server:
            run = server.create(fan("", ("quick", "echo quick >> trace"),
                                    ("slow", "echo slow >> trace; [ $FABRO_ATTEMPT -gt 1 ] || sleep 3000")))
            server.await_event(run, "ParallelBranchCompleted")
            trace = server.work_dir(run) / "trace"
            eventually("the slow branch at work", lambda: "slow" in lines(trace))
            known = server.events(run)
            server.kill9()
            eventually("no process of the run being left", lambda: not processes_of(run), 15)
            server.start()
            server.await_status(run, "completed")
            self.assertEqual(server.events(run)[:len(known)], known)
            self.assertEqual(sorted(lines(trace)), ["quick", "slow", "slow"])

    def test_the_first_success_stops_the_processes_of_the_others(self):
        with Server() as server:
            run = server.create(fan("join_policy=first_success", ("loser", "touch began; sleep 3000 & sleep 3000"),
                                    ("winner", "for i in $(seq 100); do [ -e began ] && exit 0; sleep 0.1; done; exit 1")))
            server.await_status(run, "completed")
            eventually("no process of the run being left", lambda: not processes_of(run), 15)
            results = server.get(f"/runs/{run}/context").json["parallel.results"]
            self.assertEqual([result["status"] for result in results], ["skipped", "success"])

    def test_cancel_stops_the_processes_of_all(self):
        with Server() as server:
            run = server.create(fan("", *((name, f"touch {name}; sleep 3000") for name in ("a", "b", "c"))))
            for name in ("a", "b", "c"):
                eventually(f"branch {name} at work", (server.work_dir(run) / name).exists)
            self.assertEqual(server.post(f"/runs/{run}/cancel").status, 200)
            eventually("no process of the run being left", lambda: not processes_of(run), 15)

    def test_a_child_run_survives_a_kill_and_is_one(self):
        inner = graph(command("work", "echo work >> trace; [ $FABRO_ATTEMPT -gt 1 ] || sleep 3000") + "s -> work -> e", "inner")
        source = graph(f"kid [shape=house, manager.poll_interval=2s, stack.child_dot_source={json.dumps(inner)}]; s -> kid -> e")
        with Server() as server:
            run = server.create(source)
            trace = server.work_dir(run) / "trace"  # a child works where its parent does
            eventually("the child at work", lambda: lines(trace) == ["work"])
            server.kill9()
            server.start()
            server.await_status(run, "completed")
            self.assertEqual(lines(trace), ["work", "work"])
            self.assertEqual(len(server.get("/runs").json["data"]), 2)
            child = server.get(f"/runs/{run}/context").json["stack.child.run_id"]
            self.assertEqual(server.run(child)["status"], "completed")

    def test_cancelling_the_parent_stops_the_child(self):
        inner = graph(command("work", "touch began; sleep 3000") + "s -> work -> e", "inner")
        with Server() as server:
            run = server.create(graph(f"kid [shape=house, stack.child_dot_source={json.dumps(inner)}]; s -> kid -> e"))
            eventually("the child at work", (server.work_dir(run) / "began").exists)
            child = next(each["id"] for each in server.get("/runs").json["data"] if each["id"] != run)
            self.assertEqual(server.post(f"/runs/{run}/cancel").status, 200)
            server.await_status(child, "cancelled")
            eventually("no process of the child being left", lambda: not processes_of(child), 15)


if __name__ == "__main__":
    main()
