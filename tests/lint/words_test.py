#!/usr/bin/env python3
"""Fails on words that have no place in a kind of file; each rule says why."""
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
CODE = r"(core|gateway|cli|tests)/.*\.(cc|h)"
PRODUCT = r"(core|gateway|cli)/.*\.(cc|h)"

# Word, files it is looked for in, files that may use it, reason.
RULES = [
    (r"\bdetached\b|\.detach\(\)", CODE, r"", "nothing runs without an owner that waits for it: TaskScope"),
    (r"\bstd::async\b", CODE, r"", "blocking work goes to RunBlocking or to a named thread"),
    (r"\bstd::j?thread\b(?!::hardware_concurrency|::id)", PRODUCT, r"core/(async|storage|net)/.*", "threads belong to core/async, core/storage and core/net"),
    (r"(?i)for_test|fortest", PRODUCT, r"", "product code has no doors for tests: pass a clock, a store, a client"),
    (r"\babsl::(Mutex|MutexLock|CondVar)\b", CODE, r"", "absl::Mutex is invisible to ThreadSanitizer here: core/base/mutex.h"),
    (r"\babsl::(StrCat|StrAppend|string_view)\b", PRODUCT, r"core/base/(strings|error)\.cc", "absl::string_view is its own class here: core/base/strings.h"),
    (r"\b(TODO|FIXME|XXX)\b", r".*\.(cc|h|proto|py|sh|md|cmake|txt|toml|fabro)", r"tests/lint/words_test\.py", "write an issue, or do it"),
    (r"\bstd::this_thread::sleep_(for|until)\b|\busleep\(|[^_\w]sleep\(\d", CODE, r"tests/bench/.*", "wait for what happens, not for time to pass"),
    (r"\bGTEST_SKIP\b|\bDISABLED_\w", r"tests/.*\.cc", r"", "a test that does not run tests nothing"),
    (r"\bgmock/", CODE, r"", "fakes are hand-written"),
]


def without_comments_and_strings(line):
    line = re.sub(r'"(\\.|[^"\\])*"', '""', line)
    return line.split("//", 1)[0]


def main():
    listing = subprocess.run(["git", "-C", str(ROOT), "ls-files", "-z"], capture_output=True, text=True, check=True).stdout
    names = [name for name in listing.split("\0") if name]
    problems = []
    for name in names:
        rules = [(re.compile(word), reason) for word, where, allowed, reason in RULES
                 if re.fullmatch(where, name) and not re.fullmatch(allowed, name)]
        if not rules or not (ROOT / name).is_file():
            continue
        is_code = name.endswith((".cc", ".h"))
        for number, line in enumerate((ROOT / name).read_text(errors="replace").splitlines(), 1):
            for word, reason in rules:
                # A word about unfinished work counts in comments too, a name only in code.
                text = without_comments_and_strings(line) if is_code and "TODO" not in word.pattern else line
                if word.search(text):
                    problems.append(f"{name}:{number}: {line.strip()}\n    {reason}")
    print("\n".join(problems) if problems else f"{len(names)} files hold no such word")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
