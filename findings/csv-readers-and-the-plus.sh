#!/usr/bin/env bash
# A column of phone numbers with a plus becomes decimal numbers in pyarrow, whole numbers in pandas, and stays text in polars and DuckDB.
#
# Seen with: pandas 3.1.1, pyarrow 26.0.1, polars 2.1.0, duckdb 2.0.1 (PyPI), 2026-11-28.
# One would guess: "+4915112345678" is text to everybody, for a plus is no digit; with leading zeros one knows to be careful.
# Behaviour: pyarrow takes no whole number with a plus, but a decimal one: 4915112345678.0 (so does pandas with engine="pyarrow").
#   pandas makes whole numbers without the plus; with one number missing decimal ones, with one number written with
#   spaces it leaves the whole column alone. polars and DuckDB keep the text, and take 0049... apart: 49... in polars, text in DuckDB.
# What it means: "+" and str() around what a reader gave makes "+4915112345678.0", which lenient parsers read as ten times the number; one row decides
#   for all. Name the type: dtype={"phone": str}, schema_overrides, column_types.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv python && python/bin/pip --quiet --disable-pip-version-check install pandas==3.1.1 pyarrow==26.0.1 polars==2.1.0 duckdb==2.0.1
cat > ask.py <<'END'
import duckdb, pandas, polars, pyarrow.csv

for name, phones in {"with a plus": ["+4915110000000", "+447700900000"], "one missing": ["+4915110000000", ""],
                     "one with spaces": ["+4915110000000", "+44 7700 900000"], "with 00": ["004915110000000", "00447700900000"]}.items():
    with open("list.csv", "w") as out:
        print("phone,name", *(f"{phone},x" for phone in phones), sep="\n", file=out)
    read = {"pandas": pandas.read_csv("list.csv")["phone"].tolist(), "pyarrow": pyarrow.csv.read_csv("list.csv")["phone"].to_pylist(),
            "polars": polars.read_csv("list.csv")["phone"].to_list(), "duckdb": [row[0] for row in duckdb.sql("SELECT phone FROM 'list.csv'").fetchall()]}
    print(f"{name}: {', '.join(f'{library} {found[0]!r}' for library, found in read.items())}")
END
cat > expected <<'END'
with a plus: pandas 4915110000000, pyarrow 4915110000000.0, polars '+4915110000000', duckdb '+4915110000000'
one missing: pandas 4915110000000.0, pyarrow 4915110000000.0, polars '+4915110000000', duckdb '+4915110000000'
one with spaces: pandas '+4915110000000', pyarrow '+4915110000000', polars '+4915110000000', duckdb '+4915110000000'
with 00: pandas 4915110000000, pyarrow 4915110000000, polars 4915110000000, duckdb '004915110000000'
END
python/bin/python ask.py | tee seen
diff expected seen && echo "as described"
