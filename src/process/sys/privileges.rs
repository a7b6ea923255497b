//! What a confined child gives up of its user's power.
//!
//! Landlock and namespaces bind whoever has no privileges; root could read
//! other processes' environment, change its network and take covers off. So a
//! confined child of root keeps the capabilities that `tar`, `install` and
//! `chown` need, and no program gives it others. A process with more of them
//! than itself it cannot look into (ptrace(2)). `give_up` runs in a child that
//! must not allocate (see `child`).

use rustix::io::Errno;
use rustix::thread::{
    CapabilitySet, CapabilitySets, clear_ambient_capability_set,
    remove_capability_from_bounding_set, set_capabilities, set_no_new_privs,
};

/// Files of every owner and mode, becoming another user, signals, and low ports of the network that it has.
const KEPT: CapabilitySet = CapabilitySet::CHOWN
    .union(CapabilitySet::DAC_OVERRIDE)
    .union(CapabilitySet::FOWNER)
    .union(CapabilitySet::FSETID)
    .union(CapabilitySet::KILL)
    .union(CapabilitySet::SETGID)
    .union(CapabilitySet::SETUID)
    .union(CapabilitySet::NET_BIND_SERVICE);

/// Leaves this thread, and all that it executes, with those of its capabilities that are `KEPT`.
pub(super) fn give_up() -> Result<(), Errno> {
    set_no_new_privs(true)?;
    let held = rustix::thread::capabilities(None)?;
    if held.permitted.contains(CapabilitySet::SETPCAP) {
        for number in 0..u64::BITS {
            let one = CapabilitySet::from_bits_retain(1 << number);
            if KEPT.contains(one) {
                continue;
            }
            match remove_capability_from_bounding_set(one) {
                // The kernel knows no more of them.
                Err(Errno::INVAL) => break,
                removed => removed?,
            }
        }
    }
    // Kernels before 4.3 have none of these.
    match clear_ambient_capability_set() {
        Ok(()) | Err(Errno::INVAL) => {}
        Err(error) => return Err(error),
    }
    // Without `SETPCAP` the bounding set stays, and no program gains from it what its process had not before.
    set_capabilities(
        None,
        CapabilitySets {
            effective: held.effective & KEPT,
            permitted: held.permitted & KEPT,
            inheritable: CapabilitySet::empty(),
        },
    )
}
