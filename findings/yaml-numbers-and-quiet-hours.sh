#!/usr/bin/env bash
# In a YAML list read with PyYAML the phone number 0171123456 is 31762222, its neighbour 0171183456 is itself; quiet hours from 22:30 to 08:30 are 1350 and a text.
#
# Seen with: PyYAML 6.0.4, ruamel.yaml 0.19.1 (PyPI), js-yaml 5.5.0, yaml 2.9.1 (npm), 2026-11-28.
# One would guess: "+4915112345678" and "0171123456" are text, as in JSON or TOML they would have to be; if a leading zero is lost, then of all numbers; times of a day
#   are all text or all numbers.
# Behaviour: PyYAML goes by YAML 1.1: a number with a leading 0 and no 8 or 9 in it is octal, so it becomes another number; with an 8 or 9 it stays text. 22:30 is
#   22 x 60 + 30, but 08:30 text, for such a number may not begin with a zero. ruamel.yaml (1.2), js-yaml and yaml take both times for text, and drop the leading zero
#   of every number. The plus is lost in all four, and +49_151 is a number in two of them.
# What it means: of a list of national numbers one in five goes to somebody else, or nowhere, and no error is raised for it; a settings file that JavaScript
#   checks means something else to Python. Quote numbers and times, and refuse what isn't text.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv python && python/bin/pip --quiet --disable-pip-version-check install PyYAML==6.0.4 ruamel.yaml==0.19.1
npm install --silent --no-audit --no-fund js-yaml@5.5.0 yaml@2.9.1 >/dev/null
cat > list.yaml <<'END_LIST'
- +4915112345678
- 0171123456
- 0171183456
- +49_151
- 22:30
- 08:30
END_LIST
cat > ask.py <<'END_ASK'
import json, random
import ruamel.yaml, yaml

text = open("list.yaml").read()
print("PyYAML:", json.dumps(yaml.safe_load(text)))
print("ruamel.yaml:", json.dumps(ruamel.yaml.YAML(typ="safe").load(text)))
draw = random.Random(1)
numbers = ["0171" + "".join(draw.choices("0123456789", k=7)) for _ in range(10_000)]
found = yaml.load("\n".join(f"- {number}" for number in numbers), getattr(yaml, "CSafeLoader", yaml.SafeLoader))
print(f"of 10000 numbers in PyYAML: {sum(one == number for one, number in zip(found, numbers))} as written, "
      f"{sum(str(one) not in number for one, number in zip(found, numbers))} another number")
END_ASK
cat > ask.js <<'END_ASK'
const text = require("fs").readFileSync("list.yaml", "utf8");
console.log("js-yaml:", JSON.stringify(require("js-yaml").load(text)));
console.log("yaml:", JSON.stringify(require("yaml").parse(text)));
END_ASK
{ python/bin/python ask.py; node ask.js; } | tee seen
cat > expected <<'END_EXPECTED'
PyYAML: [4915112345678, 31762222, "0171183456", 49151, 1350, "08:30"]
ruamel.yaml: [4915112345678, 171123456, 171183456, 49151, "22:30", "08:30"]
of 10000 numbers in PyYAML: 7981 as written, 2019 another number
js-yaml: [4915112345678,171123456,171183456,"+49_151","22:30","08:30"]
yaml: [4915112345678,171123456,171183456,"+49_151","22:30","08:30"]
END_EXPECTED
diff expected seen && echo "as described"
