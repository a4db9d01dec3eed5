"""Runs a check over the translation units of a build, two at a time, and remembers which passed.

A file is checked again when it, a header of ours it includes, its command line or the check itself has changed.
"""
import concurrent.futures
import hashlib
import json
import os
import pathlib
import re
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
INCLUDE = re.compile(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]', re.M)


def units(build):
    """Our .cc files with their command lines, by path relative to the root."""
    found = {}
    for entry in json.loads((build / "compile_commands.json").read_text()):
        path = pathlib.Path(entry["directory"], entry["file"]).resolve()
        if path.is_relative_to(ROOT) and not path.is_relative_to(build):
            found[path.relative_to(ROOT).as_posix()] = entry["command"]
    return found


class Includes:
    """The files of ours that a file reads, itself among them; a generated header counts as its .proto."""

    def __init__(self):
        self.direct = {}

    def of(self, file):
        found, queue = set(), [file]
        while queue:
            path = queue.pop()
            if path not in found:
                found.add(path)
                queue += self._direct(path)
        return sorted(found)

    def _direct(self, file):
        if file not in self.direct:
            path = ROOT / file
            names = INCLUDE.findall(path.read_text()) if path.suffix in (".cc", ".h") else []
            names = [re.sub(r"^(fabro/.*?)(\.grpc)?\.pb\.h$", r"proto/\1.proto", name) for name in names]
            beside = os.path.dirname(file)
            self.direct[file] = [place for name in names for place in (name, f"{beside}/{name}") if (ROOT / place).is_file()]
        return self.direct[file]


def run(title, build, files, version, check, jobs=2):
    """Checks the files (path -> command line) and returns how many have findings.

    check(file, command) returns the text of its findings, empty when clean. version stands for the check itself.
    """
    cache = build / "lint" / title
    cache.mkdir(parents=True, exist_ok=True)
    includes, contents = Includes(), {}

    def key(file):
        digest = hashlib.sha256(f"{version}\0{files[file]}".encode())
        for path in includes.of(file):
            if path not in contents:
                contents[path] = hashlib.sha256((ROOT / path).read_bytes()).digest()
            digest.update(contents[path])
        return digest.hexdigest()

    started, todo = time.monotonic(), []
    for file in sorted(files):
        stamp = cache / file.replace("/", "__")
        if not stamp.exists() or stamp.read_text() != key(file):
            todo.append((file, stamp))
    bad = 0
    # What includes most goes first, so that no long one is left for the end.
    todo.sort(key=lambda item: -len(includes.of(item[0])))
    with concurrent.futures.ThreadPoolExecutor(min(jobs, os.cpu_count() or 1)) as pool:
        for (file, stamp), text in zip(todo, pool.map(lambda item: check(item[0], files[item[0]]), todo)):
            if text:
                bad += 1
                print(f"{file}:\n{text}\n", flush=True)
            else:
                stamp.write_text(key(file))
    print(f"{title}: {len(files)} files, {len(todo)} checked in {time.monotonic() - started:.0f} s, {bad} with findings")
    return bad
