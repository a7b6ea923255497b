//! YAML as it is written: a tree of scalars that keep their text, and places.
//!
//! serde_yaml decides what is YAML. A YAML value loses how a scalar was
//! written (`1.10` becomes `1.1`), and it has no places, so a document is
//! decoded twice here: once for its shape, and once for the text of every
//! scalar, which serde_yaml lends out of the document itself where it can. The
//! address of what it lends is the place. Knows nothing of cards or runners.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use serde::Deserialize as _;
use serde::de::{
    self, DeserializeSeed, EnumAccess, IgnoredAny, MapAccess, SeqAccess, VariantAccess as _,
    Visitor,
};
use serde_yaml::{Deserializer, Mapping, Value};

/// A scalar, list or map of a document, with its place where it is known.
#[derive(Clone, Debug, PartialEq)]
pub enum Node<'a> {
    /// A scalar and its text.
    Scalar(Scalar<'a>),
    /// A list, block or inline.
    List(Vec<Node<'a>>),
    /// A map, in the order of the document. Keys may stand twice.
    Map(Vec<(Node<'a>, Node<'a>)>),
}

/// A scalar with its text as it is written.
#[derive(Clone, Debug, PartialEq)]
pub struct Scalar<'a> {
    /// The text without its quotes; `1.10`, `007`, `null` and dates stay.
    pub text: Cow<'a, str>,
    /// The bytes of the text in the document, without quotes; `None` where
    /// the text is not in the document as such (escapes, several lines).
    pub span: Option<Range<usize>>,
    /// Whether it is written without quotes, on one line.
    pub plain: bool,
    /// What YAML takes it for.
    pub value: Value,
}

impl<'a> Scalar<'a> {
    /// A text that serde_yaml gave for a scalar of `document`.
    pub(crate) fn lent(text: Cow<'a, str>, document: &str) -> Self {
        let span = match &text {
            Cow::Borrowed(slice) => offset_in(document, slice),
            Cow::Owned(_) => None,
        };
        let plain = span.as_ref().is_some_and(|span| {
            let before = span.start.checked_sub(1);
            !matches!(before.map(|at| document.as_bytes()[at]), Some(b'"' | b'\''))
        });
        let value = Value::String(text.clone().into_owned());
        Scalar {
            text,
            span,
            plain,
            value,
        }
    }

    /// Whether it is nothing at all: empty, or a plain `null` or `~`.
    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
            || (self.plain && matches!(&*self.text, "null" | "Null" | "NULL" | "~"))
    }
}

impl Node<'_> {
    /// The place of its first scalar that has one.
    pub fn span(&self) -> Option<Range<usize>> {
        match self {
            Node::Scalar(scalar) => scalar.span.clone(),
            Node::List(items) => items.iter().find_map(Node::span),
            Node::Map(entries) => entries.iter().find_map(|(key, _)| key.span()),
        }
    }

    /// The YAML value; a number that would be printed otherwise than it is
    /// written (`1.10`, `0x1F`) is a text, so that nothing is lost.
    pub fn value(&self) -> Value {
        match self {
            Node::Scalar(scalar) => match &scalar.value {
                Value::Number(number) if number.to_string() != scalar.text => {
                    Value::String(scalar.text.clone().into_owned())
                }
                value => value.clone(),
            },
            Node::List(items) => Value::Sequence(items.iter().map(Node::value).collect()),
            Node::Map(_) => Value::Mapping(self.mapping()),
        }
    }

    /// The map as a YAML mapping, as [`Node::value`] has it; empty for what is
    /// no map. Of a key that stands twice the first is kept.
    pub fn mapping(&self) -> Mapping {
        let mut mapping = Mapping::new();
        if let Node::Map(entries) = self {
            for (key, value) in entries {
                let key = match key {
                    Node::Scalar(scalar) => Value::String(scalar.text.clone().into_owned()),
                    other => other.value(),
                };
                if !mapping.contains_key(&key) {
                    mapping.insert(key, value.value());
                }
            }
        }
        mapping
    }
}

/// Why a text is no YAML document, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct YamlError {
    /// What is wrong, without a place.
    pub message: String,
    /// The byte of the document where it was noticed.
    pub at: usize,
}

impl YamlError {
    /// The error of serde_yaml, whose places are taken out of its message.
    pub fn of(error: &serde_yaml::Error, document: &str) -> Self {
        let full = error.to_string();
        let message = full.split(" at line ").next().unwrap_or(&full);
        let (message, position) = match message.split_once(" at position ") {
            Some((message, position)) => (message, position.parse().ok()),
            None => (message, None),
        };
        let told = || error.location().map(|place| place.index());
        // What is no text has a position alone; a second document has nothing.
        let mut at = position
            .or_else(told)
            .unwrap_or_else(|| second_document(document));
        at = at.min(document.len());
        while !document.is_char_boundary(at) {
            at -= 1;
        }
        YamlError {
            message: message.to_owned(),
            at,
        }
    }
}

/// Where a second document starts, if one does.
fn second_document(document: &str) -> usize {
    let start = |line: &str| document.find(line).map(|at| at + 1);
    start("\n--- ").or_else(|| start("\n---\t")).unwrap_or(0)
}

/// Reads one document. An empty one is an empty map.
pub fn read(document: &str) -> Result<Node<'_>, YamlError> {
    let fault = |error: serde_yaml::Error| YamlError::of(&error, document);
    let shape = Shape::deserialize(Deserializer::from_str(document)).map_err(fault)?;
    if matches!(shape, Shape::Scalar(Value::Null)) {
        return Ok(Node::Map(Vec::new()));
    }
    let seed = NodeSeed {
        shape: &shape,
        document,
    };
    seed.deserialize(Deserializer::from_str(document))
        .map_err(fault)
}

/// Where `slice` lies in `whole`, which it was taken from.
pub(crate) fn offset_in(whole: &str, slice: &str) -> Option<Range<usize>> {
    let start = (slice.as_ptr() as usize).checked_sub(whole.as_ptr() as usize)?;
    let end = start + slice.len();
    (end <= whole.len()).then_some(start..end)
}

/// What a node is, without the text of its scalars.
enum Shape {
    Scalar(Value),
    List(Vec<Shape>),
    Map(Vec<(Shape, Shape)>),
}

impl<'de> de::Deserialize<'de> for Shape {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ShapeVisitor)
    }
}

struct ShapeVisitor;

impl<'de> Visitor<'de> for ShapeVisitor {
    type Value = Shape;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Shape, E> {
        Ok(Shape::Scalar(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Shape, E> {
        Ok(Shape::Scalar(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Shape, E> {
        Ok(Shape::Scalar(value.into()))
    }

    fn visit_i128<E>(self, value: i128) -> Result<Shape, E> {
        Ok(Shape::Scalar(value.to_string().into()))
    }

    fn visit_u128<E>(self, value: u128) -> Result<Shape, E> {
        Ok(Shape::Scalar(value.to_string().into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Shape, E> {
        Ok(Shape::Scalar(value.into()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Shape, E> {
        Ok(Shape::Scalar(value.into()))
    }

    fn visit_unit<E>(self) -> Result<Shape, E> {
        Ok(Shape::Scalar(Value::Null))
    }

    fn visit_none<E>(self) -> Result<Shape, E> {
        Ok(Shape::Scalar(Value::Null))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Shape, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Shape::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Shape, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Shape::Map(entries))
    }

    fn visit_enum<A: EnumAccess<'de>>(self, tagged: A) -> Result<Shape, A::Error> {
        let (IgnoredAny, content) = tagged.variant()?;
        content.newtype_variant()
    }
}

/// Reads what has a known shape, with the text of its scalars.
struct NodeSeed<'s, 'a> {
    shape: &'s Shape,
    document: &'a str,
}

impl<'a> DeserializeSeed<'a> for NodeSeed<'_, 'a> {
    type Value = Node<'a>;

    fn deserialize<D: de::Deserializer<'a>>(self, from: D) -> Result<Node<'a>, D::Error> {
        match self.shape {
            Shape::Scalar(_) => from.deserialize_str(self),
            Shape::List(_) => from.deserialize_seq(self),
            Shape::Map(_) => from.deserialize_map(self),
        }
    }
}

impl<'a> NodeSeed<'_, 'a> {
    fn scalar(self, text: Cow<'a, str>) -> Node<'a> {
        let mut scalar = Scalar::lent(text, self.document);
        if let Shape::Scalar(value) = self.shape {
            scalar.value = value.clone();
        }
        Node::Scalar(scalar)
    }
}

impl<'a> Visitor<'a> for NodeSeed<'_, 'a> {
    type Value = Node<'a>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_borrowed_str<E>(self, text: &'a str) -> Result<Node<'a>, E> {
        Ok(self.scalar(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Node<'a>, E> {
        Ok(self.scalar(Cow::Owned(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'a>>(self, mut seq: A) -> Result<Node<'a>, A::Error> {
        let mut nodes = Vec::new();
        if let Shape::List(items) = self.shape {
            for shape in items {
                let document = self.document;
                nodes.extend(seq.next_element_seed(NodeSeed { shape, document })?);
            }
        }
        Ok(Node::List(nodes))
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<Node<'a>, A::Error> {
        let mut nodes = Vec::new();
        if let Shape::Map(entries) = self.shape {
            for (key, value) in entries {
                let document = self.document;
                let key = map.next_key_seed(NodeSeed {
                    shape: key,
                    document,
                })?;
                let value = map.next_value_seed(NodeSeed {
                    shape: value,
                    document,
                })?;
                nodes.extend(key.map(|key| (key, value)));
            }
        }
        Ok(Node::Map(nodes))
    }
}

/// A text of serde_yaml, borrowed from the document where it is there as such.
pub(crate) struct Lent<'a>(pub(crate) Cow<'a, str>);

impl<'de> de::Deserialize<'de> for Lent<'de> {
    fn deserialize<D: de::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Text;
        impl<'de> Visitor<'de> for Text {
            type Value = Lent<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Lent<'de>, E> {
                Ok(Lent(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Lent<'de>, E> {
                Ok(Lent(Cow::Owned(text.to_owned())))
            }
        }
        from.deserialize_str(Text)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn scalars<'n, 'a>(node: &'n Node<'a>, found: &mut Vec<&'n Scalar<'a>>) {
        match node {
            Node::Scalar(scalar) => found.push(scalar),
            Node::List(items) => items.iter().for_each(|item| scalars(item, found)),
            Node::Map(entries) => entries.iter().for_each(|(key, value)| {
                scalars(key, found);
                scalars(value, found);
            }),
        }
    }

    #[test]
    fn scalars_keep_their_text_and_their_place() {
        let document =
            "é: [1.10, 007, 2026-02-28]\n'b c': {d: null, e: \"\", f: ~, g: }\nh: 0x1F\n";
        let node = read(document).unwrap();
        let mut found = Vec::new();
        scalars(&node, &mut found);
        let texts: Vec<_> = found.iter().map(|s| &*s.text).collect();
        assert_eq!(
            texts,
            [
                "é",
                "1.10",
                "007",
                "2026-02-28",
                "b c",
                "d",
                "null",
                "e",
                "",
                "f",
                "~",
                "g",
                "",
                "h",
                "0x1F"
            ]
        );
        for scalar in &found {
            assert_eq!(document[scalar.span.clone().unwrap()], *scalar.text);
        }
        let empty: Vec<_> = found.iter().map(|s| s.is_empty()).collect();
        assert_eq!(empty.iter().filter(|empty| **empty).count(), 4);
        assert_eq!(
            serde_yaml::to_string(&node.value()).unwrap(),
            "é:\n- '1.10'\n- '007'\n- 2026-02-28\nb c:\n  d: null\n  e: ''\n  f: null\n  g: null\nh: '0x1F'\n"
        );
    }

    #[test]
    fn aliases_tags_folded_and_escaped_texts_are_read() {
        let document =
            "a: &x [1, two]\nb: *x\nc: !tag 5\nd: >\n  long\n  text\ne: \"x\\ty\"\nf: !l [1]\n";
        let node = read(document).unwrap();
        let mapping = node.mapping();
        assert_eq!(mapping["a"], mapping["b"]);
        assert_eq!(mapping["c"], Value::from(5));
        assert_eq!(mapping["d"], Value::from("long text\n"));
        assert_eq!(mapping["e"], Value::from("x\ty"));
        assert_eq!(mapping["f"], Value::Sequence(vec![1.into()]));
    }

    #[test]
    fn an_error_says_where_without_repeating_it() {
        let error = read("title: a\nstatus: b: c\n").unwrap_err();
        assert_eq!(
            error.message,
            "mapping values are not allowed in this context"
        );
        assert_eq!(error.at, 18);
        let error = read("title: \u{e9}\u{1f600}\nstatus: b: c\n").unwrap_err();
        assert_eq!(error.at, 18 + 1 + 4);
    }

    #[test]
    fn nothing_is_an_empty_map() {
        for document in ["", "# only a comment\n", "\n\n", "~"] {
            assert_eq!(read(document).unwrap(), Node::Map(Vec::new()));
        }
    }
}
