"""A gRPC client and servers under the hand of a test: each line of the input is an order in JSON, each line of the output its answer.

The client is proxyless: its channels are `xds:///NAME`, by the bootstrap that GRPC_XDS_BOOTSTRAP names. A server answers with its address.
"""

import collections
import json
import sys
import threading
import time
from concurrent import futures
from pathlib import Path

import grpc

sys.path.append(str(Path(__file__).parent.parent.parent / "benches"))
from protobuf import field, fields

UNARY, STREAM = "/seaway.Echo/Unary", "/seaway.Echo/Stream"
DELTA = "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources"
LISTENER = b"type.googleapis.com/envoy.config.listener.v3.Listener"
# As long as a call may take: far more than any of them should.
PATIENCE = 20


class Echo(grpc.GenericRpcHandler):
    def __init__(self, address):
        self.address = address.encode()

    def service(self, call):
        if call.method == UNARY:
            return grpc.unary_unary_rpc_method_handler(lambda request, context: self.address)
        if call.method == STREAM:
            return grpc.stream_stream_rpc_method_handler(lambda requests, context: (self.address for _ in requests))
        return None


class Load:
    """Calls one after the other, unary ones and streams, until it is told to end."""

    def __init__(self, target):
        self.lock, self.ends = threading.Lock(), threading.Event()
        self.sent, self.failed, self.answers = 0, [], collections.Counter()
        channel = grpc.insecure_channel("xds:///" + target)
        self.unary, self.stream = channel.unary_unary(UNARY), channel.stream_stream(STREAM)
        self.threads = [threading.Thread(target=self.run, args=(call,), daemon=True) for call in (self.one, self.one, self.some)]
        for thread in self.threads:
            thread.start()

    def one(self):
        return [self.unary(b"", timeout=PATIENCE)]

    def some(self):
        return list(self.stream(iter([b""] * 5), timeout=PATIENCE))

    def run(self, call):
        while not self.ends.is_set():
            try:
                answers = call()
                with self.lock:
                    self.sent += 1
                    self.answers.update(answer.decode() for answer in answers)
            except grpc.RpcError as error:
                with self.lock:
                    self.failed.append(f"{error.code()}: {error.details()}")
            time.sleep(0.001)

    def look(self):
        """What came of it since the last look; the failures are all there are."""
        with self.lock:
            answers, self.answers = self.answers, collections.Counter()
            return {"sent": self.sent, "failed": self.failed[:5], "answers": answers}

    def end(self):
        self.ends.set()
        for thread in self.threads:
            thread.join()
        return self.look()


class Peer:
    def __init__(self):
        self.servers, self.loads, self.channels, self.streams = {}, {}, {}, []

    def serve(self, address):
        server = grpc.server(futures.ThreadPoolExecutor(16), options=[("grpc.so_reuseport", 0)])
        server.add_generic_rpc_handlers((Echo(address),))
        server.add_insecure_port(address)
        server.start()
        self.servers[address] = server

    def stop(self, address, grace):
        """Ends a server: no new connections, and calls that are open may go on for so long."""
        self.servers.pop(address).stop(grace).wait()

    def call(self, target, count=1, wait=False, metadata=()):
        """Calls so often, with this metadata; how often who answered, or the first error."""
        channel = self.channels.setdefault(target, grpc.insecure_channel("xds:///" + target))
        unary, answers = channel.unary_unary(UNARY), collections.Counter()
        try:
            for _ in range(count):
                answers[unary(b"", timeout=PATIENCE, wait_for_ready=wait, metadata=[tuple(pair) for pair in metadata]).decode()] += 1
        except grpc.RpcError as error:
            return {"error": f"{error.code().name}: {error.details()}"}
        return answers

    def ask(self, address, names):
        """Asks an xDS server for listeners by these names, as a gRPC client does that asks for all at once; how many it is sent, and
        told of that there are none. The stream stays open."""
        client = field(1, b"hostile") + field(6, b"gRPC Python")
        asked = field(1, client) + field(2, LISTENER) + b"".join(field(3, name.encode()) for name in names)
        ends = threading.Event()

        def requests():
            yield asked
            ends.wait()

        stream = grpc.insecure_channel(address, options=[("grpc.max_receive_message_length", -1)]).stream_stream(DELTA)(requests())
        self.streams.append((stream, ends))
        found, missing = 0, 0
        try:
            while found + missing < len(names):
                keys = collections.Counter(key for key, _ in fields(next(stream)))
                found, missing = found + keys[2], missing + keys[6]
        except grpc.RpcError as error:
            return {"error": f"{error.code().name}: {error.details()}"}
        return {"found": found, "missing": missing}

    def load(self, target):
        self.loads[target] = Load(target)

    def look(self, target):
        return self.loads[target].look()

    def end(self, target):
        return self.loads.pop(target).end()


peer = Peer()
for line in sys.stdin:
    order = json.loads(line)
    print(json.dumps(getattr(peer, order.pop("do"))(**order)), flush=True)
