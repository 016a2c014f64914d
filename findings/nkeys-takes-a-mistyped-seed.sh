#!/usr/bin/env bash
# The nkeys package of Python takes a seed with a wrong letter for another key: its checksum is not looked at, so that the server says "Authorization Violation".
#
# Seen with: nkeys 0.2.1 (PyPI), @nats-io/nkeys 2.0.3 (npm), 2026-11-29.
# One would guess: a seed ends with a checksum so that a slip of the keyboard is noticed where it is read.
# Behaviour: from_seed() cuts the two octets of the checksum off and never compares them. A seed with one letter changed is another key pair, which the server
#   does not know. The JavaScript package refuses the same seeds.
# What it means: a mistyped or damaged seed looks like a user that is missing on the server. Compare KeyPair.public_key with the user's
#   before you look there.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv python && python/bin/pip --quiet --disable-pip-version-check install nkeys==0.2.1
npm --silent --no-fund --no-audit install @nats-io/nkeys@2.0.3
cat > ask.py <<'END_ASK'
import nkeys

SEED = "SUAA33YA6ZJDXRPFZG25BIYECJGPJCQRKOVKVKIZRIBLGNYIECZ3SL7TRE"
known = nkeys.from_seed(SEED.encode()).public_key
for what, seed in (("right", SEED), ("a letter changed", SEED[:20] + "A" + SEED[21:]), ("last letter changed", SEED[:-1] + "A")):
    try:
        found = nkeys.from_seed(seed.encode()).public_key
        print(f"Python, {what}: {'the same key' if found == known else 'another key'}")
    except Exception as error:
        print(f"Python, {what}: {type(error).__name__}")
END_ASK
cat > ask.mjs <<'END_ASK'
import { fromSeed } from "@nats-io/nkeys";
const SEED = "SUAA33YA6ZJDXRPFZG25BIYECJGPJCQRKOVKVKIZRIBLGNYIECZ3SL7TRE";
const known = fromSeed(new TextEncoder().encode(SEED)).getPublicKey();
for (const [what, seed] of [["right", SEED], ["a letter changed", SEED.slice(0, 20) + "A" + SEED.slice(21)], ["last letter changed", SEED.slice(0, -1) + "A"]]) {
  try {
    const found = fromSeed(new TextEncoder().encode(seed)).getPublicKey();
    console.log(`JavaScript, ${what}: ${found === known ? "the same key" : "another key"}`);
  } catch (error) {
    console.log(`JavaScript, ${what}: refused`);
  }
}
END_ASK
cat > expected <<'END_EXPECTED'
Python, right: the same key
Python, a letter changed: another key
Python, last letter changed: the same key
JavaScript, right: the same key
JavaScript, a letter changed: refused
JavaScript, last letter changed: refused
END_EXPECTED
{ python/bin/python ask.py; node ask.mjs; } | tee seen
diff expected seen && echo "as described"
