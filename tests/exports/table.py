#!/usr/bin/env python3
"""Prints the rows of docs/networks.md from logs of export.py: table.py LOG..."""
import collections
import json
import pathlib
import sys


def main():
    rows = collections.defaultdict(dict)
    for path in sys.argv[1:]:
        for line in pathlib.Path(path).read_text().splitlines():
            row = json.loads(line)
            rows[row["network"]][row["export"]] = row
    print("| network | exports | map | terms | residual |\n|---|---|---|---|---|")
    for name, exports in rows.items():
        found = {label: row for label, row in exports.items() if "errors" in row}
        kinds = [label.replace("torchscript", "ts") for label in found]
        missing = [f"{label.replace('torchscript', 'ts')}: {row.get('not_exported') or row.get('failure')}"
                   for label, row in exports.items() if "errors" not in row]

        def largest(*keys):
            values = [row["errors"][key] for row in found.values() for key in keys if key in row["errors"]]
            return f"{max(values):.0e}" if values else "not judged"

        print(f"| {name} | {', '.join(kinds)} | {largest('map')} | {largest('input_term', 'bias_term_total')} | {largest('residual')} |")
        for line in missing:
            print(f"| {name} | {line} | | | |", file=sys.stderr)


if __name__ == "__main__":
    main()
