//! Bytes, line endings and fences: where the front matter is, and whether it is text.

use super::{Is, case, check};

#[test]
fn encodings_and_line_endings() {
    check(&[
        case(
            "a byte order mark",
            "\u{feff}---\nstatus: active\nrequires: [open]\n---\n",
            Is::Open,
        )
        .requires(&["open"]),
        case(
            "a mark and CRLF",
            "\u{feff}---\r\nstatus: active\r\n---\r\nbody\r\n",
            Is::Open,
        ),
        case(
            "CRLF",
            "---\r\nstatus: active\r\nrequires:\r\n  - open\r\n---\r\n",
            Is::Open,
        )
        .requires(&["open"]),
        case(
            "CRLF in the front matter alone",
            "---\r\nstatus: active\r\n---\r\na\nb\n",
            Is::Open,
        ),
        case(
            "LF with one CRLF",
            "---\nstatus: active\r\nrequires: [open]\n---\n",
            Is::Open,
        )
        .requires(&["open"]),
        case(
            "CR alone",
            "---\rstatus: active\rrequires:\r- open\r---\rbody\r",
            Is::Open,
        )
        .requires(&["open"])
        .finds(&["front-matter-differs:2"]),
        case(
            "Latin-1",
            b"---\nstatus: active\ntitle: caf\xe9\n---\n",
            Is::Unreadable,
        )
        .finds(&["not-utf8:3"]),
        case(
            "Latin-1 in the body",
            b"---\nstatus: active\n---\nx\ncaf\xe9\n",
            Is::Unreadable,
        )
        .finds(&["not-utf8:5"]),
        case("UTF-16", b"\xff\xfe-\0-\0-\0\n\0s\0", Is::Unreadable).finds(&["not-utf8:1"]),
        case(
            "NUL",
            "---\nstatus: active\ntitle: a\0b\n---\n",
            Is::Unreadable,
        )
        .finds(&["front-matter-yaml:3"]),
        case(
            "NUL in the body",
            "---\nstatus: active\n---\na\0b\n",
            Is::Open,
        ),
        case(
            "no line ending at the end",
            "---\nstatus: active\n---",
            Is::Open,
        ),
        case(
            "wide letters",
            "---\ntitle: 日本 🚀\nstatus: active\nrequires: [日本]\n---\n",
            Is::Open,
        )
        .requires(&["日本"])
        .finds(&["unknown-prerequisite:4"]),
    ]);
}

#[test]
fn fences() {
    check(&[
        case(
            "dots close",
            "---\nstatus: active\n...\nbody\n---\nmore\n",
            Is::Open,
        ),
        case(
            "blanks after the fences",
            "---   \nstatus: active\n--- \t\nbody\n",
            Is::Open,
        ),
        case(
            "three dashes in a value",
            "---\ntitle: a --- b\nstatus: active\n---\n",
            Is::Open,
        ),
        case(
            "three dashes begin a value",
            "---\ntitle: --- b\nstatus: active\n---\n",
            Is::Open,
        ),
        case(
            "three dashes in a comment",
            "---\nstatus: active # ---\n# ---\n---\n",
            Is::Open,
        ),
        case(
            "three dashes in quotes",
            "---\ntitle: '---'\nstatus: active\n---\n",
            Is::Open,
        ),
        case(
            "three dashes in a long text",
            "---\nabout: |\n  one\n  ---\n  two\nstatus: active\n---\n",
            Is::Open,
        ),
        case(
            "three dashes in prose",
            "---\nstatus: active\n---\n\na\n\n---\n\nb\n---\n",
            Is::Open,
        ),
        case(
            "a card in a code block",
            "---\nstatus: complete\n---\n```yaml\n---\nstatus: active\nrequires: [open]\n---\n```\n",
            Is::Complete,
        ),
        case(
            "nothing but a card in a code block",
            "```markdown\n---\nstatus: active\nrequires: [open]\n---\n```\n",
            Is::Page,
        ),
        case(
            "an indented card",
            "    ---\n    status: active\n    ---\n",
            Is::Page,
        ),
        case(
            "a rule first",
            "---\n\nSome prose.\n\nMore of it.\n",
            Is::Page,
        ),
        case(
            "a heading before",
            "# Title\n---\nstatus: active\n---\n",
            Is::Page,
        ),
        case("four dashes", "----\nstatus: active\n----\n", Is::Page),
        case("TOML", "+++\nstatus = 'active'\n+++\n", Is::Page),
        case("an empty file", "", Is::Page),
        case("a file of one fence", "---\n", Is::Page),
        case("a fence without an ending", "---", Is::Page),
        case("empty front matter", "---\n---\n# A\n", Is::Page),
        case("comments alone", "---\n# nothing\n---\n", Is::Page),
        case(
            "no closing fence",
            "---\nstatus: active\nrequires: [open]\n",
            Is::Unreadable,
        )
        .finds(&["unclosed-front-matter:1"]),
        case(
            "the closing fence is indented",
            "---\nstatus: active\n ---\n\nbody\n",
            Is::Unreadable,
        )
        .finds(&["unclosed-front-matter:1"]),
        case(
            "blank lines before",
            "\n\n---\nstatus: active\n---\n",
            Is::Open,
        )
        .finds(&["blank-before-front-matter:3"]),
        case(
            "blank lines before, and no end",
            "\n---\nstatus: active\n",
            Is::Unreadable,
        )
        .finds(&["unclosed-front-matter:2"]),
        case(
            "blank lines before, and no YAML",
            "\n---\nstatus: [active\n---\n",
            Is::Unreadable,
        )
        .finds(&["front-matter-yaml:3"]),
        case(
            "a rule below a blank line",
            "\n---\nProse.\n\n---\n",
            Is::Page,
        ),
        case(
            "a YAML directive",
            "---\n%YAML 1.2\n---\nstatus: active\n---\n",
            Is::Unreadable,
        )
        .finds(&["front-matter-yaml:2"]),
        case(
            "a second document",
            "---\nstatus: active\n--- # more\nx: 1\n---\n",
            Is::Unreadable,
        )
        .finds(&["front-matter-yaml:3"]),
    ]);
}

#[test]
fn what_yaml_refuses_and_what_merges_leave() {
    check(&[
        case("a key twice", "---\nstatus: active\nstatus: complete\n---\n", Is::Unreadable)
            .finds(&["duplicate-key:3"]),
        case("requires twice", "---\nrequires: []\nstatus: active\nrequires: []\n---\n", Is::Unreadable)
            .finds(&["duplicate-key:4"]),
        case("an unknown key twice", "---\nstatus: active\nx: 1\nx: 2\n---\n", Is::Open)
            .finds(&["duplicate-key:4"]),
        case("a tab", "---\nstatus: active\nrequires:\n\t- open\n---\n", Is::Unreadable)
            .finds(&["front-matter-yaml:4"]),
        case("a colon in a title", "---\ntitle: a: b\nstatus: active\n---\n", Is::Unreadable)
            .finds(&["front-matter-yaml:2"]),
        case("a colon in quotes", "---\ntitle: \"a: b\"\nstatus: active\n---\n", Is::Open),
        case("an at sign", "---\ntitle: @x\nstatus: active\n---\n", Is::Unreadable)
            .finds(&["front-matter-yaml:2"]),
        case("a template", "---\ntitle: {{ title }}\nstatus: active\n---\n", Is::Open)
            .finds(&["odd-value:2"]),
        case("an open list", "---\nstatus: active\nrequires: [open\n---\n", Is::Unreadable)
            .finds(&["front-matter-yaml:3"]),
        case("an unknown alias", "---\nstatus: active\nrequires: *x\n---\n", Is::Unreadable)
            .finds(&["front-matter-yaml:3"]),
        case("a list for a map", "---\n- status: active\n---\n", Is::Unreadable)
            .finds(&["front-matter-yaml:2"]),
        case(
            "a conflict in the front matter",
            "---\ntitle: x\n<<<<<<< HEAD\nstatus: active\n=======\nstatus: complete\n>>>>>>> b\n---\n",
            Is::Unreadable,
        )
        .finds(&["conflict-markers:3"]),
        case(
            "a conflict over a fence",
            "---\n<<<<<<< HEAD\nstatus: active\n---\na\n=======\n---\nb\n>>>>>>> b\n",
            Is::Unreadable,
        )
        .finds(&["conflict-markers:2"]),
        case(
            "a conflict around it all",
            "<<<<<<< HEAD\n---\nstatus: active\n---\n=======\n>>>>>>> b\n",
            Is::Unreadable,
        )
        .finds(&["conflict-markers:1"]),
        case(
            "a conflict in the body",
            "---\nstatus: active\n---\n<<<<<<< HEAD\na\n=======\nb\n>>>>>>> b\n",
            Is::Open,
        )
        .finds(&["conflict-markers:4"]),
        case(
            "a conflict in code",
            "---\nstatus: active\n---\n```\n<<<<<<< HEAD\n=======\n>>>>>>> b\n```\n",
            Is::Open,
        ),
        case("a heading like a marker", "---\nstatus: active\n---\nTitle\n=======\n", Is::Open),
    ]);
}
