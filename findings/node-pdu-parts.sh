#!/usr/bin/env bash
# node-pdu cuts 159 plain letters into two messages, and puts 100 euro-table characters into one that no network can carry.
#
# Seen with: node-pdu 2.1.1 (npm), 2026-11-28.
# One would guess: a library that makes SMS PDUs fills them by 3GPP TS 23.038 and 23.040: 160 septets a message, a character of
#   the extension table ("|", "[", the euro sign) being two of them; at most 140 octets of user data.
# Behaviour: 159 and 160 letters "a" become two parts; "é", which is in the GSM alphabet, changes the text to UCS-2 (160 of
#   them are three parts); 100 "|" (200 septets, two parts by the standard) stay one part whose user data length says 200, where the
#   field holds at most 160, and 160 "|" make a first part of 274.
# What it means: segments, and so prices, must be counted by the standard's table, not by what a library cuts.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
npm install --silent --no-audit --no-fund node-pdu@2.1.1 >/dev/null
cat > ask.js <<'END'
const { Submit } = require("node-pdu");
for (const [name, text] of [["159 a", "a".repeat(159)], ["160 a", "a".repeat(160)], ["160 é", "é".repeat(160)],
                            ["100 |", "|".repeat(100)], ["160 |", "|".repeat(160)]])
  console.log(`${name}: user data lengths ${new Submit("15550100", text).getParts().map((part) => part.size).join(", ")}`);
END
cat > expected <<'END'
159 a: user data lengths 141, 34
160 a: user data lengths 141, 35
160 é: user data lengths 133, 133, 75
100 |: user data lengths 200
160 |: user data lengths 274, 62
END
node ask.js | tee seen
diff expected seen && echo "as described"
