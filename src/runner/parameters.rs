//! The values of a card's parameters, and the text that names them.
//!
//! Weakest first: the runner's default, `with:` of the project, the card's own
//! `with:`, `--with NAME=VALUE`, `--with CARD:NAME=VALUE`. Values may name
//! other parameters as `${with.NAME}` and the card as `${card}`. Scripts are
//! never pasted into: they read variables. A value has the shape of its default
//! (a list, a mapping or a scalar), and is text where its default is text.

use indexmap::IndexMap;

use super::value::Value;

/// A fault of parameters, to be placed in its card by the caller.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The card gives a parameter that the runner does not declare.
    #[error("the runner has no parameter `{name}`{}", declared(.known))]
    Undeclared {
        /// What the card gives.
        name: String,
        /// What the runner declares.
        known: Vec<String>,
    },
    /// The runner wants a parameter that nothing gives.
    #[error("the runner needs the parameter `{name}`, and nothing gives it")]
    Missing {
        /// The parameter.
        name: String,
    },
    /// A value has another shape than the default.
    #[error("the parameter `{name}` is {wanted}, and {found} is given")]
    Shape {
        /// The parameter.
        name: String,
        /// The shape of its default, such as `a list`.
        wanted: &'static str,
        /// What is given: a scalar itself, else its shape.
        found: String,
    },
    /// A text names a parameter that is not declared.
    #[error("`${{with.{name}}}` names no parameter of the runner{}", declared(.known))]
    UnknownReference {
        /// What is named.
        name: String,
        /// What the runner declares.
        known: Vec<String>,
    },
    /// Parameters name each other in a circle.
    #[error("the parameter `{name}` is defined by itself")]
    Circular {
        /// One of them.
        name: String,
    },
    /// A list or mapping stands where text is wanted.
    #[error("`${{with.{name}}}` is a list or a mapping, and text is wanted here")]
    NotText {
        /// The parameter.
        name: String,
    },
    /// `${` without its end, or with something unknown in it.
    #[error("`{text}` is not `${{with.NAME}}` or `${{card}}`; write `$${{` for a plain `${{`")]
    BadReference {
        /// What stands there.
        text: String,
    },
}

impl Fault {
    /// What to do next.
    pub fn help(&self) -> String {
        match self {
            Fault::Missing { name } => format!("give it in the card: `with: {{{name}: ...}}`"),
            Fault::Shape { name, wanted, .. } => match *wanted {
                "a list" => {
                    format!("write a list: `{name}: [..]` in the card, `--with '{name}=[..]'`")
                }
                "a mapping" => {
                    format!(
                        "write a mapping: `{name}: {{..}}` in the card, `--with '{name}={{..}}'`"
                    )
                }
                _ => format!("write one value: `{name}: ..` in the card, `--with {name}=..`"),
            },
            Fault::Undeclared { name, known } | Fault::UnknownReference { name, known } => {
                match crate::words::nearest(name, known.iter().map(String::as_str)) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("add `{name}` to the runner's `with`, or take it away here"),
                }
            }
            Fault::Circular { .. } => "write its value out".into(),
            Fault::NotText { name } => {
                format!("give `{name}` one value, or let the list stand alone in its entry")
            }
            Fault::BadReference { .. } => "mend the name between the braces".into(),
        }
    }
}

fn declared(known: &[String]) -> String {
    match known {
        [] => "; it declares none".into(),
        _ => format!("; it declares {}", crate::words::list(known)),
    }
}

/// The parameters of one card with their values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parameters {
    card: String,
    values: IndexMap<String, Value>,
}

impl Parameters {
    /// Takes `defaults` and lays each of `layers` over them, weakest first.
    ///
    /// A layer that is `strict` may give only what is declared.
    ///
    /// # Errors
    ///
    /// The first fault: an undeclared, missing or circular parameter, or one of
    /// another shape than its default.
    pub fn resolve(
        card: &str,
        defaults: &IndexMap<String, Value>,
        layers: &[Layer<'_>],
    ) -> Result<Parameters, Fault> {
        let known = || defaults.keys().cloned().collect::<Vec<_>>();
        let mut values = defaults.clone();
        for layer in layers {
            for (name, value) in layer.values {
                match values.get_mut(name) {
                    Some(slot) => *slot = shaped(name, value, &defaults[name])?,
                    None if layer.strict => {
                        let name = name.clone();
                        return Err(Fault::Undeclared {
                            name,
                            known: known(),
                        });
                    }
                    None => {}
                }
            }
        }
        if let Some((name, _)) = values.iter().find(|(_, value)| **value == Value::Null) {
            return Err(Fault::Missing { name: name.clone() });
        }
        let raw = Parameters {
            card: card.to_owned(),
            values,
        };
        let mut resolved = raw.clone();
        for name in raw.values.keys() {
            let value = raw.expand_parameter(name, &mut Vec::new())?;
            resolved.values.insert(name.clone(), value);
        }
        Ok(resolved)
    }

    /// The value of a parameter.
    pub fn value(&self, name: &str) -> Option<&Value> {
        self.values.get(name)
    }

    /// All parameters, in the order declared.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.values
            .iter()
            .map(|(name, value)| (name.as_str(), value))
    }

    /// The variables that scripts see: `$WITH_NAME` for each of `names`, and all
    /// of those as JSON in `$WITH`.
    pub fn variables(&self, names: impl Fn(&str) -> bool) -> Vec<(String, String)> {
        let seen: IndexMap<&str, &Value> = self.iter().filter(|(name, _)| names(name)).collect();
        if seen.is_empty() {
            return Vec::new();
        }
        let all = serde_json::to_string(&seen).unwrap_or_default();
        let one = |(name, value): (&&str, &&Value)| (variable(name), value.to_variable());
        seen.iter()
            .map(one)
            .chain([("WITH".to_owned(), all)])
            .collect()
    }

    /// `text` with every `${with.NAME}` and `${card}` replaced.
    ///
    /// # Errors
    ///
    /// Where a reference is unknown, malformed or not text.
    pub fn expand(&self, text: &str) -> Result<String, Fault> {
        expand(text, &mut |reference| match reference {
            Reference::Card => Ok(self.card.clone()),
            Reference::With(name) => self.text(name),
        })
    }

    /// Like [`Parameters::expand`] for an entry of a list: an entry that is
    /// exactly one reference to a list stands for all its items.
    pub fn expand_list(&self, texts: &[String]) -> Result<Vec<String>, Fault> {
        let mut all = Vec::new();
        for text in texts {
            let whole = text
                .strip_prefix("${with.")
                .and_then(|t| t.strip_suffix('}'));
            match whole.and_then(|name| self.values.get(name)) {
                Some(Value::List(items)) => {
                    let name = whole.unwrap_or_default();
                    for item in items {
                        all.push(item.scalar().ok_or_else(|| not_text(name))?);
                    }
                }
                _ => all.push(self.expand(text)?),
            }
        }
        Ok(all)
    }

    fn text(&self, name: &str) -> Result<String, Fault> {
        let value = self.values.get(name).ok_or_else(|| self.unknown(name))?;
        value.scalar().ok_or_else(|| not_text(name))
    }

    fn unknown(&self, name: &str) -> Fault {
        Fault::UnknownReference {
            name: name.to_owned(),
            known: self.values.keys().cloned().collect(),
        }
    }

    fn expand_parameter(&self, name: &str, path: &mut Vec<String>) -> Result<Value, Fault> {
        if path.iter().any(|seen| seen == name) {
            return Err(Fault::Circular {
                name: name.to_owned(),
            });
        }
        let value = self.values.get(name).ok_or_else(|| self.unknown(name))?;
        path.push(name.to_owned());
        let expanded = self.expand_value(value, path);
        path.pop();
        expanded
    }

    fn expand_value(&self, value: &Value, path: &mut Vec<String>) -> Result<Value, Fault> {
        Ok(match value {
            Value::Text(text) => Value::Text(expand(text, &mut |reference| match reference {
                Reference::Card => Ok(self.card.clone()),
                Reference::With(name) => self
                    .expand_parameter(name, path)?
                    .scalar()
                    .ok_or_else(|| not_text(name)),
            })?),
            Value::List(items) => Value::List(
                items
                    .iter()
                    .map(|item| self.expand_value(item, path))
                    .collect::<Result<_, _>>()?,
            ),
            Value::Map(map) => Value::Map(
                map.iter()
                    .map(|(key, item)| Ok((key.clone(), self.expand_value(item, path)?)))
                    .collect::<Result<_, Fault>>()?,
            ),
            plain => plain.clone(),
        })
    }
}

/// `value` as a value of the parameter `name`, whose default is `default`: of
/// its shape, and text where it is text.
///
/// # Errors
///
/// Where it has another shape. Nothing is a value of every shape.
pub fn shaped(name: &str, value: &Value, default: &Value) -> Result<Value, Fault> {
    let shape = |value: &Value| match value {
        Value::Null => None,
        Value::List(_) => Some("a list"),
        Value::Map(_) => Some("a mapping"),
        Value::Bool(_) | Value::Number(_) | Value::Text(_) => Some("a scalar"),
    };
    let (Some(found), Some(wanted)) = (shape(value), shape(default)) else {
        return Ok(value.clone());
    };
    if found != wanted {
        return Err(Fault::Shape {
            name: name.to_owned(),
            wanted: if wanted == "a scalar" { "text" } else { wanted },
            found: value
                .scalar()
                .map_or_else(|| found.to_owned(), |text| format!("`{text}`")),
        });
    }
    Ok(match (default, value.scalar()) {
        (Value::Text(_), Some(text)) => Value::Text(text),
        _ => value.clone(),
    })
}

/// Values from one place.
#[derive(Clone, Copy, Debug)]
pub struct Layer<'a> {
    /// What it gives.
    pub values: &'a IndexMap<String, Value>,
    /// Whether giving something undeclared is a fault.
    pub strict: bool,
}

/// The variable of a parameter: `vendor-hash` is `WITH_VENDOR_HASH`.
pub fn variable(name: &str) -> String {
    format!("WITH_{}", name.to_uppercase().replace('-', "_"))
}

fn not_text(name: &str) -> Fault {
    Fault::NotText {
        name: name.to_owned(),
    }
}

enum Reference<'a> {
    Card,
    With(&'a str),
}

fn expand(
    text: &str,
    replace: &mut dyn FnMut(Reference<'_>) -> Result<String, Fault>,
) -> Result<String, Fault> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        if rest[..at].ends_with('$') {
            out.push_str(&rest[..at - 1]);
            out.push_str("${");
            rest = &rest[at + 2..];
            continue;
        }
        out.push_str(&rest[..at]);
        let inner = &rest[at + 2..];
        let bad = || Fault::BadReference {
            text: rest[at..].to_owned(),
        };
        let end = inner.find('}').ok_or_else(bad)?;
        let reference =
            match &inner[..end] {
                "card" => Reference::Card,
                name => Reference::With(name.strip_prefix("with.").ok_or_else(|| {
                    Fault::BadReference {
                        text: rest[at..at + 3 + end].to_owned(),
                    }
                })?),
            };
        out.push_str(&replace(reference)?);
        rest = &inner[end + 1..];
    }
    out.push_str(rest);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(yaml: &str) -> IndexMap<String, Value> {
        match Value::from_yaml(yaml) {
            Ok(Value::Map(map)) => map,
            other => panic!("{other:?}"),
        }
    }

    fn resolve(defaults: &str, card: &str) -> Result<Parameters, Fault> {
        let card = map(card);
        let layer = Layer {
            values: &card,
            strict: true,
        };
        Parameters::resolve("server", &map(defaults), &[layer])
    }

    #[test]
    fn values_may_name_other_parameters_and_the_card() -> Result<(), Fault> {
        let p = resolve(
            "{prefix: /opt, name: '${card}', to: [{to: '${with.prefix}/web'}]}",
            "{prefix: /srv}",
        )?;
        assert_eq!(
            p.value("to").map(Value::to_json).as_deref(),
            Some(r#"[{"to":"/srv/web"}]"#)
        );
        assert_eq!(p.expand("${with.name} $${x}")?, "server ${x}");
        Ok(())
    }

    #[test]
    fn faults_are_named() {
        assert!(matches!(resolve("{a: ~}", "{}"), Err(Fault::Missing { name }) if name == "a"));
        assert!(
            matches!(resolve("{a: 1}", "{b: 2}"), Err(Fault::Undeclared { name, .. }) if name == "b")
        );
        let circle = resolve("{a: '${with.b}', b: '${with.a}'}", "{}");
        assert!(matches!(circle, Err(Fault::Circular { .. })));
        assert!(matches!(
            resolve("{a: '${x}'}", "{}"),
            Err(Fault::BadReference { .. })
        ));
    }

    #[test]
    fn values_have_the_shape_of_their_default() -> Result<(), Fault> {
        let fault = |defaults: &str, card: &str| match resolve(defaults, card) {
            Err(fault @ Fault::Shape { .. }) => fault.to_string(),
            other => panic!("{other:?}"),
        };
        assert_eq!(
            fault("{a: []}", "{a: 7}"),
            "the parameter `a` is a list, and `7` is given"
        );
        assert_eq!(
            fault("{a: {}}", "{a: [1]}"),
            "the parameter `a` is a mapping, and a list is given"
        );
        assert_eq!(
            fault("{a: ''}", "{a: {b: 1}}"),
            "the parameter `a` is text, and a mapping is given"
        );
        // Text where the default is text; else a number is one if JSON can write it so.
        let values = resolve(
            "{text: '', any: ~, list: []}",
            "{text: 3.9, any: 3.9, list: [1, 1.10, 007, true, x]}",
        )?;
        let variables = values.variables(|_| true);
        let all = variables.last().map(|(_, json)| json.as_str());
        assert_eq!(
            all,
            Some(r#"{"text":"3.9","any":3.9,"list":[1,"1.10","007",true,"x"]}"#)
        );
        Ok(())
    }

    #[test]
    fn a_list_stands_for_its_items() -> Result<(), Fault> {
        let p = resolve("{globs: ['a/**', '!a/b']}", "{}")?;
        let texts = p.expand_list(&["${with.globs}".into(), "c".into()])?;
        assert_eq!(texts, ["a/**", "!a/b", "c"]);
        Ok(())
    }

    #[test]
    fn variables_are_upper_case() -> Result<(), Fault> {
        let p = resolve("{vendor-hash: 1.10}", "{}")?;
        assert_eq!(
            p.variables(|_| true),
            [
                ("WITH_VENDOR_HASH".to_owned(), "1.10".to_owned()),
                ("WITH".to_owned(), r#"{"vendor-hash":"1.10"}"#.to_owned())
            ]
        );
        Ok(())
    }
}
