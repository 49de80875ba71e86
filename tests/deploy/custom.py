"""Holds custom resources against the types of their definitions, as npm packages carry them for TypeScript.

The compiler finds what is missing, what is of another type or not among the allowed values, and fields that do not exist.
"""

import json
import re
import subprocess

PACKAGES = {
    "monitoring.coreos.com": "@kubernetes-models/prometheus-operator",
    "cert-manager.io": "@kubernetes-models/cert-manager",
}


def is_custom(object):
    return object["apiVersion"].split("/")[0] in PACKAGES


def check(objects, packages, name):
    """Errors, with the objects' names. `packages` is the folder in which npm installed what check.sh names."""
    lines = []
    for number, object in enumerate(objects):
        api_version, kind = object["apiVersion"], object["kind"]
        module = f"{PACKAGES[api_version.split('/')[0]]}/{api_version}/{kind}"
        # One line each: by its line the compiler tells which object it is about.
        lines.append(f"import type {{ I{kind} as Kind{number} }} from {json.dumps(module)}; export const object{number}: Kind{number} = {json.dumps(object)};")
    source = packages / "objects.mts"
    source.write_text("\n".join(lines))
    flags = ["--noEmit", "--strict", "--skipLibCheck", "--module", "nodenext", "--moduleResolution", "nodenext"]
    compiler = packages / "node_modules" / ".bin" / "tsc"
    told = subprocess.run([compiler, *flags, source.name], cwd=packages, capture_output=True, text=True)
    found = [
        f"{name(objects[int(line) - 1])}: {message}"
        for line, message in re.findall(r"^objects\.mts\((\d+),\d+\): error \w+: (.*)$", told.stdout, re.MULTILINE)
    ]
    if told.returncode != 0 and not found:
        found.append(f"tsc: {told.stdout}{told.stderr}")
    return found
