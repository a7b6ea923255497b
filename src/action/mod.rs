//! An action: one cached execution, described in full before it starts.
//!
//! The description is an `Action` of the Remote Execution API v2 and its digest
//! is the action key: the same bytes are hashed, kept and explained, so that an
//! explanation can't drift from the key ([`reason`]). What is not in these
//! bytes can't make a card stale: prose, title, status, dates, stem, names of
//! steps, checks, timeouts, retries, resources, passed variables, the commit,
//! the time, the place on disk. Pure: no disk, no process, no clock.

pub mod driver;
pub mod reason;
pub mod root;

use crate::digest::Digest;
use crate::reapi::{self, EnvironmentVariable, Platform, Property};
use crate::runner::definition::Step;

pub use root::{InputRoot, Node, Twice};

/// The version of everything that a key holds. A change of the driver, of the
/// environment or of the layout of an action's root needs a new one.
pub const SALT: &[u8] = b"mikado 2";

/// Variables of every action. zip knows no time before 1980-01-01; one second
/// before 1980-01-02 keeps every time zone past it.
const CONSTANT: [(&str, &str); 3] = [
    ("LANG", "C.UTF-8"),
    ("SOURCE_DATE_EPOCH", "315619200"),
    ("TZ", "UTC"),
];

/// The system's folders of PATH, before the roles of `path`.
const SYSTEM_PATH: [&str; 6] = [
    "/usr/local/sbin",
    "/usr/local/bin",
    "/usr/sbin",
    "/usr/bin",
    "/sbin",
    "/bin",
];

/// The folder of links to the declared tools of the machine, below the root.
/// It is no input: on another machine the platform's properties stand for it.
pub const HOST_TOOLS: &str = ".mikado/host";

/// What makes an action what it is.
#[derive(Debug, Default)]
pub struct Description {
    /// The scripts, in order.
    pub steps: Vec<Step>,
    /// Variables, without those that every action has.
    pub env: Vec<(String, String)>,
    /// Names of the tools whose trees lie in `tools/`, in the order of PATH.
    pub tools: Vec<String>,
    /// Tools of the machine: name and version.
    pub host_tools: Vec<(String, String)>,
    /// Roles whose `bin/` is on PATH.
    pub path: Vec<String>,
    /// Whether the root must lie at one path.
    pub fixed_root: bool,
    /// Whether HOME is the user's own.
    pub user_home: bool,
    /// What keeps keys apart from those of other levels of trust.
    pub namespace: String,
    /// The inputs.
    pub root: InputRoot,
}

/// An action with its key and every message that spells it out.
#[derive(Debug)]
pub struct Action {
    /// The digest of the `Action` message.
    pub key: Digest,
    /// What is executed.
    pub command: reapi::Command,
    /// The inputs, the driver included.
    pub root: InputRoot,
    /// The messages and generated files, by digest: what `why` reads later.
    pub blobs: Vec<(Digest, Vec<u8>)>,
}

impl Action {
    /// Spells out a description.
    ///
    /// # Errors
    ///
    /// Where two inputs are laid at one path.
    pub fn new(description: Description, machine: &Machine) -> Result<Action, Twice> {
        let mut root = description.root;
        let driver = driver::text(&description.steps, description.user_home).into_bytes();
        let driver_digest = Digest::of(&driver);
        root.insert(driver::PATH, Node::generated(driver.clone(), false))?;
        root.insert("work", Node::Folder)?;

        let platform = platform(machine, &description.host_tools, description.fixed_root);
        let mut env: Vec<(String, String)> = CONSTANT
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .chain(description.env)
            .chain([("PATH".into(), path(&description.tools, &description.path))])
            .collect();
        // A later value of a name wins; the list is sorted by name.
        env.reverse();
        env.sort_by(|a, b| a.0.cmp(&b.0));
        env.dedup_by(|a, b| a.0 == b.0);
        let command = reapi::Command {
            arguments: vec!["bash".into(), driver::PATH.into()],
            environment_variables: env
                .into_iter()
                .map(|(name, value)| EnvironmentVariable { name, value })
                .collect(),
            platform: Some(platform.clone()),
            working_directory: String::new(),
            output_paths: vec!["out".into()],
        };
        let (root_digest, mut blobs) = root.directories();
        let (command_digest, command_bytes) = reapi::encode(&command);
        let action = reapi::Action {
            command_digest: Some(command_digest.into()),
            input_root_digest: Some(root_digest.into()),
            do_not_cache: false,
            salt: salt(&description.namespace),
            platform: Some(platform),
        };
        let (key, action_bytes) = reapi::encode(&action);
        blobs.push((driver_digest, driver));
        blobs.push((command_digest, command_bytes));
        blobs.push((key, action_bytes));
        Ok(Action {
            key,
            command,
            root,
            blobs,
        })
    }
}

impl Action {
    /// The `Command` and the `Action`: what spells out what was executed.
    pub fn spelled(&self) -> &[(Digest, Vec<u8>)] {
        // They are put last.
        &self.blobs[self.blobs.len().saturating_sub(2)..]
    }
}

/// What separates keys of one format, and of one level of trust, from others.
fn salt(namespace: &str) -> Vec<u8> {
    let mut salt = SALT.to_vec();
    if !namespace.is_empty() {
        salt.push(b' ');
        salt.extend(namespace.as_bytes());
    }
    salt
}

/// Whether keys with this salt are made as they are here, of whatever namespace.
pub fn is_of_this_format(salt: &[u8]) -> bool {
    let rest = salt.strip_prefix(SALT);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(b" "))
}

/// What a key says of the machine, in the words of the Remote Execution API's
/// platform lexicon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    /// `OSFamily`, such as `linux`.
    pub os: String,
    /// `ISA`, such as `x86-64`.
    pub isa: String,
    /// The C library that programs are linked with, such as `gnu`.
    pub libc: String,
}

fn platform(machine: &Machine, host_tools: &[(String, String)], fixed_root: bool) -> Platform {
    let property = |name: &str, value: &str| Property {
        name: name.to_owned(),
        value: value.to_owned(),
    };
    let mut properties = vec![
        property("ISA", &machine.isa),
        property("OSFamily", &machine.os),
        property("libc", &machine.libc),
    ];
    if fixed_root {
        properties.push(property("root", "fixed"));
    }
    for (name, version) in host_tools {
        properties.push(property(&format!("tool:{name}"), version));
    }
    properties.sort_by(|a, b| (&a.name, &a.value).cmp(&(&b.name, &b.value)));
    Platform { properties }
}

/// PATH with the folders of the action's root as relative ones: the driver
/// makes them absolute.
fn path(tools: &[String], roles: &[String]) -> String {
    let tools = tools.iter().map(|name| format!("tools/{name}/bin"));
    let roles = roles.iter().map(|role| format!("requires/{role}/bin"));
    tools
        .chain([HOST_TOOLS.to_owned()])
        .chain(SYSTEM_PATH.iter().map(|s| (*s).to_owned()))
        .chain(roles)
        .collect::<Vec<_>>()
        .join(":")
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test stops at its first surprise")]
mod tests {
    use super::*;

    fn machine() -> Machine {
        Machine {
            os: "Linux".into(),
            isa: "x86-64".into(),
            libc: "gnu".into(),
        }
    }

    fn key(change: impl FnOnce(&mut Description)) -> Digest {
        let mut description = Description {
            steps: vec![Step {
                run: "make".into(),
                ..Step::default()
            }],
            env: vec![("WITH_A".into(), "1".into())],
            ..Description::default()
        };
        change(&mut description);
        Action::new(description, &machine()).unwrap().key
    }

    #[test]
    fn key_is_pinned() {
        // A changed key makes every store stale: raise `SALT` with it.
        assert_eq!(key(|_| {}).short(), PINNED);
    }

    const PINNED: &str = "9f2814a5ef29";

    #[test]
    fn key_sees_what_can_change_the_outcome_and_nothing_else() {
        let plain = key(|_| {});
        assert_ne!(plain, key(|d| d.steps[0].run.push(' ')));
        assert_ne!(plain, key(|d| d.env[0].1 = "2".into()));
        assert_ne!(
            plain,
            key(|d| d.host_tools = vec![("python".into(), "3.11.7".into())])
        );
        assert_ne!(plain, key(|d| d.fixed_root = true));
        assert_ne!(plain, key(|d| d.namespace = "main".into()));
        assert_ne!(plain, key(|d| d.tools = vec!["go".into()]));
        assert_eq!(plain, key(|d| d.steps[0].name = Some("a name".into())));
        assert_eq!(
            plain,
            key(|d| d.steps[0].timeout = Some(std::time::Duration::MAX))
        );
    }
}
