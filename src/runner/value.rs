//! Parameter values that keep their scalars as they were written.
//!
//! YAML decodes `1.10` to a number that prints as `1.1`, and `007` to 7. A
//! parameter must reach a script as its author wrote it, so values are decoded
//! twice: once for their shape, and once more along that shape with every
//! scalar as text.

use std::fmt;

use indexmap::IndexMap;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize, Serializer};

/// A YAML value whose scalars keep their text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// Nothing was given.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number, as written.
    Number(String),
    /// Text.
    Text(String),
    /// A list.
    List(Vec<Value>),
    /// A mapping, in the order written.
    Map(IndexMap<String, Value>),
}

impl Value {
    /// Decodes a YAML document.
    ///
    /// # Errors
    ///
    /// Where the text is no YAML, has a tag, or has a key that is no scalar.
    pub fn from_yaml(text: &str) -> Result<Value, serde_yaml::Error> {
        let shape: serde_yaml::Value = serde_yaml::from_str(text)?;
        Shaped(&shape).deserialize(serde_yaml::Deserializer::from_str(text))
    }

    /// The entry `key` of a mapping.
    pub fn entry(&self, key: &str) -> Option<&Value> {
        match self {
            Value::Map(map) => map.get(key),
            _ => None,
        }
    }

    /// A scalar as text; `None` for lists and mappings. Nothing is empty text.
    pub fn scalar(&self) -> Option<String> {
        match self {
            Value::Null => Some(String::new()),
            Value::Bool(bool) => Some(bool.to_string()),
            Value::Number(text) | Value::Text(text) => Some(text.clone()),
            Value::List(_) | Value::Map(_) => None,
        }
    }

    /// The text that `$WITH_NAME` holds: a scalar as it is, a list of scalars
    /// one a line, anything deeper as compact JSON.
    pub fn to_variable(&self) -> String {
        if let Some(text) = self.scalar() {
            return text;
        }
        if let Value::List(items) = self
            && let Some(lines) = items.iter().map(Value::scalar).collect::<Option<Vec<_>>>()
        {
            return lines.join("\n");
        }
        self.to_json()
    }

    /// Compact JSON. A number that JSON can't spell as written is text.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

impl From<serde_yaml::Value> for Value {
    /// Takes a decoded value as it is; a caller that has the text and needs it
    /// as written decodes with [`Value::from_yaml`].
    fn from(value: serde_yaml::Value) -> Value {
        use serde_yaml::Value as Yaml;
        match value {
            Yaml::Null => Value::Null,
            Yaml::Bool(bool) => Value::Bool(bool),
            Yaml::Number(number) => Value::Number(number.to_string()),
            Yaml::String(text) => Value::Text(text),
            Yaml::Sequence(items) => Value::List(items.into_iter().map(Value::from).collect()),
            Yaml::Mapping(map) => {
                let entry = |(key, value)| Some((Value::from(key).scalar()?, Value::from(value)));
                Value::Map(map.into_iter().filter_map(entry).collect())
            }
            Yaml::Tagged(tagged) => Value::from(tagged.value),
        }
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Value::Null => serializer.serialize_unit(),
            Value::Bool(bool) => serializer.serialize_bool(*bool),
            Value::Number(text) => match serde_json::from_str::<serde_json::Number>(text) {
                Ok(number) if number.to_string() == *text => number.serialize(serializer),
                _ => serializer.serialize_str(text),
            },
            Value::Text(text) => serializer.serialize_str(text),
            Value::List(items) => serializer.collect_seq(items),
            Value::Map(map) => serializer.collect_map(map),
        }
    }
}

/// Decodes along a known shape.
struct Shaped<'a>(&'a serde_yaml::Value);

impl<'de> DeserializeSeed<'de> for Shaped<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        use serde_yaml::Value as Yaml;
        Ok(match self.0 {
            Yaml::Null => {
                IgnoredAny::deserialize(deserializer)?;
                Value::Null
            }
            Yaml::Bool(bool) => {
                IgnoredAny::deserialize(deserializer)?;
                Value::Bool(*bool)
            }
            Yaml::Number(_) => Value::Number(text(deserializer)?),
            Yaml::String(_) => Value::Text(text(deserializer)?),
            Yaml::Sequence(_) => deserializer.deserialize_seq(ShapedVisitor(self.0))?,
            Yaml::Mapping(_) => deserializer.deserialize_map(ShapedVisitor(self.0))?,
            Yaml::Tagged(_) => return Err(serde::de::Error::custom("tags are not supported here")),
        })
    }
}

fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    String::deserialize(deserializer)
}

struct ShapedVisitor<'a>(&'a serde_yaml::Value);

impl<'de> Visitor<'de> for ShapedVisitor<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list or a mapping")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        for shape in self.0.as_sequence().into_iter().flatten() {
            match seq.next_element_seed(Shaped(shape))? {
                Some(item) => items.push(item),
                None => break,
            }
        }
        Ok(Value::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut entries = IndexMap::new();
        for (_, shape) in self.0.as_mapping().into_iter().flatten() {
            let Some(key) = map.next_key::<String>()? else {
                break;
            };
            entries.insert(key, map.next_value_seed(Shaped(shape))?);
        }
        Ok(Value::Map(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scalars_keep_their_text() -> Result<(), serde_yaml::Error> {
        let value =
            Value::from_yaml("{a: 1.10, b: 007, c: 2026-02-28, d: ~, e: [yes, 'x y'], f: true}")?;
        let text = |key| value.entry(key).map(Value::to_variable);
        assert_eq!(text("a").as_deref(), Some("1.10"));
        assert_eq!(text("b").as_deref(), Some("007"));
        assert_eq!(text("c").as_deref(), Some("2026-02-28"));
        assert_eq!(text("d").as_deref(), Some(""));
        assert_eq!(text("e").as_deref(), Some("yes\nx y"));
        assert_eq!(text("f").as_deref(), Some("true"));
        Ok(())
    }

    #[test]
    fn deep_values_are_compact_json() -> Result<(), serde_yaml::Error> {
        let value = Value::from_yaml("- {file: a, count: 2, version: 1.10}\n")?;
        assert_eq!(
            value.to_variable(),
            r#"[{"file":"a","count":2,"version":"1.10"}]"#
        );
        Ok(())
    }

    #[test]
    fn anchors_and_merges_do_not_lose_text() -> Result<(), serde_yaml::Error> {
        let value = Value::from_yaml("a: &x 1.50\nb: *x\n")?;
        assert_eq!(
            value.entry("b").map(Value::to_variable).as_deref(),
            Some("1.50")
        );
        Ok(())
    }
}
