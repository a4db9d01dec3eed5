#!/usr/bin/env python3
"""Where stages run: nothing of the host in bubblewrap, nothing left of containers, and nothing at all without the sandbox."""
import contextlib
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import unittest

from support import Server, binary, chain, command, eventually, graph, main, processes_of

STUBBORN = "(trap '' TERM; setsid bash -c \"trap '' TERM; sleep 1000\" &); trap '' TERM; echo up; sleep 1000"


def can_bubblewrap():
    if not shutil.which("bwrap"):
        return False
    tried = subprocess.run(["bwrap", "--ro-bind", "/", "/", "--proc", "/proc", "--unshare-all", "true"], capture_output=True, check=False)
    return tried.returncode == 0


class Configured(Server):
    """A server with a configuration file of its own and, if asked, no programs but some."""

    def __init__(self, text, programs=None):
        super().__init__()
        self.file = self.home / "server.toml"
        self.file.write_text(text)
        self.environment["FABRO_CONFIG"] = str(self.file)
        if programs is not None:
            self.programs = self.home / "programs"
            self.programs.mkdir()
            for name in programs:
                os.symlink(shutil.which(name), self.programs / name)
            self.environment["PATH"] = str(self.programs)

    def output(self, run, stream="stdout"):
        return "".join(e["text"] for e in self.events(run) if e["event"] == "StageOutput" and e["stream"] == stream)


@contextlib.contextmanager
def secret_at_home():
    with tempfile.TemporaryDirectory(prefix=".fabro-test-", dir=pathlib.Path.home()) as folder:
        secret = pathlib.Path(folder) / "secret"
        secret.write_text("of the host")
        yield secret


@unittest.skipUnless(can_bubblewrap(), "bwrap cannot make a sandbox here")
class Bubblewrap(unittest.TestCase):
    def test_a_stage_reads_nothing_of_the_host_and_writes_its_own_folder(self):
        with secret_at_home() as secret, Configured('[sandbox]\nprovider = "bubblewrap"\n[sandbox.env]\nCOLOR = "red"\n') as server:
            script = f"cat {secret} {server.storage}/fabro.db; ls -A ~ /run; echo $COLOR; echo mine > made; cat made; echo x > /etc/fabro-x"
            run = server.create(graph(command("look", script, "max_retries=0") + chain("look")))
            server.await_status(run, "failed", "completed")
            self.assertEqual(server.output(run), "/run:\nfabro-stage\n\n/tmp/home:\nred\nmine\n")
            self.assertIn("Read-only file system", server.output(run, "stderr"))
            self.assertEqual((server.work_dir(run) / "made").read_text(), "mine\n")
            self.assertFalse(pathlib.Path("/etc/fabro-x").exists())
            self.assertNotIn("the sandbox cannot be used", server.core.said())

    def test_the_provider_follows_the_file_for_runs_to_come(self):
        with secret_at_home() as secret, Configured("") as server:
            source = graph(command("look", f"cat {secret}; true") + chain("look"))
            run = server.create(source)
            server.await_status(run, "completed")
            self.assertEqual(server.output(run), "of the host")
            server.file.write_text('[sandbox]\nprovider = "bubblewrap"\n')
            server.core.signal(signal.SIGHUP)
            eventually("the change", lambda: server.core.find('"sandbox.provider","from":.*local.*"to":.*bubblewrap'))
            run = server.create(source)
            server.await_status(run, "completed")
            self.assertEqual(server.output(run), "")

    def test_nothing_outlives_a_cancelled_run_or_a_killed_server(self):
        with Configured('[sandbox]\nprovider = "bubblewrap"\n') as server:
            run = server.create(graph(command("stay", STUBBORN) + chain("stay")))
            server.await_event(run, "StageOutput")
            self.assertGreaterEqual(len(processes_of(run)), 2)
            server.post(f"/runs/{run}/cancel")
            server.await_status(run, "cancelled")
            eventually("the end of its processes", lambda: not processes_of(run))
            run = server.create(graph(command("stay", "[ -e again ] && exit 0; touch again; " + STUBBORN) + chain("stay")))
            server.await_event(run, "StageOutput")
            server.kill9()
            eventually("the end of its processes", lambda: not processes_of(run))
            server.start()
            server.await_status(run, "completed")


class WithoutItsSandbox(unittest.TestCase):
    def test_nothing_runs_and_start_up_and_the_stage_say_what_to_install(self):
        server = Configured('[sandbox]\nprovider = "bubblewrap"\n', programs=["bash", "touch"])
        server.await_ready = lambda port=None: None  # it is not
        with server:
            eventually("a warning", lambda: server.core.find("the sandbox cannot be used.*Install the package bubblewrap"))
            ready = eventually("what is missing", lambda: (now := server.get("/health/ready")).status == 503 and now)
            self.assertIn("sandbox: ", ready.body.decode())
            self.assertIn("Install the package bubblewrap", ready.body.decode())
            self.assertEqual(server.get("/health/live").status, 200)
            run = server.create(graph(command("go", "touch ran", "max_retries=0") + chain("go")))
            server.await_status(run, "failed")
            self.assertIn("Install the package bubblewrap", server.events(run)[-1]["error"])
            self.assertFalse((server.work_dir(run) / "ran").exists())
            server.file.write_text("")  # on the host, then
            eventually("readiness", lambda: server.get("/health/ready").status == 200)
            self.assertTrue(server.core.find("the sandbox can be used now"))

    def test_a_server_with_docker_and_no_image_does_not_start(self):
        server = Configured('[sandbox]\nprovider = "docker"\n')
        self.addCleanup(server.close)
        done = subprocess.run([binary("fabro"), "serve", "--storage-dir", server.storage], env=server.environment, capture_output=True,
                              text=True, timeout=60, check=False)
        self.assertEqual(done.returncode, 2)
        self.assertIn("sandbox.docker.image", done.stderr)


class Allowed(unittest.TestCase):
    HOST_HOOK = {"event": "run_start", "command": "true", "sandbox": False}

    def test_what_a_run_may_have_follows_the_file_for_runs_and_forks_to_come(self):
        with Configured("") as server:
            source = graph(command("go", "true") + chain("go"))
            self.assertEqual(server.get("/settings").json["allowed_sandbox_providers"], ["local", "bubblewrap", "docker"])
            run = server.create(source, settings={"hooks": [self.HOST_HOOK]})
            server.await_status(run, "completed")
            server.file.write_text('[sandbox]\nprovider = "bubblewrap"\nallowed_providers = ["bubblewrap"]\n')
            server.core.signal(signal.SIGHUP)
            eventually("the change", lambda: server.core.find("setting changed.*sandbox.allowed_providers"))
            self.assertEqual(server.get("/settings").json["allowed_sandbox_providers"], ["bubblewrap"])
            checkpoint = server.get(f"/runs/{run}/checkpoints").json["data"][0]["id"]
            for path, body in (("/runs", {"dot_source": source, "settings": {"sandbox": {"provider": "local"}}}),
                               ("/runs", {"dot_source": source, "settings": {"hooks": [self.HOST_HOOK]}}),
                               (f"/runs/{run}/fork", {"checkpoint": checkpoint})):
                reply = server.post(path, body)
                self.assertEqual(reply.status, 400, reply.body)
                self.assertIn("sandbox.allowed_providers", reply.detail)
            self.assertEqual(len(server.get("/runs").json["data"]), 1)

    def test_a_server_whose_own_sandbox_is_not_allowed_does_not_start(self):
        server = Configured('[sandbox]\nallowed_providers = ["bubblewrap"]\n')
        self.addCleanup(server.close)
        done = subprocess.run([binary("fabro"), "serve", "--storage-dir", server.storage], env=server.environment, capture_output=True,
                              text=True, timeout=60, check=False)
        self.assertEqual(done.returncode, 2)
        self.assertIn("sandbox.allowed_providers", done.stderr)


class Containers(unittest.TestCase):
    """With a stand-in for the engine's command line, which writes down what it is asked."""

    ENGINE = """#!/bin/bash
echo "$*" >> {calls}
case $1 in
  ps) echo fabro-0badcafe-0-run; echo somebody-elses;;
  run) echo in a container;;
esac
"""

    def test_a_stage_runs_in_a_container_once_those_of_a_dead_server_are_gone(self):
        server = Configured('[sandbox]\nprovider = "docker"\n[sandbox.docker]\nimage = "debian:12"\nmemory_mb = 64\ncpu_seconds = 9\n',
                            programs=["bash"])
        calls = server.home / "calls"
        engine = server.programs / "docker"
        engine.write_text(self.ENGINE.format(calls=calls))
        engine.chmod(0o755)
        with server:
            run = server.create(graph(command("go", "echo $PWD") + chain("go")))
            server.await_status(run, "completed")
            self.assertEqual(server.output(run), "in a container\n")
            asked = calls.read_text()
            self.assertIn("rm --force fabro-0badcafe-0-run\n", asked)
            self.assertNotIn("rm --force somebody-elses", asked)
            self.assertLess(asked.index("rm --force fabro-0badcafe"), asked.index("run --rm"))
            for part in ("--network none", "--memory 67108864b", "--ulimit cpu=9:9", f"source={server.work_dir(run)},target=/workspace", f"{run}-go-1"):
                self.assertIn(part, asked)


def has_engine():
    for engine in filter(shutil.which, ("docker", "podman")):
        return subprocess.run([engine, "image", "inspect", "debian:12"], capture_output=True, timeout=60, check=False).returncode == 0
    return False


class RealContainers(unittest.TestCase):
    @unittest.skipUnless(has_engine(), "no docker or podman answers here, or it has no image debian:12")
    def test_a_stage_works_in_its_workspace_and_ends_with_its_run(self):
        with Configured('[sandbox]\nprovider = "docker"\n[sandbox.docker]\nimage = "debian:12"\n') as server:
            run = server.create(graph(command("go", "pwd; echo $FABRO_STAGE_ID; echo made > file") + command("stay", STUBBORN) + chain("go", "stay")))
            server.await_event(run, "StageOutput", "stay")
            self.assertEqual((server.work_dir(run) / "file").read_text(), "made\n")
            self.assertTrue(server.output(run).startswith("/workspace\ngo\n"))
            server.post(f"/runs/{run}/cancel")
            server.await_status(run, "cancelled")
            engine = "docker" if shutil.which("docker") else "podman"
            left = subprocess.run([engine, "ps", "--all", "--quiet", "--filter", f"label=fabro.owner={server.storage}"], capture_output=True, check=True)
            self.assertEqual(left.stdout, b"")


if __name__ == "__main__":
    main()
