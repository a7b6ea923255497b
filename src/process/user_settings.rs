//! The user's own settings for package registries, for a fetch.
//!
//! A fetch has a HOME of its own, so the tools in it would miss the user's
//! mirrors, proxies, certificates and credentials. The variables that carry
//! them are passed through; the files of npm, pip, uv, Go, git and netrc are
//! read in place, by the variable that names them. What is secret in all of
//! that is collected, so that logs are masked. None of it may reach a key, a
//! record or an event: it goes from here to the process and nowhere else.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use super::secrets::Findings;

/// Variables that are passed through, in either case.
const VARIABLES: [&str; 20] = [
    "GOPROXY",
    "GONOSUMDB",
    "GONOSUMCHECK",
    "GOPRIVATE",
    "GONOPROXY",
    "GOSUMDB",
    "GOINSECURE",
    "GOAUTH",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "ALL_PROXY",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "NODE_EXTRA_CA_CERTS",
    "GIT_SSL_CAINFO",
    "GIT_SSL_CAPATH",
    "CARGO_HTTP_CAINFO",
];

/// Families of variables that are passed through, in either case.
const FAMILIES: [&str; 3] = ["PIP_", "UV_", "NPM_CONFIG_"];

/// The ends of the names in those families that say where to write, or what to write for: in the user's own folders
/// a fetch may not write, and its tools choose for themselves.
const PLACES: [&str; 16] = [
    "CACHE",
    "CACHE_DIR",
    "PREFIX",
    "TARGET",
    "PIP_USER",
    "PIP_ROOT",
    "PIP_SRC",
    "PIP_LOG",
    "BUILD_TRACKER",
    "_BIN_DIR",
    "INSTALL_DIR",
    "TOOL_DIR",
    "ENVIRONMENT",
    "GLOBALCONFIG",
    "INIT_MODULE",
    "UV_WORKING_DIR",
];

/// A larger file is a bundle of certificates or the like.
const LARGEST: u64 = 1 << 20;

/// How a file of settings is read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Settings,
    Netrc,
}

/// The files of settings: the variable that names one, and where it is by default, below the home folder (`~/`) or
/// the folder for configuration (`~/.config`, or `XDG_CONFIG_HOME`).
const FILES: [(&str, &[&str], Form); 6] = [
    ("NPM_CONFIG_USERCONFIG", &["~/.npmrc"], Form::Settings),
    (
        "PIP_CONFIG_FILE",
        &[
            "pip/pip.conf",
            "~/Library/Application Support/pip/pip.conf",
            "~/.pip/pip.conf",
        ],
        Form::Settings,
    ),
    ("UV_CONFIG_FILE", &["uv/uv.toml"], Form::Settings),
    (
        "GOENV",
        &["go/env", "~/Library/Application Support/go/env"],
        Form::Settings,
    ),
    ("NETRC", &["~/.netrc"], Form::Netrc),
    (
        "GIT_CONFIG_GLOBAL",
        &["~/.gitconfig", "git/config"],
        Form::Settings,
    ),
];

/// What a fetch gets of the user's settings. It is not shown by `Debug`.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct FetchEnvironment {
    /// Variables, sorted by name. The action's own variables win over these.
    pub vars: Vec<(OsString, OsString)>,
    /// The user's files and folders that the fetch must be able to read.
    pub readable: Vec<PathBuf>,
    /// What must be masked in its log.
    pub secrets: Vec<Vec<u8>>,
}

impl std::fmt::Debug for FetchEnvironment {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<&OsString> = self.vars.iter().map(|(name, _)| name).collect();
        out.debug_struct("FetchEnvironment")
            .field("vars", &names)
            .field("readable", &self.readable)
            .finish_non_exhaustive()
    }
}

impl FetchEnvironment {
    /// Collects the settings from the user's environment and real home folder; `more` names further files of
    /// settings below the home folder (`home:` of a fetch). Files that can't be read are passed over: the tools say so.
    pub fn collect(
        env: &BTreeMap<OsString, OsString>,
        home: Option<&Path>,
        more: &[String],
    ) -> FetchEnvironment {
        let passed = env
            .iter()
            .filter(|(name, value)| is_passed(name) && !value.is_empty());
        let mut vars: BTreeMap<OsString, OsString> = passed
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        let mut readable = Vec::new();
        let mut found = Findings::default();
        for (variable, places, form) in FILES {
            let given = vars
                .iter()
                .find(|(name, _)| name.eq_ignore_ascii_case(variable));
            let file = match given.map(|(_, path)| PathBuf::from(path)) {
                Some(path) => path,
                None => {
                    let mut files = places
                        .iter()
                        .filter_map(|place| Some(below(home?, env, place)));
                    let Some(file) = files.find(|file| file.is_file()) else {
                        continue;
                    };
                    vars.insert(variable.into(), file.clone().into());
                    file
                }
            };
            found.file(&file, form);
            readable.push(file);
        }
        for file in more.iter().filter_map(|name| Some(home?.join(name))) {
            found.file(&file, Form::Settings);
            readable.push(file);
        }
        // What a file refers to is mostly a token: `_authToken=${NPM_TOKEN}`.
        for name in std::mem::take(&mut found.variables) {
            if let Some((name, value)) = env.get_key_value(OsStr::new(&name)) {
                vars.insert(name.clone(), value.clone());
                found.value(&name.to_string_lossy(), &value.to_string_lossy());
            }
        }
        for (name, value) in &vars {
            let (name, value) = (name.to_string_lossy(), value.to_string_lossy());
            found.variable(&name, &value);
            if let Some(user) = user_of(&name).and_then(|user| vars.get(OsStr::new(&user))) {
                found.pair(&user.to_string_lossy(), &value);
            }
            readable.extend(paths(&value));
        }
        readable.extend(found.certificates);
        readable
            .retain(|path| path.is_absolute() && !home.is_some_and(|home| home.starts_with(path)));
        readable.sort();
        readable.dedup();
        FetchEnvironment {
            vars: vars.into_iter().collect(),
            readable,
            secrets: found.secrets.into_iter().collect(),
        }
    }
}

impl Findings {
    /// Looks at a file, unless it is too large for settings.
    fn file(&mut self, path: &Path, form: Form) {
        let settings = path
            .metadata()
            .is_ok_and(|data| data.is_file() && data.len() <= LARGEST);
        let text = if settings {
            std::fs::read(path).unwrap_or_default()
        } else {
            Vec::new()
        };
        let text = String::from_utf8_lossy(&text);
        match form {
            Form::Settings => self.settings(&text),
            Form::Netrc => self.netrc(&text),
        }
    }
}

fn is_passed(name: &OsStr) -> bool {
    let name = name.to_string_lossy().to_uppercase();
    let file = FILES.iter().any(|(variable, ..)| *variable == name);
    let family = FAMILIES.iter().any(|family| name.starts_with(family));
    let place = PLACES.iter().any(|place| name.ends_with(place));
    file || VARIABLES.contains(&name.as_str()) || (family && !place)
}

/// The variable that holds the user of a password (`UV_INDEX_NAME_PASSWORD`).
fn user_of(name: &str) -> Option<String> {
    Some(format!("{}USERNAME", name.strip_suffix("PASSWORD")?))
}

fn below(home: &Path, env: &BTreeMap<OsString, OsString>, place: &str) -> PathBuf {
    if let Some(place) = place.strip_prefix("~/") {
        return home.join(place);
    }
    let folder = env.get(OsStr::new("XDG_CONFIG_HOME")).map(PathBuf::from);
    let folder = folder.filter(|folder| folder.is_absolute());
    folder.unwrap_or_else(|| home.join(".config")).join(place)
}

/// The absolute paths in a value: a certificate, a folder of packages, a `file://` proxy.
fn paths(value: &str) -> impl Iterator<Item = PathBuf> + '_ {
    value
        .split([' ', '\t', '\n', ','])
        .map(|word| word.strip_prefix("file://").unwrap_or(word))
        .filter(|word| word.starts_with('/') && word.len() > 1)
        .map(PathBuf::from)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;
    use std::fs;

    fn collect(home: &Path, env: &[(&str, &str)]) -> FetchEnvironment {
        let env = env
            .iter()
            .map(|(name, value)| (name.into(), value.into()))
            .collect();
        FetchEnvironment::collect(&env, Some(home), &[])
    }

    fn names(environment: &FetchEnvironment) -> Vec<&str> {
        environment
            .vars
            .iter()
            .filter_map(|(name, _)| name.to_str())
            .collect()
    }

    fn has_secret(environment: &FetchEnvironment, secret: &str) -> bool {
        environment.secrets.contains(&secret.as_bytes().to_vec())
    }

    #[test]
    fn only_settings_for_registries_pass() {
        let home = tempfile::tempdir().unwrap();
        let env = [
            ("GOPROXY", "https://go.example"),
            ("https_proxy", "http://p"),
            ("PIP_INDEX_URL", "https://pip.example"),
            ("npm_config_registry", "https://npm.example"),
            ("AWS_SECRET_ACCESS_KEY", "x"),
            ("HOME", "/home/u"),
            ("GOPATH", "/home/u/go"),
            ("UV_CACHE_DIR", "/c"),
            ("npm_config_prefix", "/p"),
            ("LANG", "C"),
            ("GOENV", "off"),
        ];
        let collected = collect(home.path(), &env);
        assert_eq!(
            names(&collected),
            [
                "GOENV",
                "GOPROXY",
                "PIP_INDEX_URL",
                "https_proxy",
                "npm_config_registry"
            ]
        );
    }

    #[test]
    fn the_users_files_are_named_and_read_and_their_secrets_known() {
        let home = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = home.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write(
            ".npmrc",
            "//npm.example/:_authToken=npm-secret\n//b/:_authToken=${B_TOKEN}\ncafile=/ca/npm.pem\n",
        );
        write(
            ".config/pip/pip.conf",
            "[global]\nindex-url = https://u:pip-secret@pip.example/\n",
        );
        write(
            ".config/uv/uv.toml",
            "[[index]]\nurl = \"https://u:uv-secret@uv.example/\"\n",
        );
        write(".config/go/env", "GOPROXY=https://u:go-secret@go.example\n");
        write(
            ".netrc",
            "machine git.example login u password netrc-secret\n",
        );
        write(
            ".gitconfig",
            "[url \"https://u:git-secret@git.example\"]\n\tinsteadOf = git:\n",
        );
        let collected = collect(home.path(), &[("B_TOKEN", "b-secret")]);
        assert_eq!(
            names(&collected),
            [
                "B_TOKEN",
                "GIT_CONFIG_GLOBAL",
                "GOENV",
                "NETRC",
                "NPM_CONFIG_USERCONFIG",
                "PIP_CONFIG_FILE",
                "UV_CONFIG_FILE"
            ]
        );
        for tool in ["npm", "pip", "uv", "go", "netrc", "git", "b"] {
            assert!(has_secret(&collected, &format!("{tool}-secret")), "{tool}");
        }
        assert!(collected.readable.contains(&home.path().join(".netrc")));
        assert!(collected.readable.contains(&"/ca/npm.pem".into()));
        assert!(!collected.readable.contains(&home.path().into()));
        assert!(!format!("{collected:?}").contains("secret"));
    }

    #[test]
    fn a_variable_that_names_a_file_wins_over_the_home_folder() {
        let home = tempfile::tempdir().unwrap();
        fs::write(home.path().join(".npmrc"), "_authToken=home-secret").unwrap();
        let other = home.path().join("other");
        fs::write(&other, "_authToken=other-secret").unwrap();
        let collected = collect(
            home.path(),
            &[("npm_config_userconfig", other.to_str().unwrap())],
        );
        assert!(has_secret(&collected, "other-secret") && !has_secret(&collected, "home-secret"));
        assert!(collected.readable.contains(&other));
    }

    #[test]
    fn the_folder_for_configuration_may_be_elsewhere() {
        let (home, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::create_dir(folder.path().join("uv")).unwrap();
        fs::write(folder.path().join("uv/uv.toml"), "").unwrap();
        let collected = collect(
            home.path(),
            &[("XDG_CONFIG_HOME", folder.path().to_str().unwrap())],
        );
        assert_eq!(names(&collected), ["UV_CONFIG_FILE"]);
    }

    #[test]
    fn paths_in_variables_are_readable_but_never_the_home_folder() {
        let env = [
            ("PIP_FIND_LINKS", "/wheels /more"),
            ("GOPROXY", "file:///proxy,direct"),
            ("PIP_CERT", "/"),
            ("SSL_CERT_DIR", "/home"),
            ("UV_FIND_LINKS", "/home/u"),
            ("NO_PROXY", "localhost"),
        ];
        let collected = collect(Path::new("/home/u"), &env);
        assert_eq!(
            collected.readable,
            ["/more", "/proxy", "/wheels"].map(PathBuf::from)
        );
    }

    #[test]
    fn a_user_and_a_password_of_an_index_are_known_as_they_are_sent() {
        let env = [
            ("UV_INDEX_A_USERNAME", "me"),
            ("UV_INDEX_A_PASSWORD", "sesame"),
        ];
        let collected = collect(Path::new("/home/u"), &env);
        for secret in ["sesame", "me:sesame"] {
            assert!(has_secret(&collected, secret), "{secret}");
        }
    }

    #[test]
    fn more_files_of_the_home_folder_are_read() {
        let home = tempfile::tempdir().unwrap();
        fs::write(home.path().join(".pypirc"), "[x]\npassword = pypi-secret\n").unwrap();
        let more = [".pypirc".to_owned(), ".not-there".to_owned()];
        let collected = FetchEnvironment::collect(&BTreeMap::new(), Some(home.path()), &more);
        assert!(has_secret(&collected, "pypi-secret"));
        assert!(collected.readable.contains(&home.path().join(".pypirc")));
        assert!(
            FetchEnvironment::collect(&BTreeMap::new(), None, &more)
                .readable
                .is_empty()
        );
    }
}
