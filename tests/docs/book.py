#!/usr/bin/env python3
"""Builds the pages of docs/ as a book with mdBook, in the order of their index (`make docs`, where mdbook is installed).

    book.py FOLDER        the book is FOLDER/book/index.html
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from page import DEFINITION, LINK, Page

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
ONLINE = "https://github.com/seaway-dev/seaway/blob/main"
SETTINGS = '[book]\ntitle = "Seaway"\n\n[output.html]\ngit-repository-url = "https://github.com/seaway-dev/seaway"\n'


def outside(page, target):
    """A link as the book has it: what is no page of docs/ is read online."""
    name, _, anchor = target.partition("#")
    path = (page.parent / name).resolve()
    if "://" in target or not name or path.is_relative_to(DOCS):
        return target
    return f"{ONLINE}/{path.relative_to(ROOT)}" + (f"#{anchor}" if anchor else "")


def copied(page):
    lines = []
    for line, kind in zip(page.lines, page.kinds, strict=True):
        if kind != "code":
            for pattern, group in ((LINK, 1), (DEFINITION, 2)):
                line = pattern.sub(
                    lambda link, group=group: link[0].replace(link[group], outside(page.path, link[group])), line
                )
        lines.append(line)
    return "\n".join(lines)


def summary(index):
    """What mdBook goes by: the sections of the index, and the pages of docs/ in each."""
    yield "# Summary\n\n[The book of Seaway](README.md)"
    for line, kind in zip(index.lines, index.kinds, strict=True):
        if kind == "heading" and line.startswith("## "):
            yield f"\n# {line[3:]}\n"
        elif row := re.match(r"^\| \[[^\[\]]+\]\(([^()#]+\.md)\)", line):
            if not row[1].startswith("../"):
                title = Page(DOCS / row[1]).lines[0].removeprefix("# ")
                yield f"- [{title}]({row[1]})"


def main(folder):
    folder = Path(folder)
    shutil.rmtree(folder, ignore_errors=True)
    for path in DOCS.rglob("*"):
        copy = folder / "src" / path.relative_to(DOCS)
        copy.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".md":
            copy.write_text(copied(Page(path)), encoding="utf-8")
        elif path.is_file():
            shutil.copy(path, copy)
    (folder / "src/SUMMARY.md").write_text("\n".join(summary(Page(DOCS / "README.md"))) + "\n", encoding="utf-8")
    (folder / "book.toml").write_text(SETTINGS, encoding="utf-8")
    if not shutil.which("mdbook"):
        print("skipped: the book, since there is no mdbook (cargo install --locked mdbook)")
        return
    subprocess.run(["mdbook", "build", folder], check=True, env=os.environ | {"RUST_LOG": "error"})
    print(f"docs: {folder}/book/index.html")


if __name__ == "__main__":
    main(*sys.argv[1:])
