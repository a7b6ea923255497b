//! The machine, in words that name no place: processor, memory, kernel, disk.

use std::fs;
use std::path::Path;

/// A sentence on the machine on which `folder` lies, with how busy it is now.
pub(crate) fn describe(folder: &Path) -> String {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let value = |text: &str, key: &str| {
        let line = text.lines().find(|line| line.starts_with(key));
        let value = line.and_then(|line| line.split_once(':'));
        value.map_or("unknown".to_owned(), |(_, value)| value.trim().to_owned())
    };
    let model = value(&read("/proc/cpuinfo"), "model name");
    let memory = value(&read("/proc/meminfo"), "MemTotal");
    let memory = memory.trim_end_matches(" kB").parse::<u64>().unwrap_or(0);
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let system = rustix::system::uname();
    format!(
        "{cores} cores ({model}), {} GiB of memory, {} {} ({}), {}; the page cache is warm; \
         the load when it began was {}.",
        memory / (1 << 20),
        system.sysname().to_string_lossy(),
        system.release().to_string_lossy(),
        system.machine().to_string_lossy(),
        file_system(&read("/proc/self/mounts"), folder),
        read("/proc/loadavg").split(' ').next().unwrap_or_default()
    )
}

/// The file system of the longest mount point above `folder`.
fn file_system(mounts: &str, folder: &Path) -> String {
    let mounted = mounts.lines().filter_map(|line| {
        let mut fields = line.split(' ').skip(1);
        Some((fields.next()?, fields.next()?))
    });
    mounted
        .filter(|(point, _)| folder.starts_with(point))
        .max_by_key(|(point, _)| point.len())
        .map_or("unknown file system".to_owned(), |(_, kind)| {
            kind.to_owned()
        })
}
