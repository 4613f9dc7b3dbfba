# SPDX-License-Identifier: Apache-2.0
# A small reader of our C: enough to know comments from code, functions from declarations, and how long each is. It
# relies on the house format (.clang-format: a function's braces stand alone in column 0), which `make fmt` keeps.
import re


class Function:
    def __init__(self, name, line, length, params):
        self.name, self.line, self.length, self.params = name, line, length, params


def blank(text):
    """The text with comments and the inside of string and character literals replaced by spaces; lines stay."""
    pattern = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)

    def space(match):
        found = match.group(0)
        keep = found[0] in "\"'"
        inner = re.sub(r"[^\n]", " ", found[1:-1] if keep else found)
        return found[0] + inner + found[-1] if keep else inner

    return pattern.sub(space, text)


def count_params(signature):
    start = signature.rfind("(") if signature.count("(") == 1 else signature.find("(")
    depth, commas = 0, 0
    for c in signature[start:]:
        depth += (c in "([") - (c in ")]")
        commas += c == "," and depth == 1
        if depth == 0:
            break
    inside = signature[start + 1 : signature.rfind(")")].strip()
    return 0 if inside in ("", "void") else commas + 1


def functions(code):
    """Functions of blanked code: '{' alone in column 0 after a line that ends the signature with ')'."""
    lines = code.split("\n")
    found = []
    for i, line in enumerate(lines):
        if line.rstrip() != "{" or i == 0:
            continue
        first = i - 1
        while first > 0 and lines[first - 1].strip() and not re.match(r"[;}#]|.*[;}]\s*$", lines[first - 1]):
            first -= 1
        signature = re.sub(r"__attribute__\s*\(\(.*?\)\)\)?", " ", " ".join(lines[first:i]))
        name = re.search(r"(\w+)\s*\(", signature)
        if not name:
            continue
        end = next((k for k in range(i, len(lines)) if lines[k].startswith("}")), len(lines) - 1)
        found.append(Function(name.group(1), first + 1, end - i + 1, count_params(signature[name.start() :])))
    return found


def file_scope(code):
    """Statements at file scope: (line, text), without function bodies and the inside of braces."""
    out, depth, current, begun = [], 0, "", 0
    for number, line in enumerate(code.split("\n"), 1):
        if line.startswith("#") or (current.endswith("\\\n") and depth == 0):
            current = current if depth else ("\\\n" if line.endswith("\\") else "")
            continue
        if current == "\\\n":
            current = ""
        for c in line + "\n":
            if c == "}":
                depth -= 1
                if depth == 0 and not re.search(r"=|\b(struct|enum|union|typedef)\b[^()]*$", current):
                    current = ""
            elif c == "{":
                depth += 1
            elif depth == 0 and c == ";":
                out.append((begun, " ".join(current.split())))
                current = ""
            elif depth == 0:
                begun = number if not current.strip() else begun
                current += c
    return out
