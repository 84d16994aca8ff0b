"""What `tc netem` does, for kernels that are built without it: carries frames between two interfaces, late and not all.

    python3 slow_link.py plain INTERFACE…     no checksums or segments left to the hardware there is none of
    python3 slow_link.py carry ONE OTHER      reads lines "MILLISECONDS PERCENT" from its input; prints "ready"

Frames are read and written by AF_PACKET (packet(7)), so root in a network namespace is all that is needed.
"""

import collections
import fcntl
import random
import select
import socket
import struct
import sys
import time

SIOCETHTOOL = 0x8946
# linux/ethtool.h: ETHTOOL_STXCSUM, ETHTOOL_STSO, ETHTOOL_SGSO, ETHTOOL_SGRO
OFFLOADS = (0x17, 0x1F, 0x24, 0x2C)
ETH_P_ALL = 0x0003
OUTGOING = 4


def plain(interface):
    import array

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        for command in OFFLOADS:
            value = array.array("B", struct.pack("II", command, 0))
            request = struct.pack("16sP", interface.encode(), value.buffer_info()[0])
            try:
                fcntl.ioctl(probe, SIOCETHTOOL, request)
            except OSError:
                pass  # a kind of offload that this device has not


def carry(one, other):
    ends = []
    for name in (one, other):
        plain(name)
        end = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        end.bind((name, 0))
        end.setblocking(False)
        ends.append(end)
    late = collections.deque()
    delay, loss = 0.0, 0.0
    dice = random.Random(7)
    print("ready", flush=True)
    while True:
        wait = max(0.0, late[0][0] - time.monotonic()) if late else None
        readable, _, _ = select.select([*ends, sys.stdin], [], [], wait)
        if sys.stdin in readable:
            line = sys.stdin.readline()
            if line == "":
                return
            milliseconds, percent = line.split()
            delay, loss = float(milliseconds) / 1000, float(percent) / 100
        for near, far in ((0, 1), (1, 0)):
            if ends[near] not in readable:
                continue
            frame, address = ends[near].recvfrom(65536)
            if address[2] != OUTGOING and dice.random() >= loss:
                late.append((time.monotonic() + delay, ends[far], frame))
        while late and late[0][0] <= time.monotonic():
            _, end, frame = late.popleft()
            try:
                end.send(frame)
            except OSError:
                pass  # the link is down, or the frame too long: lost, as on a wire


if sys.argv[1] == "plain":
    for name in sys.argv[2:]:
        plain(name)
else:
    carry(*sys.argv[2:4])
