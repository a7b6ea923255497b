//! An isolation as rules of Landlock (landlock(7)).
//!
//! The rules are made in the reaper, before the child: opening paths and
//! building the set allocate, which the child must not. They hold for inodes,
//! so a bind mount made later does not change them. Everything is best
//! effort: what this kernel's version does not know is left out, and without
//! Landlock there is no ruleset at all. `kernel` says what there is.

use std::os::fd::OwnedFd;

use super::isolation::Isolation;

/// The ruleset of an isolation; `None` where the kernel has no Landlock.
#[cfg(target_os = "linux")]
pub(super) fn ruleset(isolation: &Isolation) -> Result<Option<OwnedFd>, landlock::RulesetError> {
    use landlock::{
        ABI, Access, AccessFs, AccessNet, Ruleset, RulesetAttr, RulesetCreatedAttr, Scope,
        path_beneath_rules,
    };

    let newest = ABI::V10;
    let everything = AccessFs::from_all(newest) & !AccessFs::ResolveUnix;
    // With ResolveUnix handled, a socket that a step made itself is found by the rules for what it may write.
    let mut ruleset = Ruleset::default()
        .handle_access(AccessFs::from_all(newest))?
        .scope(Scope::Signal)?;
    if !isolation.network {
        ruleset = ruleset
            .handle_access(AccessNet::from_all(newest))?
            .scope(Scope::AbstractUnixSocket)?;
    }
    let created = ruleset
        .create()?
        .add_rules(path_beneath_rules(
            &isolation.read,
            AccessFs::from_read(newest),
        ))?
        .add_rules(path_beneath_rules(
            &isolation.write,
            everything | AccessFs::ResolveUnix,
        ))?
        .add_rules(path_beneath_rules(
            &isolation.sockets,
            AccessFs::ResolveUnix,
        ))?;
    Ok(created.into())
}

/// Without Landlock there is never a ruleset.
#[cfg(not(target_os = "linux"))]
pub(super) fn ruleset(_isolation: &Isolation) -> Result<Option<OwnedFd>, std::io::Error> {
    Ok(None)
}
