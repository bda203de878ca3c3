"""The wire (docs/WIRE.md) written a second time, by hand, to speak to nodes and to misbehave."""
import os
import socket
import struct
import threading
import time

import xxhash

HELLO, STATUS, BYE, REQUEST, REPLY, DECLINE = 1, 2, 3, 16, 17, 18
DONE, LEAVING, INCOMPATIBLE, DUPLICATE, SELF, PROTOCOL, BUSY = range(7)
TRAINING = 1
SLICE = 65536


class F32(float):
    """A float that goes out as msgpack float 32."""


def pack(value):
    if isinstance(value, dict):
        head = bytes([0x80 | len(value)]) if len(value) < 16 else struct.pack(">BH", 0xde, len(value))
        return head + b"".join(pack(k) + pack(v) for k, v in value.items())
    if isinstance(value, str):
        raw = value.encode()
        return (bytes([0xa0 | len(raw)]) if len(raw) < 32 else b"\xd9" + bytes([len(raw)])) + raw
    if isinstance(value, bytes):
        return b"\xc4" + bytes([len(value)]) + value
    if isinstance(value, F32):
        return b"\xca" + struct.pack(">f", value)
    return bytes([value]) if value < 128 else b"\xcf" + struct.pack(">Q", value)


def unpack(raw, at=0):
    """A value and where it ends."""
    t = raw[at]
    at += 1
    if t < 0x80:
        return t, at
    if t & 0xf0 == 0x80 or t == 0xde:
        n, at = (t & 15, at) if t != 0xde else (struct.unpack_from(">H", raw, at)[0], at + 2)
        result = {}
        for _ in range(n):
            key, at = unpack(raw, at)
            result[key], at = unpack(raw, at)
        return result, at
    if t & 0xe0 == 0xa0 or t in (0xd9, 0xc4):
        n, at = (t & 31, at) if t & 0xe0 == 0xa0 else (raw[at], at + 1)
        part = raw[at:at + n]
        return (part if t == 0xc4 else part.decode()), at + n
    form = {0xca: ">f", 0xcc: ">B", 0xcd: ">H", 0xce: ">I", 0xcf: ">Q"}[t]
    n = struct.calcsize(form)
    return struct.unpack(form, raw[at:at + n])[0], at + n


def frame(kind, fields, body=b"", id=0, version=1, magic=b"HUBB", map_bytes=None, body_bytes=None,
          damage=0):
    packed = fields if isinstance(fields, bytes) else pack(fields)
    head = struct.pack("<4sHHIIQ", magic, version, kind,
                       len(packed) if map_bytes is None else map_bytes,
                       len(body) if body_bytes is None else body_bytes, id)
    body_sum = struct.pack("<Q", xxhash.xxh3_64_intdigest(body)) if body else b""
    return head + struct.pack("<Q", xxhash.xxh3_64_intdigest(head + packed + body_sum) ^ damage) \
        + packed + body


class Peer:
    """A raw connection to a node that can be as good or as bad as the test wants."""

    def __init__(self, port, template=None):
        """template: a HELLO of a real node, of which ours is a copy with another identity."""
        self.socket = socket.create_connection(("127.0.0.1", port), 10)
        self.socket.settimeout(20)
        self.name = "127.0.0.1:%d" % self.socket.getsockname()[1]
        self.buffer = b""
        self.lock = threading.Lock()
        self.hello = dict(template or {})
        self.hello.update(id=os.urandom(32), inc=time.monotonic_ns() // 1000, addr="",
                          state=TRAINING, step=1)
        self.stopped = threading.Event()

    def send(self, raw):
        with self.lock:
            self.socket.sendall(raw)

    def send_hello(self, **changes):
        self.hello.update(changes)
        self.send(frame(HELLO, self.hello))

    def keep_alive(self):
        """STATUS every second, like a peer that is well."""
        def run():
            while not self.stopped.wait(1):
                try:
                    self.send(frame(STATUS, {"state": TRAINING, "step": 1}))
                except OSError:
                    return
        threading.Thread(target=run, daemon=True).start()

    def receive(self):
        """kind, map, body, id of the next whole frame; None at the end."""
        head = self._exactly(32)
        if head is None:
            return None
        magic, version, kind, map_bytes, body_bytes, id, _ = struct.unpack("<4sHHIIQQ", head)
        assert magic == b"HUBB" and version == 1, head
        packed, body = self._exactly(map_bytes), self._exactly(body_bytes)
        if packed is None or body is None:
            return None
        return kind, unpack(packed)[0], body, id

    def _exactly(self, n):
        while len(self.buffer) < n:
            try:
                more = self.socket.recv(1 << 20)
            except (ConnectionResetError, BrokenPipeError):
                more = b""
            if not more:
                return None
            self.buffer += more
        part, self.buffer = self.buffer[:n], self.buffer[n:]
        return part

    def wait_for(self, kind):
        """The next frame of the kind; None when the link ends before."""
        while True:
            got = self.receive()
            if got is None or got[0] == kind:
                return got

    def join(self, **changes):
        """HELLO both ways; then we are a peer."""
        self.send_hello(**changes)
        return self.wait_for(HELLO)[1]

    def close(self):
        self.stopped.set()
        self.socket.close()


def template_of(port):
    """The HELLO of the node there."""
    probe = Peer(port)
    hello = probe.receive()[1]
    probe.close()
    return hello
