"""Holds the manifests of deploy/ against the schemas of Kubernetes and against the project's own rules.

Called by check.sh with the folder that has what kustomize made of them (nothing, where there is no kustomize: then the files themselves are
looked at), and the one with the packages of npm, if there is npm.
"""

import json
import os
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import kubernetes_validate
import yaml
from jsonschema import Draft202012Validator
from referencing import Registry, Resource

import custom
import policy
import references

KUBERNETES = ["1.33", "1.34", "1.35", "1.36"]

ROOT = Path(__file__).resolve().parents[2]
SCHEMAS = Path(kubernetes_validate.__file__).parent / "kubernetes-json-schema"


def documents(path):
    """The objects of a file."""
    return [object for object in yaml.safe_load_all(path.read_text()) if object]


def name(object):
    """Which object, in messages."""
    metadata = object["metadata"]
    where = f"{metadata['namespace']}/" if "namespace" in metadata else ""
    return f"{object['kind']} {where}{metadata['name']}"


@cache
def registry(version):
    """All definitions of a version of Kubernetes."""
    definitions = json.loads((SCHEMAS / f"v{version}.0-local-strict" / "_definitions.json").read_text())
    return Resource.from_contents(definitions) @ Registry()


@cache
def validator(version, api_version, kind):
    """What an object must be; fields that do not exist are errors. None for a kind without a schema."""
    group = re.sub(r"^([^./]*)(?:\.[^/]*)?/", r"\1-", api_version)
    path = SCHEMAS / f"v{version}.0-local-strict" / f"{kind.lower()}-{group}.json"
    if not path.exists():
        return None
    schema = json.loads(path.read_text())
    return Draft202012Validator(schema, registry=Resource.from_contents(schema) @ registry(version))


def against_schemas(object):
    """What API servers would refuse, each once with their versions."""
    errors = {}
    for version in KUBERNETES:
        check = validator(version, object["apiVersion"], object["kind"])
        if check is None:
            errors.setdefault(f"there is no {object['apiVersion']} {object['kind']}", []).append(version)
            continue
        for error in check.iter_errors(object):
            field = ".".join(str(part) for part in error.absolute_path)
            errors.setdefault(f"{field}: {error.message}", []).append(version)
    return [f"{error} (Kubernetes {', '.join(versions)})" for error, versions in errors.items()]


def flags(command):
    """The flags and variables of a command, by its own help; None without a binary."""
    binary = ROOT / os.environ.get("SEAWAY", "target/debug/seaway")
    if not binary.exists():
        return None
    text = subprocess.run([binary, command, "--help"], capture_output=True, text=True, check=True).stdout
    return set(re.findall(r"--([a-z0-9-]+)", text)), set(re.findall(r"\[env: (\w+)=", text))


def against_flags(objects):
    """Arguments of Seaway that it does not know, and variables that no command does."""
    known = {command: flags(command) for command in ["serve", "bootstrap", "drain", "ready"]}
    if None in known.values():
        return ["no binary of Seaway: make deploy-check builds it"]
    found = []
    for object, pod in policy.pods(objects):
        for container in policy.containers(pod):
            if "/seaway:" not in container["image"]:
                continue
            commands = [container["args"]]
            for probe in ["readinessProbe", "livenessProbe", "startupProbe"]:
                if run := container.get(probe, {}).get("exec", {}).get("command"):
                    commands.append(run[1:])
            for command, *arguments in commands:
                for argument in arguments:
                    flag = argument.removeprefix("--").split("=")[0]
                    if flag not in known[command][0]:
                        found.append(f"{name(object)}: seaway {command} has no --{flag}")
    variables = known["serve"][1] | known["bootstrap"][1]
    for object in objects:
        if object["kind"] == "ConfigMap" and object["metadata"]["name"].startswith("seaway-settings"):
            for key in object["data"]:
                if key.startswith("SEAWAY_") and key not in variables:
                    found.append(f"{name(object)}: no command has the variable {key}")
    return found


def files():
    """The manifests as they are, for a machine without kustomize; patches are parts of objects, and cannot be held against anything."""
    for folder in ["base", "components", "overlays", "examples"]:
        for path in sorted((ROOT / "deploy" / folder).glob("**/*.yaml")):
            patch = folder == "overlays" and path.name in {"control-plane.yaml", "namespace.yaml"}
            if path.name != "kustomization.yaml" and not patch:
                yield path


def main(folder, packages=None):
    built = sorted(Path(folder).glob("deploy-*.yaml")) + sorted(Path(folder).glob("combination-*.yaml"))
    alone = list(Path(folder).glob("certs-*.yaml"))
    errors, seen = {}, {}

    def report(found, where):
        for error in found:
            errors.setdefault(error, []).append(where)

    for path in [*built, *alone] if built else [*files(), *Path(folder).glob("certs-*.yaml")]:
        objects = documents(path)
        for object in objects:
            key = json.dumps(object, sort_keys=True)
            if key not in seen and not custom.is_custom(object):
                report([f"{name(object)}: {error}" for error in against_schemas(object)], path.stem)
            seen[key] = object
        if path in built:
            for check in [references.check, policy.check, against_flags]:
                report(check(objects), path.stem)
    if built:
        report(policy.unused(), "policy")
    of_operators = [object for object in seen.values() if custom.is_custom(object)]
    if packages:
        report(custom.check(of_operators, Path(packages).resolve(), name), "types")
    else:
        kinds = sorted({object["kind"] for object in of_operators})
        print(f"skipped: {', '.join(kinds)} against their definitions: node and npm are not installed")
    for error, where in sorted(errors.items()):
        print(f"{error} [{where[0]}{f' and {len(where) - 1} more' if where[1:] else ''}]", file=sys.stderr)
    print(f"deploy: {len(seen)} objects against Kubernetes {', '.join(KUBERNETES)}: {len(errors)} errors")
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
