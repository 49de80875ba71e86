"""`envoy-hooks.sh` of components/ingress, with a real Envoy: ready when Envoy is, and requests go on through a drain that asks clients to leave.

Called by check.sh, in a network of its own, with the path of Envoy.
"""

import http.client
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HOOKS = Path(__file__).resolve().parents[2] / "deploy/components/ingress/envoy-hooks.sh"
ENVOY = """
admin: {address: {socket_address: {address: 127.0.0.1, port_value: 19000}}}
static_resources:
  listeners:
  - address: {socket_address: {address: 127.0.0.1, port_value: 8080}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: ingress
          route_config:
            virtual_hosts:
            - {name: all, domains: ["*"], routes: [{match: {prefix: /}, direct_response: {status: 200}}]}
          http_filters:
          - name: envoy.filters.http.router
            typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}
"""


def hook(*arguments):
    return subprocess.run(["bash", HOOKS, *arguments], capture_output=True, text=True)


def request():
    """The answer's `connection` header, on a connection that its client would keep."""
    client = http.client.HTTPConnection("127.0.0.1", 8080, timeout=5)
    client.request("GET", "/")
    answer = client.getresponse()
    assert answer.status == 200
    return answer.getheader("connection")


def drained():
    """How a drain goes, as an error or nothing."""
    drain = subprocess.Popen(["bash", HOOKS, "drain", "2"])
    answers = []
    while drain.poll() is None:
        answers.append(request())
        time.sleep(0.02)
    if drain.returncode != 0:
        return f"drain ends with {drain.returncode}"
    answers.append(request())
    return None if answers[-1] == "close" else f"nobody is asked to leave: {answers}"


def main(envoy):
    if hook("ready").returncode == 0:
        print("hooks: ready without an Envoy", file=sys.stderr)
        return 1
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as bootstrap:
        bootstrap.write(ENVOY)
        bootstrap.flush()
        process = subprocess.Popen([envoy, "--config-path", bootstrap.name, "--drain-time-s", "2", "--disable-hot-restart", "--log-level", "error"])
        try:
            deadline = time.monotonic() + 20
            while hook("ready").returncode != 0:
                if time.monotonic() > deadline:
                    print(f"hooks: never ready: {hook('ready').stderr}", file=sys.stderr)
                    return 1
            if (before := request()) == "close":
                print(f"hooks: {before} before the drain", file=sys.stderr)
                return 1
            error = drained()
        finally:
            process.terminate()
            process.wait()
    if error:
        print(f"hooks: {error}", file=sys.stderr)
        return 1
    print("deploy: the hooks of components/ingress find Envoy ready and drain it")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
