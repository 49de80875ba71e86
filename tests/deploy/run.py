"""Runs what pods of deploy/ would run, with the files that their volumes would have: Seaway's own container until it is alive and
presents its certificate, and every bootstrap, whose Envoy then has to accept it.

Called by check.sh, in a network of its own, with a folder of built manifests and the one that certs.sh made. Flags that need a file which no
volume brings, mounts that differ between the bootstrap and its Envoy, and configurations that Envoy refuses are errors.
"""

import os
import re
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import yaml

import policy

ROOT = Path(__file__).resolve().parents[2]
SEAWAY = ROOT / os.environ.get("SEAWAY", "target/debug/seaway")
# What the downward API would say.
FIELDS = {"metadata.name": "pod-1", "metadata.namespace": "default", "spec.nodeName": "node-1", "status.hostIPs": "192.0.2.1", "status.hostIP": "127.0.0.1"}
LIMITS = {"limits.memory": "1073741824"}
# Where a pod finds its account, in the private /run of in-namespaces.sh.
ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
# What the kubelet adds to every pod: the API server's Service. Variables of the pod come before it.
KUBELET = {"KUBERNETES_SERVICE_HOST": "10.96.0.1", "KUBERNETES_SERVICE_PORT": "443"}


class Pod:
    """A pod whose volumes are folders."""

    def __init__(self, objects, object, pod, certificates, folder):
        self.name, self.pod, self.objects = object["metadata"]["name"], pod, objects
        self.volumes = {volume["name"]: self.volume(volume, certificates, folder) for volume in pod["volumes"]}

    def volume(self, volume, certificates, folder):
        path = folder / self.name / volume["name"]
        path.mkdir(parents=True)
        if volume.get("configMap", {}).get("name") == "seaway-ca":
            files = {"ca.crt": (certificates / "ca.crt").read_text()}
        elif volume.get("secret", {}).get("secretName") == "seaway-tls":
            files = {name: (certificates / name).read_text() for name in ["tls.crt", "tls.key", "ca.crt"]}
        elif "projected" in volume:
            files = {source["serviceAccountToken"]["path"]: "a.b.c" for source in volume["projected"]["sources"]}
        else:
            files = {}
        for name, text in files.items():
            (path / name).write_text(text)
        return path

    def mounts(self, container):
        return {mount["mountPath"]: mount["name"] for mount in container.get("volumeMounts", [])}

    def environment(self, container):
        variables = {}
        for source in container.get("envFrom", []):
            name = source["configMapRef"]["name"]
            [settings] = [each for each in self.objects if each["kind"] == "ConfigMap" and each["metadata"]["name"] == name]
            variables.update(settings["data"])
        for variable in container.get("env", []):
            source = variable.get("valueFrom", {})
            if "resourceFieldRef" in source:
                variables[variable["name"]] = LIMITS[source["resourceFieldRef"]["resource"]]
            else:
                variables[variable["name"]] = variable.get("value") or FIELDS[source["fieldRef"]["fieldPath"]]
        return variables

    def arguments(self, container):
        """With variables and paths put in."""
        variables, found = self.environment(container), []
        for argument in container["args"]:
            argument = re.sub(r"\$\((\w+)\)", lambda match: variables[match[1]], argument)
            for path, volume in self.mounts(container).items():
                argument = re.sub(rf"(^|=){re.escape(path)}(?=/|$)", rf"\g<1>{self.volumes[volume]}", argument)
            assert not re.search(r"(^|=)/(etc|var)/", argument), f"{self.name}: no volume has the file of {argument}"
            found.append(argument)
        return found

    def run(self, command, container):
        return subprocess.run(
            [command, *self.arguments(container)], env={**os.environ, **self.environment(container)}, capture_output=True, text=True
        )


def bootstrap(pod, envoy):
    """The pod's Envoy accepts what its bootstrap wrote."""
    writer = next(container for container in policy.containers(pod.pod) if container["name"] == "bootstrap")
    reader = next(container for container in policy.containers(pod.pod) if container["name"] == "envoy")
    for path, volume in pod.mounts(writer).items():
        if pod.mounts(reader).get(path) != volume:
            return f"{pod.name}: Envoy has not {volume} at {path}, as its bootstrap has"
    told = pod.run(SEAWAY, writer)
    if told.returncode != 0:
        return f"{pod.name}: seaway bootstrap: {told.stderr}"
    reader["args"] += ["--mode", "validate", "--log-level", "warning"]
    told = pod.run(envoy, reader)
    return None if told.returncode == 0 else f"{pod.name}: Envoy: {told.stderr}"


def serve(pod, certificates, folder):
    """Seaway is alive, asks the API server that it should, and presents its certificate. No API server answers."""
    ACCOUNT.mkdir(parents=True, exist_ok=True)
    for name, text in {"token": "a.b.c", "namespace": "seaway", "ca.crt": (certificates / "ca.crt").read_text()}.items():
        (ACCOUNT / name).write_text(text)
    [container] = pod.pod["containers"]
    variables = {**KUBELET, **pod.environment(container)}
    with open(folder / "serve.log", "w+") as log:
        process = subprocess.Popen([SEAWAY, *pod.arguments(container)], env=variables, stdout=log, stderr=log)
        try:
            deadline = time.monotonic() + 20
            while not alive():
                if process.poll() is not None or time.monotonic() > deadline:
                    log.seek(0)
                    return f"{pod.name}: seaway serve is not alive: {log.read()}"
                time.sleep(0.05)
            error = presented(certificates)
        finally:
            process.terminate()
            process.wait()
        log.seek(0)
        server = f"{variables['KUBERNETES_SERVICE_HOST']}:{variables['KUBERNETES_SERVICE_PORT']}"
        # 443 goes without saying.
        if f"https://{server.removesuffix(':443')}/" not in log.read():
            return f"{pod.name}: Seaway does not ask the API server at {server}"
        return error and f"{pod.name}: {error}"


def presented(certificates, host="127.0.0.1"):
    """What is wrong with TLS on Seaway's port, as a proxy sees it."""
    context = ssl.create_default_context(cafile=certificates / "ca.crt")
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.set_alpn_protocols(["h2"])
    try:
        with socket.create_connection((host, 18000), timeout=5) as plain, context.wrap_socket(plain, server_hostname="seaway.seaway.svc") as secure:
            protocol = secure.selected_alpn_protocol()
            return None if protocol == "h2" else f"port 18000 speaks {protocol}"
    except OSError as error:
        return f"port 18000: {error}"


def alive():
    try:
        return urllib.request.urlopen("http://127.0.0.1:18001/livez").status == 200
    except OSError:
        return False


def main(built, certificates, envoy):
    errors, count = [], 0
    for path in sorted(Path(built).glob("*.yaml")):
        objects = [object for object in yaml.safe_load_all(path.read_text()) if object]
        for object, pod in policy.pods(objects):
            names = {container["name"] for container in policy.containers(pod)}
            if not names & {"bootstrap", "seaway"}:
                continue
            count += 1
            with tempfile.TemporaryDirectory() as folder:
                made = Pod(objects, object, pod, Path(certificates), Path(folder))
                try:
                    if "bootstrap" in names:
                        error = bootstrap(made, envoy)
                    else:
                        error = serve(made, Path(certificates), Path(folder))
                except AssertionError as wrong:
                    error = str(wrong)
            if error:
                errors.append(f"{path.stem}: {error}")
    for error in errors:
        print(error, file=sys.stderr)
    print(f"deploy: {count} pods run as their manifests say: {len(errors)} errors")
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
