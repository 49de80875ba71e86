#!/usr/bin/env python3
"""Holds the README and the pages of docs/ against the repository and the binary (`make docs`).

    check.py SEAWAY [ROOT]

Fails for a link or an anchor that leads nowhere (in every page of the repository), for a page that no index links, and in README.md and
docs/ for a line of prose that is too long, and for a flag that the command which is named does not have. No network.
"""

import sys
from pathlib import Path

import flags
from page import Page

INDEX = "docs/README.md"
WIDTH = 120
# Of the README.
LINES = 150
# Folders without pages of ours.
OTHERS = {".git", ".tools", "target", "node_modules"}


def pages(root):
    for path in sorted(root.rglob("*.md")):
        if not OTHERS & set(path.relative_to(root).parts):
            yield path


def lead(page, target, known):
    """What is wrong with a link; None if it leads somewhere."""
    if target is None:
        return "a reference without a definition"
    if "://" in target or target.startswith("mailto:"):
        return None
    name, _, anchor = target.partition("#")
    path = (page.path.parent / name).resolve() if name else page.path
    if not path.exists():
        return f"{target} leads nowhere"
    if path.is_dir():
        path = path / "README.md"
    if anchor and anchor not in known.get(path, Page(path) if path.suffix == ".md" else page).anchors():
        return f"{target} has no such anchor"
    return None


def unlisted(root, known):
    """Pages that neither the index links nor a README that the index links."""
    if not (index := known.get(root / INDEX)):
        yield INDEX, 1, "there is no index"
        return
    reached = linked(index)
    for path in [path for path in reached if path.name == "README.md" and path in known]:
        reached |= linked(known[path])
    for path in known:
        if path not in reached and path not in (root / INDEX, root / "README.md"):
            yield path.relative_to(root), 1, f"neither {INDEX} nor a README that it links names this page"


def linked(page):
    targets = (target.partition("#")[0] for _, target in page.links() if target and "://" not in target)
    paths = ((page.path.parent / target).resolve() for target in targets if target)
    return {path / "README.md" if path.is_dir() else path for path in paths}


def too_long(page, *kinds):
    for number, line in page.of(*kinds):
        # What has no space cannot be wrapped.
        if len(line) > WIDTH and " " in line.strip():
            yield number, f"{len(line)} columns; {WIDTH} are enough"


def front(page):
    """What the README alone keeps to: it is read in a terminal, and to its end."""
    yield from too_long(page, "code", "table", "definition", "heading")
    if len(page.lines) - 1 > LINES:
        yield LINES + 1, f"more than {LINES} lines"


def errors(root, programs):
    """Page, line and complaint."""
    known = {path: Page(path) for path in pages(root)}
    for path, page in known.items():
        name = path.relative_to(root)
        found = [(number, wrong) for number, target in page.links() if (wrong := lead(page, target, known))]
        ours = name.parts[0] in ("README.md", "docs")
        if ours:
            found += too_long(page, "prose")
        if str(name) == "README.md":
            found += front(page)
        if ours or name.parts[0] == "deploy":
            found += flags.check(page, programs)
        yield from ((name, number, wrong) for number, wrong in sorted(found))
    yield from unlisted(root, known)


def main(seaway, root="."):
    root = Path(root).resolve()
    found = list(errors(root, flags.Programs(seaway, root)))
    for name, number, wrong in found:
        print(f"{name}:{number}: {wrong}", file=sys.stderr)
    if found:
        sys.exit(1)
    print(f"docs: {len(list(pages(root)))} pages, every link leads somewhere, every flag exists")


if __name__ == "__main__":
    main(*sys.argv[1:])
