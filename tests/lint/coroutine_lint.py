#!/usr/bin/env python3
"""Fails on a co_await whose full expression holds a temporary that GCC 12 destroys twice: name it, then await it.

usage: tests/lint/coroutine_lint.py BUILD_FOLDER
"""
import pathlib
import re
import subprocess
import sys

import per_file

PATTERNS = {
    "a lambda inside a co_await expression": "coawaitExpr(isExpansionInMainFile(), hasDescendant(lambdaExpr()))",
    "a braced initialiser inside a co_await expression": "coawaitExpr(isExpansionInMainFile(), hasDescendant(initListExpr()))",
    "a braced initialiser around a co_await": "initListExpr(isExpansionInMainFile(), hasDescendant(coawaitExpr()))",
}


def main(build):
    def check(file, command):
        commands = ["-c", "set output diag", "-c", "set bind-root true"]
        for pattern in PATTERNS.values():
            commands += ["-c", "match " + pattern]
        done = subprocess.run(["clang-query-19", "-p", str(build), *commands, str(per_file.ROOT / file)],
                              capture_output=True, text=True, check=False)
        if done.returncode or "error:" in done.stderr:
            return (done.stderr or done.stdout)[-2000:]
        findings, places = [], []
        names = iter(PATTERNS)
        for line in done.stdout.splitlines():
            if found := re.match(r'(.+:\d+:\d+): note: "root" binds here', line):
                places.append(found[1])
            elif re.fullmatch(r"\d+ match(es)?\.", line):
                name = next(names)
                findings += [f"{place}: {name}" for place in places]
                places = []
        return "\n".join(sorted(set(findings)))

    files = {f: c for f, c in per_file.units(build).items() if re.search("co_await|FABRO_CO_", (per_file.ROOT / f).read_text())}
    version = pathlib.Path(__file__).read_text()
    return 1 if per_file.run("coroutine_lint", build, files, version, check) else 0


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1]).resolve()))
