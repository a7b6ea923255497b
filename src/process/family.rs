//! The processes below this one, read from `/proc`, and signals to them.
//!
//! **Who belongs to an execution.** A reaper is a child subreaper and runs one
//! execution at a time. Whatever its leader starts, and whatever daemonises
//! out of that (double fork, session of its own), stays below the reaper or
//! is handed to it by the kernel. So: everything below a reaper belongs to
//! its execution, and when the reaper has no child left, nothing of the
//! execution is left. No marker in an environment, no cgroup and no process
//! group has to be trusted.
//!
//! **Killing.** Only children are killed by number, and their process groups:
//! a child's number can't be given to another process before this process
//! has waited for it, and the groups below a reaper hold nothing else, since
//! a group can't span sessions and the leader made a session. What is deeper
//! becomes a child when its parents are gone, and is killed in the next round.

use std::collections::BTreeMap;
use std::fs;

use rustix::process::{Pid, Signal, getpgid, getpid, kill_process, kill_process_group};

/// One line of the process table.
struct Entry {
    pid: i32,
    parent: i32,
    group: i32,
}

/// The parts of `/proc/PID/stat` (proc_pid_stat(5)); a name may hold spaces and parentheses.
fn parse_stat(stat: &str) -> Option<(i32, i32)> {
    let (_, rest) = stat.rsplit_once(") ")?;
    let mut fields = rest.split(' ').skip(1);
    Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
}

fn table() -> Vec<Entry> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    pids.filter_map(|pid| {
        // It may be gone since the folder was read.
        let stat = fs::read(format!("/proc/{pid}/stat")).ok()?;
        let (parent, group) = parse_stat(&String::from_utf8_lossy(&stat))?;
        Some(Entry { pid, parent, group })
    })
    .collect()
}

/// Asks everything below this process to end: the group of `leader` as one, the others one by one.
pub(super) fn terminate(leader: Option<Pid>) {
    let mut asked = 0;
    if let Some(leader) = leader {
        asked = leader.as_raw_pid();
        let _ = kill_process_group(leader, Signal::TERM);
    }
    let mut children: BTreeMap<i32, Vec<Entry>> = BTreeMap::new();
    for entry in table() {
        children.entry(entry.parent).or_default().push(entry);
    }
    let mut parents = vec![getpid().as_raw_pid()];
    while let Some(parent) = parents.pop() {
        for entry in children.remove(&parent).unwrap_or_default() {
            if entry.group != asked
                && let Some(pid) = Pid::from_raw(entry.pid)
            {
                let _ = kill_process(pid, Signal::TERM);
            }
            parents.push(entry.pid);
        }
    }
}

/// Kills the children of this process that are not in `spared`, with their groups; says whether there was one.
pub(super) fn kill_children(spared: &[Pid]) -> bool {
    let this = getpid().as_raw_pid();
    let own_group = getpgid(None).ok();
    let mut any = false;
    for entry in table() {
        let Some(pid) = Pid::from_raw(entry.pid).filter(|_| entry.parent == this) else {
            continue;
        };
        if spared.contains(&pid) {
            continue;
        }
        any = true;
        // A zombie keeps its group's number as well.
        if let Ok(group) = getpgid(Some(pid))
            && Some(group) != own_group
        {
            let _ = kill_process_group(group, Signal::KILL);
        }
        let _ = kill_process(pid, Signal::KILL);
    }
    any
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_and_spaces_hides_nothing() {
        assert_eq!(parse_stat("42 (a) S (b) R 7 9 11 0 -1"), Some((7, 9)));
        assert_eq!(parse_stat("42 (sh) S 1 42 42 0"), Some((1, 42)));
        assert_eq!(parse_stat("42 (sh"), None);
        assert_eq!(parse_stat(""), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_is_in_the_table_with_its_parent() {
        let this = getpid().as_raw_pid();
        let parent = rustix::process::getppid().map(Pid::as_raw_pid);
        let found = table()
            .into_iter()
            .find(|entry| entry.pid == this)
            .map(|entry| entry.parent);
        assert_eq!(found, parent);
    }
}
