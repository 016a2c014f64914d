#!/usr/bin/env bash
# A remark, a decimal tail or a second extension behind a phone number becomes part of the number, and the result is "valid".
#
# Seen with: phonenumbers 9.0.43 (PyPI), libphonenumber-js 1.13.16 and google-libphonenumber 3.2.47 (npm), 2026-11-28.
# One would guess: "+49 30 23125 00 (mom)" is refused, or read without the remark, by all ports of one library alike.
# Behaviour: three letters anywhere make a number a "vanity" number, so the letters turn into the digits of a keypad;
#   a dot, a slash and brackets are punctuation that is left out. Where a country's numbers vary in length (Germany,
#   Austria), the longer number exists too: somebody else's, possible and valid. libphonenumber-js leaves the remark out.
# What it means: a list that passed is_valid_number() can still hold numbers that nobody wrote. Refuse letters, dots and
#   slashes before parsing.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv python && python/bin/pip --quiet --disable-pip-version-check install phonenumbers==9.0.43
npm install --silent --no-audit --no-fund --prefix node libphonenumber-js@1.13.16 google-libphonenumber@3.2.47 >/dev/null

cat > numbers.json <<'END'
["+49 30 23125 00 (mom)", "+43 664 123456 Eva", "+49 30 23125 00.0", "+49 30 23125 00 / 12"]
END
cat > ask.py <<'END'
import json, phonenumbers as p
for text in json.load(open("numbers.json")):
    n = p.parse(text, None)
    print(f"phonenumbers | {text} | {p.format_number(n, p.PhoneNumberFormat.E164)} | {str(p.is_valid_number(n)).lower()}")
END
cat > ask.js <<'END'
const texts = require("./numbers.json");
const js = require("./node/node_modules/libphonenumber-js/max");
const google = require("./node/node_modules/google-libphonenumber");
const util = google.PhoneNumberUtil.getInstance();
for (const text of texts) {
  const n = util.parse(text), m = js.parsePhoneNumberFromString(text);
  console.log(`google-libphonenumber | ${text} | ${util.format(n, google.PhoneNumberFormat.E164)} | ${util.isValidNumber(n)}`);
  console.log(`libphonenumber-js | ${text} | ${m.number} | ${m.isValid()}`);
}
END
cat > expected <<'END'
phonenumbers | +49 30 23125 00 (mom) | +49302312500666 | true
phonenumbers | +43 664 123456 Eva | +43664123456382 | true
phonenumbers | +49 30 23125 00.0 | +493023125000 | true
phonenumbers | +49 30 23125 00 / 12 | +4930231250012 | true
google-libphonenumber | +49 30 23125 00 (mom) | +49302312500666 | true
libphonenumber-js | +49 30 23125 00 (mom) | +49302312500 | true
google-libphonenumber | +43 664 123456 Eva | +43664123456382 | true
libphonenumber-js | +43 664 123456 Eva | +43664123456 | true
google-libphonenumber | +49 30 23125 00.0 | +493023125000 | true
libphonenumber-js | +49 30 23125 00.0 | +493023125000 | true
google-libphonenumber | +49 30 23125 00 / 12 | +4930231250012 | true
libphonenumber-js | +49 30 23125 00 / 12 | +4930231250012 | true
END
{ python/bin/python ask.py; node ask.js; } | tee seen
diff expected seen && echo "as described"
