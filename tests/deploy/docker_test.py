#!/usr/bin/env python3
"""deploy/docker without an engine: the structure of the Dockerfile, what gets into a build, and that the packages listed for
run time are those that the programs need. images_test.py builds and runs the images.

usage: tests/deploy/docker_test.py BIN_FOLDER [unittest arguments]
"""
import fnmatch
import json
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
DOCKER = ROOT / "deploy/docker"
TARGETS = ("core", "gateway", "fabro")
SECRET = re.compile(r"(?i)secret|passw|token|api_?key|private|BEGIN [A-Z ]*KEY")


def instructions(text):
    text = re.sub(r"^#.*\n", "", text, flags=re.M)
    text = re.sub(r"\\\n\s*", " ", text)
    return [tuple(line.split(None, 1)) for line in text.splitlines() if line.strip()]


def stages():
    """name -> (what it is built on, its instructions)."""
    found = {}
    name = None
    for verb, words in instructions((DOCKER / "Dockerfile").read_text()):
        if verb == "FROM":
            base, _, name = words.split()
            found[name] = (base, [])
        elif name:
            found[name][1].append((verb, words))
    return found


def run(*command, **options):
    return subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=60, check=False, **options)


def tracked():
    return run("git", "-C", ROOT, "ls-files").stdout.split()


def reaches_the_build(path):
    """Whether .dockerignore lets a file through."""
    kept = True
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        if not line or line.startswith("#"):
            continue
        pattern = line.lstrip("!")
        if pattern.startswith("**/"):
            hit = any(fnmatch.fnmatch(part, pattern[3:]) for part in path.split("/"))
        else:
            hit = any(fnmatch.fnmatch("/".join(path.split("/")[:depth]), pattern) for depth in range(1, path.count("/") + 2))
        if hit:
            kept = line.startswith("!")
    return kept


class Dockerfile(unittest.TestCase):
    def setUp(self):
        self.stages = stages()

    def all_of(self, name, verb):
        """Of a stage and of those it is built on, the nearest last."""
        base, own = self.stages[name]
        inherited = self.all_of(base, verb) if base in self.stages else []
        return inherited + [words for found, words in own if found == verb]

    def test_every_image_has_what_an_image_needs(self):
        for target in TARGETS:
            with self.subTest(target):
                own = dict(self.stages[target][1])
                self.assertRegex(own["USER"], r"^[1-9]\d{3,}:[1-9]\d{3,}$", "a number, so that runAsNonRoot can judge it")
                entry = json.loads(own["ENTRYPOINT"])
                self.assertTrue(entry[0].startswith("/usr/bin/fabro"))
                check = json.loads(own["HEALTHCHECK"].split("CMD", 1)[1])
                self.assertEqual(check[:2], ["/usr/bin/fabro", "health"])
                self.assertIn("org.opencontainers.image.title", own["LABEL"])
                self.assertIn("org.opencontainers.image.revision", " ".join(self.all_of(target, "LABEL")))
                self.assertEqual([verb for verb, _ in self.stages[target][1]].count("ENTRYPOINT"), 1)
                copied = " ".join(words for verb, words in self.stages[target][1] if verb == "COPY")
                self.assertIn(entry[0], copied.replace("/programs/", "/usr/bin/"))
                self.assertIn("/programs/fabro ", copied + " ", "the health check's program")

    def test_compilers_stay_behind(self):
        for target in TARGETS:
            base = target
            while base in self.stages:
                self.assertNotEqual(base, "programs")
                base = self.stages[base][0]
            self.assertEqual(base, "${BASE_IMAGE}")

    def test_packages_come_from_the_list(self):
        text = (DOCKER / "Dockerfile").read_text()
        self.assertNotIn("apt-get", text)
        self.assertNotRegex(text, r"(?m)^ADD|curl |wget |:latest")
        runs = " ".join(words for _, own in self.stages.values() for verb, words in own if verb == "RUN")
        groups = re.findall(r"install\.sh ([\w-]+)", runs)
        self.assertEqual(set(groups), {"build", "runtime", "runtime-core"})
        for group in groups:
            self.assertTrue(run(ROOT / "deploy/install.sh", "--list", group).stdout.split(), group)

    def test_holds_no_secrets(self):
        for _, (_, own) in self.stages.items():
            for verb, words in own:
                if verb in ("ENV", "ARG", "LABEL"):
                    self.assertNotRegex(words, SECRET)
        for path in DOCKER.iterdir():
            self.assertNotRegex(path.read_text(), r"BEGIN [A-Z ]*KEY|eyJ[\w-]{10}", path.name)

    def test_every_source_exists_and_reaches_the_build(self):
        files = tracked()
        for name, (_, own) in self.stages.items():
            for verb, words in own:
                if verb != "COPY" or words.startswith("--from"):
                    continue
                for source in shlex.split(words)[:-1]:
                    self.assertNotIn(source, (".", "./"), "a folder by name, or everything comes along")
                    below = [file for file in files if file == source or file.startswith(source + "/")]
                    self.assertTrue(below, f"{name}: {source} is not there")
                    self.assertTrue(all(reaches_the_build(file) for file in below), f"{name}: {source} is kept out by .dockerignore")

    def test_nothing_else_reaches_the_build(self):
        for path in ("build/dev/bin/fabro", ".git/config", "server.toml", ".env", "deploy/certs/ca.key", "deploy/docker/server.key", "core/.env",
                     "certs/jwt.key", "deploy/README.md", "tests/core/__pycache__/x.pyc"):
            self.assertFalse(reaches_the_build(path), path)

    def test_the_configurations_are_good_and_closed(self):
        for target in TARGETS:
            with self.subTest(target), tempfile.TemporaryDirectory() as home:
                done = run(BIN / "fabro", "config", "check", DOCKER / f"{target}.toml", cwd=home, env={"HOME": home, "PATH": os.environ["PATH"]})
                self.assertEqual((done.returncode, done.stderr), (0, ""))
                self.assertIn('host = "127.0.0.1"', done.stdout)

    def test_the_packages_for_run_time_are_those_that_are_needed(self):
        listed = set(run(ROOT / "deploy/install.sh", "--list", "runtime").stdout.split())
        if not shutil.which("dpkg-query"):
            self.skipTest("no dpkg here")
        needed = {}
        for program in ("fabro", "fabro-core", "fabro-gateway", "fabro-stage"):
            wanted = set(re.findall(r"Shared library: \[([^]]+)\]", run("readelf", "-d", BIN / program).stdout))
            found = dict(re.findall(r"(\S+) => (\S+)", run("ldd", BIN / program).stdout))
            for library in wanted:
                needed[library] = found[library]
        owners = run("dpkg-query", "--search", *sorted({os.path.realpath(path) for path in needed.values()})).stdout
        packages = set(re.findall(r"^([^:\n]+)", owners, re.M)) - {"libc6"}
        self.assertEqual({package for package in packages if package.startswith("lib")} - listed, set(), "needed and not listed")
        self.assertEqual({package for package in listed if package.startswith("lib")} - packages, set(), "listed and not needed")


class BuildScript(unittest.TestCase):
    def test_says_what_is_wrong(self):
        build = DOCKER / "build.sh"
        self.assertIn("usage:", run(build, "--help").stdout)
        for words, message in ((("--nope",), "no option or image"), (("--engine", "make"), "docker, podman or buildah"), (("--tag",), "needs a value")):
            done = run(build, *words)
            self.assertNotEqual(done.returncode, 0)
            self.assertIn(message, done.stderr)
        with tempfile.TemporaryDirectory() as empty:
            done = run(build, "--engine", "buildah", "--programs", empty)
            self.assertIn("has no program fabro", done.stderr)

    def test_calls_the_engine_with_what_was_asked(self):
        with tempfile.TemporaryDirectory() as folder:
            for engine in ("docker", "podman", "buildah"):
                fake = pathlib.Path(folder, engine)
                fake.write_text(f'#!/bin/sh\necho {engine} "$@"\n')
                fake.chmod(0o755)
                done = run(DOCKER / "build.sh", "--engine", engine, "--tag", "7", "--base", "b:1", "--jobs", "3", "gateway",
                           env=os.environ | {"PATH": f"{folder}:{os.environ['PATH']}"})
                self.assertEqual(done.returncode, 0, done.stderr)
                for word in ("--target gateway", "--tag fabro/gateway:7", "BASE_IMAGE=b:1", "JOBS=3", "VERSION=7"):
                    self.assertIn(word, done.stdout)
                self.assertEqual("--format docker" in done.stdout, engine != "docker")


if __name__ == "__main__":
    BIN = pathlib.Path(sys.argv.pop(1)).resolve()
    unittest.main(verbosity=2)
