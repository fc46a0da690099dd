"""Reads residua's wire frames from a file or standard input and prints each as one line of JSON.

Written from docs/wire.md alone, with the standard library alone.
Usage: wire_reader.py [FILE]
"""

import json
import sys
import zlib


class Damaged(Exception):
    pass


def uncobs(data):
    out, at = bytearray(), 0
    while at < len(data):
        n = data[at]
        block = data[at + 1 : at + n]
        if len(block) != n - 1:
            raise Damaged("the COBS ends early")
        out += block
        at += n
        if n < 255 and at < len(data):
            out.append(0)
    return bytes(out)


class Cursor:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, n):
        if self.at + n > len(self.data):
            raise Damaged("the message ends early")
        self.at += n
        return self.data[self.at - n : self.at]


def u8(c):
    return c.take(1)[0]


def varint(bits):
    def read(c):
        value = shift = 0
        while True:
            byte = u8(c)
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                break
        if value >= 1 << bits:
            raise Damaged("a number is too large")
        return value

    return read


u16, u32, u64 = varint(16), varint(32), varint(64)


def boolean(c):
    return [False, True][u8(c)]


def listing(most, read):
    def items(c):
        n = u32(c)
        if n > most:
            raise Damaged("a list is too long")
        return [read(c) for _ in range(n)]

    return items


def text(most):
    return lambda c: bytes(listing(most, u8)(c)).decode()


def array(n, read):
    return lambda c: [read(c) for _ in range(n)]


def digest(c):
    return c.take(32).hex()


def optional(read):
    return lambda c: read(c) if boolean(c) else None


def struct(**fields):
    return lambda c: {name: read(c) for name, read in fields.items()}


def choice(*choices):
    """Each choice is a name, or a name and how to read what belongs to it."""

    def read(c):
        n = u32(c)
        if n >= len(choices):
            raise Damaged("an unknown kind of message or value")
        chosen = choices[n]
        return chosen if isinstance(chosen, str) else {chosen[0]: chosen[1](c)}

    return read


time = struct(uptime_us=u64, unix_us=optional(u64))
size = struct(width=u16, height=u16)
threshold = struct(raw=u32, scale=struct(fraction_bits=u8, box_size=u8))
region = struct(left=u16, top=u16, right=u16, bottom=u16, area=u32, peak=u32)

model = struct(digest=digest, version=u64, input=size, threshold=threshold, name=text(64))
hello = struct(
    protocol=u8,
    program=struct(major=u16, minor=u16, patch=u16),
    device=text(32),
    capabilities=u32,
    next_part=u64,
    model=optional(model),
)
verdict = struct(outcome=choice("good", "defect"), score=u32, regions=u32, overflow=boolean)
report = struct(
    part=u64, time=time, verdict=verdict, threshold=threshold, regions=listing(16, region)
)
fault = struct(
    part=optional(u64),
    time=time,
    kind=choice(
        "Model", "Image", "Engine", "Camera", "Gate", "Watchdog", "Storage", "Update", "Link",
        "Internal",
    ),
    detail=text(128),
)
mask = struct(
    part=u64,
    index=u32,
    last=boolean,
    start=u32,
    spans=listing(48, struct(skip=u32, length=u32)),
)
image = struct(part=u64, size=size, start=u32, pixels=listing(512, u8))
stats = struct(
    time=time,
    good=u64,
    defects=u64,
    faults=u64,
    dropped=struct(images=u64, reports=u64, masks=u64, frames=u64, late=u64),
    latency=struct(counts=array(24, u64), total_us=u64, max_us=u32),
    memory=struct(buffers=u64, peak=u64),
)
refusal = choice(
    "Unsupported",
    "Busy",
    "NoModel",
    "Scale",
    ("Threshold", struct(pixel=u32)),
    "Signature",
    ("Version", struct(current=u64)),
    ("Geometry", struct(expected=size)),
    ("Length", struct(capacity=u32)),
    "NotBegun",
    ("Offset", struct(expected=u32)),
    "Digest",
    "Invalid",
    "Storage",
)
answer = struct(request=u16, result=choice(("Ok", lambda c: None), ("Err", refusal)))
message = choice(
    ("Hello", hello),
    ("Report", report),
    ("Fault", fault),
    ("Mask", mask),
    ("Image", image),
    ("Stats", stats),
    ("Pong", struct(request=u16, time=time)),
    ("Answer", answer),
)

header = struct(version=u64, length=u32, input=size, digest=digest)
signature = struct(r=array(32, u8), s=array(32, u8))
command = choice(
    "Ping",
    "Identify",
    "Stats",
    ("SetThreshold", threshold),
    "Capture",
    ("BeginModel", struct(header=header, signature=signature)),
    ("ModelChunk", struct(offset=u32, bytes=listing(512, u8))),
    "CommitModel",
    "Reboot",
    ("Acknowledge", struct(part=u64)),
)

SENDERS = {ord("D"): message, ord("H"): struct(id=u16, command=command)}


def decode(frame):
    """What a frame says, without its closing zero."""
    plain = uncobs(frame)
    body, checksum = plain[:-4], plain[-4:]
    if zlib.crc32(body) != int.from_bytes(checksum, "little") or len(body) < 2:
        raise Damaged("wrong checksum")
    if body[0] != 2:
        raise Damaged(f"protocol version {body[0]} is unknown")
    if body[1] not in SENDERS:
        raise Damaged(f"sender {body[1]} is unknown")
    cursor = Cursor(body[2:])
    said = SENDERS[body[1]](cursor)
    if cursor.at != len(cursor.data):
        raise Damaged("bytes are left over")
    return said


def main():
    stream = open(sys.argv[1], "rb") if len(sys.argv) > 1 else sys.stdin.buffer
    for frame in stream.read().split(b"\0"):
        if frame:
            try:
                said = decode(frame)
            except Damaged as damage:
                said = {"error": str(damage)}
            print(json.dumps(said, separators=(",", ":"), ensure_ascii=False))


if __name__ == "__main__":
    main()
