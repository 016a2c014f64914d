#!/usr/bin/env bash
# To phonenumbers any two numbers "match" in an if, and a number that can't be is possible "with a reason": the answers are numbers, not yes and no.
#
# Seen with: phonenumbers 9.0.43 (PyPI), google-libphonenumber 3.2.47 (npm), 2026-11-28.
# One would guess: is_number_match(a, b) is true for one number in two ways of writing and false for two numbers, as is_valid_number() and
#   is_possible_number() beside it are true and false.
# Behaviour: it gives 1 for two different numbers (NO_MATCH), 2 to 4 for ones that agree more or less, and 0, the one that is false, for what is no number at all;
#   so does isNumberMatch() in JavaScript. is_possible_number_with_reason() is the other way round: 0 is "possible", and all reasons why not are true.
#   A match of 2 is one of the last digits only: 12345678 and +4915112345678.
# What it means: a list from which doubles are taken by "if is_number_match(a, b)" keeps one recipient, or the first of each group that was compared, and nothing
#   fails. Compare format_number(number, PhoneNumberFormat.E164), or ask for MatchType.EXACT_MATCH.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv python && python/bin/pip --quiet --disable-pip-version-check install phonenumbers==9.0.43
npm install --silent --no-audit --no-fund google-libphonenumber@3.2.47 >/dev/null
cat > ask.py <<'END'
import phonenumbers

recipients = ["+4915112345678", "+4915112345679", "+447400123456", "+12015550123", "+33612345678"]
kept = []
for number in recipients:
    if not any(phonenumbers.is_number_match(number, other) for other in kept):
        kept.append(number)
print(f"phonenumbers: {len(kept)} of {len(recipients)} different numbers kept")
for one, other in (("+4915112345678", "+447400123456"), ("+4915112345678", "12345678"), ("+4915112345678", "+49 151 12345678"), ("+4915112345678", "none")):
    answer = phonenumbers.is_number_match(one, other)
    print(f"  {one} and {other}: {answer}, {bool(answer)}")
for number in ("+4915112345678", "+33612"):
    parsed = phonenumbers.parse(number)
    print(f"  {number}: possible {phonenumbers.is_possible_number(parsed)}, with reason {bool(phonenumbers.is_possible_number_with_reason(parsed))}")
END
cat > ask.js <<'END'
const phones = require("google-libphonenumber").PhoneNumberUtil.getInstance();
for (const other of ["+447400123456", "+49 151 12345678", "none"]) {
  const answer = phones.isNumberMatch("+4915112345678", other);
  console.log(`google-libphonenumber: +4915112345678 and ${other}: ${answer}, ${Boolean(answer)}`);
}
END
cat > expected <<'END'
phonenumbers: 1 of 5 different numbers kept
  +4915112345678 and +447400123456: 1, True
  +4915112345678 and 12345678: 2, True
  +4915112345678 and +49 151 12345678: 4, True
  +4915112345678 and none: 0, False
  +4915112345678: possible True, with reason False
  +33612: possible False, with reason True
google-libphonenumber: +4915112345678 and +447400123456: 1, true
google-libphonenumber: +4915112345678 and +49 151 12345678: 4, true
google-libphonenumber: +4915112345678 and none: 0, false
END
(python/bin/python ask.py; node ask.js) | tee seen
diff expected seen && echo "as described"
