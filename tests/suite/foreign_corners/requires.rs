//! Prerequisites in all the ways that YAML has for a list of names.

use super::{Is, case, check};

#[test]
fn prerequisites() {
    check(&[
        case(
            "a block list",
            "---\nstatus: active\nrequires:\n  - open\n  - done\n---\n",
            Is::Open,
        )
        .requires(&["open", "done"]),
        case(
            "a list at column 0",
            "---\nrequires:\n- open\n- done\nstatus: active\n---\n",
            Is::Open,
        )
        .requires(&["open", "done"]),
        case(
            "an inline list",
            "---\nstatus: active\nrequires: [ done , 'open' ]\n---\n",
            Is::Open,
        )
        .requires(&["done", "open"]),
        case(
            "an inline list over lines",
            "---\nrequires: [\n  open,\n  done,\n]\nstatus: active\n---\n",
            Is::Open,
        )
        .requires(&["open", "done"]),
        case(
            "a scalar",
            "---\nstatus: active\nrequires: open\n---\n",
            Is::Open,
        )
        .requires(&["open"]),
        case(
            "no value",
            "---\nstatus: active\nrequires:\n---\n",
            Is::Open,
        ),
        case(
            "null",
            "---\nstatus: active\nrequires: null\n---\n",
            Is::Open,
        ),
        case(
            "a tilde",
            "---\nstatus: active\nrequires: ~\n---\n",
            Is::Open,
        ),
        case(
            "an empty list",
            "---\nstatus: active\nrequires: []\n---\n",
            Is::Open,
        ),
        case(
            "an empty text",
            "---\nstatus: active\nrequires: ''\n---\n",
            Is::Open,
        ),
        case(
            "a number",
            "---\nstatus: active\nrequires: [42, 007, 1.10, 0x1F]\n---\n",
            Is::Open,
        )
        .requires(&["42", "007", "1.10", "0x1F"])
        .finds(&[
            "unknown-prerequisite:3",
            "unknown-prerequisite:3",
            "unknown-prerequisite:3",
            "unknown-prerequisite:3",
        ]),
        case(
            "a lone number",
            "---\nstatus: active\nrequires: 1.10\n---\n",
            Is::Open,
        )
        .requires(&["1.10"])
        .finds(&["unknown-prerequisite:3"]),
        case(
            "a date",
            "---\nstatus: active\nrequires:\n  - 2026-02-28\n---\n",
            Is::Open,
        )
        .requires(&["2026-02-28"])
        .finds(&["unknown-prerequisite:4"]),
        case(
            "a truth",
            "---\nstatus: active\nrequires: [true, no]\n---\n",
            Is::Open,
        )
        .requires(&["true", "no"])
        .finds(&["unknown-prerequisite:3", "unknown-prerequisite:3"]),
        case(
            "null in a list",
            "---\nstatus: active\nrequires: [null]\n---\n",
            Is::Open,
        )
        .requires(&["null"])
        .finds(&["unknown-prerequisite:3"]),
        case(
            "a wiki link in quotes",
            "---\nstatus: active\nrequires:\n  - '[[open]]'\n---\n",
            Is::Open,
        )
        .requires(&["[[open]]"])
        .finds(&["odd-prerequisite:4"]),
        case(
            "a bare wiki link",
            "---\nstatus: active\nrequires:\n  - [[done]]\n---\n",
            Is::Open,
        )
        .requires(&["[[done]]"])
        .finds(&["odd-prerequisite:4"]),
        case(
            "a link with a text",
            "---\nstatus: active\nrequires: ['[[done|it]]']\n---\n",
            Is::Open,
        )
        .requires(&["[[done|it]]"])
        .finds(&["odd-prerequisite:3"]),
        case(
            "a file name",
            "---\nstatus: active\nrequires: [done.md]\n---\n",
            Is::Open,
        )
        .requires(&["done.md"])
        .finds(&["odd-prerequisite:3"]),
        case(
            "a path",
            "---\nstatus: active\nrequires: [./done, ../x/done.md]\n---\n",
            Is::Open,
        )
        .requires(&["./done", "../x/done.md"])
        .finds(&["odd-prerequisite:3", "odd-prerequisite:3"]),
        case(
            "a map",
            "---\nstatus: active\nrequires:\n  open: true\n---\n",
            Is::Open,
        )
        .requires(&["{open: true}"])
        .finds(&["odd-prerequisite:4"]),
        case(
            "a map in a list",
            "---\nstatus: active\nrequires:\n  - done: yes\n---\n",
            Is::Open,
        )
        .requires(&["{done: yes}"])
        .finds(&["odd-prerequisite:4"]),
        case(
            "a nested list",
            "---\nstatus: active\nrequires:\n  - [done, open]\n---\n",
            Is::Open,
        )
        .requires(&["[done, open]"])
        .finds(&["odd-prerequisite:4"]),
        case(
            "one name twice",
            "---\nstatus: active\nrequires: [done, done]\n---\n",
            Is::Open,
        )
        .requires(&["done", "done"]),
        case(
            "another case",
            "---\nstatus: active\nrequires: [Open]\n---\n",
            Is::Open,
        )
        .requires(&["Open"])
        .finds(&["unknown-prerequisite:3"]),
        case(
            "blanks in quotes",
            "---\nstatus: active\nrequires: [' open']\n---\n",
            Is::Open,
        )
        .requires(&[" open"])
        .finds(&["unknown-prerequisite:3"]),
        case(
            "itself",
            "---\nstatus: active\nrequires: [odd]\n---\n",
            Is::Open,
        )
        .requires(&["odd"])
        .finds(&["self-require:3"]),
        case(
            "comments between",
            "---\nstatus: active\nrequires: # why\n  # first\n  - open # one\n\n  - done\n---\n",
            Is::Open,
        )
        .requires(&["open", "done"]),
        case(
            "an anchor",
            "---\nx: &r [open]\nrequires: *r\nstatus: active\n---\n",
            Is::Open,
        )
        .requires(&["open"]),
        case(
            "escapes",
            "---\nstatus: active\nrequires: [\"op\\x65n\"]\n---\n",
            Is::Open,
        )
        .requires(&["open"]),
        case(
            "a long text",
            "---\nstatus: active\nrequires:\n  - >-\n    open\n---\n",
            Is::Open,
        )
        .requires(&["open"]),
    ]);
}
