#!/usr/bin/env bash
# libphonenumber-js knows British mobile numbers as such, and not those of 229 other countries: it depends on what was imported.
#
# Seen with: libphonenumber-js 1.13.16 (npm), 2026-11-28.
# One would guess: isValid() and getType() of one version of one package give one answer; a smaller build knows fewer countries or fails.
# Behaviour: the plain import judges by lengths and a rough pattern, and knows types of few countries: of the example mobile numbers of 245 countries
#   229 have the type undefined, 16 (+44, +1, +61, +262 and the like) have theirs. "/max" knows all, "/mobile" says MOBILE also of numbers that
#   "/max" calls FIXED_LINE_OR_MOBILE, and finds landlines invalid. +491511234, too short for a mobile, is valid for the plain one alone.
# What it means: "only mobiles" (getType() === "MOBILE") passes tests with +44 numbers and drops a whole country's list without an error; two services
#   with different imports disagree about who can be sent to. Import "/max" wherever a type or validity decides.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
npm install --silent --no-audit --no-fund libphonenumber-js@1.13.16 >/dev/null
cat > ask.js <<'END'
const builds = { plain: require("libphonenumber-js"), "/max": require("libphonenumber-js/max"), "/mobile": require("libphonenumber-js/mobile") };
const examples = require("libphonenumber-js/examples.mobile.json");
for (const [number, what] of [["+447400123456", "British mobile"], ["+4915123456789", "German mobile"], ["+12015550123", "American"],
                              ["+493012345678", "Berlin landline"], ["+491511234", "too short"]])
  console.log(`${what} ${number}: ` + Object.entries(builds).map(([name, build]) => {
    const read = build.parsePhoneNumberFromString(number);
    return `${name} ${read.isValid() ? "valid" : "invalid"} ${read.getType()}`;
  }).join(", "));
for (const [name, build] of Object.entries(builds)) {
  const types = {};
  for (const country of builds["/max"].getCountries()) {
    const example = builds["/max"].getExampleNumber(country, examples);
    const type = example ? build.parsePhoneNumberFromString(example.number).getType() : "no example";
    types[type] = (types[type] || 0) + 1;
  }
  console.log(`${name}, an example of each country: ` + Object.entries(types).sort().map(([type, number]) => `${type} ${number}`).join(", "));
}
END
cat > expected <<'END'
British mobile +447400123456: plain valid MOBILE, /max valid MOBILE, /mobile valid MOBILE
German mobile +4915123456789: plain valid undefined, /max valid MOBILE, /mobile valid MOBILE
American +12015550123: plain valid FIXED_LINE_OR_MOBILE, /max valid FIXED_LINE_OR_MOBILE, /mobile valid MOBILE
Berlin landline +493012345678: plain valid undefined, /max valid FIXED_LINE, /mobile invalid undefined
too short +491511234: plain valid undefined, /max invalid undefined, /mobile invalid undefined
plain, an example of each country: FIXED_LINE_OR_MOBILE 2, MOBILE 14, undefined 229
/max, an example of each country: FIXED_LINE_OR_MOBILE 11, MOBILE 234
/mobile, an example of each country: MOBILE 244, undefined 1
END
node ask.js | tee seen
diff expected seen && echo "as described"
