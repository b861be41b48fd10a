"""Damage, drawn at random: bytes, text, JSON, values.  The same seed gives the same damage."""

import json

NUMBERS = [
    "-1",
    "0",
    "1",
    "nan",
    "inf",
    "-inf",
    "1e400",
    "9" * 30,
    "1.5",
    "",
    "x",
    "\uff11",
    "1_0",
    " 1",
    "0x1",
    "None",
]
TEXTS = [
    "",
    "\0",
    "\n",
    "\ud800",
    "é" * 50,
    "x" * 200_000,
    "../..",
    "a/b",
    "{}",
    "os:abort",
    "=",
    ",",
    '"',
    "'",
    "\x1b[2J",
]
ODD = [
    None,
    True,
    -1,
    0,
    2**70,
    10**400,
    1.5,
    float("nan"),
    float("inf"),
    "",
    "x",
    "\0",
    "1",
    [],
    {},
    [[]],
    [None],
    {"a": 1},
]


def pick(generator, values):
    return values[int(generator.integers(len(values)))]


def damaged(generator, data):
    """Return bytes with some of them flipped, gone, doubled, added, or put in place of a number."""
    data = bytearray(data)
    for _ in range(int(generator.integers(1, 4))):
        a, b = sorted(int(i) for i in generator.integers(len(data) + 1, size=2))
        b = min(b, a + int(generator.integers(1, 40)))
        kind = int(generator.integers(8))
        if kind == 0 and data:
            data[min(a, len(data) - 1)] ^= 1 << int(generator.integers(8))
        elif kind == 1:
            del data[a:b]
        elif kind == 2:
            data[a:a] = data[a:b]
        elif kind == 3:
            data[a:b] = generator.bytes(int(generator.integers(20)))
        elif kind == 4:
            data[a:b] = pick(generator, TEXTS[:5] + TEXTS[6:]).encode("utf-8", "surrogatepass")
        elif kind == 5:
            del data[a:]
        elif kind == 6:
            data[a:b] = pick(generator, NUMBERS).encode()
        else:
            cells = bytes(data).split(b",")
            cells[int(generator.integers(len(cells)))] = pick(generator, NUMBERS).encode()
            data = bytearray(b",".join(cells))
    return bytes(data)


def damaged_json(generator, value):
    """Return a JSON value with one of its nodes put in another's place, gone, or renamed, as text."""
    value = json.loads(json.dumps(value))
    places = []

    def walk(node):
        for key in list(node) if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else ():
            places.append((node, key))
            walk(node[key])

    walk(value)
    for _ in range(int(generator.integers(1, 3))):
        node, key = pick(generator, places)
        if isinstance(node, dict) and key in node and generator.random() < 0.3:
            held = node.pop(key)
            if generator.random() < 0.5:
                node[pick(generator, TEXTS[:5])] = held
        elif isinstance(node, dict) or key < len(node):
            node[key] = pick(generator, ODD)
    return json.dumps(value)
