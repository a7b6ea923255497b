//! Sources from git repositories on disk.

use super::*;
use std::process::Command;

struct Place(tempfile::TempDir);

impl Place {
    /// A repository with two commits, the first tagged `v/1`.
    fn new() -> Self {
        let place = Place(tempfile::tempdir().unwrap());
        fs::create_dir(place.path("repo")).unwrap();
        place.git(&["init", "-q", "-b", "main"]);
        place.commit(&[
            ("a.txt", "one\r\n"),
            (".gitattributes", "*.x filter=evil\n"),
            ("b.x", "raw"),
        ]);
        place.git(&["tag", "-a", "-m", "v1", "v/1"]);
        place.commit(&[("a.txt", "two\n")]);
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn url(&self) -> String {
        format!("file://{}", self.path("repo").display())
    }

    fn git(&self, arguments: &[&str]) -> String {
        let output = Command::new("git")
            .args([
                "-c",
                "user.name=t",
                "-c",
                "user.email=t@example.org",
                "-c",
                "protocol.file.allow=always",
            ])
            .args(arguments)
            .current_dir(self.path("repo"))
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    fn commit(&self, files: &[(&str, &str)]) {
        for (name, text) in files {
            fs::write(self.path("repo").join(name), text).unwrap();
        }
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "-m", "x"]);
    }

    fn sources(&self) -> GitSources {
        let config = self.path("gitconfig");
        fs::write(
            &config,
            "[filter \"evil\"]\n\tsmudge = sed s/raw/evil/\n[core]\n\tautocrlf = true\n",
        )
        .unwrap();
        let user = UserEnvironment::of([
            ("PATH", std::env::var_os("PATH").unwrap()),
            ("HOME", self.0.path().into()),
            ("GIT_CONFIG_GLOBAL", config.into()),
            ("GIT_DIR", "/nowhere".into()),
        ]);
        GitSources::new(&self.path("store"), user)
    }
}

#[test]
fn tag_is_resolved_once_and_asked_again_on_refresh() {
    let place = Place::new();
    let (sources, url) = (place.sources(), place.url());
    assert!(matches!(
        sources.commit_of(&url, Some("v/1"), Reach::Store),
        Err(GitFault::NotFetched(_))
    ));
    let first = sources
        .commit_of(&url, Some("v/1"), Reach::Network)
        .unwrap();
    assert_eq!(first, place.git(&["rev-parse", "v/1^{commit}"]));
    place.git(&["tag", "-f", "v/1", "main"]);
    assert_eq!(
        sources.commit_of(&url, Some("v/1"), Reach::Store).unwrap(),
        first
    );
    assert_eq!(
        sources
            .commit_of(&url, Some("v/1"), Reach::Refresh)
            .unwrap(),
        place.git(&["rev-parse", "main"])
    );
    assert_eq!(
        sources.commit_of(&url, None, Reach::Network).unwrap(),
        place.git(&["rev-parse", "main"])
    );
}

#[test]
fn commit_is_checked_out_as_it_is_without_history_filters_or_line_ends() {
    let place = Place::new();
    let commit = place.git(&["rev-parse", "v/1^{commit}"]);
    let sources = place.sources();
    let folder = sources
        .checkout(&place.url(), &commit, None, None, Reach::Network)
        .unwrap();
    assert_eq!(fs::read(folder.join("a.txt")).unwrap(), b"one\r\n");
    assert_eq!(fs::read(folder.join("b.x")).unwrap(), b"raw");
    assert!(!folder.join(".git").exists());
    fs::remove_dir_all(place.path("repo")).unwrap();
    assert_eq!(
        sources
            .checkout(&place.url(), &commit, None, None, Reach::Store)
            .unwrap(),
        folder
    );
}

#[test]
fn hash_is_compared() {
    let place = Place::new();
    let commit = place.git(&["rev-parse", "main"]);
    let checkout = |hash| {
        place
            .sources()
            .checkout(&place.url(), &commit, None, Some(hash), Reach::Network)
    };
    let wanted = Sri([0; 32]);
    let Err(GitFault::OtherHash { found, .. }) = checkout(wanted) else {
        panic!("another hash was taken");
    };
    assert_eq!(
        checkout(wanted).unwrap_err().to_string(),
        format!("the tree is not the one of `hash`:\n  wanted {wanted}\n  got    {found}")
    );
    assert!(checkout(found).is_ok());
}

#[test]
fn what_the_repository_does_not_have_is_said() {
    let place = Place::new();
    let sources = place.sources();
    let missing = "0123456789abcdef0123456789abcdef01234567";
    let error = sources
        .checkout(&place.url(), missing, Some("v/1"), None, Reach::Network)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains(&format!("git could not fetch commit {missing}")),
        "{error}"
    );
    let error = sources
        .commit_of(&place.url(), Some("v9"), Reach::Network)
        .unwrap_err()
        .to_string();
    assert!(error.ends_with("has no tag or branch `v9`"), "{error}");
    let error = sources
        .commit_of("https://u:p@127.0.0.1:9/x", None, Reach::Network)
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with("git could not ask `https://***@127.0.0.1:9/x`")
            && !error.contains("u:p"),
        "{error}"
    );
}

#[test]
fn submodules_and_lfs_are_refused_by_name() {
    let place = Place::new();
    let head = place.git(&["rev-parse", "HEAD"]);
    place.git(&[
        "update-index",
        "--add",
        "--cacheinfo",
        &format!("160000,{head},lib/sub"),
    ]);
    place.git(&["commit", "-q", "-m", "sub"]);
    let commit = place.git(&["rev-parse", "HEAD"]);
    let error = place
        .sources()
        .checkout(&place.url(), &commit, None, None, Reach::Network)
        .unwrap_err();
    assert!(error.to_string().contains("`lib/sub`"), "{error}");
    place.git(&["rm", "-q", "--cached", "lib/sub"]);
    let pointer = format!(
        "version https://git-lfs.github.com/spec/v1\noid sha256:{}\nsize 12345\n",
        "0".repeat(64)
    );
    place.commit(&[("big.bin", &pointer)]);
    let commit = place.git(&["rev-parse", "HEAD"]);
    let error = place
        .sources()
        .checkout(&place.url(), &commit, None, None, Reach::Network)
        .unwrap_err();
    assert!(error.to_string().contains("`big.bin`"), "{error}");
    assert!(!place.path("store/sources").join(commit).exists());
}

#[test]
fn work_tree_says_its_commit() {
    let place = Place::new();
    assert_eq!(
        place.sources().head_of(&place.path("repo")),
        Some(place.git(&["rev-parse", "HEAD"]))
    );
    assert_eq!(place.sources().head_of(place.0.path()), None);
}
