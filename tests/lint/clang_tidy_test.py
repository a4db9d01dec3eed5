#!/usr/bin/env python3
"""Runs clang-tidy with .clang-tidy over every .cc of the build: the product's, and with FABRO_TIDY_ALL set the tests' too.

usage: tests/lint/clang_tidy_test.py BUILD_FOLDER
"""
import os
import pathlib
import subprocess
import sys

import per_file


def main(build):
    def check(file, command):
        done = subprocess.run(["clang-tidy-19", "--quiet", "-p", str(build), str(per_file.ROOT / file)],
                              capture_output=True, text=True, check=False)
        return (done.stdout or done.stderr)[-4000:] if done.returncode else ""

    files = per_file.units(build)
    if not os.environ.get("FABRO_TIDY_ALL"):
        files = {file: command for file, command in files.items() if not file.startswith("tests/")}
    version = (per_file.ROOT / ".clang-tidy").read_text()
    return 1 if per_file.run("clang_tidy", build, files, version, check) else 0


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1]).resolve()))
