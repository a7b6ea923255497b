"""Replaces literal text: each of `$WITH`'s `substitute` {file, from, to, count} must be found exactly so many times."""
import json
import os
import pathlib
import sys


def times(number):
    return "once" if number == 1 else f"{number} times"


faults = []
for wanted in json.loads(os.environ["WITH"])["substitute"]:
    if not isinstance(wanted, dict) or not {"file", "from", "to"} <= wanted.keys():
        faults.append(f"substitute: `{wanted}` is not {{file, from, to, count}}")
        continue
    path, old, expected = pathlib.Path(wanted["file"]), str(wanted["from"]), int(wanted.get("count", 1))
    try:
        # newline="" keeps the file's own line endings.
        with path.open(encoding="utf-8", newline="") as file:
            text = file.read()
    except OSError as error:
        faults.append(f"{path}: cannot be read: {error.strerror}")
        continue
    found = text.count(old)
    if found != expected:
        faults.append(f"{path}: `{old}` was expected {times(expected)} and found {times(found)}")
        continue
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write(text.replace(old, str(wanted["to"])))
    print(f"{path}: `{old}` -> `{wanted['to']}` ({found})")
if faults:
    sys.exit("\n".join(faults))
