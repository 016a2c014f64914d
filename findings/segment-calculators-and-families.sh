#!/usr/bin/env bash
# The same text is three segments for one calculator and two for another, because one never cuts a family.
#
# Seen with: sms-segments-calculator 1.3.0 (Twilio's), split-sms 0.1.7, gsm 0.1.4 (npm), smsutil 1.1.3 (PyPI), 2026-11-28.
# One would guess: UCS-2 text is counted in code units, 67 a part, and that only the two halves of a surrogate pair stay together.
# Behaviour: sms-segments-calculator keeps each *grapheme* whole, so a family (four people and three joiners, 11 units) moves to the next
#   part as one; two families at boundaries cost a part more than split-sms and smsutil count. The package gsm does the opposite: it
#   divides the units by 67 and lets pairs straddle, so that 67 smileys are two parts for it and three for all others.
# What it means: two tools can both be right by their own rule and differ in the bill. The rule has to be named with the count.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv python && python/bin/pip --quiet --disable-pip-version-check install smsutil==1.1.3
npm install --silent --no-audit --no-fund sms-segments-calculator@1.3.0 split-sms@0.1.7 gsm@0.1.4 >/dev/null
python3 - <<'END'
import json
family = "\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466"
letter = "\u044b"
json.dump({"letters and a family at the boundary": letter * 60 + family + letter * 60, "67 smileys": "\U0001f600" * 67}, open("texts.json", "w"))
END
cat > ask.js <<'END'
const { SegmentedMessage } = require("sms-segments-calculator"), split = require("split-sms"), gsm = require("gsm");
for (const [name, text] of Object.entries(require("./texts.json"))) {
  console.log(`${name}: sms-segments-calculator ${new SegmentedMessage(text, "auto").segmentsCount}`);
  console.log(`${name}: split-sms ${split.split(text).parts.length}`);
  console.log(`${name}: gsm ${gsm(text).sms_count}`);
}
END
cat > ask.py <<'END'
import json, smsutil
for name, text in json.load(open("texts.json")).items():
    print(f"{name}: smsutil {len(smsutil.split(text).parts)}")
END
cat > expected <<'END'
letters and a family at the boundary: sms-segments-calculator 3
letters and a family at the boundary: split-sms 2
letters and a family at the boundary: gsm 2
67 smileys: sms-segments-calculator 3
67 smileys: split-sms 3
67 smileys: gsm 2
letters and a family at the boundary: smsutil 2
67 smileys: smsutil 3
END
{ node ask.js; python/bin/python ask.py; } | tee seen
diff expected seen && echo "as described"
