#!/usr/bin/env bash
# 4915112345678 in a German list is for libphonenumber a valid landline in Lower Saxony: every German and Indonesian mobile number that lacks its plus becomes another number.
#
# Seen with: phonenumbers 9.0.43 (PyPI), libphonenumber-js 1.13.16 and google-libphonenumber 3.2.47 (npm), 2026-11-28.
# One would guess: a number that begins with the region's own country code is understood with or without its plus, as it is for Italy, Britain or Austria; or
#   it is refused.
# Behaviour: the country code is taken off only when the digits as they stand are no national number. Of 244 countries' example mobiles 241 come out right. In Germany
#   49151... begins with the area code of Leer, 0491, and in Indonesia 62... with one, too: the result is +494915112345678, valid, FIXED_LINE. So with all 10,000 German mobiles that
#   were drawn. All three ports agree.
# What it means: an export with numbers as gateways take them (digits only) that is read with a default region loses all its mobiles to "landline, no SMS", or sends
#   them to nobody; a test with Austrian or British numbers passes. Put the plus in front of what begins with the country code and is too long without it.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv python && python/bin/pip --quiet --disable-pip-version-check install phonenumbers==9.0.43
npm install --silent --no-audit --no-fund libphonenumber-js@1.13.16 google-libphonenumber@3.2.47 >/dev/null
cat > ask.py <<'END_ASK'
import random
import phonenumbers as lib
from phonenumbers import PhoneNumberFormat, PhoneNumberType

def read(digits, region):
    return lib.parse(digits, region)

right, wrong = 0, []
for region in sorted(lib.SUPPORTED_REGIONS):
    number = lib.example_number_for_type(region, PhoneNumberType.MOBILE)
    if number is None:
        continue
    found = read(lib.format_number(number, PhoneNumberFormat.E164)[1:], region)
    if found == number:
        right += 1
    else:
        wrong.append(f"{region} {lib.format_number(number, PhoneNumberFormat.E164)} as {lib.format_number(found, PhoneNumberFormat.E164)}")
print(f"example mobiles without their plus: {right} right; {'; '.join(wrong)}")
draw, total, changed, landlines = random.Random(1), 0, 0, 0
while total < 10_000:
    number = lib.PhoneNumber(country_code=49, national_number=int("1" + "".join(draw.choices("0123456789", k=9))))
    if lib.number_type(number) != PhoneNumberType.MOBILE:
        continue
    found = read(lib.format_number(number, PhoneNumberFormat.E164)[1:], "DE")
    total, changed, landlines = total + 1, changed + (found != number), landlines + (lib.is_valid_number(found) and lib.number_type(found) == PhoneNumberType.FIXED_LINE)
print(f"{total} German mobiles: {changed} became another number, {landlines} of them a valid landline")
END_ASK
cat > ask.js <<'END_ASK'
const js = require("libphonenumber-js/max"), google = require("google-libphonenumber");
const util = google.PhoneNumberUtil.getInstance();
for (const [digits, region] of [["4915112345678", "DE"], ["62812345678", "ID"], ["43664123456", "AT"], ["393331234567", "IT"]]) {
  const one = js(digits, region), other = util.parse(digits, region);
  console.log(`${digits} in ${region}: libphonenumber-js ${one.number} ${one.isValid()} ${one.getType()}, google-libphonenumber ${util.format(other, google.PhoneNumberFormat.E164)} ${util.isValidNumber(other)}`);
}
END_ASK
cat > expected <<'END_EXPECTED'
example mobiles without their plus: 241 right; DE +4915123456789 as +494915123456789; ID +62812345678 as +6262812345678; XK +38343201234 as +38338343201234
10000 German mobiles: 10000 became another number, 10000 of them a valid landline
4915112345678 in DE: libphonenumber-js +494915112345678 true FIXED_LINE, google-libphonenumber +494915112345678 true
62812345678 in ID: libphonenumber-js +6262812345678 true FIXED_LINE, google-libphonenumber +6262812345678 true
43664123456 in AT: libphonenumber-js +43664123456 true MOBILE, google-libphonenumber +43664123456 true
393331234567 in IT: libphonenumber-js +393331234567 true MOBILE, google-libphonenumber +393331234567 true
END_EXPECTED
{ python/bin/python ask.py; node ask.js; } | tee seen
diff expected seen && echo "as described"
