//! YAML documents: built as values, written by the YAML library, laid out for
//! readers.
//!
//! Nobody's text is ever pasted into YAML: what needs quotes gets them from the
//! library. The layout adds comments and empty lines alone, between entries,
//! where no text of many lines can reach.

use serde_yaml::{Mapping, Value};

/// A mapping that is being built.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Map(Mapping);

impl Map {
    /// An empty one.
    pub fn new() -> Map {
        Map::default()
    }

    /// With one more entry.
    #[must_use]
    pub fn with(mut self, key: impl Into<String>, value: impl Into<Value>) -> Map {
        self.0.insert(Value::String(key.into()), value.into());
        self
    }

    /// With one more entry, where there is a value.
    #[must_use]
    pub fn maybe<V: Into<Value>>(self, key: &str, value: Option<V>) -> Map {
        match value {
            Some(value) => self.with(key, value),
            None => self,
        }
    }

    /// With one more entry, where the list is not empty.
    #[must_use]
    pub fn list<V: Into<Value>>(self, key: &str, values: impl IntoIterator<Item = V>) -> Map {
        let values: Vec<Value> = values.into_iter().map(Into::into).collect();
        match values.is_empty() {
            true => self,
            false => self.with(key, values),
        }
    }

    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Itself, where something is in it.
    pub fn some(self) -> Option<Map> {
        (!self.is_empty()).then_some(self)
    }
}

impl From<Map> for Value {
    fn from(map: Map) -> Value {
        Value::Mapping(map.0)
    }
}

/// What is null in YAML: an entry without settings.
pub fn nothing() -> Value {
    Value::Null
}

/// The document as text, below a comment of these lines. Entries of the top
/// level stand apart, and so do the entries of `jobs` and of `steps` there.
pub fn text(document: &Map, header: &[String]) -> String {
    let mut out = String::new();
    for line in header {
        out.push_str(comment(line).trim_end());
        out.push('\n');
    }
    // Behind a text that keeps its last line ends, an empty line would be one.
    let keeps = document.0.values().any(ends_a_line);
    for (key, value) in &document.0 {
        if !keeps {
            out.push('\n');
        }
        let entry = Map(Mapping::from_iter([(key.clone(), value.clone())]));
        let entry = serde_yaml::to_string(&Value::from(entry)).unwrap_or_default();
        match key.as_str() {
            _ if keeps => out.push_str(&entry),
            Some("jobs") => out.push_str(&apart(&entry, "  ")),
            Some("steps") => out.push_str(&apart(&entry, "- ")),
            _ => out.push_str(&entry),
        }
    }
    out
}

/// Whether a text in there ends with a line end.
fn ends_a_line(value: &Value) -> bool {
    match value {
        Value::String(text) => text.ends_with('\n'),
        Value::Sequence(values) => values.iter().any(ends_a_line),
        Value::Mapping(entries) => {
            let mut all = entries.iter();
            all.any(|(key, value)| ends_a_line(key) || ends_a_line(value))
        }
        _ => false,
    }
}

/// A line of a comment; what would end the line is a space.
fn comment(line: &str) -> String {
    let line: String = line
        .chars()
        .map(|c| {
            if c.is_control() || matches!(c, '\u{85}' | '\u{2028}' | '\u{2029}') {
                ' '
            } else {
                c
            }
        })
        .collect();
    format!("# {line}")
}

/// An empty line before each entry but the first; entries begin with `start`
/// and no blank, and nothing inside of one does.
fn apart(text: &str, start: &str) -> String {
    let mut out = String::with_capacity(text.len() + text.len() / 8);
    let mut first = true;
    for line in text.split_inclusive('\n') {
        let begins = line
            .strip_prefix(start)
            .is_some_and(|rest| !rest.starts_with(' '));
        if begins && line.trim() != "" {
            if !first {
                out.push('\n');
            }
            first = false;
        }
        out.push_str(line);
    }
    out
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed step is a failed test")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn layout_changes_nothing_of_the_document(
            name in any::<String>(), script in "([ -~]|\n|  |- ){0,80}", jobs in 1_usize..4,
        ) {
            // The library reads back another number of line ends where a text has
            // nothing else; no name and no script is one.
            prop_assume!(script.is_empty() || !script.trim().is_empty());
            prop_assume!(name.is_empty() || !name.trim().is_empty());
            let job = || Map::new().with("name", name.clone()).list("run", [script.clone(), script.clone()]);
            let mut inside = Map::new();
            for number in 0..jobs {
                inside = inside.with(format!("job-{number}"), job());
            }
            let document = Map::new()
                .with("name", name.clone())
                .with("jobs", inside)
                .with("steps", (0..jobs).map(|_| Value::from(job())).collect::<Vec<_>>());
            let header = [name.clone(), script.clone()];
            let read: Value = serde_yaml::from_str(&text(&document, &header)).unwrap();
            prop_assert_eq!(read, Value::from(document));
        }
    }
}
