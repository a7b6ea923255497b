//! The platforms that tools are locked for.
//!
//! A name is `OS-ISA`, in Rust's spelling of the two. The Linux ones mean the
//! GNU C library, in which the packages of the registries are built.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A platform that tools can be locked for; ordered by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Platform {
    /// `linux-aarch64`
    LinuxAarch64,
    /// `linux-x86_64`
    LinuxX8664,
    /// `macos-aarch64`
    MacosAarch64,
    /// `macos-x86_64`
    MacosX8664,
}

impl Platform {
    /// All of them, by name.
    pub const ALL: [Platform; 4] = [
        Platform::LinuxAarch64,
        Platform::LinuxX8664,
        Platform::MacosAarch64,
        Platform::MacosX8664,
    ];

    /// The platform of this machine, or `None` where no tools can be locked for it.
    pub fn current() -> Option<Self> {
        format!("{}-{}", std::env::consts::OS, std::env::consts::ARCH)
            .parse()
            .ok()
    }

    /// Its name, such as `linux-x86_64`.
    pub fn name(self) -> &'static str {
        match self {
            Platform::LinuxAarch64 => "linux-aarch64",
            Platform::LinuxX8664 => "linux-x86_64",
            Platform::MacosAarch64 => "macos-aarch64",
            Platform::MacosX8664 => "macos-x86_64",
        }
    }

    /// The platform tags of wheels that run on it, those to prefer first.
    ///
    /// One fixed list, so that a lock comes out the same wherever it is made.
    /// pip itself adds every older macOS to the one that is named.
    pub(crate) fn wheel_tags(self) -> Vec<String> {
        let isa = match self {
            Platform::LinuxAarch64 => "aarch64",
            Platform::LinuxX8664 => "x86_64",
            Platform::MacosAarch64 => return vec!["macosx_14_0_arm64".to_owned()],
            Platform::MacosX8664 => return vec!["macosx_14_0_x86_64".to_owned()],
        };
        let mut tags: Vec<String> = (5..=35)
            .rev()
            .map(|minor| format!("manylinux_2_{minor}_{isa}"))
            .collect();
        tags.extend(
            ["manylinux2014", "manylinux2010", "manylinux1", "linux"]
                .map(|name| format!("{name}_{isa}")),
        );
        tags
    }

    /// npm's words for it: `os`, `cpu` and, on Linux, `libc`.
    pub(crate) fn npm(self) -> (&'static str, &'static str, Option<&'static str>) {
        match self {
            Platform::LinuxAarch64 => ("linux", "arm64", Some("glibc")),
            Platform::LinuxX8664 => ("linux", "x64", Some("glibc")),
            Platform::MacosAarch64 => ("darwin", "arm64", None),
            Platform::MacosX8664 => ("darwin", "x64", None),
        }
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// What is wrong with a text that should name a platform.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no platform that tools are locked for: expected `linux-aarch64`, `linux-x86_64`, `macos-aarch64` or `macos-x86_64`"
)]
pub struct NoPlatform(String);

impl FromStr for Platform {
    type Err = NoPlatform;

    fn from_str(text: &str) -> Result<Self, NoPlatform> {
        Platform::ALL
            .into_iter()
            .find(|platform| platform.name() == text)
            .ok_or_else(|| NoPlatform(text.to_owned()))
    }
}

/// The systems and processors that a runner can be for.
const SYSTEMS: [&str; 2] = ["linux", "macos"];
const PROCESSORS: [&str; 4] = ["x86_64", "aarch64", "riscv64", "x86"];

/// The name of a machine, such as `x86_64-linux`, of one that is written in either order.
///
/// # Errors
///
/// It names no system or no processor that is known.
pub(crate) fn isa_and_os(text: &str) -> Result<String, NoMachine> {
    let (one, other) = text.split_once('-').unwrap_or((text, ""));
    let found = [(one, other), (other, one)]
        .into_iter()
        .find(|(isa, os)| PROCESSORS.contains(isa) && SYSTEMS.contains(os));
    match found {
        Some((isa, os)) => Ok(format!("{isa}-{os}")),
        None => Err(NoMachine(text.to_owned())),
    }
}

/// What is wrong with a text that should name a machine.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no platform: expected a processor and a system, such as `x86_64-linux`, `aarch64-linux`, `x86_64-macos` or `aarch64-macos`"
)]
pub(crate) struct NoMachine(String);

impl Serialize for Platform {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Platform {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_is_named_in_either_order() {
        for text in ["x86_64-linux", "linux-x86_64"] {
            assert_eq!(isa_and_os(text), Ok("x86_64-linux".to_owned()));
        }
        for text in ["linux", "x86_64", "x86_64-linux-gnu", "amd64-linux", ""] {
            assert_eq!(isa_and_os(text), Err(NoMachine(text.to_owned())));
        }
    }

    #[test]
    fn platforms_are_ordered_by_name() {
        let names = Platform::ALL.map(Platform::name);
        assert!(names.is_sorted() && Platform::ALL.is_sorted());
        for platform in Platform::ALL {
            assert_eq!(platform.name().parse(), Ok(platform));
        }
    }
}
