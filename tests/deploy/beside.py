"""The pods of overlays/node in one network, as they are on a node of the control plane: Seaway, and the node's Envoy with what `setup` and
`bootstrap` make for it, all with the arguments and variables of their manifests. Seaway's own Service has the ports that Seaway itself listens
on. Nothing clashes: Envoy rejects nothing, and the Service answers at its cluster IP, at both ports.

Called by check.sh, as the root of a network of its own, with the built manifest.
"""

import os
import re
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import yaml

import policy
from privileges import NODE, confined
from run import FIELDS, ROOT, SEAWAY, Pod, presented

# The cluster IP of Seaway's Service.
SERVICE = "10.96.0.20"
# What cannot be had without an API server: objects come from a folder, and nobody is asked who has which token.
REPLACED = {"--kube": "--files={world}", "--token-audience": "--insecure", "--allow-proxy": None}
# The node of the pods.
NODE_OBJECT = {
    "apiVersion": "v1",
    "kind": "Node",
    "metadata": {"name": "node-1"},
    "status": {"addresses": [{"type": "InternalIP", "address": NODE}]},
}


def world(objects, folder):
    """Seaway's own Service as it is in the manifests, with an address and the endpoint that the host network gives it."""
    [service] = [object for object in objects if object["kind"] == "Service" and object["metadata"]["name"] == "seaway"]
    service["spec"]["clusterIP"] = SERVICE
    ports = [{"name": port["name"], "port": port["port"]} for port in service["spec"]["ports"]]
    slice = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": "seaway-1",
            "namespace": service["metadata"]["namespace"],
            "labels": {"kubernetes.io/service-name": "seaway"},
        },
        "addressType": "IPv4",
        "endpoints": [{"addresses": [NODE], "nodeName": "node-1"}],
        "ports": ports,
    }
    folder.mkdir()
    (folder / "world.yaml").write_text(yaml.safe_dump_all([NODE_OBJECT, service, slice]))


def without_api(arguments, folder):
    """The arguments with what REPLACED has for them."""
    found = []
    for argument in arguments:
        new = REPLACED.get(argument.split("=")[0], argument)
        if new is not None:
            found.append(new.format(world=folder))
    return found


class Processes:
    """What runs, and what it has written."""

    def __init__(self, folder):
        self.folder, self.running = folder, {}

    def start(self, name, command, variables):
        log = open(self.folder / f"{name}.log", "w")
        self.running[name] = subprocess.Popen(command, env=variables, stdout=log, stderr=log)

    def until(self, what, done):
        """Waits; says what is amiss if in vain."""
        deadline = time.monotonic() + 20
        while not done():
            ended = [name for name, process in self.running.items() if process.poll() is not None]
            if ended or time.monotonic() > deadline:
                logs = "\n".join((self.folder / f"{name}.log").read_text() for name in self.running)
                raise AssertionError(f"{what}: in vain; ended: {ended}; logs:\n{logs}")
            time.sleep(0.05)

    def end(self):
        for process in self.running.values():
            process.terminate()
        for process in self.running.values():
            process.wait()


def read(url):
    try:
        return urllib.request.urlopen(url, timeout=2).read().decode()
    except OSError:
        return None


def metric(name):
    """The sum of a metric of Seaway; 0 where it has counted nothing yet."""
    told = read(f"http://{NODE}:18001/metrics")
    return sum(map(float, re.findall(rf"^{name}(?:{{.*}})? (\S+)$", told, re.MULTILINE)))


def main(manifest, certificates, envoy):
    objects = [object for object in yaml.safe_load_all(Path(manifest).read_text()) if object]
    pods = {object["metadata"]["name"]: (object, spec) for object, spec in policy.pods(objects)}
    certificates = Path(certificates)
    # Not loopback, where Envoy would not clash with anybody.
    FIELDS["status.hostIP"] = NODE
    subprocess.run(["ip", "addr", "add", f"{NODE}/24", "dev", "lo"], check=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        world(objects, folder / "world")
        processes = Processes(folder)
        try:
            seaway(processes, Pod(objects, *pods["seaway"], certificates, folder), folder)
            node(processes, Pod(objects, *pods["seaway-node"], certificates, folder), envoy)
            error = presented(certificates, SERVICE)
            assert error is None, f"Seaway's Service: {error}"
            processes.until("Seaway's Service at port 18001", lambda: read(f"http://{SERVICE}:18001/livez") is not None)
            assert metric("seaway_xds_streams") > 0, "Envoy has no stream with Seaway"
            assert metric("seaway_xds_rejecting_streams") == 0, "Envoy rejects something"
        except AssertionError as wrong:
            print(f"{Path(manifest).stem}: {wrong}", file=sys.stderr)
            return 1
        finally:
            processes.end()
    print(f"deploy: Seaway and its Service have the same ports on a node of {Path(manifest).stem}, and both answer")
    return 0


def seaway(processes, pod, folder):
    """Seaway, ready."""
    [container] = pod.pod["containers"]
    command = [SEAWAY, *without_api(pod.arguments(container), folder / "world")]
    processes.start("seaway", command, {**os.environ, **pod.environment(container)})
    processes.until("Seaway to be ready", lambda: read(f"http://{NODE}:18001/readyz") is not None)


def node(processes, pod, envoy):
    """The node's Envoy, ready."""
    of = {container["name"]: container for container in policy.containers(pod.pod)}
    variables = {**os.environ, **pod.environment(of["setup"])}
    setup = [*confined(pod, of["setup"]), ROOT / "deploy/node/setup.sh", *pod.arguments(of["setup"])]
    subprocess.run(setup, env=variables, check=True)
    # Its bootstrap says where the admin socket is in Envoy's own container.
    Path("/run/envoy").symlink_to(pod.volumes["admin"])
    # Where proxies find Seaway is the cluster's own; here it is on the same node.
    of["bootstrap"]["args"] += [f"--xds={NODE}:18000"]
    told = pod.run(SEAWAY, of["bootstrap"])
    assert told.returncode == 0, f"seaway bootstrap: {told.stderr}"
    command = [*confined(pod, of["envoy"]), envoy, *pod.arguments(of["envoy"]), "--log-level", "warning"]
    processes.start("envoy", command, os.environ)
    probe = of["drain"]["readinessProbe"]["exec"]["command"][1:]
    ready = {**of["drain"], "args": probe}
    processes.until("the node's Envoy to be ready", lambda: pod.run(SEAWAY, ready).returncode == 0)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
