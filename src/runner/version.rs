//! Versions of tools, and what a runner asks of them.
//!
//! A version is a row of numbers; missing ones count as zero (`3.14` equals
//! `3.14.0`). A requirement is a list of clauses joined by commas, with the
//! operators of PEP 440 (`>=1.25`, `>=3.14,<3.15`, `==3.14.*`, `~=1.4.2`). A
//! plain `20` is a prefix: every 20.x. Letters (`rc1`, `-beta`) are not read.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A row of numbers such as `3.11.7`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Version(Vec<u64>);

impl Version {
    /// Finds a version in what a tool prints: the first dotted number, else the
    /// first number alone (`openjdk 21`).
    pub fn find(text: &str) -> Option<Self> {
        let mut lone = None;
        let mut rest = text;
        while let Some(start) = rest.find(|c: char| c.is_ascii_digit()) {
            let tail = &rest[start..];
            let end = tail
                .find(|c: char| !c.is_ascii_digit() && c != '.')
                .unwrap_or(tail.len());
            let found: Option<Version> = tail[..end].trim_end_matches('.').parse().ok();
            match found {
                Some(version) if version.0.len() > 1 => return Some(version),
                Some(version) => lone = lone.or(Some(version)),
                None => {}
            }
            rest = &tail[end..];
        }
        lone
    }

    fn number(&self, index: usize) -> u64 {
        self.0.get(index).copied().unwrap_or(0)
    }

    fn compare(&self, other: &Version) -> Ordering {
        (0..self.0.len().max(other.0.len()))
            .map(|index| self.number(index).cmp(&other.number(index)))
            .find(|order| order.is_ne())
            .unwrap_or(Ordering::Equal)
    }

    fn starts_with(&self, prefix: &[u64]) -> bool {
        prefix
            .iter()
            .enumerate()
            .all(|(index, number)| self.number(index) == *number)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let numbers: Vec<String> = self.0.iter().map(u64::to_string).collect();
        f.write_str(&numbers.join("."))
    }
}

impl FromStr for Version {
    type Err = NoVersionReq;

    fn from_str(text: &str) -> Result<Self, NoVersionReq> {
        let wrong = || NoVersionReq(text.to_owned());
        text.split('.')
            .map(|part| match part.bytes().all(|b| b.is_ascii_digit()) {
                true => part.parse().map_err(|_| wrong()),
                false => Err(wrong()),
            })
            .collect::<Result<Vec<u64>, _>>()
            .map(Version)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    AtLeast,
    AtMost,
    Above,
    Below,
    Equal,
    Other,
    Compatible,
    Prefix,
    NotPrefix,
}

/// What a runner asks of a tool's version; empty or `*` takes any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionReq {
    text: String,
    clauses: Vec<(Operator, Version)>,
}

/// What is wrong with a text that should ask for a version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` asks for no version: expected clauses such as `>=1.25`, `>=3.14,<3.15`, `==3.14.*` or `20`"
)]
pub struct NoVersionReq(String);

impl VersionReq {
    /// Whether `version` is one that was asked for.
    pub fn matches(&self, version: &Version) -> bool {
        self.clauses.iter().all(|(operator, wanted)| {
            let order = version.compare(wanted);
            match operator {
                Operator::AtLeast => order.is_ge(),
                Operator::AtMost => order.is_le(),
                Operator::Above => order.is_gt(),
                Operator::Below => order.is_lt(),
                Operator::Equal => order.is_eq(),
                Operator::Other => order.is_ne(),
                Operator::Prefix => version.starts_with(&wanted.0),
                Operator::NotPrefix => !version.starts_with(&wanted.0),
                Operator::Compatible => {
                    order.is_ge() && version.starts_with(&wanted.0[..wanted.0.len() - 1])
                }
            }
        })
    }
}

fn clause(text: &str) -> Option<(Operator, Version)> {
    const OPERATORS: [(&str, Operator); 8] = [
        (">=", Operator::AtLeast),
        ("<=", Operator::AtMost),
        ("==", Operator::Equal),
        ("!=", Operator::Other),
        ("~=", Operator::Compatible),
        (">", Operator::Above),
        ("<", Operator::Below),
        ("=", Operator::Equal),
    ];
    let (operator, rest) = OPERATORS
        .iter()
        .find_map(|(sign, operator)| Some((*operator, text.strip_prefix(sign)?.trim())))
        .unwrap_or((Operator::Prefix, text));
    let (operator, rest) = match (operator, rest.strip_suffix(".*")) {
        (_, None) => (operator, rest),
        (Operator::Equal | Operator::Prefix, Some(prefix)) => (Operator::Prefix, prefix),
        (Operator::Other, Some(prefix)) => (Operator::NotPrefix, prefix),
        (_, Some(_)) => return None,
    };
    let version: Version = rest.parse().ok()?;
    match operator {
        Operator::Compatible if version.0.len() < 2 => None,
        _ => Some((operator, version)),
    }
}

impl FromStr for VersionReq {
    type Err = NoVersionReq;

    fn from_str(text: &str) -> Result<Self, NoVersionReq> {
        let trimmed = text.trim();
        let clauses = match trimmed {
            "" | "*" => Vec::new(),
            _ => trimmed
                .split(',')
                .map(|part| clause(part.trim()).ok_or_else(|| NoVersionReq(text.to_owned())))
                .collect::<Result<_, _>>()?,
        };
        Ok(VersionReq {
            text: trimmed.to_owned(),
            clauses,
        })
    }
}

impl fmt::Display for VersionReq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Serialize for VersionReq {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for VersionReq {
    /// Reads text, and takes a plain number (`version: 20`) as its text.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn holds(requirement: &str, version: &str) -> bool {
        requirement
            .parse::<VersionReq>()
            .unwrap()
            .matches(&version.parse().unwrap())
    }

    #[test]
    fn clauses_mean_what_pep_440_says() {
        assert!(holds(">=1.25", "1.26.6"));
        assert!(!holds(">=3.14,<3.15", "3.15"));
        assert!(holds(">=3.14, <3.15", "3.14.9"));
        assert!(holds("==3.14.*", "3.14.2"));
        assert!(!holds("==3.14", "3.14.2"));
        assert!(holds("==3.14", "3.14.0"));
        assert!(!holds("!=3.14.*", "3.14.2"));
        assert!(holds("~=1.4.2", "1.4.9"));
        assert!(!holds("~=1.4.2", "1.5"));
        assert!(holds("~=1.4", "1.5"));
        assert!(!holds("~=1.4", "2.0"));
        assert!(holds("*", "0.1"));
    }

    #[test]
    fn plain_number_is_a_prefix_of_whole_numbers() {
        assert!(holds("20", "20.1.3"));
        assert!(!holds("20", "200.1"));
        assert!(holds("3.1", "3.1.4"));
        assert!(!holds("3.1", "3.11"));
    }

    #[test]
    fn texts_that_ask_for_nothing_are_refused() {
        for text in [
            ">=", "abc", "1..2", ">=1.*", "~=1", "1,,2", "1.2-beta", ">>1",
        ] {
            assert!(text.parse::<VersionReq>().is_err(), "{text}");
        }
    }

    #[test]
    fn version_is_found_in_what_tools_print() {
        let found = |text| Version::find(text).map(|v| v.to_string());
        assert_eq!(
            found("go version go1.26.6 linux/amd64"),
            Some("1.26.6".into())
        );
        assert_eq!(found("v24.19.0\n"), Some("24.19.0".into()));
        assert_eq!(found("Python 3.11.7"), Some("3.11.7".into()));
        assert_eq!(found("openjdk version \"21\" 2023"), Some("21".into()));
        assert_eq!(
            found("gcc (Debian 12.2.0-14) 12.2.0"),
            Some("12.2.0".into())
        );
        assert_eq!(found("no number"), None);
    }

    #[test]
    fn number_in_yaml_is_taken_as_written() {
        let read: VersionReq = serde_yaml::from_str("3.10").unwrap();
        assert_eq!(read.to_string(), "3.10");
    }

    proptest! {
        #[test]
        fn operators_split_all_versions(a in proptest::collection::vec(0u64..4, 1..4), b in proptest::collection::vec(0u64..4, 1..4)) {
            let (a, b) = (Version(a), Version(b));
            let holds = |sign: &str| format!("{sign}{b}").parse::<VersionReq>().unwrap().matches(&a);
            prop_assert_eq!(holds(">="), !holds("<"));
            prop_assert_eq!(holds("<="), !holds(">"));
            prop_assert_eq!(holds("=="), !holds("!="));
            prop_assert_eq!(holds("=="), holds(">=") && holds("<="));
            prop_assert!(!holds("==") || holds(""));
        }

        #[test]
        fn reading_a_requirement_never_panics(text in ".{0,16}") {
            let _ = text.parse::<VersionReq>();
            let _ = Version::find(&text);
        }
    }
}
