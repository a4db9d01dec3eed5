#!/usr/bin/env python3
"""Runs in a git repository: a worktree and a branch each, a commit for every stage, and nothing of the user's touched."""
import hashlib
import os
import subprocess
import unittest

from support import Server, command, eventually, graph, main, processes_of


class Repository:
    """A user's, with one commit, beside the server's storage."""

    def __init__(self, server):
        self.path = server.home / "project"
        self.path.mkdir()
        self.environment = {"PATH": os.environ["PATH"], "HOME": str(server.home), "GIT_CONFIG_NOSYSTEM": "1"}
        self.git("init", "-q", "-b", "main")
        self.git("config", "user.name", "A")
        self.git("config", "user.email", "a@b")
        (self.path / "src").mkdir()
        (self.path / "README").write_text("hello\n")
        (self.path / "src" / "main.c").write_text("int main;\n")
        (self.path / ".gitignore").write_text("out/\n")
        self.git("add", "-A")
        self.git("commit", "-qm", "first")
        self.first = self.git("rev-parse", "HEAD")

    def git(self, *arguments):
        done = subprocess.run(["git", *arguments], cwd=self.path, env=self.environment, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    def checkout(self):
        """All that is the user's own, byte for byte."""
        files = [file for file in self.path.rglob("*") if file.is_file() and ".git" not in file.relative_to(self.path).parts]
        files += [self.path / ".git" / name for name in ("HEAD", "index", "config")]
        own = [line for line in self.git("for-each-ref").splitlines() if "refs/heads/fabro/" not in line]
        return {str(file): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}, own

    def worktrees(self):
        return self.git("worktree", "list").splitlines()[1:]

    def trailer(self, commit, name):
        return self.git("log", "-1", f"--format=%(trailers:key={name},valueonly)", commit)


class Git(unittest.TestCase):
    def setUp(self):
        self.server = Server()
        self.addCleanup(self.server.close)
        self.server.start()
        self.repository = Repository(self.server)
        self.before = self.repository.checkout()

    def create(self, body, **settings):
        return self.server.create(graph(body), settings={"work_dir": str(self.repository.path), **settings})

    def ended(self, run, *status):
        """The run has ended, and has cleaned up after itself."""
        self.server.await_status(run, *(status or ("completed",)))
        eventually("no worktree being left", lambda: not self.repository.worktrees())
        folder = self.server.storage / "runs" / run
        self.assertFalse((folder / "tree").exists() or (folder / "trees").exists())
        self.assertEqual(self.repository.git("for-each-ref", "--format=%(refname:lstrip=2)", "refs/heads/fabro"), f"fabro/run/{run}")
        self.assertEqual(self.repository.checkout(), self.before)

    def events(self, run, kind):
        return [event for event in self.server.events(run) if event["event"] == kind]

    THREE = (command("one", "echo 1 > n; echo built > out.txt") + command("two", "echo 2 >> n; rm README") +
             command("three", "cat n; mkdir -p out; touch out/ignored"))

    def test_each_stage_is_a_commit_of_the_runs_branch(self):
        run = self.create(self.THREE + "s -> one -> two -> three -> e")
        self.ended(run)
        branch = f"fabro/run/{run}"
        git = self.repository.git
        self.assertEqual(git("log", "--format=%s", branch).splitlines(), ["fabro: two (success)", "fabro: one (success)", "first"])
        self.assertEqual(self.repository.trailer(branch, "Fabro-Run"), run)
        self.assertEqual(self.repository.trailer(branch, "Fabro-Stage"), "two")
        self.assertEqual(self.repository.trailer(branch, "Fabro-Completed"), "3")  # start, one, two
        self.assertEqual(git("show", f"{branch}:n"), "1\n2")
        commits = {event["node_id"]: event["sha"] for event in self.events(run, "GitCommit")}
        self.assertEqual(commits["two"], git("rev-parse", branch))
        self.assertEqual(commits["three"], commits["two"])
        checkpoints = {event["node_id"]: event["git_commit_sha"] for event in self.events(run, "CheckpointCompleted")}
        self.assertEqual(checkpoints, {"s": self.repository.first} | commits)
        self.assertEqual(self.events(run, "GitBranch")[0]["sha"], self.repository.first)
        touched = {event["node_id"]: event.get("files_touched", []) for event in self.events(run, "StageCompleted")}
        self.assertEqual([touched["one"], touched["two"], touched["three"]], [["n", "out.txt"], ["README", "n"], []])

    def files(self, run, query=""):
        reply = self.server.get(f"/runs/{run}/files{query}")
        self.assertEqual(reply.status, 200, reply.body)
        return reply.json

    def test_the_files_that_a_run_changed_are_listed(self):
        gone, new, token = {"name": "", "contents": ""}, {"name": "", "contents": ""}, "ghp_" + "a1B2" * 9
        run = self.create(command("one", "echo 1 > n") + command("two", f"echo 2 > n; rm README; printf 'a\\0b' > zeros; echo {token} > leak") +
                          'ask [shape=hexagon, label="Well?"]; s -> one -> two -> ask -> e')
        self.server.await_question(run)
        n = {"old_file": new, "new_file": {"name": "n", "contents": "2\n"}}
        readme = {"old_file": {"name": "README", "contents": "hello\n"}, "new_file": gone}
        leak = {"old_file": new, "new_file": {"name": "leak", "contents": "REDACTED\n"}}
        zeros = {"old_file": new, "new_file": {"name": "zeros", "contents": "", "omitted": "binary"}}
        everything = {"data": [readme, leak, n, zeros], "meta": {"has_more": False}}
        self.assertEqual(self.files(run), everything)
        self.assertEqual(self.files(run, "?page[limit]=1&page[offset]=2"), {"data": [n], "meta": {"has_more": True}})
        checkpoint = next(event for event in self.events(run, "CheckpointCompleted") if event["node_id"] == "one")
        for name in (checkpoint["id"], "one", checkpoint["git_commit_sha"], checkpoint["git_commit_sha"][:7]):
            only = self.files(run, f"?checkpoint={name}")["data"]
            self.assertEqual(only, [{"old_file": new, "new_file": {"name": "n", "contents": "1\n"}}])
        self.assertEqual(self.server.get(f"/runs/{run}/files?checkpoint=three").status, 404)
        self.server.answer(run, self.server.await_question(run)["id"], selected_option_key="E")
        self.ended(run)
        self.assertEqual(self.files(run), everything)
        self.repository.git("branch", "-q", "-D", f"fabro/run/{run}")  # merged, perhaps; its commits are still there
        self.assertEqual(self.files(run), everything)
        self.repository.path.rename(self.server.home / "elsewhere")
        reply = self.server.get(f"/runs/{run}/files")
        self.assertEqual(reply.status, 404)
        self.assertIn(str(self.repository.path), reply.detail)

    def test_a_preserved_worktree_stays_until_the_run_is_deleted(self):
        run = self.create(command("one", "echo 1 > n; echo x > a.log") + "s -> one -> e",
                          sandbox={"preserve": True}, checkpoint={"exclude_globs": ["*.log"]}, setup={"commands": ["echo made > generated"]})
        self.server.await_status(run, "completed")
        tree = self.server.storage / "runs" / run / "tree"
        self.assertEqual((tree / "a.log").read_text(), "x\n")
        self.assertEqual([diff["new_file"]["name"] for diff in self.files(run)["data"]], ["n"])
        self.assertEqual(self.repository.git("show", f"fabro/run/{run}:generated"), "made")
        eventually("the run being deleted", lambda: self.server.request("DELETE", f"/runs/{run}").status in (204, 404))
        eventually("no worktree being left", lambda: not self.repository.worktrees())
        self.assertFalse(tree.exists())
        self.assertTrue(self.repository.git("rev-parse", f"fabro/run/{run}"))
        self.assertEqual(self.repository.checkout(), self.before)

    def test_a_run_without_git_has_no_files(self):
        run = self.server.create(graph(command("one", "echo 1 > n") + "s -> one -> e"))
        self.server.await_status(run, "completed")
        self.assertEqual(self.files(run), {"data": [], "meta": {"has_more": False}})

    def test_the_best_branch_is_taken_over(self):
        score = "echo {0} > n; echo '{{\"context_updates\": {{\"score\": {0}}}}}'"
        body = ("fan [shape=component]; join [shape=tripleoctagon];" + command("one", "echo 0 > n") + command("a", score.format(1)) +
                command("b", score.format(2)) + command("last", "cp n last") +
                "s -> one -> fan; fan -> a -> join; fan -> b -> join; join -> last -> e")
        run = self.create(body)
        self.ended(run)
        branch = f"fabro/run/{run}"
        self.assertEqual(self.repository.git("log", "--format=%s", branch).splitlines(),
                         ["fabro: last (success)", "fabro: b (success)", "fabro: one (success)", "first"])
        self.assertEqual(self.repository.git("show", f"{branch}:last"), "2")

    def test_a_cancelled_run_keeps_what_it_did_on_its_branch(self):
        run = self.create(command("one", "echo half > n; sleep 3000") + "s -> one -> e")
        eventually("the stage at work", (self.server.storage / "runs" / run / "tree" / "n").exists)
        self.assertEqual(self.server.post(f"/runs/{run}/cancel").status, 200)
        self.ended(run, "cancelled")
        self.assertFalse(processes_of(run))
        self.assertEqual(self.repository.git("show", f"fabro/run/{run}:n"), "half")

    def test_a_killed_server_goes_on_in_the_same_files(self):
        body = (command("one", "echo 1 > n") + command("two", "echo $FABRO_ATTEMPT >> n; [ $FABRO_ATTEMPT -gt 1 ] || sleep 3000") +
                "s -> one -> two -> e")
        run = self.create(body)
        n = self.server.storage / "runs" / run / "tree" / "n"
        eventually("the second stage at work", lambda: n.exists() and n.read_text() == "1\n1\n")
        self.server.kill9()
        eventually("no process of the run being left", lambda: not processes_of(run), 15)
        self.server.start()
        self.ended(run)
        self.assertEqual(self.repository.git("show", f"fabro/run/{run}:n"), "1\n1\n2")

    def test_a_rewind_brings_the_files_back(self):
        body = (command("one", "echo 1 > n") + command("two", "echo x >> n; ls > seen") + 'ask [shape=hexagon, label="Well?"];' +
                's -> one -> two -> ask; ask -> e [label="[Y] Yes"]; ask -> two [label="[N] No"];')
        run = self.create(body)
        self.server.await_question(run)
        checkpoint = next(event["id"] for event in self.events(run, "CheckpointCompleted") if event["node_id"] == "one")
        reply = self.server.post(f"/runs/{run}/rewind", {"checkpoint": checkpoint})
        self.assertEqual(reply.status, 200, reply.body)
        question = eventually("the question again", lambda: self.server.get(f"/runs/{run}/questions").json["data"])[0]
        self.server.answer(run, question["id"], selected_option_key="Y")
        self.ended(run)
        self.assertEqual(self.repository.git("show", f"fabro/run/{run}:n"), "1\nx")
        self.assertEqual(self.repository.git("log", "--format=%s", f"fabro/run/{run}").splitlines(),
                         ["fabro: two-2 (success)", "fabro: one (success)", "first"])

    def test_a_folder_with_changes_is_worked_in_itself(self):
        (self.repository.path / "README").write_text("changed\n")
        run = self.create(command("one", "echo 1 > out.txt") + "s -> one -> e")
        self.server.await_status(run, "completed")
        self.assertTrue((self.repository.path / "out.txt").exists())
        self.assertIn("dirty_worktree", [event["code"] for event in self.events(run, "RunNotice")])
        self.assertEqual(self.repository.git("for-each-ref", "refs/heads/fabro"), "")

    def test_runs_at_one_repository_do_not_disturb_each_other(self):
        runs = [self.create(command("one", f"echo {i} > n") + "s -> one -> e") for i in range(4)]
        for run in runs:
            self.server.await_status(run, "completed")
        eventually("no worktree being left", lambda: not self.repository.worktrees())
        self.assertEqual([self.repository.git("show", f"fabro/run/{run}:n") for run in runs], ["0", "1", "2", "3"])
        self.assertEqual(self.repository.checkout(), self.before)


if __name__ == "__main__":
    main()
