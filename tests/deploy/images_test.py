#!/usr/bin/env python3
"""Builds the images of deploy/docker and runs what is in them as a container engine would: as their user, with a root that
cannot be written, no capabilities, and processes and network of their own.

usage: tests/deploy/images_test.py BIN_FOLDER [unittest arguments]

Needs root, and the packages of `deploy/install.sh images`. Skipped unless FABRO_IMAGES is set: `programs` takes the programs
of BIN_FOLDER, `compile` compiles them in the image, as deploy/docker/build.sh does for everyone else.
"""
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

from container import Container, missing

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
WORK = ROOT / "build/images"
MODE = os.environ.get("FABRO_IMAGES", "")
MIRROR = os.environ.get("FABRO_DEBIAN_MIRROR", "http://deb.debian.org/debian")
STORE = ["--root", str(WORK / "store"), "--runroot", str(WORK / "run")]
BASE, TAG = "localhost/debian-12-minbase", "under-test"
PATIENCE = 60
SKIPPED = 77
MAX_MIB = {"gateway": 100, "core": 350, "fabro": 350}  # beyond the base


def run(*command, check=True, timeout=PATIENCE, **options):
    return subprocess.run([str(word) for word in command], check=check, timeout=timeout, text=True, stdin=subprocess.DEVNULL, **options)


def output(*command, **options):
    return run(*command, stdout=subprocess.PIPE, **options).stdout


def buildah(verb, *words, **options):
    return output("buildah", *STORE, verb, *words, **options).strip()


def make_base():
    if run("buildah", *STORE, "inspect", "--type", "image", BASE, check=False, capture_output=True).returncode == 0:
        return
    folder = WORK / "base"
    shutil.rmtree(folder, ignore_errors=True)
    run("debootstrap", "--variant=minbase", "--include=ca-certificates", "bookworm", folder, MIRROR, timeout=1800, stdout=subprocess.DEVNULL)
    for leftover in (*folder.glob("var/cache/apt/archives/*.deb"), *folder.glob("var/lib/apt/lists/*")):
        shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()
    container = buildah("from", "scratch")
    buildah("add", container, folder, "/", timeout=600)
    buildah("commit", "--rm", container, BASE, timeout=600)
    shutil.rmtree(folder)


class Image:
    def __init__(self, name):
        self.name = name
        self.tag = f"localhost/fabro/{name}:{TAG}"
        self.config = json.loads(buildah("inspect", "--type", "image", self.tag))["Docker"]["config"]
        self.container = buildah("from", self.tag)
        self.mount = pathlib.Path(buildah("mount", self.container))

    def close(self):
        buildah("rm", self.container)


class Images(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        WORK.mkdir(parents=True, exist_ok=True)
        make_base()
        programs = ["--programs", BIN] if MODE == "programs" else []
        run(ROOT / "deploy/docker/build.sh", "--engine", "buildah", "--base", BASE, "--tag", TAG, *programs, "--", *STORE, timeout=3 * 3600)
        cls.images = {}
        for name in ("core", "gateway", "fabro"):
            cls.images[name] = Image(name)
            cls.addClassCleanup(cls.images[name].close)

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="fabro-images-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.folder.chmod(0o755)

    def volume(self, name, like, image="core"):
        """A fresh volume: owner and mode are those of the image's folder."""
        path, origin = self.folder / name, os.stat(f"{self.images[image].mount}{like}")
        path.mkdir()
        os.chown(path, origin.st_uid, origin.st_gid)
        path.chmod(origin.st_mode & 0o7777)
        return path

    def container(self, name, volumes, environment=()):
        config = self.images[name].config
        user, group = config["User"].split(":")
        container = Container([*config["Entrypoint"], *(config.get("Cmd") or [])], user, group, volumes | {"/mnt": ROOT / "deploy/examples"},
                              [*config["Env"], *environment], root=self.images[name].mount, own_network=True)
        self.addCleanup(container.close)
        kind, *container.check = config["Healthcheck"]["Test"]
        self.assertEqual(kind, "CMD", "a check through a shell")
        return container

    def await_health(self, container):
        container.eventually("good health", lambda: self.is_healthy(container))

    def is_healthy(self, container):
        return container.execute(*container.check, check=False).returncode == 0

    def await_readiness(self, container):
        container.eventually("readiness", lambda: container.execute("fabro", "health", check=False).returncode == 0)

    def test_are_small_and_hold_no_more_than_they_need(self):
        sizes = {}
        for name, image in self.images.items():
            sizes[name] = int(output("du", "-sxm", image.mount).split()[0])
        base = buildah("from", BASE)
        try:
            sizes["base"] = int(output("du", "-sxm", buildah("mount", base)).split()[0])
        finally:
            buildah("rm", base)
        print("\nMiB unpacked:", sizes)
        for name, bound in MAX_MIB.items():
            self.assertLess(sizes[name] - sizes["base"], bound, name)
        for image in self.images.values():
            self.assertFalse(list((image.mount / "src").glob("*")) if (image.mount / "src").exists() else [])
            for tool in ("clang-19", "g++", "cmake"):
                self.assertFalse((image.mount / "usr/bin" / tool).exists(), tool)
            for program in image.mount.glob("usr/bin/fabro*"):
                self.assertNotIn(".debug_info", output("readelf", "-S", "-W", program))
                self.assertNotIn("not found", output("chroot", image.mount, "ldd", f"/usr/bin/{program.name}"))

    def test_say_who_they_are_and_run_as_nobody_special(self):
        for name, image in self.images.items():
            self.assertRegex(image.config["User"], r"^1000[12]:10001$")
            self.assertEqual(image.config["Labels"]["org.opencontainers.image.version"], TAG)
            self.assertTrue(image.config["Labels"]["org.opencontainers.image.title"].startswith("fabro"))
            self.assertEqual(len(image.config["Entrypoint"]), 1)
            for entry in image.config["Env"]:
                self.assertNotRegex(entry, r"(?i)key|token|secret|password")

    def test_everything_in_one_container(self):
        storage = self.volume("storage", "/var/lib/fabro", "fabro")
        container = self.container("fabro", {"/var/lib/fabro": storage})
        self.await_health(container)
        self.assertIn("Read-only file system", container.execute("touch", "/etc/x", check=False, as_root=True).stderr)
        done = container.execute("fabro", "run", "/mnt/hello.fabro")
        self.assertIn("completed", done.stdout)
        run_id = container.execute("fabro", "ps", "--all", "--json").stdout
        self.assertIn('"completed"', run_id)
        found = json.loads(run_id)[0]["id"]
        self.assertIn("<svg", container.execute("fabro", "graph", found).stdout)
        self.assertEqual(container.stop(), 0, container.said())
        again = self.container("fabro", {"/var/lib/fabro": storage})
        self.await_health(again)
        self.assertIn(found, again.execute("fabro", "ps", "--all").stdout)

    def test_settings_of_an_operator(self):
        """With the settings of deploy/README.md: HTTPS, tokens, roles, open to the network."""
        text = re.search(r"cat > server\.toml <<'TOML'\n(.*?)TOML\n", (ROOT / "deploy/README.md").read_text(), re.S)[1]
        settings = self.folder / "fabro"
        run(ROOT / "deploy/certs/make_certs.sh", "--jwt", settings / "certs", stdout=subprocess.DEVNULL)
        (settings / "server.toml").write_text(text.replace('"data"', '"/var/lib/fabro"').replace('"certs/', '"/etc/fabro/certs/'))
        for path in (settings, *settings.rglob("*")):
            os.chown(path, 10001, 10001)
        key = (settings / "certs/jwt.pub").read_text()
        volumes = {"/var/lib/fabro": self.volume("storage", "/var/lib/fabro", "fabro"), "/etc/fabro": (settings, "ro")}
        container = self.container("fabro", volumes, [f"FABRO_JWT_PUBLIC_KEY={key}"])
        self.await_health(container)
        token = output(ROOT / "deploy/certs/make_token.sh", "--key", settings / "certs/jwt.key", "--user", "alice").strip()
        client = ["env", "FABRO_SERVER=https://localhost:3000", "FABRO_CA=/etc/fabro/certs/ca.crt"]
        refused = container.execute(*client, "fabro", "run", "/mnt/hello.fabro", check=False)
        self.assertIn("Authentication required", refused.stderr)
        self.assertIn("completed", container.execute(*client, f"FABRO_TOKEN={token}", "fabro", "run", "/mnt/hello.fabro").stdout)
        self.assertEqual(container.stop(), 0, container.said())

    def test_core_and_gateway_in_two(self):
        storage, socket = self.volume("storage", "/var/lib/fabro"), self.volume("run", "/run/fabro")
        gateway = self.container("gateway", {"/run/fabro": socket})
        self.await_health(gateway)  # alive without its core
        self.assertEqual(gateway.execute("fabro", "health", check=False).returncode, 1)
        core = self.container("core", {"/var/lib/fabro": storage, "/run/fabro": socket})
        self.await_health(core)
        self.await_readiness(gateway)
        self.assertIn("completed", gateway.execute("fabro", "run", "/mnt/hello.fabro").stdout)
        self.assertNotEqual(gateway.execute("cat", "/var/lib/fabro/fabro.db", check=False).returncode, 0)
        self.assertNotEqual(gateway.execute("touch", "/run/fabro/x", check=False).returncode, 0, "the socket's folder is the core's")
        self.assertEqual(core.stop(), 0, core.said())
        self.assertTrue(self.is_healthy(gateway))
        core = self.container("core", {"/var/lib/fabro": storage, "/run/fabro": socket})
        self.await_readiness(gateway)
        self.assertIn("completed", gateway.execute("fabro", "ps", "--all").stdout)
        self.assertEqual((gateway.stop(), core.stop()), (0, 0))


if __name__ == "__main__":
    BIN = pathlib.Path(sys.argv.pop(1)).resolve()
    reason = "FABRO_IMAGES is not set" if not MODE else missing()
    if not reason and not (shutil.which("buildah") and shutil.which("debootstrap")):
        reason = "buildah or debootstrap is not installed (deploy/install.sh images)"
    if reason:
        print(f"skipped: {reason}")
        sys.exit(SKIPPED)
    if MODE not in ("programs", "compile"):
        sys.exit(f"FABRO_IMAGES is programs or compile, not {MODE}")
    unittest.main(verbosity=2)
