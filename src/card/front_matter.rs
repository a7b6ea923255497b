//! The front matter's meaning: from YAML to typed fields with their places.
//!
//! The usual card is decoded in one pass into texts and lists of texts; an
//! odd one (a list where a text belongs, an inline runner, `with`) is read
//! again as a tree. Both give the same fields, and a text is always what is
//! written: no date, number or null is ever reformatted.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use indexmap::IndexMap;
use serde::Deserialize;
use serde::de::{self, Error as _, IgnoredAny, MapAccess, Visitor};

use super::splice::line_around;
use super::{Form, FrontMatter, Requirement, Runner, Source, Span, Text, Uses};
use crate::diagnostic::Diagnostic;
use crate::yaml::{self, Lent, Node, Scalar, YamlError};

/// What a block of front matter gives.
pub(super) enum Decoded {
    /// Its fields, and faults that don't hinder reading it.
    Front(Box<FrontMatter>, Vec<Diagnostic>),
    /// Why it can't be read.
    Fault(Diagnostic),
}

/// Decodes the front matter at `block` of a file.
pub(super) fn decode(source: &Source, text: &str, block: Span) -> Decoded {
    let yaml = &text[block.clone()];
    let fields = match usual(yaml) {
        Some(fields) => fields,
        None => match tree(yaml) {
            Ok(Some(fields)) => fields,
            Ok(None) => return Decoded::Fault(no_map(source, yaml, block)),
            Err(error) => return Decoded::Fault(yaml_fault(source, &error, yaml, &block)),
        },
    };
    let mut reader = Reader {
        source,
        block,
        front: FrontMatter::default(),
        findings: Vec::new(),
    };
    match reader.fields(fields) {
        Ok(()) => Decoded::Front(Box::new(reader.front), reader.findings),
        Err(fault) => Decoded::Fault(fault),
    }
}

/// A key and its value; no value where the key means nothing here.
type Field<'a> = (Scalar<'a>, Option<Node<'a>>);

const TEXTS: [&str; 5] = ["title", "status", "branch", "modified", "runner"];
const LISTS: [&str; 3] = ["requires", "tags", "aliases"];
const TREES: [&str; 2] = ["with", "uses"];

/// The fields of front matter that has its usual form, in one pass.
fn usual(yaml: &str) -> Option<Vec<Field<'_>>> {
    Usual::deserialize(serde_yaml::Deserializer::from_str(yaml))
        .ok()
        .map(|usual| {
            let lent = |text| Scalar::lent(text, yaml);
            let value = |value| match value {
                UsualValue::Text(Lent(text)) => Some(Node::Scalar(lent(text))),
                UsualValue::List(items) => {
                    let items = items.into_iter();
                    let items = items.map(|Lent(text)| Node::Scalar(lent(text)));
                    Some(Node::List(items.collect()))
                }
                UsualValue::Ignored => None,
            };
            let fields = usual.0.into_iter();
            fields.map(|(Lent(key), v)| (lent(key), value(v))).collect()
        })
}

struct Usual<'a>(Vec<(Lent<'a>, UsualValue<'a>)>);

enum UsualValue<'a> {
    Text(Lent<'a>),
    List(Vec<Lent<'a>>),
    Ignored,
}

impl<'de> Deserialize<'de> for Usual<'de> {
    fn deserialize<D: de::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = Usual<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map of keys and values")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Usual<'de>, A::Error> {
                let mut fields = Vec::with_capacity(8);
                while let Some(key) = map.next_key::<Lent<'de>>()? {
                    let value = match &*key.0 {
                        text if TEXTS.contains(&text) => UsualValue::Text(map.next_value()?),
                        list if LISTS.contains(&list) => UsualValue::List(map.next_value()?),
                        tree if TREES.contains(&tree) => return Err(A::Error::custom("")),
                        _ => {
                            map.next_value::<IgnoredAny>()?;
                            UsualValue::Ignored
                        }
                    };
                    fields.push((key, value));
                }
                Ok(Usual(fields))
            }
        }
        from.deserialize_map(Fields)
    }
}

/// The fields of any front matter; `None` where it is no map.
fn tree(yaml: &str) -> Result<Option<Vec<Field<'_>>>, YamlError> {
    let Node::Map(entries) = yaml::read(yaml)? else {
        return Ok(None);
    };
    let fields = entries.into_iter().filter_map(|(key, value)| match key {
        Node::Scalar(key) => Some((key, Some(value))),
        _ => None,
    });
    Ok(Some(fields.collect()))
}

/// Turns fields into front matter, collecting what is wrong.
struct Reader<'s> {
    source: &'s Source,
    block: Span,
    front: FrontMatter,
    findings: Vec<Diagnostic>,
}

impl Reader<'_> {
    fn fields(&mut self, fields: Vec<Field<'_>>) -> Result<(), Diagnostic> {
        self.front.keys = fields.iter().map(|(key, _)| self.key(key)).collect();
        self.duplicates()?;
        for (index, (key, value)) in fields.into_iter().enumerate() {
            let Some(value) = value else { continue };
            let span = self.front.keys[index].span.clone();
            match &*key.text {
                "title" => self.front.title = self.text("title", value, span),
                "status" => self.front.status = self.status(value, span),
                "branch" => self.front.branch = self.text("branch", value, span),
                "modified" => self.front.modified = self.text("modified", value, span),
                "requires" => self.front.requires = Some(self.requires(value, span)),
                "tags" => self.front.tags = self.texts("tags", value, span),
                "aliases" => self.front.aliases = self.texts("aliases", value, span),
                "runner" => self.front.runner = self.runner(value, span, index),
                "with" => self.with(&value, span),
                "uses" => self.front.uses = self.uses(value, span),
                _ => {}
            }
        }
        Ok(())
    }

    fn key(&self, key: &Scalar<'_>) -> Text {
        let start = self.block.start;
        let fallback = start..start;
        Text {
            text: key.text.clone().into_owned(),
            span: self.span_of(key, &fallback),
        }
    }

    /// A key that stands twice: an error where it means something here.
    fn duplicates(&mut self) -> Result<(), Diagnostic> {
        let mut first: BTreeMap<&str, &Span> = BTreeMap::new();
        for Text { text, span } in &self.front.keys {
            let Some(earlier) = first.insert(text, span) else {
                continue;
            };
            let known = [&TEXTS[..], &LISTS, &TREES].concat().contains(&&**text);
            let message = format!("the key `{text}` stands twice");
            let finding = match known {
                true => Diagnostic::error("duplicate-key", message),
                false => Diagnostic::warning("duplicate-key", message),
            };
            let finding = finding
                .at(self.source.place(span.clone(), "again here"))
                .at(self.source.place(earlier.clone(), "first here"))
                .help("keep one of them");
            match known {
                true => return Err(finding),
                false => self.findings.push(finding),
            }
        }
        Ok(())
    }

    /// The bytes of a scalar in the file, or those of its key.
    fn span_of(&self, scalar: &Scalar<'_>, key: &Span) -> Span {
        match &scalar.span {
            Some(span) => self.block.start + span.start..self.block.start + span.end,
            None => key.clone(),
        }
    }

    fn text_of(&self, scalar: Scalar<'_>, key: &Span) -> Text {
        let span = self.span_of(&scalar, key);
        Text {
            text: scalar.text.into_owned(),
            span,
        }
    }

    fn place_of(&self, node: &Node<'_>, key: &Span) -> Span {
        match node.span() {
            Some(span) => self.block.start + span.start..self.block.start + span.end,
            None => key.clone(),
        }
    }

    fn text(&mut self, name: &str, value: Node<'_>, key: Span) -> Option<Text> {
        match value {
            Node::Scalar(scalar) if scalar.is_empty() => None,
            Node::Scalar(scalar) => Some(self.text_of(scalar, &key)),
            other => {
                self.not_text(name, self.place_of(&other, &key), "a text");
                None
            }
        }
    }

    fn not_text(&mut self, name: &str, span: Span, expected: &str) {
        let message = format!("`{name}` is not {expected}, so it is ignored");
        self.findings.push(
            Diagnostic::warning("odd-value", message)
                .at(self.source.place(span, format!("expected {expected}")))
                .help(format!("write {expected} after `{name}:`")),
        );
    }

    fn status(&mut self, value: Node<'_>, key: Span) -> Option<Text> {
        match value {
            Node::Scalar(scalar) => {
                let empty = scalar.is_empty();
                let mut status = self.text_of(scalar, &key);
                if empty {
                    status.text.clear();
                }
                Some(status)
            }
            other => Some(Text {
                text: written(&other),
                span: self.place_of(&other, &key),
            }),
        }
    }

    fn texts(&mut self, name: &str, value: Node<'_>, key: Span) -> Vec<Text> {
        let items = match value {
            Node::Scalar(scalar) if scalar.is_empty() => Vec::new(),
            Node::List(items) => items,
            other => vec![other],
        };
        let mut texts = Vec::new();
        for item in items {
            match item {
                Node::Scalar(scalar) if scalar.text.is_empty() => {}
                Node::Scalar(scalar) => texts.push(self.text_of(scalar, &key)),
                other => self.not_text(name, self.place_of(&other, &key), "a list of texts"),
            }
        }
        texts
    }

    fn requires(&mut self, value: Node<'_>, key: Span) -> Vec<Requirement> {
        let items = match value {
            Node::Scalar(scalar) if scalar.is_empty() => Vec::new(),
            Node::List(items) => items,
            other => vec![other],
        };
        let mut requires = Vec::new();
        for item in items {
            let span = self.place_of(&item, &key);
            match item {
                Node::Scalar(scalar) if scalar.text.is_empty() => {
                    self.findings.push(
                        Diagnostic::warning("empty-entry", "an entry of `requires` is empty")
                            .at(self.source.place(span, "nothing is required here"))
                            .help("write a stem, or take the entry away"),
                    );
                }
                Node::Scalar(scalar) => {
                    let text = scalar.text.into_owned();
                    let form = form(&text);
                    requires.push(Requirement { text, span, form });
                }
                other => {
                    let text = written(&other);
                    let form = form(&text);
                    let form = match form {
                        Form::WikiLink(_) => form,
                        _ => Form::NotText,
                    };
                    requires.push(Requirement { text, span, form });
                }
            }
        }
        requires
    }

    fn runner(&mut self, value: Node<'_>, key: Span, index: usize) -> Option<Runner> {
        match value {
            Node::Scalar(scalar) if scalar.is_empty() => None,
            Node::Scalar(scalar) if scalar.text == "human" => {
                Some(Runner::Human(self.span_of(&scalar, &key)))
            }
            Node::Scalar(scalar) => Some(Runner::Named(self.text_of(scalar, &key))),
            Node::Map(_) => Some(Runner::Inline {
                value: value.value(),
                span: self.value_span(&key, index),
            }),
            Node::List(_) => {
                self.not_text("runner", self.place_of(&value, &key), "a name or a map");
                None
            }
        }
    }

    /// The bytes from after a key's colon to the line of the next key.
    fn value_span(&self, key: &Span, index: usize) -> Span {
        let bytes = self.source.bytes();
        let colon = bytes[key.end..self.block.end]
            .iter()
            .position(|byte| *byte == b':');
        let start = colon.map_or(key.end, |colon| key.end + colon + 1);
        let next = self.front.keys.get(index + 1);
        let end = next.map_or(self.block.end, |next| {
            line_around(bytes, next.span.start).start
        });
        start..end.max(start)
    }

    fn with(&mut self, value: &Node<'_>, key: Span) {
        match value {
            Node::Map(entries) => {
                self.front.with = value.mapping();
                for (name, _) in entries {
                    if let Node::Scalar(name) = name {
                        let span = self.span_of(name, &key);
                        let spans = &mut self.front.with_spans;
                        spans.entry(name.text.clone().into_owned()).or_insert(span);
                    }
                }
            }
            Node::Scalar(scalar) if scalar.is_empty() => {}
            other => self.not_text("with", self.place_of(other, &key), "a map of parameters"),
        }
    }

    fn uses(&mut self, value: Node<'_>, key: Span) -> Uses {
        let Node::Map(entries) = value else {
            return match value {
                Node::Scalar(scalar) if scalar.is_empty() => Uses::Default,
                other => Uses::List(self.texts("uses", other, key)),
            };
        };
        let mut roles = IndexMap::new();
        for (role, stem) in entries {
            match (role, stem) {
                (Node::Scalar(role), Node::Scalar(stem)) if !stem.text.is_empty() => {
                    roles.insert(role.text.into_owned(), self.text_of(stem, &key));
                }
                (role, _) => {
                    let span = self.place_of(&role, &key);
                    self.not_text("uses", span, "a map of roles and stems");
                }
            }
        }
        Uses::Map(roles)
    }
}

/// A list or map much as it is written, on one line.
fn written(node: &Node<'_>) -> String {
    match node {
        Node::Scalar(scalar) => scalar.text.clone().into_owned(),
        Node::List(items) => {
            let items: Vec<_> = items.iter().map(written).collect();
            format!("[{}]", items.join(", "))
        }
        Node::Map(entries) => {
            let entries = entries.iter();
            let entries: Vec<_> = entries
                .map(|(key, value)| format!("{}: {}", written(key), written(value)))
                .collect();
            format!("{{{}}}", entries.join(", "))
        }
    }
}

/// What an entry of `requires` looks like.
fn form(text: &str) -> Form {
    let inner = text.trim();
    if let Some(link) = inner.strip_prefix("[[") {
        let link = link.split(['|', '#', ']']).next().unwrap_or(link);
        return Form::WikiLink(stem_of(link).into_owned());
    }
    if let Some(link) = inner
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
    {
        return Form::WikiLink(stem_of(link).into_owned());
    }
    if inner.contains(['/', '\\']) {
        return Form::Path(stem_of(inner).into_owned());
    }
    if inner.ends_with(".md") {
        return Form::FileName(stem_of(inner).into_owned());
    }
    Form::Stem
}

fn stem_of(path: &str) -> Cow<'_, str> {
    let path = path.trim();
    let name = path.rsplit(['/', '\\']).next().unwrap_or(path);
    Cow::Borrowed(name.strip_suffix(".md").unwrap_or(name))
}

fn no_map(source: &Source, yaml: &str, block: Span) -> Diagnostic {
    let blank = yaml.len() - yaml.trim_start().len();
    let start = block.start + blank;
    Diagnostic::error(
        "front-matter-yaml",
        "the front matter is not a map of keys and values",
    )
    .at(source.place(start..block.end, "expected `key: value`"))
    .help("write `key: value` on each line between the fences")
}

fn yaml_fault(source: &Source, error: &YamlError, yaml: &str, block: &Span) -> Diagnostic {
    let at = block.start + error.at.min(yaml.len().saturating_sub(1));
    let message = format!("the front matter is not valid YAML: {}", error.message);
    let help = match error.message.as_str() {
        message if message.contains("mapping values are not allowed") => {
            "put the value in quotes: a `: ` in it starts another key"
        }
        message if message.contains("cannot start any token") => {
            "put the value in quotes, and indent with spaces, not tabs"
        }
        message if message.contains("more than one document") => {
            "write the fences as `---` alone on a line"
        }
        _ => "mend the line, or put its value in quotes",
    };
    Diagnostic::error("front-matter-yaml", message)
        .at(source.place(at..at + 1, "here"))
        .help(help)
}
