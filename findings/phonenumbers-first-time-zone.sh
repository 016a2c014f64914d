#!/usr/bin/env bash
# The first time zone of a Moscow mobile number is Kazakhstan's, that of an American toll-free number is in the Aleutians.
#
# Seen with: phonenumbers 9.0.43 (PyPI), 2026-11-28.
# One would guess: time_zones_for_number() gives the zone of a number, or a few with the likeliest first, as precisely as the package knows.
# Behaviour: for a number that is not geographic (mobiles of most countries) it gives all zones of the *calling code*, in the order of the alphabet:
#   16 for any Russian mobile, Almaty first, 8 for an Australian one, Adelaide first, the Canaries before Madrid. For the same numbers
#   time_zones_for_geographical_number() knows Moscow, Sydney and Madrid, also when the number isn't geographic.
# What it means: quiet hours by the first zone of the list wake people: 9 h in Almaty is 7 h in Moscow, 8 h in the Canaries 9 h in Madrid. Keep
#   to the hours that are allowed in all of the zones, and ask the other function for the place.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv python && python/bin/pip --quiet --disable-pip-version-check install phonenumbers==9.0.43
cat > ask.py <<'END'
import phonenumbers
from phonenumbers import timezone

for name, text in (("Russia, mobile", "+79160000000"), ("Australia, mobile", "+61491570156"), ("Spain, mobile", "+34600000000"),
                   ("Germany, mobile", "+4915110000000"), ("US, toll-free", "+18005550123"), ("US, San Francisco", "+14155550123")):
    number = phonenumbers.parse(text)
    said = [f"{zones[0]}" + (f" and {len(zones) - 1} more" if len(zones) > 1 else "")
            for zones in (timezone.time_zones_for_number(number), timezone.time_zones_for_geographical_number(number))]
    print(f"{name}: of a number: {said[0]}; of a geographical number: {said[1]}")
END
cat > expected <<'END'
Russia, mobile: of a number: Asia/Almaty and 15 more; of a geographical number: Europe/Moscow
Australia, mobile: of a number: Australia/Adelaide and 7 more; of a geographical number: Australia/Sydney
Spain, mobile: of a number: Atlantic/Canary and 1 more; of a geographical number: Europe/Madrid
Germany, mobile: of a number: Europe/Berlin; of a geographical number: Europe/Berlin
US, toll-free: of a number: America/Adak and 41 more; of a geographical number: America/Adak and 41 more
US, San Francisco: of a number: America/Los_Angeles; of a geographical number: America/Los_Angeles
END
python/bin/python ask.py | tee seen
diff expected seen && echo "as described"
