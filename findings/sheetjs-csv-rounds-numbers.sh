#!/usr/bin/env bash
# SheetJS turns a sheet with the number 4915112345678 into a CSV with 4.91511E+12, and leaves American numbers whole.
#
# Seen with: xlsx 0.18.5 and exceljs 4.4.0 (npm), openpyxl 3.1.5 (PyPI), 2026-11-28.
# One would guess: a CSV made from a sheet has the values of its cells; what is rounded is the picture in a narrow column. If long numbers are at
#   risk, then those above 15 digits, which Excel itself doesn't hold.
# Behaviour: sheet_to_csv(), and sheet_to_json() with raw: false, write what Excel would show in the format "General", and that has room for 11 digits: 12 and more
#   become a power of ten with six digits. So 15550100000 stays, 491511234567 and 4915112345678 don't, although the file holds them in full. Cells of
#   text are left alone, so it hits the rows that were typed as numbers. exceljs and openpyxl give all digits; rawNumbers: true does, too.
# What it means: a tester in North America sees nothing, and of a German or British list all numbers of one prefix become one, which can't be undone: a reader who
#   takes it for a number again sends all of them to +4915110000000. Give rawNumbers: true, or format the column as text.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv python && python/bin/pip --quiet --disable-pip-version-check install openpyxl==3.1.5
npm install --silent --no-audit --no-fund xlsx@0.18.5 exceljs@4.4.0 >/dev/null
cat > make.py <<'END'
import openpyxl

book = openpyxl.Workbook()
for number in (15550100000, 447400123456, 4915112345678, 4915112345679, "4915112345670"):
    book.active.append([number])
book.save("numbers.xlsx")
print("openpyxl reads:", *(row[0] for row in openpyxl.load_workbook("numbers.xlsx").active.values))
END
cat > ask.js <<'END'
const XLSX = require("xlsx"), ExcelJS = require("exceljs");
const book = XLSX.readFile("numbers.xlsx"), sheet = book.Sheets[book.SheetNames[0]];
const line = text => text.trim().split(/\s+/).join(" ");
console.log("sheet_to_csv:", line(XLSX.utils.sheet_to_csv(sheet)));
console.log("sheet_to_csv, rawNumbers:", line(XLSX.utils.sheet_to_csv(sheet, { rawNumbers: true })));
console.log("sheet_to_json, raw false:", XLSX.utils.sheet_to_json(sheet, { header: 1, raw: false }).join(" "));
console.log("sheet_to_json:", XLSX.utils.sheet_to_json(sheet, { header: 1 }).join(" "));
const other = new ExcelJS.Workbook();
other.xlsx.readFile("numbers.xlsx").then(() => other.csv.writeBuffer()).then(buffer => console.log("exceljs' CSV:", line(buffer.toString())));
END
cat > expected <<'END'
openpyxl reads: 15550100000 447400123456 4915112345678 4915112345679 4915112345670
sheet_to_csv: 15550100000 4.474E+11 4.91511E+12 4.91511E+12 4915112345670
sheet_to_csv, rawNumbers: 15550100000 447400123456 4915112345678 4915112345679 4915112345670
sheet_to_json, raw false: 15550100000 4.474E+11 4.91511E+12 4.91511E+12 4915112345670
sheet_to_json: 15550100000 447400123456 4915112345678 4915112345679 4915112345670
exceljs' CSV: 15550100000 447400123456 4915112345678 4915112345679 4915112345670
END
(python/bin/python make.py; node ask.js) | tee seen
diff expected seen && echo "as described"
