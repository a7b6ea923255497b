//! Sources from git: one commit, checked out once, without its history.
//!
//! git itself is asked, with the user's own settings for addresses, keys and
//! proxies. The checkout is the commit's files alone: no line ends are changed,
//! no hook and no filter of the user's settings is run. It lies in the store
//! under the commit's name, complete or not at all. A tag or branch is asked for
//! once and remembered, until it is asked for again on purpose.

mod tree;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::fail_point;
use crate::runner::client::{Client, Failed, UserEnvironment, masked};
use crate::runner::source_spec::is_commit;
use crate::store::{Sri, StoreError, keep_collections_out, nar_hash, note_of};

/// Whether the network may be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// No: only what is in the store.
    Store,
    /// For what is not in the store.
    Network,
    /// Also for tags and branches that were asked for before.
    Refresh,
}

/// What went wrong with a git source.
#[derive(Debug, thiserror::Error)]
pub enum GitFault {
    /// It would have to be fetched, which was not allowed.
    #[error("`{0}` is not fetched yet; `mikado run` fetches it")]
    NotFetched(String),
    /// No git.
    #[error(
        "git is needed to fetch it, none found on PATH; install git, or give a folder with `--source NAME=PATH`"
    )]
    NoGit,
    /// git failed.
    #[error("git could not {doing}:\n{said}")]
    Failed {
        /// What it was asked for.
        doing: String,
        /// Its last lines.
        said: String,
    },
    /// The repository has no such tag or branch.
    #[error("`{url}` has no tag or branch `{reference}`")]
    NoRef {
        /// The repository.
        url: String,
        /// The tag or branch.
        reference: String,
    },
    /// The commit has submodules.
    #[error(
        "it has git submodules ({0}), which are not supported; give a checkout of them with `--source NAME=PATH`"
    )]
    Submodules(String),
    /// The commit has pointers instead of files.
    #[error(
        "it keeps files in git LFS ({0}), which is not supported; give a checkout of them with `--source NAME=PATH`"
    )]
    Lfs(String),
    /// The tree is not what the list says.
    #[error("the tree is not the one of `hash`:\n  wanted {wanted}\n  got    {found}")]
    OtherHash {
        /// The hash of the list.
        wanted: Sri,
        /// The tree's.
        found: Sri,
    },
    /// The tree can't be hashed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The disk.
    #[error("{doing}: {source}")]
    Disk {
        /// What was being done.
        doing: String,
        /// The cause.
        source: io::Error,
    },
}

fn disk(doing: &str) -> impl FnOnce(io::Error) -> GitFault {
    let doing = doing.to_owned();
    move |source| GitFault::Disk { doing, source }
}

/// The git sources of a store.
#[derive(Debug)]
pub struct GitSources {
    store: PathBuf,
    folder: PathBuf,
    /// Where what is not whole yet lies: whatever a crash leaves there, the next run deletes.
    temporary: PathBuf,
    user: UserEnvironment,
}

/// The commits that tags and branches were when they were asked for.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Refs {
    version: u32,
    refs: BTreeMap<String, String>,
}

impl GitSources {
    /// Keeps checkouts in the folder `sources` of the folder `store`.
    pub fn new(store: &Path, user: UserEnvironment) -> Self {
        GitSources {
            store: store.to_owned(),
            folder: store.join("sources"),
            temporary: store.join("tmp"),
            user,
        }
    }

    /// The commit that a tag, a branch, or HEAD is.
    ///
    /// # Errors
    ///
    /// There is none, or it can't be asked for.
    pub fn commit_of(
        &self,
        url: &str,
        reference: Option<&str>,
        reach: Reach,
    ) -> Result<String, GitFault> {
        let name = reference.unwrap_or("HEAD");
        let key = format!("{} {name}", masked(url));
        if reach != Reach::Refresh
            && let Some(commit) = self.refs().refs.get(&key)
            && is_commit(commit)
        {
            return Ok(commit.clone());
        }
        if reach == Reach::Store {
            return Err(GitFault::NotFetched(key));
        }
        self.make_folder()?;
        let found = self
            .git()?
            .run(&self.folder, &["ls-remote", "--", url])
            .map_err(|failed| said(format!("ask `{}` for `{name}`", masked(url)), failed))?;
        let commit =
            chosen(&String::from_utf8_lossy(&found), name).ok_or_else(|| GitFault::NoRef {
                url: masked(url),
                reference: name.to_owned(),
            })?;
        let _alone = self.lock("refs")?;
        let mut refs = self.refs();
        refs.version = 1;
        refs.refs.insert(key, commit.clone());
        self.write(
            &self.folder.join("refs.json"),
            &serde_json::to_vec_pretty(&refs).unwrap_or_default(),
        )?;
        Ok(commit)
    }

    /// The folder with the files of a commit. `tag` helps where a server gives
    /// no single commits; `hash` is what the tree must be.
    ///
    /// # Errors
    ///
    /// It can't be fetched, has submodules or LFS files, or is not what `hash` says.
    pub fn checkout(
        &self,
        url: &str,
        commit: &str,
        tag: Option<&str>,
        hash: Option<Sri>,
        reach: Reach,
    ) -> Result<PathBuf, GitFault> {
        let folder = self.folder.join(commit);
        if !self.is_used(&folder, commit) {
            if reach == Reach::Store {
                return Err(GitFault::NotFetched(format!(
                    "{} {}",
                    masked(url),
                    &commit[..12]
                )));
            }
            self.make_folder()?;
            let _alone = self.lock(commit)?;
            if !folder.is_dir() {
                tree::fetch(&self.git()?, url, commit, tag, &self.temporary, &folder)?;
            }
            self.is_used(&folder, commit);
        }
        if let Some(wanted) = hash {
            let found = self.hash_of(&folder, commit)?;
            if found != wanted {
                return Err(GitFault::OtherHash { wanted, found });
            }
        }
        Ok(folder)
    }

    /// Whether the folder of a commit is there; notes for collections that it is
    /// used. Where that can't be written, there are none either.
    fn is_used(&self, folder: &Path, commit: &str) -> bool {
        let _gate = keep_collections_out(&self.store);
        if !folder.is_dir() {
            return false;
        }
        let note = self.folder.join(note_of(commit));
        let noted = fail_point::reach("source.note")
            .and_then(|()| File::options().create(true).append(true).open(note));
        drop(noted.and_then(|file| file.set_modified(SystemTime::now())));
        true
    }

    /// The commit of a folder that is the top of a git work tree.
    pub fn head_of(&self, folder: &Path) -> Option<String> {
        if !folder.join(".git").exists() {
            return None;
        }
        let found = self.git().ok()?.run(folder, &["rev-parse", "HEAD"]).ok()?;
        let commit = String::from_utf8(found).ok()?.trim().to_owned();
        is_commit(&commit).then_some(commit)
    }

    fn git(&self) -> Result<Client, GitFault> {
        // A hook of git that runs mikado must not lead it to the hook's repository.
        const OF_A_HOOK: [&str; 8] = [
            "GIT_DIR",
            "GIT_WORK_TREE",
            "GIT_INDEX_FILE",
            "GIT_OBJECT_DIRECTORY",
            "GIT_ALTERNATE_OBJECT_DIRECTORIES",
            "GIT_COMMON_DIR",
            "GIT_NAMESPACE",
            "GIT_PREFIX",
        ];
        let program = self.user.programs("git").next().ok_or(GitFault::NoGit)?;
        Ok(Client::new(program, &[], &self.user)
            .without(&OF_A_HOOK)
            .with("GIT_TERMINAL_PROMPT", "0"))
    }

    /// The tree's hash, computed once.
    fn hash_of(&self, folder: &Path, commit: &str) -> Result<Sri, GitFault> {
        let kept = self.folder.join(format!("{commit}.nar"));
        if let Some(hash) = fs::read_to_string(&kept)
            .ok()
            .and_then(|hash| hash.parse().ok())
        {
            return Ok(hash);
        }
        let hash = nar_hash(folder)?;
        self.write(&kept, hash.to_string().as_bytes())?;
        Ok(hash)
    }

    fn refs(&self) -> Refs {
        fs::read(self.folder.join("refs.json"))
            .ok()
            .and_then(|text| serde_json::from_slice::<Refs>(&text).ok())
            .filter(|refs| refs.version == 1)
            .unwrap_or_default()
    }

    fn write(&self, path: &Path, text: &[u8]) -> Result<(), GitFault> {
        let write = || -> io::Result<()> {
            let mut file = tempfile::NamedTempFile::new_in(&self.temporary)?;
            // What is locked is not deleted.
            file.as_file().lock()?;
            fail_point::reach("source.write")?;
            io::Write::write_all(&mut file, text)?;
            fail_point::reach("source.replace")?;
            file.persist(path)?;
            Ok(())
        };
        write().map_err(disk("remembering a source"))
    }

    fn make_folder(&self) -> Result<(), GitFault> {
        fail_point::reach("source.folder")
            .and_then(|()| fs::create_dir_all(&self.folder))
            .and_then(|()| fs::create_dir_all(&self.temporary))
            .map_err(disk("making a folder for sources"))
    }

    /// Held until the file is dropped, or its process ends.
    fn lock(&self, name: &str) -> Result<File, GitFault> {
        let path = self.folder.join(format!("{name}.lock"));
        let file = fail_point::reach("source.lock")
            .and_then(|()| File::create(path))
            .map_err(disk("locking a source"))?;
        file.lock().map_err(disk("locking a source"))?;
        Ok(file)
    }
}

fn said(doing: String, failed: Failed) -> GitFault {
    GitFault::Failed {
        doing,
        said: failed.said,
    }
}

/// The commit of `name` in the list of `git ls-remote`: a tag (what an annotated
/// one points at), else a branch, else the full name of a ref.
fn chosen(list: &str, name: &str) -> Option<String> {
    let refs: BTreeMap<&str, &str> = list
        .lines()
        .filter_map(|line| line.split_once('\t'))
        .map(|(commit, name)| (name, commit))
        .collect();
    [
        format!("refs/tags/{name}^{{}}"),
        format!("refs/tags/{name}"),
        format!("refs/heads/{name}"),
        name.to_owned(),
    ]
    .iter()
    .find_map(|name| refs.get(name.as_str()))
    .filter(|commit| is_commit(commit))
    .map(|commit| (*commit).to_owned())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests;
