//! Why an action is not the one that succeeded last: the difference between two
//! actions, read off the very messages that were hashed.

use std::collections::BTreeMap;

use prost::Message;
use serde::Serialize;

use crate::digest::Digest;
use crate::reapi::{self, DigestMessage, Directory};

/// One difference between the last success and now.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Reason {
    /// There was no success before.
    NeverSucceeded,
    /// The last success is no longer in the store.
    Forgotten,
    /// Somebody changed what the last success made.
    Edited {
        /// A file of it that is not as it was made.
        path: String,
    },
    /// The last success was made with more opened up than is now.
    OpenedUp {
        /// What was.
        by: String,
    },
    /// `--force` was given.
    Forced,
    /// The steps' scripts differ.
    Steps,
    /// A parameter differs.
    Parameter {
        /// Its name as a variable without `WITH_`.
        name: String,
        /// What it was; `None` where it was not there.
        from: Option<String>,
        /// What it is.
        to: Option<String>,
    },
    /// A variable differs.
    Variable {
        /// Its name.
        name: String,
        /// What it was.
        from: Option<String>,
        /// What it is.
        to: Option<String>,
    },
    /// A tool differs.
    Tool {
        /// Its name.
        name: String,
        /// Its version or digest then.
        from: Option<String>,
        /// Its version or digest now.
        to: Option<String>,
    },
    /// The machine differs.
    Platform {
        /// The property.
        name: String,
        /// What it was.
        from: Option<String>,
        /// What it is.
        to: Option<String>,
    },
    /// The artifact of a card that is used differs.
    Prerequisite {
        /// The role.
        role: String,
    },
    /// A fetch has to be done first.
    Fetching {
        /// Its name.
        name: String,
    },
    /// A check is yet to pass for the artifact, which is there.
    Check {
        /// Its name.
        name: String,
    },
    /// A fetch brought something else.
    Fetch {
        /// Its name.
        name: String,
    },
    /// A file of the runner's own folder differs.
    Script {
        /// Its path.
        path: String,
    },
    /// An input differs.
    Input {
        /// Its path below `work/`.
        path: String,
        /// How.
        change: Change,
    },
    /// The keys of this version of mikado are made otherwise.
    Format,
    /// Results of another level of trust are kept apart.
    Namespace,
}

/// How an input differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Change {
    /// It was not there.
    Added,
    /// It is gone.
    Removed,
    /// Its contents, text or exec bit changed.
    Changed,
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let between = |from: &Option<String>, to: &Option<String>| match (from, to) {
            (Some(from), Some(to)) => {
                let (from, to) = (in_a_line(from), in_a_line(to));
                let start = first_difference(&from, &to);
                format!("`{}` -> `{}`", cut(&from, start), cut(&to, start))
            }
            (None, Some(to)) => format!("now `{}`", cut(&in_a_line(to), 0)),
            (Some(from), None) => format!("no longer `{}`", cut(&in_a_line(from), 0)),
            (None, None) => String::new(),
        };
        match self {
            Reason::NeverSucceeded => write!(f, "never run"),
            Reason::Forgotten => write!(f, "its last result is not in the store"),
            Reason::Edited { path } => {
                write!(f, "its artifact was changed by hand: `{path}`")
            }
            Reason::OpenedUp { by } => write!(f, "its last result was made with {by}"),
            Reason::Forced => write!(f, "forced"),
            Reason::Steps => write!(f, "steps changed"),
            Reason::Parameter { name, from, to } => {
                let name = name.to_lowercase().replace('_', "-");
                write!(f, "parameter {name}: {}", between(from, to))
            }
            Reason::Variable { name, from, to } => {
                write!(f, "variable {name}: {}", between(from, to))
            }
            Reason::Tool {
                name,
                from: None,
                to: None,
            } => write!(f, "tool {name} changed"),
            Reason::Tool { name, from, to } => write!(f, "tool {name}: {}", between(from, to)),
            Reason::Platform { name, from, to } => {
                write!(f, "platform {name}: {}", between(from, to))
            }
            Reason::Prerequisite { role } => write!(f, "artifact of `{role}` changed"),
            Reason::Fetching { name } => write!(f, "has to fetch {name}"),
            Reason::Check { name } => write!(f, "check `{name}` has not passed yet"),
            Reason::Fetch { name } => write!(f, "fetch `{name}` brought something else"),
            Reason::Script { path } => write!(f, "script {path} changed"),
            Reason::Input { path, change } => match change {
                Change::Added => write!(f, "{path} added"),
                Change::Removed => write!(f, "{path} removed"),
                Change::Changed => write!(f, "{path} changed"),
            },
            Reason::Namespace => write!(f, "another namespace of the cache"),
            Reason::Format => write!(f, "keys are made otherwise by this version of mikado"),
        }
    }
}

/// How many characters of a value are shown.
const SHOWN: usize = 40;

/// How many characters before a difference are shown.
const BEFORE: usize = 16;

/// The byte at which two values are shown so that their difference is seen.
fn first_difference(from: &str, to: &str) -> usize {
    let pairs = from.char_indices().zip(to.chars());
    let same: Vec<usize> = pairs
        .take_while(|((_, a), b)| a == b)
        .map(|((at, _), _)| at)
        .collect();
    match same.len() + BEFORE <= SHOWN {
        true => 0,
        false => same[same.len() - BEFORE],
    }
}

/// A value in one line; a list has an entry a line.
fn in_a_line(text: &str) -> String {
    text.trim_end().replace('\n', " ")
}

/// `text` from the byte `start` on, no longer than is read at a glance.
fn cut(text: &str, start: usize) -> String {
    let rest = &text[start..];
    let end = rest.char_indices().nth(SHOWN).map(|(at, _)| at);
    let shown = &rest[..end.unwrap_or(rest.len())];
    let before = if start > 0 { "…" } else { "" };
    let after = if shown.len() < rest.len() { "…" } else { "" };
    format!("{before}{shown}{after}")
}

/// The differences between two actions, most telling first.
///
/// `blob` gives the bytes of a message by its digest; where one is missing the
/// comparison ends there, and says no more than that something differs.
pub fn between(
    from: &Digest,
    to: &Digest,
    blob: &dyn Fn(&Digest) -> Option<Vec<u8>>,
) -> Vec<Reason> {
    if from == to {
        return Vec::new();
    }
    let (Some(old), Some(new)) = (action(from, blob), action(to, blob)) else {
        return vec![Reason::Forgotten];
    };
    let mut reasons = Vec::new();
    if old.0.salt != new.0.salt {
        let known = |action: &reapi::Action| super::is_of_this_format(&action.salt);
        reasons.push(match known(&old.0) && known(&new.0) {
            true => Reason::Namespace,
            false => Reason::Format,
        });
    }
    platforms(&old.0, &new.0, &mut reasons);
    variables(&old.1, &new.1, &mut reasons);
    let root = |action: &reapi::Action| action.input_root_digest.clone();
    let mut changes = Vec::new();
    directories("", root(&old.0), root(&new.0), blob, &mut changes);
    for (path, change) in changes {
        reasons.push(input(path, change));
    }
    reasons.sort();
    reasons.dedup();
    let told: Vec<Reason> = reasons.clone();
    let is_tool = |reason: &Reason| matches!(reason, Reason::Tool { .. });
    reasons.retain(|reason| match reason {
        // PATH follows from the tools.
        Reason::Variable { name, .. } => name != "PATH" || !told.iter().any(is_tool),
        // A tool that came from elsewhere is told of with its version alone.
        Reason::Tool {
            name,
            from: None,
            to: None,
        } => !told.iter().any(|other| {
            matches!(other, Reason::Tool { name: same, from, to } if same == name && (from.is_some() || to.is_some()))
        }),
        _ => true,
    });
    reasons
}

fn action(
    key: &Digest,
    blob: &dyn Fn(&Digest) -> Option<Vec<u8>>,
) -> Option<(reapi::Action, reapi::Command)> {
    let action = reapi::Action::decode(&*blob(key)?).ok()?;
    let digest = action.command_digest.as_ref()?.digest()?;
    let command = reapi::Command::decode(&*blob(&digest)?).ok()?;
    Some((action, command))
}

/// What a change below the action's root means.
fn input(path: String, change: Change) -> Reason {
    let second = |rest: &str| rest.split('/').next().unwrap_or_default().to_owned();
    match path.split_once('/') {
        Some(("work", rest)) => Reason::Input {
            path: rest.to_owned(),
            change,
        },
        Some(("requires", rest)) => Reason::Prerequisite { role: second(rest) },
        Some(("fetch", rest)) => Reason::Fetch { name: second(rest) },
        Some(("runner", rest)) => Reason::Script {
            path: rest.to_owned(),
        },
        Some(("tools", rest)) => Reason::Tool {
            name: second(rest),
            from: None,
            to: None,
        },
        Some((".mikado", _)) => Reason::Steps,
        _ => Reason::Input { path, change },
    }
}

fn platforms(old: &reapi::Action, new: &reapi::Action, reasons: &mut Vec<Reason>) {
    let properties = |action: &reapi::Action| -> BTreeMap<String, String> {
        let platform = action.platform.clone().unwrap_or_default();
        platform
            .properties
            .into_iter()
            .map(|p| (p.name, p.value))
            .collect()
    };
    for (name, from, to) in differences(&properties(old), &properties(new)) {
        reasons.push(match name.strip_prefix("tool:") {
            Some(tool) => Reason::Tool {
                name: tool.to_owned(),
                from,
                to,
            },
            None => Reason::Platform { name, from, to },
        });
    }
}

fn variables(old: &reapi::Command, new: &reapi::Command, reasons: &mut Vec<Reason>) {
    let variables = |command: &reapi::Command| -> BTreeMap<String, String> {
        let all = command.environment_variables.iter();
        all.map(|v| (v.name.clone(), v.value.clone())).collect()
    };
    for (name, from, to) in differences(&variables(old), &variables(new)) {
        // `WITH` repeats the parameters.
        if name == "WITH" {
            continue;
        }
        reasons.push(match name.strip_prefix("WITH_") {
            Some(name) => Reason::Parameter {
                name: name.to_owned(),
                from,
                to,
            },
            None => Reason::Variable { name, from, to },
        });
    }
}

type Difference = (String, Option<String>, Option<String>);

fn differences(old: &BTreeMap<String, String>, new: &BTreeMap<String, String>) -> Vec<Difference> {
    let names: std::collections::BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    names
        .into_iter()
        .filter(|name| old.get(*name) != new.get(*name))
        .map(|name| (name.clone(), old.get(name).cloned(), new.get(name).cloned()))
        .collect()
}

/// Compares two folders; stops at a tree whose messages are not at hand.
fn directories(
    path: &str,
    old: Option<DigestMessage>,
    new: Option<DigestMessage>,
    blob: &dyn Fn(&Digest) -> Option<Vec<u8>>,
    changes: &mut Vec<(String, Change)>,
) {
    if old == new {
        return;
    }
    let read = |digest: &Option<DigestMessage>| match digest {
        None => Some(Directory::default()),
        Some(message) => Directory::decode(&*blob(&message.digest()?)?).ok(),
    };
    // Inside a prerequisite, a fetch or a tool every difference means the same.
    let is_whole = ["requires/", "fetch/", "tools/"]
        .iter()
        .any(|p| path.starts_with(p));
    let (Some(from), Some(to)) = (read(&old), read(&new)) else {
        changes.push((path.to_owned(), Change::Changed));
        return;
    };
    if is_whole {
        changes.push((path.to_owned(), Change::Changed));
        return;
    }
    let join = |name: &str| match path {
        "" => name.to_owned(),
        _ => format!("{path}/{name}"),
    };
    let leaves = |directory: &Directory| -> BTreeMap<String, Vec<u8>> {
        let files = directory.files.iter();
        let links = directory.symlinks.iter();
        files
            .map(|file| (file.name.clone(), file.encode_to_vec()))
            .chain(links.map(|link| (link.name.clone(), link.encode_to_vec())))
            .collect()
    };
    let (old_leaves, new_leaves) = (leaves(&from), leaves(&to));
    for name in union(&old_leaves, &new_leaves) {
        match (old_leaves.get(name), new_leaves.get(name)) {
            (Some(_), None) => changes.push((join(name), Change::Removed)),
            (None, Some(_)) => changes.push((join(name), Change::Added)),
            (Some(a), Some(b)) if a != b => changes.push((join(name), Change::Changed)),
            _ => {}
        }
    }
    let folders = |directory: &Directory| -> BTreeMap<String, Option<DigestMessage>> {
        let all = directory.directories.iter();
        all.map(|node| (node.name.clone(), node.digest.clone()))
            .collect()
    };
    let (old_folders, new_folders) = (folders(&from), folders(&to));
    for name in union(&old_folders, &new_folders) {
        let from = old_folders.get(name).cloned().flatten();
        let to = new_folders.get(name).cloned().flatten();
        directories(&join(name), from, to, blob, changes);
    }
}

fn union<'a, V>(
    old: &'a BTreeMap<String, V>,
    new: &'a BTreeMap<String, V>,
) -> std::collections::BTreeSet<&'a String> {
    old.keys().chain(new.keys()).collect()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test stops at its first surprise")]
mod tests {
    use super::*;
    use crate::action::{Action, Description, InputRoot, Machine, Node};
    use std::collections::HashMap;

    fn reasons(from: Description, to: Description) -> Vec<String> {
        let machine = Machine {
            os: "Linux".into(),
            isa: "x86-64".into(),
            libc: "gnu".into(),
        };
        let from = Action::new(from, &machine).unwrap();
        let to = Action::new(to, &machine).unwrap();
        let all: HashMap<Digest, Vec<u8>> = from.blobs.iter().chain(&to.blobs).cloned().collect();
        between(&from.key, &to.key, &|digest| all.get(digest).cloned())
            .iter()
            .map(Reason::to_string)
            .collect()
    }

    fn with(files: &[(&str, &str)]) -> Description {
        let mut root = InputRoot::default();
        for (path, text) in files {
            root.insert(path, Node::generated((*text).into(), false))
                .unwrap();
        }
        Description {
            root,
            ..Description::default()
        }
    }

    #[test]
    fn inputs_are_named() {
        let from = with(&[("work/a/x", "1"), ("work/b", "1"), ("runner/s.py", "1")]);
        let to = with(&[("work/a/x", "2"), ("work/c", "1"), ("runner/s.py", "2")]);
        let expected = ["script s.py changed", "a/x changed", "b removed", "c added"];
        assert_eq!(reasons(from, to), expected);
    }

    #[test]
    fn parameters_and_tools_are_named() {
        let mut from = with(&[]);
        from.env = vec![("WITH_VENDOR_HASH".into(), "a".into())];
        from.host_tools = vec![("python".into(), "3.11.7".into())];
        let mut to = with(&[]);
        to.env = vec![("WITH_VENDOR_HASH".into(), "b".into())];
        to.host_tools = vec![("python".into(), "3.12.1".into())];
        let expected = [
            "parameter vendor-hash: `a` -> `b`",
            "tool python: `3.11.7` -> `3.12.1`",
        ];
        assert_eq!(reasons(from, to), expected);
    }

    #[test]
    fn long_values_are_shown_where_they_differ() {
        let value = |to: &str| {
            let texts = r#"[{"file":"internal/web/static.go","from":"./web","to":""#;
            let mut description = with(&[]);
            description.env = vec![("WITH_SUBSTITUTE".into(), format!("{texts}{to}/web\"}}]"))];
            description
        };
        assert_eq!(
            reasons(value("/opt/x"), value("/srv/ü")),
            [
                r#"parameter substitute: `…:"./web","to":"/opt/x/web"}]` -> `…:"./web","to":"/srv/ü/web"}]`"#
            ]
        );
        let lines = |text: &str| {
            let mut description = with(&[]);
            description.env = vec![("WITH_LIST".into(), text.into())];
            description
        };
        assert_eq!(
            reasons(lines("a\nb\nc"), lines("a\nb")),
            ["parameter list: `a b c` -> `a b`"]
        );
    }

    #[test]
    fn a_prerequisite_is_named_by_its_role() {
        let tree = |text: &str| {
            let mut description = Description::default();
            let node = Node::Tree {
                digest: Digest::of(text.as_bytes()),
            };
            description.root.insert("requires/client", node).unwrap();
            description
        };
        assert_eq!(
            reasons(tree("a"), tree("b")),
            ["artifact of `client` changed"]
        );
    }
}
