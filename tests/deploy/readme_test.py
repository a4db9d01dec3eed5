#!/usr/bin/env python3
"""Types the README's walk with curl into a shell, in its order, and looks at what comes back.

usage: tests/deploy/readme_test.py FABRO
"""
import re
import subprocess
import sys
import tempfile
import pathlib

from served import PATIENCE, ROOT, served


def blocks(url):
    section = (ROOT / "README.md").read_text().split("## With curl alone")[1].split("\n## ")[0]
    for block in re.findall(r"```sh\n(.*?)```", section, re.S):
        yield block.replace("http://localhost:3000", url).replace("deploy/examples", str(ROOT / "deploy/examples"))


def script(url):
    lines = ["set -euo pipefail"]
    for block in blocks(url):
        if "curl -N" in block:  # what the README does in another terminal
            block = f"( {block} ) > followed.txt &\n"
        if "/questions" in block:  # a person takes longer to get there than the run does
            lines.append("until curl -s $url/runs/$id/questions | grep -q '\"id\"'; do :; done")
        if "/checkpoint" in block:
            lines.append("wait")
        lines.append(block)
    return "\n".join(lines + ["wait"])


def main(fabro):
    with served(fabro) as (url, _), tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(["bash", "-c", script(url)], cwd=folder, capture_output=True, text=True, timeout=PATIENCE, check=False)
        print(done.stdout, done.stderr)
        assert done.returncode == 0, f"exit code {done.returncode}"
        followed = pathlib.Path(folder, "followed.txt").read_text()
        ids = re.findall(r"^id: (\d+)$", followed, re.M)
        assert ids == [str(n) for n in range(1, len(ids) + 1)], ids
        for word in ("WorkflowRunStarted", "InterviewCompleted", "WorkflowRunCompleted"):
            assert f'"event":"{word}"' in followed, f"no {word} in the stream"
        assert "<svg" in pathlib.Path(folder, "walk.svg").read_text()
        assert '"errors"' not in done.stdout, "an answer is an error"
        assert done.stdout.count('"status":"completed"') >= 1, "the run is not shown as completed"


if __name__ == "__main__":
    main(sys.argv[1])
