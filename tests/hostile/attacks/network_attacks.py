"""Opening a socket of any family."""

from __future__ import annotations

import socket
from typing import Any

from stage import RefusedError, World, attack, call


@attack(control=True)
def connect_tcp(world: World) -> Any:
    socket.create_connection(("127.0.0.1", world.tcp_port), timeout=2).send(b"x")
    return "connected"


@attack(control=True)
def connect_tcp_by_raw_call(world: World) -> Any:
    return call("socket", socket.AF_INET, socket.SOCK_STREAM, 0)


@attack(control=True)
def listen_tcp(world: World) -> Any:
    server = socket.create_server(("127.0.0.1", 0))
    return server.getsockname()[1]


@attack(control=True)
def send_udp(world: World) -> Any:
    return socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", world.udp_port))


@attack()
def connect_tcp6(world: World) -> Any:
    return socket.socket(socket.AF_INET6, socket.SOCK_STREAM).fileno()


@attack()
def look_up_name(world: World) -> Any:
    return socket.getaddrinfo("example.org", 443)


@attack(control=True)
def connect_engine_socket(world: World) -> Any:
    """As the container engine's socket lies open in a container action."""
    client = socket.socket(socket.AF_UNIX)
    client.connect(world.unix_path)
    return client.send(b"GET /version HTTP/1.0\r\n\r\n")


@attack(control=True)
def connect_abstract_socket(world: World) -> Any:
    client = socket.socket(socket.AF_UNIX)
    client.connect("\0" + world.abstract_name)
    return client.send(b"x")


@attack(control=True)
def listen_unix(world: World) -> Any:
    server = socket.socket(socket.AF_UNIX)
    server.bind("socket")
    server.listen()
    return "listening"


@attack(control=True)
def make_socket_pair(world: World) -> Any:
    return socket.socketpair()[0].fileno()


@attack(control=True)
def open_netlink(world: World) -> Any:
    return socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0).fileno()


@attack()
def open_packet_socket(world: World) -> Any:
    return socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0x300).fileno()


@attack()
def open_raw_socket(world: World) -> Any:
    return socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP).fileno()


@attack()
def open_vsock(world: World) -> Any:
    return call("socket", 40, socket.SOCK_STREAM, 0)


@attack()
def open_crypto_socket(world: World) -> Any:
    return call("socket", 38, socket.SOCK_SEQPACKET, 0)


@attack()
def open_every_family(world: World) -> Any:
    opened = []
    for family in range(48):
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_RAW, socket.SOCK_SEQPACKET):
            try:
                call("socket", family, kind, 0)
            except OSError:
                continue
            opened.append((family, kind))
    if not opened:
        raise RefusedError("no family opens")
    return opened


@attack(control=True)
def send_descriptor_over_channel(world: World) -> Any:
    """Hand the supervisor a descriptor it did not ask for."""
    channel = socket.socket(fileno=world.channel)
    try:
        socket.send_fds(channel, [b"\n"], [world.channel])
    finally:
        channel.detach()
    return "sent"
