#!/usr/bin/env bash
# A validity of "1,5h" is 15 hours for pandas, pint and parse-duration, and a range "30s-60s" is one of 90 seconds.
#
# Seen with: pandas 3.1.1, pint 0.25.3, pytimeparse 1.1.10, humanfriendly 10.0 (PyPI), parse-duration 2.1.9, ms 2.1.3 (npm), 2026-11-28.
# One would guess: what a parser of durations doesn't understand it refuses; half of Europe writes a comma for the decimal point, so "1,5h" is an hour and a half or
#   an error, and "1:30" an hour and a half, a minute and a half, or an error.
# Behaviour: pandas, pint and parse-duration throw the comma away wherever it stands. parse-duration adds up what it finds and passes over all else: "30s-60s" is 90 s,
#   "10-20m" 1,200.01 s, "5m/h" 300 s, "1:30" 1.03 ms (no unit is milliseconds), and pint reads "1h 30m" as 30 hours times metres, "10m" as metres. pytimeparse,
#   humanfriendly and ms refuse "1,5h".
# What it means: a time-out, a validity or a pause from a form or a settings file is wrong by a factor of ten, or of a thousand, and nobody hears of it: an evacuation is
#   delivered to phones that are switched on the next morning. Check the form of the text first.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv python && python/bin/pip --quiet --disable-pip-version-check install pandas==3.1.1 numpy==2.4.6 pint==0.25.3 pytimeparse==1.1.10 humanfriendly==10.0
npm install --silent --no-audit --no-fund parse-duration@2.1.9 ms@2.1.3 >/dev/null
cat > ask.py <<'END'
import humanfriendly, pandas, pint, pytimeparse

units = pint.UnitRegistry()
readers = {"pandas": lambda text: pandas.Timedelta(text).total_seconds(), "pint": lambda text: units.Quantity(text).to("s").magnitude,
           "pytimeparse": pytimeparse.parse, "humanfriendly": humanfriendly.parse_timespan}
for name, read in readers.items():
    answers = []
    for text in ("1.5h", "1,5h"):
        try:
            answer = read(text)
        except Exception:
            answer = None
        answers.append(f"{text} is {'refused' if answer is None else f'{answer:g} s'}")
    print(f"{name}: {', '.join(answers)}")
END
cat > ask.mjs <<'END'
import duration from "parse-duration";
import ms from "ms";
const say = (read, text) => { const found = read(text); return `${text} is ${found > 0 ? Number((found / 1000).toFixed(5)) + " s" : "refused"}`; };
console.log("ms:", ["1.5h", "1,5h", "30s-60s", "1:30"].map(text => say(ms, text)).join(", "));
console.log("parse-duration:", ["1.5h", "1,5h", "30s-60s", "10-20m", "5m/h", "1:30"].map(text => say(duration, text)).join(", "));
END
cat > expected <<'END'
pandas: 1.5h is 5400 s, 1,5h is 54000 s
pint: 1.5h is 5400 s, 1,5h is 54000 s
pytimeparse: 1.5h is 5400 s, 1,5h is refused
humanfriendly: 1.5h is 5400 s, 1,5h is refused
ms: 1.5h is 5400 s, 1,5h is refused, 30s-60s is refused, 1:30 is refused
parse-duration: 1.5h is 5400 s, 1,5h is 54000 s, 30s-60s is 90 s, 10-20m is 1200.01 s, 5m/h is 300 s, 1:30 is 0.00103 s
END
(python/bin/python ask.py; node ask.mjs) | tee seen
diff expected seen && echo "as described"
