"""Reads a compiled descriptor set with nothing but protoc: its text form, as dictionaries."""
import re
import subprocess

TOKEN = re.compile(r'\s*(?:([\w.\-+]+|\[[\w./]+\])|("(?:\\.|[^"\\])*"|\'(?:\\.|[^\'\\])*\')|([{}:]))')


def load(descriptors, proto_folder, googleapis):
    """The FileDescriptorSet in the file `descriptors`; options that we and google.api define are resolved."""
    command = ["protoc", f"-I{proto_folder}", f"-I{googleapis}", "--decode=google.protobuf.FileDescriptorSet",
               "google/protobuf/descriptor.proto", "google/api/annotations.proto", "fabro/api/v1/annotations.proto"]
    with open(descriptors, "rb") as file:
        text = subprocess.run(command, stdin=file, capture_output=True, text=True, check=True).stdout
    # Comments and positions are most of the text and none of the surface.
    text = re.sub(r"^  source_code_info \{\n.*?^  \}\n", "", text, flags=re.M | re.S)
    return parse(text)


def parse(text):
    """A message in protobuf's text form: name -> list of values (str, or dict for a message)."""
    root = {}
    stack = [root]
    name = None
    for word, quoted, mark in TOKEN.findall(text):
        if mark == "{":
            child = {}
            stack[-1].setdefault(name, []).append(child)
            stack.append(child)
            name = None
        elif mark == "}":
            stack.pop()
        elif quoted:
            value = re.sub(r"\\(.)", lambda m: {"n": "\n", "t": "\t"}.get(m[1], m[1]), quoted[1:-1])
            stack[-1].setdefault(name, []).append(value)
            name = None
        elif word and name is None:
            name = word
        elif word:
            stack[-1].setdefault(name, []).append(word)
            name = None
    return root


def one(message, *path):
    """The only value at a path of names; an empty dictionary or None where there is none."""
    for step in path:
        values = message.get(step)
        if not values:
            return {} if step != path[-1] else None
        message = values[-1]
    return message
