#!/usr/bin/env python3
"""A thousand proxyless gRPC clients that ask for three of ten thousand Services each: what they are sent, and what memory Seaway takes.

    make bench-grpc                           or with CLIENTS=100 SERVICES=1000

Each client is a connection of its own that speaks the protocol as gRPC does (state of the world), with messages written by hand: it counts what it is sent.
"""

import asyncio
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import grpc

sys.path.append(str(Path(__file__).parent.parent))
from protobuf import field, fields

CLIENTS = int(os.environ.get("CLIENTS") or 1_000)
SERVICES = int(os.environ.get("SERVICES") or 10_000)
NAMES = 3
TYPES = "type.googleapis.com/envoy.config."
LISTENER, CLUSTER = TYPES + "listener.v3.Listener", TYPES + "cluster.v3.Cluster"
ENDPOINT = TYPES + "endpoint.v3.ClusterLoadAssignment"
ADS = "/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources"


def text(number, content):
    return field(number, content.encode()) if content else b""


class Client:
    def __init__(self, number, port):
        self.node = text(1, f"client-{number}") + text(2, "seaway-grpc") + text(6, "gRPC C-core")
        self.services = random.Random(number).sample(range(SERVICES), NAMES)
        self.channel = grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=[("grpc.use_local_subchannel_pool", 1)])
        self.resources = self.bytes = self.foreign = 0

    def request(self, kind, names, version="", nonce=""):
        node, self.node = self.node, b""
        return (field(2, node) if node else b"") + text(1, version) + b"".join(text(3, name) for name in names) + text(4, kind) + text(5, nonce)

    async def read(self):
        """A response: its type, its version, its nonce and the names of its resources."""
        message = await self.call.read()
        self.bytes += len(message)
        version = nonce = kind = ""
        names = []
        for number, content in fields(message):
            if number == 1:
                version = content.decode()
            elif number == 2:
                # A resource is an Any: its value is field 2, whose name is field 1.
                value = next(value for number, value in fields(content) if number == 2)
                names.append(next(name for number, name in fields(value) if number == 1).decode())
            elif number == 4:
                kind = content.decode()
            elif number == 5:
                nonce = content.decode()
        return kind, version, nonce, names

    async def ask(self, kind, names):
        await self.call.write(self.request(kind, names))
        seen = set()
        while seen != set(names):
            got, version, nonce, found = await self.read()
            assert got == kind, f"{got} instead of {kind}"
            self.resources += len(found)
            self.foreign += len(set(found) - set(names))
            seen |= set(found)
            await self.call.write(self.request(kind, names, version, nonce))

    async def start(self):
        self.call = self.channel.stream_stream(ADS)()
        keys = [f"shop/s-{number}/80" for number in self.services]
        await self.ask(LISTENER, [f"s-{number}.shop:80" for number in self.services])
        await self.ask(CLUSTER, keys)
        await self.ask(ENDPOINT, keys)

    async def follow(self, counts):
        """Counts whatever comes from now on, and says so."""
        while True:
            kind, version, nonce, found = await self.read()
            counts.append((kind, tuple(found)))
            await self.call.write(self.request(kind, [f"shop/s-{number}/80" for number in self.services], version, nonce))


def manifest(number, address):
    return f"""apiVersion: v1
kind: Service
metadata: {{name: s-{number}, namespace: shop}}
spec: {{clusterIP: 10.{100 + number // 65536}.{number // 256 % 256}.{number % 256}, ports: [{{name: grpc, port: 80}}]}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: s-{number}-1, namespace: shop, labels: {{kubernetes.io/service-name: s-{number}}}}}
addressType: IPv4
endpoints: [{{addresses: [{address}]}}, {{addresses: [10.245.0.2]}}, {{addresses: [10.245.0.3]}}]
ports: [{{name: grpc, port: 50051}}]
"""


class World:
    def __init__(self, seaway, folder):
        self.manifests = folder / "manifests"
        self.manifests.mkdir()
        for first in range(0, SERVICES, 500):
            some = range(first, min(first + 500, SERVICES))
            (self.manifests / f"{first}.yaml").write_text("---\n".join(manifest(number, "10.245.0.1") for number in some))
        log = folder / "seaway.log"
        command = [seaway, "serve", "--files", self.manifests, "--xds-listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"]
        self.process = subprocess.Popen([str(part) for part in command], stderr=log.open("w"))
        while not (found := re.search(r'"xds":"127.0.0.1:(\d+)"', log.read_text())) or "synced" not in log.read_text():
            if self.process.poll() is not None:
                sys.exit(log.read_text())
            time.sleep(0.05)
        self.port = int(found[1])

    def rss(self):
        return int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{self.process.pid}/status").read_text())[1]) / 1024


async def measure(world):
    before = world.rss()
    clients = [Client(number, world.port) for number in range(CLIENTS)]
    begin = time.monotonic()
    await asyncio.gather(*(client.start() for client in clients))
    took = time.monotonic() - begin
    sent, foreign = sum(client.resources for client in clients), sum(client.foreign for client in clients)
    size = sum(client.bytes for client in clients)
    print(f"{CLIENTS} clients, {NAMES} of {SERVICES} Services each: all have what they asked for after {took:.1f} s")
    print(f"  sent {sent} resources ({sent / CLIENTS:.1f} per client, {NAMES * 3} asked for), {foreign} that were not asked for, {size / CLIENTS / 1024:.1f} KiB per client")
    print(f"  Seaway: {before:.0f} MiB without clients, {world.rss():.0f} MiB with them")
    # One endpoint changes: only who asked for its Service hears of it.
    changed = clients[0].services[0]
    concerned = sum(changed in client.services for client in clients)
    counts = []
    following = [asyncio.create_task(client.follow(counts)) for client in clients]
    file = world.manifests / f"{changed // 500 * 500}.yaml"
    old = manifest(changed, "10.245.0.1")
    new = world.manifests.parent / "new.yaml"
    new.write_text(file.read_text().replace(old, manifest(changed, "10.245.0.9")))
    new.rename(file)
    while len(counts) < concerned:
        await asyncio.sleep(0.05)
    await asyncio.sleep(1)
    print(f"  one endpoint of one Service: {len(counts)} messages to {concerned} clients that asked for it: {sorted(set(counts))}")
    for task in following:
        task.cancel()
    for client in clients:
        await client.channel.close()
    await asyncio.sleep(2)
    print(f"  Seaway: {world.rss():.0f} MiB after they left")
    assert foreign == 0 and len(counts) == concerned


def main(seaway):
    with tempfile.TemporaryDirectory() as folder:
        world = World(seaway, Path(folder))
        try:
            asyncio.run(measure(world))
        finally:
            world.process.terminate()
            world.process.wait()


main(*sys.argv[1:])
