#!/usr/bin/env bash
# A phone number or a time in milliseconds that msgpackr packs arrives in Python as a decimal number: 15550100000.0.
#
# Seen with: msgpackr 2.1.3, @msgpack/msgpack 3.1.3, notepack.io 3.0.1 (npm), msgpack 1.2.4, msgspec 0.22.0, ormsgpack 1.13.1 (PyPI), 2026-11-28.
# One would guess: MessagePack has integers of 64 bits, and whole numbers that JavaScript holds exactly (up to 2^53) go out as such; both sides are
#   MessagePack, so the value is the same.
# Behaviour: msgpackr packs whole numbers of up to 32 bits as integers and all larger ones as float64; only a BigInt becomes an integer. The other two
#   write integers of 64 bits. In Python the float stays one: str() gives "15550100000.0", and msgspec, asked for an int, refuses it.
# What it means: ids, numbers and times below 2^32 pass every test, and the real ones become another text ("...0.0", which lenient phone parsers read as
#   ten times the number). Pack numbers as text or BigInt, and let the reader insist on int.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv python && python/bin/pip --quiet --disable-pip-version-check install msgpack==1.2.4 msgspec==0.22.0 ormsgpack==1.13.1
npm install --silent --no-audit --no-fund msgpackr@2.1.3 @msgpack/msgpack@3.1.3 notepack.io@3.0.1 >/dev/null
cat > pack.js <<'END'
const packers = { msgpackr: require("msgpackr").pack, "@msgpack/msgpack": require("@msgpack/msgpack").encode, "notepack.io": require("notepack.io").encode };
for (const [name, pack] of Object.entries(packers))
  for (const value of [4294967295, 15550100000, Date.UTC(2026, 10, 28)]) console.log(`${name} ${value} ${Buffer.from(pack(value)).toString("hex")}`);
console.log(`msgpackr-with-BigInt 15550100000 ${packers.msgpackr(15550100000n).toString("hex")}`);
END
cat > ask.py <<'END'
import sys
import msgpack, msgspec, ormsgpack
for line in sys.stdin:
    name, value, packed = line.split()
    octets = bytes.fromhex(packed)
    try:
        typed = repr(msgspec.msgpack.decode(octets, type=int))
    except msgspec.ValidationError:
        typed = "refused"
    print(f"{name} {value}: msgpack {msgpack.unpackb(octets)!r}, ormsgpack {ormsgpack.unpackb(octets)!r}, msgspec as int {typed}")
END
cat > expected <<'END'
msgpackr 4294967295: msgpack 4294967295, ormsgpack 4294967295, msgspec as int 4294967295
msgpackr 15550100000: msgpack 15550100000.0, ormsgpack 15550100000.0, msgspec as int refused
msgpackr 1795824000000: msgpack 1795824000000.0, ormsgpack 1795824000000.0, msgspec as int refused
@msgpack/msgpack 4294967295: msgpack 4294967295, ormsgpack 4294967295, msgspec as int 4294967295
@msgpack/msgpack 15550100000: msgpack 15550100000, ormsgpack 15550100000, msgspec as int 15550100000
@msgpack/msgpack 1795824000000: msgpack 1795824000000, ormsgpack 1795824000000, msgspec as int 1795824000000
notepack.io 4294967295: msgpack 4294967295, ormsgpack 4294967295, msgspec as int 4294967295
notepack.io 15550100000: msgpack 15550100000, ormsgpack 15550100000, msgspec as int 15550100000
notepack.io 1795824000000: msgpack 1795824000000, ormsgpack 1795824000000, msgspec as int 1795824000000
msgpackr-with-BigInt 15550100000: msgpack 15550100000, ormsgpack 15550100000, msgspec as int 15550100000
END
node pack.js | python/bin/python ask.py | tee seen
diff expected seen && echo "as described"
