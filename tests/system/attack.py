"""Bad inputs on a port: what one does to a node, and how its link must end."""
import re
import socket
import struct
import time

import frames
from frames import BYE, DECLINE, F32, HELLO, PROTOCOL, REPLY, REQUEST, STATUS, Peer, frame
from swarm import check

SPEC = "mlp:20-1024-64-5"  # 87,429 weights: a slice of 65,536 and one of 21,893
N_LAST = 20 * 1024 + 1024 + 1024 * 64 + 64 + 64 * 5 + 5 - frames.SLICE
BODY = struct.pack("<f", 0.01) * N_LAST
FINE = "fine"


def tensor(n=N_LAST, off=frames.SLICE, codec=0, mode=0, w=0.5, m=1.0, more=0):
    return {"off": off, "n": n, "codec": codec, "mode": mode, "m": F32(m), "w": F32(w),
            "more": more}


def request(body=BODY, id=1, **fields):
    return frame(REQUEST, tensor(**fields), body, id)


def pull(id):
    return frame(REQUEST, tensor(mode=1, w=1.0), b"", id)


class Attack:
    """One kind of bad input. act(peer, attack) sends it and returns None, FINE when it has seen all
    that matters, or what went wrong. After None the link must end within so many seconds, with the
    reason in a line of the log that names our end of it, and in a BYE with the code (None: without
    a BYE)."""

    def __init__(self, name, act, reason, code=PROTOCOL, joins=True, within=8, node=None, **hello):
        self.name, self.act, self.reason, self.code = name, act, reason, code
        self.joins, self.within, self.node, self.hello = joins, within, node, hello
        self.error = "it never ran"

    def run(self, node, port, template):
        self.node, self.template = node, template
        try:
            peer = Peer(port, template)
            self.peer = peer.name
            if self.joins:
                peer.join(**self.hello)
            start = time.monotonic()
            peer.socket.settimeout(self.within)
            outcome = self.act(peer, self)
            self.error = None if outcome == FINE else outcome or self.end(peer, start)
            peer.close()
        except Exception as e:
            self.error = f"{type(e).__name__}: {e}"

    def end(self, peer, start):
        """None if the link ends as it should."""
        if self.reason is None:
            return None
        bye = peer.wait_for(BYE)
        if not self.is_told(bye):
            return f"BYE {self.code} with '{self.reason}' wanted: {bye and bye[1]}"
        if bye is not None and peer.receive() is not None:
            return "frames after BYE"
        if time.monotonic() - start > self.within:
            return f"the link lasted {time.monotonic() - start:.0f} s"
        return None

    def is_told(self, bye):
        """Whether this BYE (None: the link ended without) is what the node should say."""
        if bye is None or self.code is None:
            return bye is None and self.code is None
        return bye[1]["why"] == self.code and self.reason in bye[1]["text"]

    def outcome(self):
        """Raises unless the link ended well and the log says why."""
        check(self.error is None, self.error)
        if self.reason is None:
            return
        # Names in the log end with our address: "shard 1/2 at 127.0.0.1:40000: why".
        lines = [line for line in self.node.log().splitlines()
                 if re.search(re.escape(self.peer) + r"(?!\d)", line)]
        check(any(self.reason in line for line in lines), f"no '{self.reason}' in the log: {lines}")


# ---- what they do ------------------------------------------------------------------------------


def silence(peer, attack):
    pass


def send(*raws):
    def act(peer, attack):
        for raw in raws:
            peer.send(raw)
    return act


def leave(raw, reset=False):
    """Sends it and goes, with a reset of the connection or in order."""
    def act(peer, attack):
        peer.send(raw)
        if reset:
            time.sleep(0.3)
            peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            peer.close()
        else:  # with bytes of the node unread, a close would be a reset too
            peer.socket.shutdown(socket.SHUT_WR)
            while peer.receive() is not None:
                pass
        return FINE
    return act


def hello(**changes):
    return lambda peer, attack: peer.send_hello(**changes)


def hello_without(key):
    def act(peer, attack):
        del peer.hello[key]
        peer.send_hello()
    return act


def hello_of_the_node(peer, attack):
    peer.send_hello(id=attack.template["id"])


def hello_of_a_peer(peer, attack):
    """A second connection says it is the peer of the first."""
    port = peer.socket.getpeername()[1]
    first = Peer(port, attack.template)
    first.join()
    first.keep_alive()
    peer.send_hello(id=first.hello["id"])
    return attack.end(peer, time.monotonic()) or first.close() or FINE


def one_byte_a_second(peer, attack):
    for byte in frame(HELLO, peer.hello):
        try:
            peer.send(bytes([byte]))
            peer.socket.settimeout(1)
            while peer.socket.recv(65536):
                pass
            return
        except TimeoutError:
            continue
        except OSError:
            return


def stays(peer, attack=None):
    """Whether the link outlives what was sent: None when an honest exchange still works."""
    peer.keep_alive()
    end = time.monotonic() + 8
    id = 1000
    while time.monotonic() < end:
        id += 1
        peer.send(pull(id))
        while True:
            got = peer.receive()
            if got is None or got[0] == BYE:
                return f"the link was closed: {got}"
            if got[3] == id and got[0] == REPLY:
                check(len(got[2]) == 4 * N_LAST, "length of the reply")
                return None
            if got[3] == id and got[0] == DECLINE:
                time.sleep(0.05)
                break
    return "no reply to an honest request"


def harmless(*raws):
    """The link stays, before and after."""
    def act(peer, attack):
        for raw in raws:
            peer.send(raw)
        return stays(peer) or stays(peer)
    return act


def request_with(weight):
    """Requests with one element of this value, until one of them is served: those that cross a
    request of the node are ignored."""
    bad = BODY[:-4] + struct.pack("<f", weight)

    def act(peer, attack):
        peer.keep_alive()
        for id in range(1, 2000):
            peer.send(request(bad, id))
            while True:
                got = peer.receive()
                if got is None or got[0] == BYE:
                    return FINE if attack.is_told(got) else f"closed: {got}"
                if got[0] == REQUEST:
                    peer.send(frame(DECLINE, {}, b"", got[3]))
                if got[3] == id and got[0] in (REPLY, DECLINE):
                    break
        return "taken 2000 times"
    return act


def reply_with(weight=0.01, **changes):
    """Answers every request of the node with such elements, and such changes of its fields."""
    element = struct.pack("<f", weight)

    def act(peer, attack):
        peer.keep_alive()
        while True:
            got = peer.receive()
            if got is None or got[0] == BYE:
                return FINE if attack.is_told(got) else f"closed: {got}"
            if got[0] == REQUEST:
                fields = {**{k: got[1][k] for k in ("n", "off", "mode", "w")}, **changes}
                peer.send(frame(REPLY, tensor(**fields), element * fields["n"], got[3]))
    return act


def never_reads(n):
    """Asks for n slices and reads none of them."""
    def act(peer, attack):
        peer.keep_alive()
        try:
            for id in range(1, n + 1):
                # In turn: a second request for a slice that is being served is an offence.
                first = tensor(frames.SLICE, 0, mode=1, w=1.0)
                peer.send(pull(id) if id % 2 else frame(REQUEST, first, b"", id))
                time.sleep(0.04)
        except OSError:
            pass
        end = time.monotonic() + 70
        while time.monotonic() < end:
            if any("lost " in line and peer.name + ":" in line
                   for line in attack.node.log().splitlines()):
                return None
            time.sleep(0.2)
        return "still linked after 70 s"
    return act


def crosses(peer, attack):
    """Asks for the first slice whenever the node may have asked for it, which ends the node's own
    exchange, and reads nothing."""
    peer.keep_alive()
    peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    body = bytes(4 * frames.SLICE)
    try:
        for id in range(1, 100):
            peer.send(request(body, id, n=frames.SLICE, off=0, w=1e-6))
            time.sleep(0.05)
    except OSError:
        pass
    time.sleep(1)  # for what the log says; outcome() looks there
    return FINE
