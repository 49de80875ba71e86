"""The privileges that overlays/node gives are enough: its `setup` and its Envoy, run with the user and the capabilities of their manifests,
serve a Service at a port below 1024, by TCP and UDP.

Called by check.sh, as the root of a network of its own, with the built manifest.
"""

import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import yaml

import policy
from run import ROOT, SEAWAY, Pod

# The node's own, as FIELDS of run.py says.
NODE = "192.0.2.1"
SERVICE = ("10.96.0.10", 53)
WORLD = """
apiVersion: v1
kind: Service
metadata: {name: dns, namespace: kube-system}
spec:
  clusterIP: 10.96.0.10
  ports: [{name: udp, port: 53, protocol: UDP}, {name: tcp, port: 53}]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: dns-1, namespace: kube-system, labels: {kubernetes.io/service-name: dns}}
addressType: IPv4
endpoints: [{addresses: [192.0.2.1]}]
ports: [{name: udp, port: 5353, protocol: UDP}, {name: tcp, port: 5353}]
"""


def confined(pod, container):
    """What the container runtime makes of a security context, as the beginning of a command."""
    setting = {**pod.pod.get("securityContext", {}), **container["securityContext"]}
    added = "".join(f",+{name.lower()}" for name in setting.get("capabilities", {}).get("add", []))
    if setting.get("privileged"):
        return ["env"]
    user = str(setting["runAsUser"])
    group = str(setting.get("runAsGroup", user))
    command = ["setpriv", f"--bounding-set=-all{added}", "--inh-caps=-all", "--reuid", user, "--regid", group, "--clear-groups"]
    return command if setting.get("allowPrivilegeEscalation") is not False else [*command, "--no-new-privs"]


def datagrams(address):
    """A UDP socket."""
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind(address)
    return udp


def answer():
    """One endpoint that says what it was told, by TCP and UDP."""
    udp = datagrams((NODE, 5353))
    tcp = socket.create_server((NODE, 5353))

    def echo():
        while True:
            data, client = udp.recvfrom(100)
            udp.sendto(data, client)

    def connections():
        while True:
            with tcp.accept()[0] as connection:
                connection.sendall(connection.recv(100))

    for serve in [echo, connections]:
        threading.Thread(target=serve, daemon=True).start()


def ask(kind):
    """Whether the Service answers."""
    with socket.socket(socket.AF_INET, kind) as client:
        client.settimeout(1)
        try:
            client.connect(SERVICE)
            client.send(b"hello")
            return client.recv(100) == b"hello"
        except OSError:
            return False


def main(manifest, certificates, envoy):
    objects = [object for object in yaml.safe_load_all(Path(manifest).read_text()) if object]
    [(object, spec)] = [found for found in policy.pods(objects) if found[0]["metadata"]["name"] == "seaway-node"]
    of = {container["name"]: container for container in policy.containers(spec)}
    with tempfile.TemporaryDirectory() as folder:
        pod = Pod(objects, object, spec, Path(certificates), Path(folder))
        subprocess.run(["ip", "addr", "add", f"{NODE}/24", "dev", "lo"], check=True)
        variables = {**os.environ, **pod.environment(of["setup"])}
        setup = [*confined(pod, of["setup"]), ROOT / "deploy/node/setup.sh", *pod.arguments(of["setup"])]
        subprocess.run(setup, env=variables, check=True)
        if variables["SEAWAY_CAPTURE"] == "namespace":
            # A process of the node, on the wildcard address, as systemd-resolved and dnsmasq are.
            daemons = [socket.create_server(("0.0.0.0", SERVICE[1])), datagrams(("0.0.0.0", SERVICE[1]))]
        (Path(folder) / "world").mkdir()
        (Path(folder) / "world" / "dns.yaml").write_text(WORLD)
        translate = [SEAWAY, "translate", "--files", f"{folder}/world", "--role", "node", "--node-name", "node-1", "--output", "static"]
        bootstrap = pod.volumes["envoy"] / "envoy.yaml"
        bootstrap.write_bytes(subprocess.run(translate, env=variables, check=True, capture_output=True).stdout)
        answer()
        with open(f"{folder}/envoy.log", "w+") as log:
            command = [*confined(pod, of["envoy"]), envoy, *pod.arguments(of["envoy"]), "--log-level", "warning"]
            process = subprocess.Popen(command, stdout=log, stderr=log)
            try:
                deadline = time.monotonic() + 20
                while not (ask(socket.SOCK_STREAM) and ask(socket.SOCK_DGRAM)):
                    if process.poll() is not None or time.monotonic() > deadline:
                        log.seek(0)
                        print(f"the Service does not answer: {log.read()}", file=sys.stderr)
                        return 1
                    time.sleep(0.05)
            finally:
                process.terminate()
                process.wait()
    print(f"deploy: the privileges of overlays/node are enough for port 53 with capture {variables['SEAWAY_CAPTURE']}")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
