//! What a fetch gets of the user's own registry settings.
//!
//! Variables are passed on, files are read in place: they reach the process and
//! never a key, a log or a record. Credentials found in either are collected so
//! that they can be masked in the log.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::SHORTEST_SECRET;

/// Variables that are passed on by their name.
const NAMES: [&str; 17] = [
    "ALL_PROXY",
    "CARGO_HTTP_CAINFO",
    "CURL_CA_BUNDLE",
    "GIT_SSL_CAINFO",
    "GOAUTH",
    "GOINSECURE",
    "GONOPROXY",
    "GONOSUMDB",
    "GOPRIVATE",
    "GOPROXY",
    "GOSUMDB",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "NODE_EXTRA_CA_CERTS",
    "NO_PROXY",
    "REQUESTS_CA_BUNDLE",
    "SSL_CERT_FILE",
];

/// A variable that is a folder of certificates, passed on as well.
const CERTIFICATES: &str = "SSL_CERT_DIR";

/// Beginnings of the names of variables that are passed on.
const BEGINNINGS: [&str; 3] = ["NPM_CONFIG_", "PIP_", "UV_"];

/// For each client the variable that names its settings file, and where below
/// the home folder that file is looked for.
const FILES: [(&str, &[&str]); 6] = [
    ("GIT_CONFIG_GLOBAL", &[".gitconfig", ".config/git/config"]),
    ("GOENV", &[".config/go/env"]),
    ("NETRC", &[".netrc"]),
    ("NPM_CONFIG_USERCONFIG", &[".npmrc"]),
    (
        "PIP_CONFIG_FILE",
        &[".config/pip/pip.conf", ".pip/pip.conf"],
    ),
    ("UV_CONFIG_FILE", &[".config/uv/uv.toml"]),
];

/// Parts of names whose values are secrets.
const SECRET_NAMES: [&str; 6] = ["TOKEN", "PASSWORD", "PASSWD", "SECRET", "_AUTH", "APIKEY"];

/// What a fetch gets of the user's settings.
#[derive(Clone, Default)]
pub struct FetchEnvironment {
    /// Variables.
    pub vars: Vec<(OsString, OsString)>,
    /// Files and folders that it reads.
    pub readable: Vec<PathBuf>,
    /// Credentials, to be masked.
    pub secrets: Vec<Vec<u8>>,
}

/// Without the values: they are the user's.
impl std::fmt::Debug for FetchEnvironment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<_> = self.vars.iter().map(|(name, _)| name).collect();
        write!(
            f,
            "FetchEnvironment({names:?}, {} secrets)",
            self.secrets.len()
        )
    }
}

impl FetchEnvironment {
    /// Collects from the user's environment and home folder; `more` names
    /// further files of the home folder that the fetch reads.
    pub fn collect(
        user: &BTreeMap<OsString, OsString>,
        home: Option<&Path>,
        more: &[String],
    ) -> FetchEnvironment {
        let mut fetch = FetchEnvironment::default();
        for (name, value) in user {
            let upper = name.to_string_lossy().to_uppercase();
            let is_passed = NAMES.contains(&upper.as_str())
                || upper == CERTIFICATES
                || BEGINNINGS.iter().any(|start| upper.starts_with(start));
            if !is_passed || value.is_empty() {
                continue;
            }
            fetch.vars.push((name.clone(), value.clone()));
            fetch.take_secrets(&upper, &value.to_string_lossy());
            if Path::new(value).is_absolute() {
                fetch.readable.push(value.into());
            }
            // PIP_FIND_LINKS and its like hold several places.
            let several = value.to_string_lossy();
            let places = several
                .split([' ', ':'])
                .filter(|place| place.starts_with('/'));
            fetch.readable.extend(places.map(PathBuf::from));
        }
        if let Some(home) = home {
            for (variable, places) in FILES {
                let is_given = user.keys().any(|name| name.eq_ignore_ascii_case(variable));
                let found = places
                    .iter()
                    .map(|place| home.join(place))
                    .find(|path| path.is_file());
                if let Some(path) = found.filter(|_| !is_given) {
                    fetch.vars.push((variable.into(), path.clone().into()));
                    fetch.readable.push(path);
                }
            }
            fetch
                .readable
                .extend(more.iter().map(|path| home.join(path)));
        }
        let files: Vec<PathBuf> = fetch
            .readable
            .iter()
            .filter(|p| p.is_file())
            .cloned()
            .collect();
        for path in files {
            fetch.read_settings(&path);
        }
        fetch.secrets.sort();
        fetch.secrets.dedup();
        fetch.readable.sort();
        fetch.readable.dedup();
        fetch
    }

    /// Credentials and named certificates of a settings file.
    fn read_settings(&mut self, path: &Path) {
        const LARGEST: u64 = 256 * 1024;
        // A bundle of certificates has no settings in it.
        let is_small = path
            .metadata()
            .is_ok_and(|metadata| metadata.len() <= LARGEST);
        let Some(text) = is_small
            .then(|| std::fs::read_to_string(path).ok())
            .flatten()
        else {
            return;
        };
        if text.contains("-----BEGIN CERTIFICATE") {
            return;
        }
        let mut words = Vec::new();
        for line in text.lines() {
            let line = line.trim();
            if line.starts_with(['#', ';']) {
                continue;
            }
            words.extend(line.split_whitespace().map(str::to_owned));
            let Some((key, value)) = line.split_once('=') else {
                continue;
            };
            let value = value.trim().trim_matches(['"', '\'']);
            // npm writes `//host/:_authToken=value`.
            self.take_secrets(&key.to_uppercase(), value);
            if Path::new(value).is_absolute() {
                self.readable.push(value.into());
            }
        }
        // netrc writes `password value`, on one line or over two.
        for pair in words.windows(2) {
            if matches!(pair[0].as_str(), "password" | "account") {
                self.add_secret(pair[1].as_bytes());
            }
        }
        for word in &words {
            self.take_user_info(word);
        }
    }

    fn take_secrets(&mut self, name: &str, value: &str) {
        if SECRET_NAMES.iter().any(|part| name.contains(part)) {
            self.add_secret(value.as_bytes());
        }
        for word in value.split([' ', ',']) {
            self.take_user_info(word);
        }
    }

    /// The user and password of an address.
    fn take_user_info(&mut self, text: &str) {
        let Some((_, rest)) = text.split_once("://") else {
            return;
        };
        let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let Some((user_info, _)) = host.rsplit_once('@') else {
            return;
        };
        match user_info.split_once(':') {
            // A user's name alone is often the token itself.
            None => self.add_secret(user_info.as_bytes()),
            Some((user, password)) => {
                self.add_secret(password.as_bytes());
                if user.len() >= 16 {
                    self.add_secret(user.as_bytes());
                }
            }
        }
    }

    fn add_secret(&mut self, value: &[u8]) {
        if OsStr::from_bytes(value).len() >= SHORTEST_SECRET {
            self.secrets.push(value.to_vec());
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test stops at its first surprise")]
mod tests {
    use super::*;

    fn collect(vars: &[(&str, &str)], home: Option<&Path>) -> FetchEnvironment {
        let vars = vars
            .iter()
            .map(|(k, v)| (OsString::from(k), OsString::from(v)))
            .collect();
        FetchEnvironment::collect(&vars, home, &[])
    }

    fn secrets(fetch: &FetchEnvironment) -> Vec<String> {
        fetch
            .secrets
            .iter()
            .map(|s| String::from_utf8_lossy(s).into_owned())
            .collect()
    }

    #[test]
    fn only_registry_settings_are_passed() {
        let fetch = collect(
            &[
                ("GOPROXY", "direct"),
                ("npm_config_registry", "x"),
                ("AWS_SECRET", "y"),
                ("EDITOR", "vi"),
            ],
            None,
        );
        let names: Vec<_> = fetch.vars.iter().map(|(name, _)| name.clone()).collect();
        assert_eq!(names, ["GOPROXY", "npm_config_registry"]);
    }

    #[test]
    fn credentials_are_found_in_variables_and_files() {
        let home = tempfile::tempdir().unwrap();
        std::fs::write(
            home.path().join(".npmrc"),
            "//localhost/:_authToken=npm-secret\n",
        )
        .unwrap();
        std::fs::write(
            home.path().join(".netrc"),
            "machine a login b\n  password netrc-secret\n",
        )
        .unwrap();
        std::fs::create_dir_all(home.path().join(".config/pip")).unwrap();
        std::fs::write(
            home.path().join(".config/pip/pip.conf"),
            "[global]\nindex-url = http://bob:pip-secret@localhost/simple\n",
        )
        .unwrap();
        let fetch = collect(
            &[("UV_INDEX_URL", "http://u:uv-secret@localhost/")],
            Some(home.path()),
        );
        assert_eq!(
            secrets(&fetch),
            ["netrc-secret", "npm-secret", "pip-secret", "uv-secret"]
        );
        assert!(
            fetch
                .vars
                .iter()
                .any(|(name, _)| name == "NPM_CONFIG_USERCONFIG")
        );
        assert!(!format!("{fetch:?}").contains("secret\""));
    }

    #[test]
    fn a_file_that_the_user_named_is_not_replaced() {
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join(".npmrc"), "a=b\n").unwrap();
        let fetch = collect(&[("npm_config_userconfig", "/else")], Some(home.path()));
        assert_eq!(fetch.vars.len(), 1);
    }
}
