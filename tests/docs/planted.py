#!/usr/bin/env python3
"""Checks the checks: a small book passes, and each fault that is planted in it is found, at its line and alone.

    planted.py SEAWAY
"""

import sys
import tempfile
from pathlib import Path

import flags
from check import LINES, WIDTH, errors

LONG = "word " * 30
BOOK = {
    "README.md": "# Seaway\n\nSee [docs](docs/README.md), [a part](docs/page.md#a-part-of-it-1) and [it][page].\n\n[page]: docs/page.md\n",
    "docs/README.md": "# Index\n\n| page |\n|---|\n| [page](page.md) |\n| [deploy](../deploy/) |\n",
    "docs/page.md": f"""# Page

A part is [here](#a-part-of-it), an address <a id="61"></a>is [there](#61), a file is [code](../deploy/x.yaml).
`[not](a-link.md)` is code, `serve --files` and `--capture` are flags, `envoy --no-flag-of-ours` is another program's.

## A part of `it`

```sh
ls --no-flag-of-ours [not](a-link.md)            # {LONG}
target/release/seaway serve --files world \\
  --xds-listen 127.0.0.1:1 | cat --no-flag-of-ours
seaway get changes --waiting && setup.sh up --capture bind
```

| {LONG} |
|---|

    indented --no-flag-of-ours [not](a-link.md) """ + LONG + f"""

- An item

  goes on.

## A part of `it`

https://example.com/{"x" * WIDTH}
""",
    "deploy/README.md": "# Deploy\n\n[Below](below/README.md)\n",
    "deploy/below/README.md": "# Below\n\n" + LONG + "\n",
    "deploy/x.yaml": "",
    "deploy/node/setup.sh": "case --capture in --node-ports) ;; esac\n",
}
# A page, the text that is put at its end, and what the check says of it.
FAULTS = [
    ("docs/page.md", "Prose [gone](gone.md).\n", "gone.md leads nowhere"),
    ("docs/page.md", "- of [two\n  lines](gone.md)\n", "gone.md leads nowhere"),
    ("docs/page.md", "| [gone](gone.md) |\n", "gone.md leads nowhere"),
    ("docs/page.md", "[gone](../deploy/gone.yaml)\n", "../deploy/gone.yaml leads nowhere"),
    ("docs/page.md", "[gone](#a-part-of-it-2)\n", "#a-part-of-it-2 has no such anchor"),
    ("README.md", "[gone](docs/page.md#62)\n", "docs/page.md#62 has no such anchor"),
    ("README.md", "[gone][nobody]\n", "a reference without a definition"),
    ("README.md", "[gone]: docs/gone.md\n", "docs/gone.md leads nowhere"),
    ("deploy/below/README.md", "[gone](gone.md)\n", "gone.md leads nowhere"),
    ("docs/page.md", "a" * (WIDTH - 1) + " b\n", f"{WIDTH + 1} columns; {WIDTH} are enough"),
    ("docs/page.md", f"- {LONG}\n", f"{len(LONG) + 2} columns; {WIDTH} are enough"),
    ("docs/page.md", f"- item\n\n      {LONG}\n", f"{len(LONG) + 6} columns; {WIDTH} are enough"),
    ("README.md", f"| {LONG}|\n", f"{len(LONG) + 3} columns; {WIDTH} are enough"),
    ("README.md", f"```\n{LONG}\n```\n", f"{len(LONG)} columns; {WIDTH} are enough"),
    ("README.md", "word\n" * LINES, f"more than {LINES} lines"),
    ("docs/page.md", "`--no-such-flag`\n", "no command has --no-such-flag"),
    ("docs/page.md", "`serve --node-id`\n", "seaway serve has no --node-id"),
    ("docs/page.md", "`seaway serve --node-id`\n", "seaway serve has no --node-id"),
    ("docs/page.md", "`seaway get proxies --waiting`\n", "seaway get proxies has no --waiting"),
    ("docs/page.md", "`seaway sail`\n", "there is no command seaway sail"),
    ("docs/page.md", "| `setup.sh up --no-such-flag` |\n", "setup.sh has no --no-such-flag"),
    ("docs/page.md", "```sh\n./seaway serve --node-id a\n```\n", "seaway serve has no --node-id"),
    ("README.md", '```sh\nenvoy -c "$(seaway bootstrap --files a)"\n```\n', "seaway bootstrap has no --files"),
    ("docs/page.md", "```sh\nseaway serve \\\n  --node-id a\n```\n", "seaway serve has no --node-id"),
    ("docs/alone.md", "# Alone\n", "neither docs/README.md nor a README that it links names this page"),
    ("docs/README.md", None, "there is no index"),
]


def book(folder, page=None, text=""):
    """Writes the book with a fault, and says in which lines that is."""
    for name, content in BOOK.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    if text is None:
        (folder / page).unlink()
        return range(1, 2)
    if page is None:
        return range(0)
    before = BOOK.get(page, "")
    between = "\n" if before else ""
    (folder / page).write_text(before + between + text)
    first = (before + between).count("\n") + 1
    return range(first, first + text.count("\n"))


def main(seaway):
    root = Path(__file__).resolve().parents[2]
    programs = flags.Programs(seaway, root)
    wrong = []
    for page, text, complaint in [(None, "", None), *FAULTS]:
        with tempfile.TemporaryDirectory() as folder:
            folder = Path(folder).resolve()
            lines = book(folder, page, text)
            found = list(errors(folder, programs))
        # Without an index its README has a dead link, too.
        found = [error for error in found if text is not None or error[2] == complaint]
        is_right = [(str(name), said) for name, _, said in found] == ([(page, complaint)] if page else [])
        if not is_right or not all(number in lines for _, number, _ in found):
            wrong.append(f"planted {page}: {text!r}\n  wanted: {complaint} in {lines}\n  found: {found}")
    if wrong:
        sys.exit("\n".join(wrong))
    print(f"docs: {len(FAULTS)} planted faults are found")


if __name__ == "__main__":
    main(*sys.argv[1:])
