"""Flags that pages name, held against what the programs of this repository say of themselves."""

import re
import subprocess

# Flags of other programs that stand alone in a code span.
FOREIGN = {
    "build-arg": "docker",
    "cluster-dns": "kubelet",
    "concurrency": "envoy",
    "drain-time-s": "envoy",
}
FLAG = re.compile(r"--[a-z][a-z0-9-]*")
# The end of a command in a shell.
END = re.compile(r"^(\||\|\||&|&&|;|>|>>|2>|<|#.*|\))$")
SCRIPTS = {"setup.sh": "deploy/node/setup.sh", "certs.sh": "deploy/certs.sh"}


class Programs:
    """The flags of each command of seaway and of the scripts of deploy/."""

    def __init__(self, seaway, root):
        self.commands = {name: read_help(seaway, name) for name in names(seaway)}
        for list_ in names(seaway, "get"):
            self.commands[f"get {list_}"] = read_help(seaway, "get", list_)
        self.commands["get"] = set().union(*(flags for name, flags in self.commands.items() if name.startswith("get")))
        self.scripts = {}
        for name, path in SCRIPTS.items():
            if (root / path).exists():
                self.scripts[name] = set(FLAG.findall((root / path).read_text()))
        self.all = set().union(*self.commands.values(), *self.scripts.values(), (f"--{name}" for name in FOREIGN))


def names(*command):
    """The commands that a help lists."""
    text = told(*command)
    listed = text.split("\nCommands:\n", 1)[1].split("\n\n", 1)[0]
    return [name for name in re.findall(r"^  ([a-z-]+)", listed, re.MULTILINE) if name != "help"]


def read_help(*command):
    # A usage is indented by six or fewer; examples in the text of a flag are not at the start of a line.
    return set(re.findall(r"^ {2,6}(?:-\w, )?(--[a-z0-9-]+)", told(*command), re.MULTILINE)) | {"--help", "--version"}


def told(*command):
    return subprocess.run([*command, "--help"], capture_output=True, text=True, check=True).stdout


def check(page, programs):
    """Number of line and complaint for each flag that the named program does not have."""
    for number, line in page.code():
        yield from ((number, wrong) for wrong in of_line(line, programs))
    for number, code in page.spans():
        first = code.split(" ", 1)[0]
        if first in programs.commands and " --" in code:
            code = f"seaway {code}"
        if code.startswith("--"):
            flag = FLAG.match(code)
            if flag and flag[0] not in programs.all:
                yield number, f"no command has {flag[0]}"
        else:
            yield from ((number, wrong) for wrong in of_line(code, programs))


def of_line(line, programs):
    """What is wrong with each command of a line of shell."""
    words = re.sub(r"([|;&()]|\$\()", r" \1 ", line.replace('"', " ").replace("`", " ")).split()
    words = [word for word in words if word not in ("$", "$(")]
    for place, word in enumerate(words):
        program = word.rsplit("/", 1)[-1]
        rest = words[place + 1 :]
        if program in programs.scripts:
            yield from unknown(rest, programs.scripts[program], program)
        elif program in ("seaway", "seaway-new") and rest and rest[0] in programs.commands:
            command = " ".join(rest[:2])
            command = command if command in programs.commands else rest[0]
            yield from unknown(rest[1:], programs.commands[command], f"seaway {command}")
        elif program == "seaway" and place == 0 and rest and re.fullmatch(r"[a-z-]+", rest[0]):
            yield f"there is no command seaway {rest[0]}"


def unknown(words, flags, program):
    for word in words:
        if END.match(word):
            return
        flag = FLAG.match(word)
        if flag and flag[0] not in flags:
            yield f"{program} has no {flag[0]}"
