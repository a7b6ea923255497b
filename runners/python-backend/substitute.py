"""Replaces literal text: each of `$WITH`'s `substitute` {file, from, to, count} must be found exactly so many times."""
import json
import os
import pathlib
import sys


def times(number):
    return "once" if number == 1 else f"{number} times"


faults = []
for wanted in json.loads(os.environ["WITH"])["substitute"]:
    path, old, expected = pathlib.Path(wanted["file"]), wanted["from"], wanted.get("count", 1)
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
        file.write(text.replace(old, wanted["to"]))
    print(f"{path}: `{old}` -> `{wanted['to']}` ({found})")
if faults:
    sys.exit("\n".join(faults))
