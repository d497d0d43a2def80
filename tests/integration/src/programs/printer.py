"""The network stack of an old printer, with one sequential counter for the IP identification of all its packets. From
its answers an intruder can infer whether it has sent a packet to another host in between.

printer.py INTERFACE PORT...: answers TCP at these ports. The kernel's own TCP must be blocked."""

import socket
import struct
import sys

FIN, SYN, RST, ACK = 1, 2, 4, 16
interface, listening = sys.argv[1], {int(port) for port in sys.argv[2:]}
wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0800))
wire.bind((interface, 0))
number = 1000


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def answer(frame):
    global number
    ip = frame[14:]
    if len(ip) < 40 or ip[0] != 0x45 or ip[9] != 6 or wire.getsockname()[4] != frame[:6]:
        return
    source, destination, tcp = ip[12:16], ip[16:20], ip[20:]
    there, port, sequence, acknowledged, _, flags = struct.unpack("!HHIIBB", tcp[:14])
    if flags & RST or (not flags & (SYN | ACK) and port in listening):
        return
    if flags & ACK:
        reply = (acknowledged, 0, RST)
    elif flags & SYN and port in listening:
        reply = (1, sequence + 1, SYN | ACK)
    else:
        reply = (0, sequence + 1, RST | ACK)
    number = (number + 1) & 0xFFFF
    sequence, acknowledged, flags = (value & 0xFFFFFFFF for value in reply)

    def header(check):
        return struct.pack("!HHIIBBHHH", port, there, sequence, acknowledged, 5 << 4, flags, 1024, check, 0)

    def network(check):
        return struct.pack("!BBHHHBBH", 0x45, 0, 40, number, 0, 64, 6, check) + destination + source

    pseudo = destination + source + struct.pack("!HH", 6, 20)
    segment = header(checksum(pseudo + header(0)))
    wire.send(frame[6:12] + frame[:6] + b"\x08\x00" + network(checksum(network(0))) + segment)


print("ready", flush=True)
while True:
    frame, (_, _, kind, *_) = wire.recvfrom(2048)
    if kind != socket.PACKET_OUTGOING:
        answer(frame)
