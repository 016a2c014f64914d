#!/usr/bin/env bash
# The "done date" of a receipt, 261105081530, is 8 May 2611 for dateutil, pandas, pendulum and dayjs; on the 28th of a month it is an error, or 10 April 2613.
#
# Seen with: python-dateutil 2.9.0.post0, pandas 3.1.1, pendulum 3.3.0, dateparser 1.5.0 (PyPI), dayjs 1.11.23, moment 2.31.0, date-fns 4.4.0 (npm), 2026-11-28.
# One would guess: a parser that guesses the format reads YYMMDDhhmm and YYMMDDhhmmss, as SMSCs write them, or refuses all of them alike.
# Behaviour: 12 digits are taken for YYYYMMDDhhmm, and that exists when the day is at most 12 and hour and minute allow: 15 % of a year's receipts are in
#   the 27th century, and the others are errors, which errors="coerce" turns into gaps. dayjs takes all of them and lets months of 28 run over. Ten digits are a count of seconds
#   for dateparser (2052), 2613 for dayjs, and an OverflowError, no ValueError, for dateutil. moment and date-fns refuse all of them.
# What it means: a table of delivery times has gaps and a few values of 585 years; a median hides them, a mean doesn't, and an "older than a day" finds nothing. Name
#   the format: %y%m%d%H%M, with %S where there are twelve.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv python
python/bin/pip --quiet --disable-pip-version-check install python-dateutil==2.9.0.post0 pandas==3.1.1 pendulum==3.3.0 dateparser==1.5.0
npm install --silent --no-audit --no-fund dayjs@1.11.23 moment@2.31.0 date-fns@4.4.0 >/dev/null
cat > ask.py <<'END_ASK'
import datetime, logging
import dateparser, dateutil.parser, pandas, pendulum

logging.disable(logging.CRITICAL)
readers = {"dateutil": dateutil.parser.parse, "pandas": pandas.to_datetime, "pendulum": lambda text: pendulum.parse(text, strict=False),
           "dateparser": lambda text: dateparser.parse(text, settings={"TIMEZONE": "UTC"})}

def read(reader, text):
    try:
        found = reader(text)
    except Exception as error:
        return type(error).__name__
    return f"{found:%Y-%m-%d %H:%M}" if found else "None"

for text in ("261105081530", "261128093015", "2611281130"):
    print(f"{text}: {', '.join(f'{name} {read(reader, text)}' for name, reader in readers.items())}")
begin = datetime.datetime(2026, 1, 1)
times = [begin + datetime.timedelta(minutes=17 * number) for number in range(365 * 24 * 60 // 17)]
found = pandas.to_datetime(pandas.Series([f"{time:%y%m%d%H%M}15" for time in times]).map(lambda text: pandas.to_datetime(text, errors="coerce")))
print(f"a year of receipts, one by one in pandas: {found.isna().mean():.0%} NaT, {(found.dt.year > 2600).mean():.1%} after 2600, right {sum(one == time for one, time in zip(found, times))}")
END_ASK
cat > ask.js <<'END_ASK'
const dayjs = require("dayjs"), moment = require("moment"), { parseISO } = require("date-fns");
moment.suppressDeprecationWarnings = true;
for (const text of ["261105081530", "261128093015", "2611281130"])
  console.log(`${text}: dayjs ${dayjs(text).format("YYYY-MM-DD HH:mm")}, moment ${moment(text).isValid()}, date-fns ${parseISO(text)}`);
END_ASK
{ python/bin/python ask.py; TZ=UTC node ask.js; } | tee seen
cat > expected <<'END_EXPECTED'
261105081530: dateutil 2611-05-08 15:30, pandas 2611-05-08 15:30, pendulum 2611-05-08 15:30, dateparser None
261128093015: dateutil ParserError, pandas DateParseError, pendulum ParserError, dateparser None
2611281130: dateutil OverflowError, pandas OutOfBoundsDatetime, pendulum OverflowError, dateparser 2052-09-30 03:52
a year of receipts, one by one in pandas: 85% NaT, 15.1% after 2600, right 0
261105081530: dayjs 2611-05-08 15:30, moment false, date-fns Invalid Date
261128093015: dayjs 2613-04-10 06:15, moment false, date-fns Invalid Date
2611281130: dayjs 2613-04-12 06:00, moment false, date-fns Invalid Date
END_EXPECTED
diff expected seen && echo "as described"
