#!/usr/bin/env python3
"""What cancelled runs leave behind: nothing, whatever their commands did.

FABRO_SOAK=1: a thousand of them."""
import contextlib
import os
import pathlib
import unittest

from git_test import Repository
from support import Server, command, eventually, graph, in_threads, main

RUNS = 1000 if "FABRO_SOAK" in os.environ else 50
AT_ONCE = 25  # clients
SLOTS = 50  # a slot is held for some seconds by what does not listen to SIGTERM
MARK = "31415926"  # how long they sleep, by which they are found whatever they did to their environment

# Each says that it is at work by a file, and would go on for a year.
COMMANDS = {
    "plain": f"touch began; sleep {MARK}",
    "deaf": f"trap '' TERM INT HUP; touch began; while :; do sleep {MARK}; done",
    "forks twice": f"(sleep {MARK} & sleep {MARK} &) ; touch began; sleep {MARK}",
    "own session": f"setsid sleep {MARK} & setsid -f sleep {MARK}; touch began; sleep {MARK}",
    "no environment": f"env -i setsid -f sleep {MARK}; touch began; env -i sleep {MARK}",
    "deaf grandchildren": f"(trap '' TERM; setsid -f bash -c \"trap '' TERM; sleep {MARK}; sleep {MARK}\"); touch began; sleep {MARK}",
    "stopped": f"sleep {MARK} & kill -STOP $!; touch began; wait",
    "floods": "touch began; yes flood",
    "files": f"mkdir -p deep/er; mktemp -p . > /dev/null; mkfifo pipe; (sleep {MARK} < pipe &); touch began; sleep {MARK}",
    "ends": f"touch began; setsid -f sleep {MARK}; (trap '' TERM; sleep {MARK} &); exit 0",
}
SPREAD = f"""fan [shape=component]; join [shape=tripleoctagon];
    {command("a", f"touch began; setsid -f sleep {MARK}; sleep {MARK}")} {command("b", f"sleep {MARK}")} s -> fan; fan -> a -> join; fan -> b -> join; join -> e"""


def marked():
    """Processes that sleep for us, and the floods."""
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                words = (entry / "cmdline").read_bytes().split(b"\0")
                if MARK.encode() in words or words[:2] == [b"yes", b"flood"]:
                    found.append(int(entry.name))
    return found


class Leftovers(unittest.TestCase):
    def cancelled(self, server, number):
        name = list(COMMANDS)[number % len(COMMANDS)]
        body = SPREAD if number % 7 == 6 else command("c", COMMANDS[name]) + "s -> c -> e"
        run = server.create(graph(body))
        eventually(f"'{name}' at work", (server.work_dir(run) / "began").exists)
        reply = server.post(f"/runs/{run}/cancel")
        self.assertIn(reply.status, (200, 409), name)  # one of them ends by itself
        server.await_status(run, "cancelled", "completed")
        return run

    def play(self, server, count):
        shares = in_threads(AT_ONCE, lambda share: [self.cancelled(server, number) for number in range(share, count, AT_ONCE)])
        return [run for share in shares for run in share]

    def look(self, server):
        """All that a run might leave."""
        state = {name: server.metric(name) for name in ("process_threads", "process_open_fds", "fabro_gateway_process_open_fds")}
        state["temporary"] = sorted(os.listdir(server.environment["TMPDIR"]))
        state["storage"] = sorted(str(path.relative_to(server.storage)) for path in server.storage.rglob("*"))
        return state

    def test_nothing_stays(self):
        self.assertEqual(marked(), [], "left by somebody else")
        server = Server(args=("--max-concurrent-runs", SLOTS))
        server.environment["TMPDIR"] = str(server.home / "tmp")
        (server.home / "tmp").mkdir()
        with server:
            warm = self.play(server, AT_ONCE)  # all threads and connections are there now
            self.gone(server, warm)
            before = self.look(server)
            runs = self.play(server, RUNS)
            # Their folders are theirs until somebody deletes them, but for what no file is.
            self.assertTrue(all((server.storage / "runs" / run).is_dir() for run in runs))
            self.gone(server, runs)
            eventually("what it was like before", lambda: self.same(before, self.look(server)), 30)

    def cancelled_in_repository(self, server, repository, number):
        """In its own worktree, in those of its branches, while it is set up, or before it has begun at all."""
        sleeping = f"echo changed > README; touch began; sleep {MARK}"
        body, setup = command("c", sleeping) + "s -> c -> e", []
        if number % 4 == 1:
            body = f"""fan [shape=component]; join [shape=tripleoctagon]; {command("a", sleeping)} {command("b", sleeping)}
                s -> fan; fan -> a -> join; fan -> b -> join; join -> e"""
        if number % 4 == 2:
            setup = [sleeping]
        run = server.create(graph(body), settings={"work_dir": str(repository.path), "setup": {"commands": setup}})
        if number % 4 != 3:
            folder = server.storage / "runs" / run
            eventually("its command at work", lambda: list(folder.glob("tree/began")) + list(folder.glob("trees/*/began")))
        self.assertEqual(server.post(f"/runs/{run}/cancel").status, 200)
        server.await_status(run, "cancelled")
        return run

    def test_no_worktree_stays(self):
        with Server(args=("--max-concurrent-runs", SLOTS)) as server:
            repository = Repository(server)
            before = repository.checkout()
            shares = in_threads(AT_ONCE, lambda share: [self.cancelled_in_repository(server, repository, number)
                                                        for number in range(share, RUNS, AT_ONCE)])
            runs = [run for share in shares for run in share]
            eventually("no worktree being left", lambda: not repository.worktrees(), 30)
            eventually("no branch of a parallel branch being left",
                       lambda: not repository.git("for-each-ref", "refs/heads/fabro/branches"), 30)
            folders = [folder for run in runs for folder in ("tree", "trees") if (server.storage / "runs" / run / folder).exists()]
            self.assertEqual(folders, [])
            self.gone(server, runs)
            self.assertEqual(repository.checkout(), before)
            # What Git keeps of its own: no lock, nothing of a worktree.
            self.assertEqual([str(path) for path in (repository.path / ".git").rglob("*.lock")], [])
            self.assertEqual(list((repository.path / ".git").glob("worktrees/*")), [])

    def gone(self, server, runs):
        eventually("no process of theirs being left", lambda: not marked(), 30)
        for run in runs:
            self.assertEqual(eventually("the run being deleted", lambda r=run: self.deleted(server, r)), 204)

    def deleted(self, server, run):
        status = server.request("DELETE", f"/runs/{run}").status
        return None if status == 409 else status  # what follows its end is not over yet

    def same(self, before, now):
        self.changed = {key: (before[key], now[key]) for key in before if before[key] != now[key]}
        # A connection or two of this test may be on its way in or out.
        return all(now[key] <= before[key] + (2 if key.endswith("_fds") else 0) if key.startswith(("process", "fabro")) else now[key] == before[key]
                   for key in before)

    def tearDown(self):
        if getattr(self, "changed", None):
            print("changed:", self.changed)


if __name__ == "__main__":
    main()
