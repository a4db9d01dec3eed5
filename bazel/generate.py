#!/usr/bin/env python3
"""Writes every BUILD.bazel from CMake's build graph; with --check only says which are out of step.

usage: bazel/generate.py [--check] [BUILD_GRAPH]        (default: build/dev/build_graph.txt)

CMakeLists.txt files are what people edit. Each fabro_library, fabro_program and fabro_test there appends a line
"kind|folder|name|sources|headers|dependencies|programs" to the build graph while CMake configures.
"""
import collections
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
GOOGLEAPIS = "/usr/share/gocode/src/github.com/gogo/googleapis"
HEADER = "# Generated from CMakeLists.txt by bazel/generate.py.\n"


def attributes(pairs):
    lines = []
    for key, values in pairs:
        if values:
            lines += [f"    {key} = ["] + [f'        "{value}",' for value in sorted(values)] + ["    ],"]
    return lines


def label(dep, folder):
    if dep.startswith("@"):
        return "//bazel/system:" + dep[1:]
    return ":" + dep.rsplit("/", 1)[-1] if dep == folder else "//" + dep


def source(path, folder):
    """Sources of another folder are exported by its BUILD.bazel; see exports()."""
    parts = []
    for part in (folder + "/" + path).split("/"):
        if part == "..":
            parts.pop()
        elif part != ".":
            parts.append(part)
    whole = "/".join(parts)
    if whole.startswith(folder + "/"):
        return whole[len(folder) + 1:]
    return "//" + whole.rsplit("/", 1)[0] + ":" + whole.rsplit("/", 1)[1]


def test_headers(files, libraries):
    """The headers under tests/ that these files include, of folders that are no library."""
    found, queue = set(), list(files)
    while queue:
        text = (ROOT / queue.pop()).read_text()
        for header in re.findall(r'^#include "(tests/[^"]+)"', text, re.M):
            if header not in found and header.rsplit("/", 1)[0] not in libraries and (ROOT / header).is_file():
                found.add(header)
                queue.append(header)
    return found


def packages(graph_text):
    libraries = {line.split("|")[1] for line in graph_text.splitlines() if line.startswith("library|")}
    rules = collections.defaultdict(list)
    for line in filter(None, graph_text.splitlines()):
        kind, folder, name, srcs, hdrs, deps, programs = line.split("|")
        deps = deps.split(",") + (["@gtest"] if kind == "test" else [])
        files = [source(f, folder) for f in srcs.split(",") if f]
        headers = [source(f, folder) for f in hdrs.split(",") if f]
        if folder.startswith("tests/") and kind != "library":
            depth = "../" * (folder.count("/") + 1)
            ours = [f"{folder}/{f}" for f in srcs.split(",")]
            headers = [source(depth + h, folder) for h in test_headers(ours, libraries)]
        pairs = [("srcs", files), ("hdrs", headers)] if kind == "library" else [("srcs", files + headers)]
        pairs.append(("deps", {label(d, folder) for d in deps if d}))
        pairs.append(("programs", [f"//{d}:{n}" for d, n in (p.rsplit("/", 1) for p in programs.split(",") if p)]))
        rules[folder].append([f"fabro_cc_{kind}(", f'    name = "{name}",'] + attributes(pairs) + [")"])
    return rules


def proto_package():
    folder = ROOT / "proto"
    protos = sorted(p.relative_to(folder).as_posix() for p in folder.glob("fabro/**/*.proto"))
    texts = {p: (folder / p).read_text() for p in protos}
    services = [p for p in protos if re.search(r"^service ", texts[p], re.M)]
    # What ours import, and what those import in turn.
    imports, queue = set(), [i for t in texts.values() for i in re.findall(r'^import "(google/(?:api|rpc)/.*)";', t, re.M)]
    queue += re.findall(r"google/(?:api|rpc)/\w+\.proto", (folder / "CMakeLists.txt").read_text())
    while queue:
        path = queue.pop()
        if path not in imports:
            imports.add(path)
            text = pathlib.Path(GOOGLEAPIS, path).read_text()
            queue += re.findall(r'^import "(google/(?:api|rpc)/.*)";', text, re.M)
    pairs = [("protos", protos), ("services", services), ("imports", imports), ("deps", ["//bazel/system:grpc"])]
    lines = ["fabro_proto_library(", '    name = "proto",'] + attributes(pairs) + [f'    googleapis = "{GOOGLEAPIS}",', ")"]
    return HEADER + 'load("//bazel:rules.bzl", "fabro_proto_library")\n\n' + "\n".join(lines) + "\n"


def build_files(graph_text):
    """BUILD.bazel texts by folder."""
    texts = {"proto": proto_package()}
    rules = packages(graph_text)
    exported = collections.defaultdict(set)
    for folder_rules in rules.values():
        for line in (line for rule in folder_rules for line in rule):
            found = re.search(r'"//(.+):(.+\.(?:cc|h))"', line)
            if found:
                exported[found[1]].add(found[2])
    for folder in set(rules) | set(exported):
        kinds = sorted({rule[0].rstrip("(") for rule in rules[folder]})
        text = HEADER
        if kinds:
            text += f'load("//bazel:rules.bzl", {", ".join(f"{chr(34)}{k}{chr(34)}" for k in kinds)})\n\n'
        if exported[folder]:
            text += "exports_files([" + ", ".join(f'"{f}"' for f in sorted(exported[folder])) + "])\n\n"
        texts[folder] = text + "\n\n".join("\n".join(rule) for rule in rules[folder])
        texts[folder] = texts[folder].rstrip() + "\n"
    return texts


def main(arguments):
    check = "--check" in arguments
    graph = next((a for a in arguments if a != "--check"), ROOT / "build/dev/build_graph.txt")
    texts = build_files(pathlib.Path(graph).read_text())
    stale = []
    for folder, text in sorted(texts.items()):
        path = ROOT / folder / "BUILD.bazel"
        if not path.exists() or path.read_text() != text:
            stale.append(folder + "/BUILD.bazel")
            if not check:
                path.write_text(text)
    for path in sorted(p for top in ("proto", "core", "gateway", "cli", "tests") for p in (ROOT / top).rglob("BUILD.bazel")):
        folder = path.parent.relative_to(ROOT).as_posix()
        if folder not in texts:
            stale.append(folder + "/BUILD.bazel (no longer declared)")
            if not check:
                path.unlink()
    if check and stale:
        sys.exit("out of step with CMake; run bazel/generate.py:\n  " + "\n  ".join(stale))
    print("nothing to do" if not stale else "wrote:\n  " + "\n  ".join(stale))


if __name__ == "__main__":
    main(sys.argv[1:])
