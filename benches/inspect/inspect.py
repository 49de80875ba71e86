#!/usr/bin/env python3
"""What looking costs: how long the inspection API takes to answer, and what its server takes for that.

    make bench-inspect
    make bench-inspect SERVICES=10000 STREAMS=200

Streams are of Envoys of role node, which take all clusters, their assignments and all listeners, and acknowledge. Everything is on
loopback, in plain text. With little time or a busy machine STREAMS=200 does; the load of the machine is printed.
"""

import asyncio
import json
import multiprocessing
import os
import struct
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

sys.path.append(str(Path(__file__).parent.parent))
from hostile import hostile
from protobuf import field, fields

SERVICES = int(os.environ.get("SERVICES") or 10_000)
STREAMS = int(os.environ.get("STREAMS") or 1_000)
TIMES = int(os.environ.get("TIMES") or 50)
SECONDS = int(os.environ.get("SECONDS") or 20)
RATE = 10
XDS, ADMIN = 18000, 18001
TYPE = "type.googleapis.com/envoy.config."
CLUSTER, ENDPOINT, LISTENER = (
    TYPE + "cluster.v3.Cluster",
    TYPE + "endpoint.v3.ClusterLoadAssignment",
    TYPE + "listener.v3.Listener",
)
# What is asked for, and how long it may take at most, in ms.
ASKED = {
    **{f"{path}, {limit}": (f"{path}?limit={limit}", 50)
       for path in ("proxies", "services", "resources", "problems", "changes", "watches") for limit in (100, 1000)},
    "status": ("status", 50),
    "explain": ("explain?what=shop/web-77:80", 20),
}


def manifests(folder):
    for first in range(0, SERVICES, 100):
        documents = []
        for number in range(first, min(first + 100, SERVICES)):
            name, address = f"web-{number}", f"10.{96 + number // 62_500}.{number // 250 % 250}.{number % 250 + 1}"
            documents.append({
                "apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": "shop"},
                "spec": {"clusterIP": address, "selector": {"app": name}, "ports": [{"name": "http", "port": 80, "targetPort": 8080}]},
            })
            documents.append({
                "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
                "metadata": {"name": f"{name}-1", "namespace": "shop", "labels": {"kubernetes.io/service-name": name}},
                "ports": [{"name": "http", "port": 8080}],
                "endpoints": [
                    {"addresses": [f"10.244.{number // 250 % 250}.{number % 250 + 1}"], "nodeName": "n1", "conditions": {"ready": True}}
                ],
            })
        Path(folder, f"{first}.yaml").write_text("\n---\n".join(map(json.dumps, documents)))


# ---- the proxies


def node(number):
    """An Envoy of role node."""
    text = lambda words: field(3, words.encode())
    entry = lambda name, value: field(1, field(1, name.encode()) + field(2, value))
    own = entry("role", text("node")) + entry("node_name", text(f"node-{number}"))
    return field(1, f"proxy-{number}".encode()) + field(2, b"seaway-node") + field(3, entry("seaway", field(5, own))) + field(6, b"envoy")


def request(kind, names=(), nonce="", of=b""):
    message = field(1, of) if of else b""
    message += field(2, kind.encode()) + b"".join(field(3, name.encode()) for name in names)
    message += field(6, nonce.encode()) if nonce else b""
    return b"\0" + struct.pack(">I", len(message)) + message


async def proxy(number, ready):
    connection = await hostile.Connection().open(XDS, None)
    connection.begin(1)
    await connection.send(1, request(CLUSTER, ["*"], of=node(number)))
    await connection.send(1, request(LISTENER, ["*"]))
    await connection.send(1, request(ENDPOINT, [f"shop/web-{one}/80" for one in range(SERVICES)]))
    waiting, seen = {CLUSTER: SERVICES, LISTENER: SERVICES, ENDPOINT: SERVICES}, {}
    while (message := await connection.messages.get()) is not None:
        resources = 0
        for key, content in fields(message[1]):
            resources += key == 2
            seen[key] = content
        kind = seen[4].decode()
        await connection.send(1, request(kind, nonce=seen[5].decode()))
        waiting[kind] = waiting.get(kind, 0) - resources
        if waiting and all(left <= 0 for left in waiting.values()):
            waiting = {}
            with ready.get_lock():
                ready.value += 1
    raise SystemExit(f"the stream of proxy {number} has ended")


def proxies(first, count, ready):
    async def all():
        # Not all at once: each has a whole world to take.
        turns = asyncio.Semaphore(4)

        async def one(number):
            async with turns:
                before = ready.value
                task = asyncio.create_task(proxy(number, ready))
                while ready.value == before and not task.done():
                    await asyncio.sleep(0.05)
            await task

        await asyncio.gather(*(one(number) for number in range(first, first + count)))

    asyncio.run(all())


# ---- who looks


def ask(path):
    start = time.perf_counter()
    with urllib.request.urlopen(f"http://127.0.0.1:{ADMIN}/api/v1/{path}", timeout=60) as answer:
        size = len(answer.read())
    return (time.perf_counter() - start) * 1000, size


def rss(pid):
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS"))


def cpu(pid):
    words = Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def used(pid, asks):
    """Seconds of a core that each second takes, with or without requests."""
    start, before = time.perf_counter(), cpu(pid)
    paths = [path for path, _ in ASKED.values()]
    for number in range(SECONDS * RATE):
        if asks:
            ask(paths[number % len(paths)])
        time.sleep(max(0, start + (number + 1) / RATE - time.perf_counter()))
    return (cpu(pid) - before) / (time.perf_counter() - start)


def measure(server, ready):
    while ready.value < STREAMS:
        if server.poll() is not None:
            raise SystemExit("Seaway has ended")
        time.sleep(0.5)
    time.sleep(5)
    never = rss(server.pid)
    print(f"{SERVICES} Services, {STREAMS} streams, load {Path('/proc/loadavg').read_text().split()[0]}", flush=True)
    for name, (path, aim) in ASKED.items():
        taken, sizes = zip(*(ask(path) for _ in range(TIMES)))
        taken = sorted(taken)
        p50, p99 = taken[len(taken) // 2], taken[min(len(taken) - 1, len(taken) * 99 // 100)]
        print(f"{name:16} p50 {p50:7.1f} ms  p99 {p99:7.1f} ms  {max(sizes) / 1024:8.1f} KiB  {'ok' if p50 <= aim else f'above {aim} ms'}", flush=True)
    quiet = used(server.pid, False)
    asked = used(server.pid, True)
    print(f"CPU at {RATE} requests a second: {(asked - quiet) * 100:.1f} % of a core (beside {quiet * 100:.1f} %)")
    print(f"RSS {never:.0f} MiB before anybody asked, {rss(server.pid):.0f} MiB after")


def main():
    seaway = sys.argv[1]
    with tempfile.TemporaryDirectory() as folder:
        manifests(folder)
        serve = [seaway, "serve", "--files", folder, "--xds-listen", f"127.0.0.1:{XDS}", "--admin-listen", f"127.0.0.1:{ADMIN}"]
        server = subprocess.Popen(serve, stderr=subprocess.DEVNULL)
        ready, children = multiprocessing.Value("i", 0), []
        try:
            while subprocess.run([seaway, "ready", "--admin-listen", f"127.0.0.1:{ADMIN}"], capture_output=True).returncode:
                if server.poll() is not None:
                    raise SystemExit("Seaway has ended")
                time.sleep(0.2)
            halves = [(0, STREAMS // 2), (STREAMS // 2, STREAMS - STREAMS // 2)]
            children = [multiprocessing.Process(target=proxies, args=(*half, ready), daemon=True) for half in halves]
            for child in children:
                child.start()
            measure(server, ready)
        finally:
            for child in children:
                child.kill()
            server.kill()
            server.wait()


if __name__ == "__main__":
    main()
