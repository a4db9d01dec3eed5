#!/usr/bin/env python3
"""deploy/systemd: the units as systemd reads them, how much they leave open, and that there is time to stop.

usage: tests/deploy/systemd_test.py BIN_FOLDER [unittest arguments]
"""
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

from manifests import ROOT

UNITS = ROOT / "deploy/systemd"
# What `systemd-analyze security` calls the exposure, in tenths; below 2.0 is "OK". What is open: the network, the host's files to
# read, and for stages what interpreters need.
MAX_EXPOSURE = {"fabro": 16, "fabro-core": 16, "fabro-gateway": 14}


def run(*command):
    return subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=60, check=False)


def settings(name):
    """setting -> its values, in order"""
    found = {}
    for line in (UNITS / f"{name}.service").read_text().splitlines():
        if line and line[0] not in "#[;":
            key, value = line.split("=", 1)
            found.setdefault(key, []).append(value)
    return found


class Units(unittest.TestCase):
    def staged(self):
        """The units in a folder, with the programs where they were built."""
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        for name in MAX_EXPOSURE:
            text = (UNITS / f"{name}.service").read_text().replace("ExecStart=/usr/bin/", f"ExecStart={BIN}/")
            pathlib.Path(folder.name, f"{name}.service").write_text(text)
        return pathlib.Path(folder.name)

    def analyze(self, *words):
        if not shutil.which("systemd-analyze"):
            self.skipTest("systemd-analyze is not installed (Debian: systemd)")
        return run("systemd-analyze", "--no-pager", *words)

    def test_every_unit_is_judged(self):
        self.assertEqual({path.stem for path in UNITS.glob("*.service")}, set(MAX_EXPOSURE))

    def test_systemd_understands_them(self):
        folder = self.staged()
        for name in MAX_EXPOSURE:
            done = self.analyze("verify", "--man=no", folder / f"{name}.service")
            ours = "\n".join(line for line in done.stderr.splitlines() if "fabro" in line)
            self.assertEqual(ours, "", name)
        (folder / "fabro.service").write_text((folder / "fabro.service").read_text() + "\n[Service]\nNoSuchSetting=1\n")
        self.assertIn("NoSuchSetting", self.analyze("verify", "--man=no", folder / "fabro.service").stderr, "the judge must be able to refuse")

    def test_they_leave_little_open(self):
        folder = self.staged()
        for name, bound in MAX_EXPOSURE.items():
            done = self.analyze("security", "--offline=yes", f"--threshold={bound}", folder / f"{name}.service")
            self.assertEqual(done.returncode, 0, f"{name}: {done.stdout[-600:]}{done.stderr}")

    def test_there_is_time_to_stop(self):
        grace = int(re.search(r"stop_grace\{(\d+)'000\}|stop_grace\{(\d+)_?'?000", (ROOT / "core/config/server_config.h").read_text())[1])
        for name in MAX_EXPOSURE:
            unit = settings(name)
            self.assertGreaterEqual(int(unit["TimeoutStopSec"][0]), grace + 15)
            self.assertEqual(unit["KillMode"], ["mixed"], "stages are the server's to end")
            self.assertEqual(unit["Restart"], ["on-failure"])

    def test_no_secret_is_in_them(self):
        for name in MAX_EXPOSURE:
            unit = settings(name)
            for value in unit.get("Environment", []):
                self.assertNotRegex(value, r"(?i)key|token|secret|password")
            self.assertEqual(unit["LoadCredential"], ["tls:/etc/fabro/tls"])
            self.assertTrue(unit["EnvironmentFile"][0].startswith("-/etc/fabro/"))

    def test_they_start_what_is_built_as_users_that_are_made(self):
        users = re.findall(r"^u (\S+)", (UNITS / "fabro.sysusers").read_text(), re.M)
        for name in MAX_EXPOSURE:
            unit = settings(name)
            program, *words = unit["ExecStart"][0].split()
            self.assertTrue((BIN / pathlib.PurePath(program).name).exists(), program)
            said = run(BIN / pathlib.PurePath(program).name, *[word for word in words if word == "serve"], "--help").stdout
            for flag in (word for word in words if word.startswith("--")):
                self.assertIn(flag, said)
            self.assertIn(unit["User"][0], users)
            self.assertIn(unit["Group"][0], users)

    def test_a_stage_out_of_memory_ends_no_server(self):
        for name in ("fabro", "fabro-core"):
            self.assertEqual(settings(name)["OOMPolicy"], ["continue"])


if __name__ == "__main__":
    BIN = pathlib.Path(sys.argv.pop(1)).resolve()
    unittest.main(verbosity=2)
