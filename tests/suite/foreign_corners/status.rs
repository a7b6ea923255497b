//! The status in all the ways that people write it.

use super::{Is, case, check};

#[test]
fn statuses() {
    check(&[
        case("no value", "---\nstatus:\ntitle: x\n---\n", Is::Complete),
        case(
            "a comment for a value",
            "---\nstatus: # active\n---\n",
            Is::Complete,
        ),
        case("null", "---\nstatus: null\n---\n", Is::Complete),
        case("a tilde", "---\nstatus: ~\n---\n", Is::Complete),
        case("an empty text", "---\nstatus: \"\"\n---\n", Is::Complete),
        case("complete", "---\nstatus: complete\n---\n", Is::Complete),
        case("completed", "---\nstatus: 'completed'\n---\n", Is::Complete),
        case("done", "---\nstatus: done\n---\n", Is::Complete),
        case("quotes", "---\nstatus: \"active\"\n---\n", Is::Open),
        case(
            "a comment behind",
            "---\nstatus: active   # since Monday\n---\n",
            Is::Open,
        ),
        case(
            "blanks around",
            "---\nstatus:    active   \n---\n",
            Is::Open,
        ),
        case(
            "on the next line",
            "---\nstatus:\n  active\ntitle: x\n---\n",
            Is::Open,
        ),
        case("another case", "---\nstatus: Active\n---\n", Is::Open).finds(&["odd-status:2"]),
        case("another word", "---\nstatus: wip\n---\n", Is::Open).finds(&["odd-status:2"]),
        case(
            "null in quotes",
            "---\nstatus: 'null'\ntitle: status\n---\n",
            Is::Open,
        )
        .finds(&["odd-status:2"]),
        case("a list", "---\nstatus: [active]\n---\n", Is::Open).finds(&["odd-status:2"]),
        case("a map", "---\nstatus: {is: active}\n---\n", Is::Open).finds(&["odd-status:2"]),
        case("a tag", "---\nstatus: !!str active\n---\n", Is::Open),
        case("an anchor", "---\nstatus: &s active\n---\n", Is::Open),
        case(
            "an alias",
            "---\ntitle: &s active\nstatus: *s\n---\n",
            Is::Open,
        ),
        case("escapes", "---\nstatus: \"acti\\u0076e\"\n---\n", Is::Open),
        case(
            "a folded text",
            "---\nstatus: >-\n  active\ntitle: x\n---\n",
            Is::Open,
        ),
        case("a key in quotes", "---\n'status': active\n---\n", Is::Open),
        case(
            "a key with a question mark",
            "---\n? status\n: active\n---\n",
            Is::Open,
        ),
        case(
            "one map in one line",
            "---\n{status: active, requires: [open]}\n---\n",
            Is::Open,
        )
        .requires(&["open"]),
        case(
            "a map over lines",
            "---\n{\n  status: active,\n  requires: [open]\n}\n---\n",
            Is::Open,
        )
        .requires(&["open"]),
        case(
            "all keys indented",
            "---\n  title: x\n  status: active\n---\n",
            Is::Open,
        ),
        case(
            "a key of another name",
            "---\nStatus: active\n---\n",
            Is::Page,
        ),
        case(
            "a status within",
            "---\nx:\n  status: active\n---\n",
            Is::Page,
        ),
        case(
            "a runner and no status",
            "---\nrunner: human\n---\n",
            Is::Complete,
        )
        .finds(&["no-status:1"]),
        case(
            "no status",
            "---\ntitle: x\nrequires: [done]\n---\n",
            Is::Complete,
        )
        .requires(&["done"])
        .finds(&["no-status:1"]),
        case(
            "complete over open",
            "---\nstatus: complete\nrequires: [open]\n---\n",
            Is::Complete,
        )
        .requires(&["open"])
        .finds(&["complete-over-open:2"]),
        case(
            "complete and unknown",
            "---\nstatus: complete\nrequires: [gone]\n---\n",
            Is::Complete,
        )
        .requires(&["gone"])
        .finds(&["unknown-prerequisite:3"]),
    ]);
}
