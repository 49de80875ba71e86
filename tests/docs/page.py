"""A Markdown page as the checks see it: which lines are prose, what it links, which anchors it has."""

import re

FENCE = re.compile(r"^\s*(`{3,}|~{3,})")
ITEM = re.compile(r"^ *([-*+]|\d+[.)]) ")
HEADING = re.compile(r"^ {0,3}#{1,6} +(.*?)(?: +#+)? *$")
# [text](target), also around a picture; the text may have code with brackets in it.
LINK = re.compile(r"\[(?:`[^`]*`|[^\[\]`])*\]\(<?([^()\s>]+)>?\)")
REFERENCE = re.compile(r"\[([^\[\]]+)\]\[([^\[\]]*)\]")
DEFINITION = re.compile(r"^ {0,3}\[([^\[\]]+)\]: +<?([^\s>]+)>?")
SPAN = re.compile(r"(?<!`)(`+)(?!`)(.+?)(?<!`)\1(?!`)", re.DOTALL)
ANCHOR = re.compile(r"""<a (?:id|name)=["']([^"']+)["']""")


def slug(heading):
    """The anchor that GitHub gives a heading."""
    text = re.sub(r"!?\[([^\[\]]*)\]\([^()]*\)", r"\1", heading)
    text = re.sub(r"<[^<>]*>", "", text)
    return re.sub(r"[^\w\- ]", "", text.strip().lower()).replace(" ", "-")


class Page:
    """`kinds` has a word for each line: `code`, `table`, `heading`, `definition`, `blank` or `prose`."""

    def __init__(self, path):
        self.path = path
        self.lines = path.read_text(encoding="utf-8").split("\n")
        self.kinds = list(kinds(self.lines))

    def of(self, *wanted):
        """Number and text of each line of these kinds."""
        for number, (line, kind) in enumerate(zip(self.lines, self.kinds, strict=True), 1):
            if kind in wanted:
                yield number, line

    def anchors(self):
        found, seen = set(), {}
        for _, line in self.of("heading"):
            name = slug(HEADING.match(line)[1])
            count = seen.get(name, 0)
            seen[name] = count + 1
            found.add(f"{name}-{count}" if count else name)
        for _, line in self.of("prose", "table", "heading"):
            found.update(ANCHOR.findall(line))
        return found

    def links(self):
        """Number of line and target; a reference without a definition has the target None."""
        defined = {}
        for number, line in self.of("definition"):
            name, target = DEFINITION.match(line).groups()
            defined[name.lower()] = target
            yield number, target
        for number, text in self.paragraphs("prose", "table", "heading"):
            bare = SPAN.sub(lambda span: re.sub(r"[^\n]", "x", span[0]), text)
            for link in LINK.finditer(bare):
                yield number + text[: link.start()].count("\n"), link[1]
            for link in REFERENCE.finditer(bare):
                if (link[2] or link[1]).lower() not in defined:
                    yield number + text[: link.start()].count("\n"), None

    def paragraphs(self, *wanted):
        """Lines of these kinds that follow each other, with the number of the first; a row of a table is alone."""
        begin, gathered = 0, []
        for number, (line, kind) in enumerate(zip(self.lines, self.kinds, strict=True), 1):
            if kind == "prose" and kind in wanted:
                begin = begin if gathered else number
                gathered.append(line)
                continue
            if gathered:
                yield begin, "\n".join(gathered)
                gathered = []
            if kind in wanted:
                yield number, line
        if gathered:
            yield begin, "\n".join(gathered)

    def spans(self):
        """Number of line and text of each code span."""
        for number, text in self.paragraphs("prose", "table", "heading"):
            for span in SPAN.finditer(text):
                code = re.sub(r"\s+", " ", span[2].replace("\\|", "|")).strip()
                yield number + text[: span.start()].count("\n"), code

    def code(self):
        """Number and text of each line of code; lines that end with a backslash go on."""
        begun, whole = 0, ""
        for number, line in self.of("code"):
            begun = begun if whole else number
            if line.endswith("\\"):
                whole += line[:-1] + " "
                continue
            yield begun, whole + line
            whole = ""


def kinds(lines):
    # Whether a list is open, of which indented lines are part; else they are code behind a blank line or other code.
    fence, listed, before = None, False, "blank"
    for line in lines:
        if line.strip():
            listed = bool(ITEM.match(line)) or listed and (line.startswith(" ") or before != "blank")
        before = kind(line, fence, listed, before)
        yield before
        opened = FENCE.match(line)
        if opened and not fence:
            fence = opened[1]
        elif opened and opened[1].startswith(fence) and line.strip() == opened[1]:
            fence = None


def kind(line, fence, listed, before):
    if fence or FENCE.match(line):
        return "code"
    if not line.strip():
        return "blank"
    if line.startswith("    ") and not listed and before in ("blank", "code"):
        return "code"
    if line.lstrip().startswith("|"):
        return "table"
    if HEADING.match(line):
        return "heading"
    return "definition" if DEFINITION.match(line) else "prose"
