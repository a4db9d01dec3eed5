#!/usr/bin/env python3
"""Fails on a header that does not compile alone: whoever includes it first would have to know what it needs.

usage: tests/lint/headers_test.py BUILD_FOLDER
"""
import pathlib
import re
import subprocess
import sys

import per_file


def main(build):
    # A header is compiled with the macros and include folders of a .cc of its folder, without a precompiled header.
    flags = {}
    for file, command in per_file.units(build).items():
        words = command.split()
        keep = [w for i, w in enumerate(words) if re.match(r"-([ID]|std=|isystem)", w) or words[i - 1] == "-isystem"]
        flags.setdefault(str(pathlib.PurePath(file).parent), " ".join(keep))

    def check(file, command):
        done = subprocess.run(["clang++-19", *command.split(), "-fsyntax-only", "-x", "c++", "-Wno-pragma-once-outside-header",
                               str(per_file.ROOT / file)], capture_output=True, text=True, check=False, cwd=build)
        return done.stderr[-2000:] if done.returncode else ""

    files = {}
    for line in filter(None, (build / "build_graph.txt").read_text().splitlines()):
        _, folder, _, srcs, hdrs, _, _ = line.split("|")
        for header in filter(None, hdrs.split(",")):
            nearest = [f for f in (folder, str(pathlib.PurePath(folder, header).parent)) if f in flags]
            files[f"{folder}/{header}"] = flags[nearest[0]] if nearest else next(iter(flags.values()))
    return 1 if per_file.run("headers", build, files, pathlib.Path(__file__).read_text(), check) else 0


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1]).resolve()))
