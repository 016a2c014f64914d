#!/usr/bin/env bash
# To the calendar of German holidays 05.01.2026 is a holiday and 01.05.2026 is not: it reads a German date with the month first.
#
# Seen with: holidays 0.109 (PyPI), 2026-11-28.
# One would guess: a text in a country's own way of writing dates, day first, is read so by that country's calendar, or is refused as ambiguous; the package says that it
#   takes texts.
# Behaviour: whatever the country, the text goes to dateutil, which takes the first number for the month as long as it can be one, and for the day when it can't: so
#   01.05.2026 is 5 January, 25.12.2026 is Christmas Day, and 05.01.2026 is 1 May. All of a column are read, 12 days of each month wrongly. A date object, or
#   2026-05-01, is right.
# What it means: the rule "no advertising on holidays" sends on Labour Day, 1 May, and is silent on 5 January, in Germany as in Austria, France or Brazil; a test with Christmas passes.
#   Parse dates oneself, with their format, and ask with date objects.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv python && python/bin/pip --quiet --disable-pip-version-check install holidays==0.109
cat > ask.py <<'END_ASK'
import datetime
import holidays

german = holidays.country_holidays("DE", years=2026)
for text in ("01.05.2026", "05.01.2026", "25.12.2026", "2026-05-01", "03.10.2026", "10.03.2026"):
    print(f"{text}: {text in german}")
day, right, wrong, missed = datetime.date(2026, 1, 1), 0, 0, 0
while day.year == 2026:
    by_text, truth = f"{day:%d.%m.%Y}" in german, day in german
    right, wrong, missed = right + (by_text and truth), wrong + (by_text and not truth), missed + (truth and not by_text)
    day += datetime.timedelta(days=1)
print(f"the year's holidays by text: {right} found, {missed} missed, {wrong} that are none")
END_ASK
cat > expected <<'END_EXPECTED'
01.05.2026: False
05.01.2026: True
25.12.2026: True
2026-05-01: True
03.10.2026: False
10.03.2026: True
the year's holidays by text: 5 found, 4 missed, 4 that are none
END_EXPECTED
python/bin/python ask.py | tee seen
diff expected seen && echo "as described"
