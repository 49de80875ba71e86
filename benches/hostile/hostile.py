#!/usr/bin/env python3
"""Hostile clients beside a healthy one: how long that one's updates take meanwhile, and what memory Seaway takes and gives back.

    make bench-hostile                     all cases
    make bench-hostile ARGS="names idle"   some; TIME=600 for how many seconds each goes on

Everything is on loopback, with TLS and a certificate for each client. HTTP/2 is written by hand here, since no library would do what is done.
"""

import asyncio
import logging
import multiprocessing
import os
import re
import resource
import signal
import struct
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from ssl import PROTOCOL_TLS_CLIENT, SSLContext

sys.path.append(str(Path(__file__).parent.parent))
from protobuf import field, fields, varint

ENDPOINT = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment"
ADS = "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources"
DATA, HEADERS, RESET, SETTINGS, PING, GOAWAY, WINDOW = 0, 1, 3, 4, 6, 7, 8
SECONDS = float(os.environ.get("TIME") or 20)
AFTER = float(os.environ.get("AFTER") or 60)
IDENTITIES = 50


# ---- messages and HTTP/2


def request(subscribe=(), unsubscribe=(), nonce="", node=None):
    message = field(1, node) if node else b""
    message += field(2, ENDPOINT.encode())
    message += b"".join(field(3, name.encode()) for name in subscribe)
    message += b"".join(field(4, name.encode()) for name in unsubscribe)
    message += field(6, nonce.encode()) if nonce else b""
    return b"\0" + struct.pack(">I", len(message)) + message


def node(name):
    return field(1, name.encode()) + field(2, b"seaway-mesh") + field(6, b"envoy")


def literal(text):
    data = text.encode()
    if len(data) < 127:
        return bytes([len(data)]) + data
    return b"\x7f" + varint(len(data) - 127) + data


class Connection:
    """One HTTP/2 connection. What a stream may send is respected; what it is sent is taken at once."""

    def __init__(self):
        self.window = 65_535
        self.initial = 65_535
        self.streams = {}
        self.moved = asyncio.Event()
        self.messages = asyncio.Queue()
        self.closed = False
        self.partial = {}

    async def open(self, port, tls, source=None):
        local = (source, 0) if source else None
        self.reader, self.writer = await asyncio.open_connection(
            "127.0.0.1", port, ssl=tls, server_hostname="localhost" if tls else None, local_addr=local
        )
        settings = struct.pack(">HI", 4, 2**31 - 1)
        self.writer.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + self.frame(SETTINGS, 0, 0, settings))
        self.writer.write(self.frame(WINDOW, 0, 0, struct.pack(">I", 2**31 - 1 - 65_535)))
        self.reading = asyncio.create_task(self.read())
        return self

    @staticmethod
    def frame(kind, flags, stream, payload):
        return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload

    def begin(self, stream):
        headers = {
            ":method": "POST",
            ":scheme": "https",
            ":path": ADS,
            ":authority": "localhost",
            "content-type": "application/grpc",
            "te": "trailers",
        }
        block = b"".join(b"\0" + literal(name) + literal(value) for name, value in headers.items())
        self.streams[stream] = 0
        self.writer.write(self.frame(HEADERS, 4, stream, block))

    async def send(self, stream, data):
        """Sends as much as is allowed, until all is sent or the stream has ended."""
        at = 0
        while at < len(data) and not self.closed and stream in self.streams:
            room = min(self.window, self.initial + self.streams[stream], 16_384, len(data) - at)
            if room <= 0:
                self.moved.clear()
                await self.moved.wait()
                continue
            self.writer.write(self.frame(DATA, 0, stream, data[at : at + room]))
            self.window -= room
            self.streams[stream] -= room
            at += room
            await self.writer.drain()

    async def read(self):
        try:
            while True:
                head = await self.reader.readexactly(9)
                kind, flags = head[3], head[4]
                stream = struct.unpack(">I", head[5:])[0]
                payload = await self.reader.readexactly(struct.unpack(">I", b"\0" + head[:3])[0])
                self.take(kind, flags, stream, payload)
        except (asyncio.IncompleteReadError, OSError):
            pass
        self.closed = True
        self.moved.set()
        self.messages.put_nowait(None)

    def take(self, kind, flags, stream, payload):
        if kind == SETTINGS and not flags & 1:
            for at in range(0, len(payload), 6):
                number, value = struct.unpack(">HI", payload[at : at + 6])
                if number == 4:
                    self.initial = value
            self.writer.write(self.frame(SETTINGS, 1, 0, b""))
        elif kind == PING and not flags & 1:
            self.writer.write(self.frame(PING, 1, 0, payload))
        elif kind == WINDOW:
            more = struct.unpack(">I", payload)[0]
            if stream == 0:
                self.window += more
            elif stream in self.streams:
                self.streams[stream] += more
        elif kind == DATA:
            if payload:
                credit = struct.pack(">I", len(payload))
                self.writer.write(self.frame(WINDOW, 0, 0, credit) + self.frame(WINDOW, 0, stream, credit))
            data = self.partial.get(stream, b"") + payload
            while len(data) >= 5 and len(data) >= 5 + (length := struct.unpack(">I", data[1:5])[0]):
                self.messages.put_nowait((stream, data[5 : 5 + length]))
                data = data[5 + length :]
            self.partial[stream] = data
        elif kind == RESET or (kind == HEADERS and flags & 1):
            self.streams.pop(stream, None)
        self.moved.set()


# ---- the healthy client


class Healthy:
    """Changes a Service's endpoint again and again, and waits for each change to arrive."""

    def __init__(self, world):
        self.world = world
        self.count = 0

    async def start(self):
        self.connection = await Connection().open(self.world.xds, self.world.tls("client-0"))
        self.connection.begin(1)
        await self.connection.send(1, request(["shop/web/80"], node=node("healthy")))
        await self.until("10.244.0.1")

    async def until(self, address):
        while True:
            message = await asyncio.wait_for(self.connection.messages.get(), 60)
            if message is None:
                raise RuntimeError("the healthy stream was cut")
            content = dict(fields(message[1]))
            await self.connection.send(1, request(nonce=content[5].decode()))
            if address.encode() in message[1]:
                return

    async def change(self):
        self.count += 1
        address = f"10.244.{self.count // 250 + 1}.{self.count % 250 + 1}"
        self.world.save(address)
        start = time.perf_counter()
        await self.until(address)
        return time.perf_counter() - start

    async def changes(self, until):
        took = []
        while not until():
            took.append(await self.change())
            await asyncio.sleep(0.05)
        return took


# ---- the hostile clients; each case runs in processes of its own


async def names(world, _):
    """Ten streams ask for a million names each: five in one request, five in a hundred."""

    async def one(number):
        connection = await Connection().open(world["xds"], tls_of(world, f"client-{number + 1}"))
        connection.begin(1)
        await connection.send(1, request(["first"], node=node(f"names-{number}")))
        step = 1_000_000 if number % 2 else 10_000
        for first in range(0, 1_000_000, step):
            wanted = [f"names/{number}/{first + at}" for at in range(step)]
            await connection.send(1, request(wanted))
            if 1 not in connection.streams:
                return
        await asyncio.sleep(3600)

    await asyncio.gather(*(again(lambda number=number: one(number)) for number in range(10)))


async def unfinished(world, identities):
    """A thousand streams each begin a request of 60 MB and never end it."""

    async def one(number):
        identity = number % identities + 1
        connection = await Connection().open(world["xds"], tls_of(world, f"client-{identity}"))
        piece = b"\0" * 65_536

        async def stream(id):
            connection.begin(id)
            head = b"\0" + struct.pack(">I", 30 << 20)
            await connection.send(id, request(["first"], node=node(f"unfinished-{number}-{id}")) + head)
            for _ in range((30 << 20) // len(piece) - 1):
                await connection.send(id, piece)
            while id in connection.streams and not connection.closed:
                connection.moved.clear()
                await connection.moved.wait()

        await asyncio.gather(*(stream(id) for id in range(1, 41, 2)))

    await asyncio.gather(*(again(lambda number=number: one(number)) for number in range(50)))


async def unfinished_of_one(world, _):
    """The same, of one identity."""
    await unfinished(world, 1)


async def unfinished_of_fifty(world, _):
    """The same, of fifty identities."""
    await unfinished(world, IDENTITIES - 1)


async def admin(world, part):
    """24,000 connections to the admin port that never end their request."""
    await many(world["admin"], 12_000, part, b"GET /readyz HTTP/1.1\r\nhost: ")


async def idle(world, part):
    """10,000 connections to the xDS port that say nothing; Seaway may have 4,096 files."""
    await many(world["xds"], 5_000, part, b"")


async def many(port, count, part, first):
    kept = []
    for number in range(count):
        source = f"127.0.{part + 1}.{number // 5_000 + 1}"
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(source, 0))
            writer.write(first)
            kept.append(writer)
        except OSError:
            await asyncio.sleep(0.01)
    await asyncio.sleep(3600)


async def churn(world, _):
    """Requests of 4,000 fresh names, each subscribed and unsubscribed, beside a response that is never acknowledged."""

    async def one():
        connection = await Connection().open(world["xds"], tls_of(world, "client-1"))
        connection.begin(1)
        await connection.send(1, request(["shop/web/80"], node=node("churn")))
        number = 0
        while 1 in connection.streams and not connection.closed:
            fresh = [f"churn/{number}/{at}/{'x' * 40}" for at in range(4_000)]
            await connection.send(1, request(fresh, fresh))
            number += 1

    await again(one)


async def again(client):
    """A client that comes back when it is refused, as hostile ones do."""
    while True:
        try:
            await client()
        except (OSError, asyncio.IncompleteReadError):
            pass
        await asyncio.sleep(0.2)


CASES = {
    "names": (names, 2),
    "unfinished-one": (unfinished_of_one, 2),
    "unfinished-fifty": (unfinished_of_fifty, 2),
    "admin": (admin, 2),
    "idle": (idle, 2),
    "churn": (churn, 1),
}


def attack(case, world, part):
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    asyncio.run(CASES[case][0](world, part))


def tls_of(world, name):
    context = SSLContext(PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(f"{world['folder']}/ca.crt")
    context.load_cert_chain(f"{world['folder']}/{name}.crt", f"{world['folder']}/{name}.key")
    context.set_alpn_protocols(["h2"])
    return context


# ---- the world


class World:
    def __init__(self, seaway, folder, files):
        self.folder = folder
        self.manifests = folder / "manifests"
        self.manifests.mkdir(exist_ok=True)
        self.save("10.244.0.1")
        allow = [f"--allow-proxy=mesh=dns:client-{number}" for number in range(IDENTITIES)]
        limit = ["prlimit", f"--nofile={files}:{files}"] if files else []
        command = [*limit, seaway, "serve", "--files", self.manifests, "--xds-listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"]
        command += ["--tls-cert", folder / "server.crt", "--tls-key", folder / "server.key", "--client-ca", folder / "ca.crt", *allow]
        self.log = folder / "seaway.log"
        self.process = subprocess.Popen([str(part) for part in command], stderr=self.log.open("w"))
        while not (found := re.search(r'"xds":"127.0.0.1:(\d+)","admin":"127.0.0.1:(\d+)"', self.log.read_text())):
            time.sleep(0.05)
        self.xds, self.admin = int(found[1]), int(found[2])
        while "synced" not in self.log.read_text():
            time.sleep(0.05)

    def save(self, address):
        text = f"""apiVersion: v1
kind: Service
metadata: {{name: web, namespace: shop}}
spec: {{clusterIP: 10.96.1.1, ports: [{{name: http, port: 80}}]}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: web-1, namespace: shop, labels: {{kubernetes.io/service-name: web}}}}
addressType: IPv4
endpoints: [{{addresses: [{address}]}}]
ports: [{{name: http, port: 8080}}]
"""
        new = self.folder / "new.yaml"
        new.write_text(text)
        new.rename(self.manifests / "web.yaml")

    def tls(self, name):
        return tls_of({"folder": self.folder}, name)

    def rss(self):
        return int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{self.process.pid}/status").read_text())[1]) / 1024

    def refused(self):
        """Streams that ended for what was kept for them, and those that were one too many."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.admin}/metrics", timeout=5) as answer:
            text = answer.read().decode()
        found = re.findall(r"^seaway_xds_(?:client_memory_refusals_total|denied_streams_total\S*|streams_refused_total|connections_closed_total\S*) (\d+)", text, re.M)
        return sum(map(int, found))

    def ready(self):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.admin}/readyz", timeout=5) as answer:
            return answer.status == 200


def certificates(folder):
    def run(*command):
        subprocess.run(["openssl", *command], cwd=folder, check=True, capture_output=True)

    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1"]
    run("req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.crt", "-subj", "/CN=ca")
    for name in ["server", *(f"client-{number}" for number in range(IDENTITIES))]:
        alternative = "DNS:localhost" if name == "server" else f"DNS:{name}"
        (folder / "more").write_text(f"subjectAltName={alternative}\n")
        run("req", *key, "-keyout", f"{name}.key", "-out", "request", "-subj", f"/CN={name}")
        run("x509", "-req", "-in", "request", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", "1", "-extfile", "more", "-out", f"{name}.crt")


def percentile(all, part):
    return sorted(all)[min(len(all) - 1, int(len(all) * part))] * 1000


async def measure(case, world):
    healthy = Healthy(world)
    await healthy.start()
    end = time.monotonic() + 3
    calm = await healthy.changes(lambda: time.monotonic() > end)
    before = world.rss()
    about = {"xds": world.xds, "admin": world.admin, "folder": str(world.folder)}
    attackers = [multiprocessing.Process(target=attack, args=(case, about, part)) for part in range(CASES[case][1])]
    for attacker in attackers:
        attacker.start()
    most = 0.0
    end = time.monotonic() + SECONDS

    def over():
        nonlocal most
        most = max(most, world.rss())
        return time.monotonic() > end

    took = await healthy.changes(over)
    ready, refused = world.ready(), world.refused()
    for attacker in attackers:
        attacker.kill()
        attacker.join()
    await asyncio.sleep(AFTER)
    await healthy.change()
    after = world.rss()
    print(
        f"{case:17} {percentile(calm, .5):6.1f} {percentile(calm, .99):7.1f} {percentile(took, .5):8.1f} {percentile(took, .99):7.1f} {max(took) * 1000:7.1f}"
        f" {len(took):6} {before:8.0f} {most:7.0f} {after:7.0f} {refused:8}   {'yes' if ready else 'NO'}",
        flush=True,
    )


def main():
    seaway, *cases = sys.argv[1:]
    print(f"updates in ms, memory in MB; each case for {SECONDS:.0f} s, memory again {AFTER:.0f} s later")
    print("case              calm: p50   p99   beside: p50   p99     max  count   before    most   after  refused   ready")
    for case in cases or CASES:
        with tempfile.TemporaryDirectory() as folder:
            folder = Path(folder)
            certificates(folder)
            world = World(seaway, folder, 4_096 if case == "idle" else None)
            try:
                asyncio.run(measure(case, world))
            finally:
                world.process.terminate()
                world.process.wait(20)


if __name__ == "__main__":
    main()
