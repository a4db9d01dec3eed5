#!/usr/bin/env python3
"""Types what deploy/README.md tells a newcomer into a shell, section by section, and looks at what comes back; and holds what it
claims elsewhere against the sources.

usage: tests/deploy/guide_test.py BIN_FOLDER [unittest arguments]      (skipped where there are no namespaces)
"""
import os
import pathlib
import re
import sqlite3
import subprocess
import sys
import tempfile
import unittest

from container import PATIENCE, missing, own_network
from manifests import ROOT

SKIPPED = 77
README = ROOT / "deploy/README.md"
TRIED = ("From nothing to a served request", "Backup and restore", "Gateway and core as two programs")


def section(title):
    return README.read_text().split(f"\n## {title}\n")[1].split("\n## ")[0]


def blocks(text, language="sh"):
    return [block.replace("deploy/certs/", f"{ROOT}/deploy/certs/") for block in re.findall(rf"```{language}\n(.*?)```", text, re.S)]


class Guide(unittest.TestCase):
    def test_the_commands_do_what_they_say(self):
        with tempfile.TemporaryDirectory() as home:
            script = ["set -euo pipefail"]
            for number, title in enumerate(TRIED):
                for block in blocks(section(title)):
                    script.append(block.replace("sleep 1", "sleep 0.1"))
                    if "wait\nmkdir aside" in block:
                        script.append(f'curl -sS -w " %{{http_code}}\\n" --cacert certs/ca.crt -H "Authorization: Bearer $token" {self.url}/runs')
                script.append(f"echo '== {number}'")
            script.append("kill $(jobs -p); wait")
            environment = {"PATH": f"{BIN}:{os.environ['PATH']}", "HOME": home}
            done = subprocess.run(["bash", "-c", "\n".join(script)], cwd=home, env=environment, capture_output=True, text=True, timeout=PATIENCE * 3,
                                  stdin=subprocess.DEVNULL, check=False)
            logs = "".join(path.read_text()[-2000:] for path in pathlib.Path(home).glob("*.log"))
            self.assertEqual(done.returncode, 0, f"{done.stdout}\n{done.stderr}\n{logs}")
            first, backup, split, _ = done.stdout.split("== ")
            statuses = lambda text: re.findall(r" (\d{3})$", text, re.M)
            self.assertEqual(statuses(first), ["200", "201", "401"], first)
            self.assertIn('{"login":"alice"} 200', first)
            run = re.search(r'"id":"([^"]+)"', first)[1]
            self.assertIn("ok", backup)
            self.assertIn(run, backup, "the restored database has the run")
            copy = sqlite3.connect(pathlib.Path(home, "backup.db"))
            self.assertEqual(copy.execute("SELECT count(*) FROM runs").fetchone(), (1,))
            copy.close()
            self.assertEqual(statuses(split), ["200"], split)
            self.assertIn(run, split)

    url = "https://localhost:3000"

    def test_what_it_names_is_there(self):
        text = README.read_text()
        for target in re.findall(r"\]\(([^)#]+)\)", text):
            self.assertTrue((README.parent / target).exists(), target)
        for path in re.findall(r"(?<![\w/.])((?:deploy|tests|core)/[\w./-]*\w)", text):
            self.assertTrue((ROOT / path).exists(), path)

    def test_metrics_that_it_names_exist(self):
        sources = "".join(path.read_text() for folder in ("core", "gateway") for path in (ROOT / folder).rglob("*.cc"))
        for name in set(re.findall(r"fabro_[a-z_]+", README.read_text())):
            self.assertIn(f'"{name}"', sources, name)

    def test_settings_that_it_names_exist(self):
        keys = (ROOT / "core/config/keys.cc").read_text()
        for name in set(re.findall(r"`((?:api|web|core|gateway|limits|metrics|log|access)\.[a-z_.]+[a-z])\b", README.read_text())):
            self.assertIn(f'"{name}"', keys, name)

    def test_sizes_of_images_are_bounded_by_the_test_that_measures_them(self):
        bounds = dict(re.findall(r'"(\w+)": (\d+)', (ROOT / "tests/deploy/images_test.py").read_text().split("MAX_MIB")[1].split("\n")[0]))
        for image, said in re.findall(r"`fabro/(\w+)` \|.*\| (\d+) MiB", README.read_text()):
            self.assertLessEqual(int(said), int(bounds[image]), image)


if __name__ == "__main__":
    BIN = pathlib.Path(sys.argv.pop(1)).resolve()
    if reason := missing():
        print(f"skipped: {reason}")
        sys.exit(SKIPPED)
    own_network()
    unittest.main(verbosity=2)
