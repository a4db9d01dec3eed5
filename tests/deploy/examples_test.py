#!/usr/bin/env python3
"""Runs every example workflow with the client, as deploy/quickstart.sh does.

usage: tests/deploy/examples_test.py FABRO
"""
import json
import subprocess
import sys
import tarfile

from served import PATIENCE, ROOT, served

EXAMPLES = ROOT / "deploy/examples"


def run(fabro, url, name, *options):
    """(exit code, events) of a run followed to its end."""
    done = subprocess.run([fabro, "--server", url, "run", str(EXAMPLES / name), "--json", *options],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE, check=False)
    events = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    print(f"{name} {' '.join(options)}: exit code {done.returncode}, {len(events)} events {done.stderr.strip()}")
    return done.returncode, [event for event in events if "event" in event]


def stages(events, kind="StageCompleted"):
    return [event["node_id"] for event in events if event["event"] == kind]


def expect(actual, wanted, what):
    assert actual == wanted, f"{what}: {actual!r}, wanted {wanted!r}"


def main(fabro):
    with served(fabro) as (url, storage):
        for workflow in sorted(EXAMPLES.glob("*.fabro")):
            done = subprocess.run([fabro, "--server", url, "validate", str(workflow)], capture_output=True, text=True, check=False)
            expect((done.returncode, "warning" in done.stdout + done.stderr), (0, False), f"validate {workflow.name}: {done.stdout}{done.stderr}")

        code, events = run(fabro, url, "hello.fabro")
        expect((code, stages(events)), (0, ["start", "greet"]), "hello")

        code, events = run(fabro, url, "release.fabro", "--answer", "S", "--answer", "A")
        expect(code, 0, "release, shown and approved")
        expect(stages(events, "StageFailed"), ["test"], "what failed")
        path = ["start", "write", "build", "green", "fix", "build", "test", "green", "approve", "look", "approve", "package", "verify"]
        expect(stages(events), path, "what went well")
        expect([event["id"] for event in events], list(range(1, len(events) + 1)), "ids")
        archive = storage / "runs" / events[0]["run_id"] / "work" / "semver-1.0.tar.gz"
        with tarfile.open(archive) as files:
            assert "semver-1.0/semver.cc" in files.getnames(), files.getnames()

        code, events = run(fabro, url, "release.fabro", "--answer", "R")
        expect((code, stages(events)[-1]), (0, "withdraw"), "release, rejected")

        code, events = run(fabro, url, "waits.fabro")
        expect((code, stages(events)), (0, ["start", "breathe", "flaky", "slow", "ask", "last"]), "waits")
        retried = [(event["node_id"], event["attempt"]) for event in events if event["event"] == "StageRetrying"]
        expect([node for node, _ in retried], ["flaky", "flaky", "slow"], "tried again")
        expect(sum(event["event"] == "InterviewTimeout" for event in events), 1, "questions that timed out")


if __name__ == "__main__":
    main(sys.argv[1])
