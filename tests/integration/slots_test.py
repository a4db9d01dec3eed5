#!/usr/bin/env python3
"""Many runs at once in few slots and in many: who begins when, and that every slot comes back.

FABRO_SOAK=1: 200 runs of 30 stages each."""
import os
import unittest

from support import Server, chain, command, eventually, graph, main, processes_of

SOAK = "FABRO_SOAK" in os.environ
RUNS, STAGES = (200, 30) if SOAK else (30, 6)
LONG = 1200 if SOAK else 90


def workflow(kind, stages):
    """Each stage leaves a line; in the middle comes what makes this kind of run different."""
    names = [f"c{n}" for n in range(stages)]
    middle = names[stages // 2]
    scripts = {name: "echo . >> trace" for name in names}
    if kind == "fails":
        scripts[middle] = "exit 7"
    if kind in ("cancelled", "paused"):
        scripts[middle] = "touch reached; until [ -e go ]; do sleep 0.05; done"
    body = "".join(command(name, script) for name, script in scripts.items())
    if kind == "asks":
        body += f'gate [shape=hexagon, label="Go on?"]; gate -> {middle} [label="[Y] Yes"]; gate -> e [label="[N] No"];'
        before = names[:stages // 2]
        return graph(body + " -> ".join(("s", *before, "gate")) + "; " + " -> ".join((*names[stages // 2:], "e")))
    if kind == "waits":
        body += "nap [shape=insulator, duration=1s];"
        names.insert(stages // 2, "nap")
    if kind == "fails":
        ahead, behind = names[:names.index(middle) + 1], names[names.index(middle) + 1:]
        return graph(body + " -> ".join(("s", *ahead)) + f'; {middle} -> {behind[0]} [condition="outcome=success"]; ' + " -> ".join((*behind, "e")))
    return graph(body + chain(*names))


KINDS = ("completes", "fails", "cancelled", "paused", "asks", "waits")
ENDS = {"fails": "failed", "cancelled": "cancelled"}


class Slots(unittest.TestCase):
    def play(self, slots):
        with Server(args=("--max-concurrent-runs", slots)) as server:
            runs = []  # (id, kind), in the order in which they were made
            for number in range(RUNS):
                kind = KINDS[number % len(KINDS)]
                runs.append((server.create(workflow(kind, STAGES)), kind))
            called_off = [run for number, (run, kind) in enumerate(runs) if kind == "cancelled" and number % 12 > 6]
            for run in called_off:  # most of them wait for their first slot still
                server.post(f"/runs/{run}/cancel")
            most = 0
            handled = set(called_off)

            def all_ended():
                nonlocal most
                held = server.metric("fabro_slots_held")
                most = max(most, held)
                self.assertLessEqual(held, slots)
                for run, kind in runs:
                    if run not in handled and self.lend_a_hand(server, run, kind):
                        handled.add(run)
                total = int(server.get("/runs").headers["x-total-count"])
                self.assertEqual(total, RUNS)
                ended = sum(int(server.get(f"/runs?filter[status]={status}&page[limit]=1").headers["x-total-count"])
                            for status in ("completed", "failed", "cancelled"))
                return ended == total

            eventually("all runs having ended", all_ended, LONG)
            eventually("every slot being back", lambda: server.metric("fabro_slots_held") == 0)
            self.assertEqual(server.metric("fabro_queue_length"), 0)
            eventually("no run being in memory", lambda: server.metric("fabro_actors") == 0)
            self.assertGreaterEqual(most, min(slots, 2))
            self.check(server, runs, set(called_off), slots)

    def lend_a_hand(self, server, run, kind):
        """What a person does with a run of this kind; true when there is no more to do."""
        reached = server.work_dir(run) / "reached"
        if kind == "asks":
            for question in server.get(f"/runs/{run}/questions").json["data"]:
                return server.answer(run, question["id"], selected_option_key="Y").status == 204
            return False
        if kind == "cancelled" and reached.exists():
            self.assertEqual(server.post(f"/runs/{run}/cancel").status, 200)
            return True
        if kind == "paused" and reached.exists():
            self.assertEqual(server.post(f"/runs/{run}/pause").status, 200)
            (server.work_dir(run) / "go").touch()
            self.assertEqual(server.post(f"/runs/{run}/unpause").status, 200)
            return True
        return kind in ("completes", "fails", "waits")

    def check(self, server, runs, called_off, slots):
        begun = []
        for run, kind in runs:
            with self.subTest(run=run, kind=kind):
                row = server.run(run)
                self.assertEqual(row["status"], ENDS.get(kind, "completed"), row)
                events = server.events(run)
                self.assertEqual([event["id"] for event in events], list(range(1, len(events) + 1)))
                if row["status"] == "completed":
                    lines = STAGES - (1 if kind == "paused" else 0)
                    self.assertEqual((server.work_dir(run) / "trace").read_text(), ".\n" * lines)
                if run in called_off and not row.get("started_at"):
                    continue
                begun.append((events[0]["ts"], events[0]["event"], run))
                self.assertEqual(processes_of(run), [])
        # First in, first out. Those that got their slots together may be a moment apart, so a place in the order is
        # right when it is off by less than there are slots.
        self.assertEqual({event for _, event, _ in begun}, {"WorkflowRunStarted"})
        for place, started in enumerate(sorted(range(len(begun)), key=lambda index: begun[index][0])):
            self.assertLess(abs(place - started), slots, f"{begun[started][2]} was made as number {started} and began as number {place}")

    def test_few_slots(self):
        self.play(5)

    def test_many_slots(self):
        self.play(50)


if __name__ == "__main__":
    main()
