//! Finding what is secret in variables and in the files of package managers.
//!
//! A value is secret by its name (a token, a password) or by its place (the
//! user part of an address, a netrc entry). It is better to mask a harmless
//! value than to show a secret, but words like `true` would be found in every
//! log, so those and very short values are passed over. No name of a
//! registry or host is known here.

use std::collections::BTreeSet;
use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::mask::SHORTEST_SECRET;

/// Parts of the names of secrets, compared in upper case with `_` for `-`.
const NAMES: [&str; 11] = [
    "TOKEN",
    "PASSWORD",
    "PASSWD",
    "SECRET",
    "PASSPHRASE",
    "CREDENTIAL",
    "API_KEY",
    "APIKEY",
    "ACCESS_KEY",
    "PRIVATE_KEY",
    "_AUTH",
];

/// The names under which files name certificates and keys, without `-` and `_`, in lower case.
const CERTIFICATES: [&str; 9] = [
    "cafile",
    "certfile",
    "keyfile",
    "cert",
    "clientcert",
    "sslcainfo",
    "sslcapath",
    "sslcert",
    "sslkey",
];

/// Values under secret names that are settings.
const SETTINGS: [&str; 12] = [
    "true", "false", "null", "none", "always", "never", "auto", "required", "optional", "default",
    "basic", "bearer",
];

/// What was found.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Findings {
    /// The values that must not be shown.
    pub(super) secrets: BTreeSet<Vec<u8>>,
    /// The certificates and keys that a file names.
    pub(super) certificates: BTreeSet<PathBuf>,
    /// The variables that a file refers to, as `${NAME}`.
    pub(super) variables: BTreeSet<String>,
}

impl Findings {
    /// Looks at a variable.
    pub(super) fn variable(&mut self, name: &str, value: &str) {
        if is_secret_name(name) {
            self.value(name, value);
        }
        self.addresses(value);
    }

    /// Looks at a file of `key = value` lines: npmrc, pip.conf, uv.toml, git's configuration, Go's environment.
    pub(super) fn settings(&mut self, text: &str) {
        for line in text.lines() {
            self.addresses(line);
            self.references(line);
            let Some((key, value)) = line.split_once('=') else {
                continue;
            };
            let key = key.trim();
            let value = value.trim().trim_matches(['"', '\'']);
            // The key of an npmrc may begin with a registry: `//host/:_authToken`.
            let key = key.rsplit(':').next().unwrap_or(key);
            let letters: String = key.chars().filter(|char| !"-_".contains(*char)).collect();
            if CERTIFICATES.contains(&letters.to_lowercase().as_str()) && value.starts_with('/') {
                self.certificates.insert(value.into());
            } else if key.eq_ignore_ascii_case("extraheader") {
                // `AUTHORIZATION: basic ...`: the last word.
                self.value(key, value.rsplit(' ').next().unwrap_or(value));
            } else if is_secret_name(key) || value.starts_with("-----BEGIN") {
                self.value(key, value);
            }
        }
    }

    /// Looks at a netrc file (ftp(1)): words in pairs, on any number of lines.
    pub(super) fn netrc(&mut self, text: &str) {
        let mut words = text.split_whitespace();
        let mut login = "";
        while let Some(word) = words.next() {
            match word {
                "machine" | "default" => login = "",
                "login" => login = words.next().unwrap_or_default(),
                "password" | "account" => self.pair(login, words.next().unwrap_or_default()),
                _ => {}
            }
        }
    }

    /// A user and a password: the password alone, and both as they are sent.
    pub(super) fn pair(&mut self, user: &str, password: &str) {
        if self.add(password.as_bytes()) && !user.is_empty() {
            self.add(format!("{user}:{password}").as_bytes());
        }
    }

    /// A whole value; one that is base64 (npm's `_auth` and `_password`, a header) also for what it says.
    pub(super) fn value(&mut self, name: &str, value: &str) {
        if value.starts_with("${") || !self.add(value.as_bytes()) {
            return;
        }
        if !name.to_lowercase().contains("token")
            && let Ok(inner) = STANDARD.decode(value)
            && let Ok(inner) = String::from_utf8(inner)
        {
            match inner.split_once(':') {
                Some((user, password)) => self.pair(user, password),
                None => _ = self.add(inner.as_bytes()),
            }
        }
    }

    /// The user parts of all addresses in a text: `scheme://user:password@host`, `scheme://token@host`.
    fn addresses(&mut self, text: &str) {
        for rest in text.split("://").skip(1) {
            let end = rest
                .find(|char: char| char.is_whitespace() || "/?#\"'<>".contains(char))
                .unwrap_or(rest.len());
            let Some((user_part, _)) = rest[..end].rsplit_once('@') else {
                continue;
            };
            match user_part.split_once(':').unwrap_or((user_part, "")) {
                // The user may be the token, and the password a word that says so.
                (token, "" | "x-oauth-basic") => {
                    self.add(token.as_bytes());
                    self.add(percent_decoded(token).as_bytes());
                }
                (user, password) => {
                    self.pair(user, password);
                    self.pair(&percent_decoded(user), &percent_decoded(password));
                }
            }
        }
    }

    /// The variables that a line refers to, as npm reads them: `${NAME}`, `${NAME?}`.
    fn references(&mut self, line: &str) {
        for rest in line.split("${").skip(1) {
            if let Some((name, _)) = rest.split_once('}') {
                let name = name.trim_end_matches('?');
                if !name.is_empty()
                    && name
                        .chars()
                        .all(|char| char.is_ascii_alphanumeric() || char == '_')
                {
                    self.variables.insert(name.to_owned());
                }
            }
        }
    }

    /// Takes a secret, unless it is too short or a mere setting; says whether it did.
    pub(super) fn add(&mut self, secret: &[u8]) -> bool {
        let setting = SETTINGS
            .iter()
            .any(|setting| secret.eq_ignore_ascii_case(setting.as_bytes()));
        let taken = secret.len() >= SHORTEST_SECRET && !setting;
        if taken {
            self.secrets.insert(secret.to_vec());
        }
        taken
    }
}

/// Whether what stands under this name is secret.
pub(super) fn is_secret_name(name: &str) -> bool {
    let name = name.to_uppercase().replace('-', "_");
    NAMES.iter().any(|part| name.contains(part))
}

/// The text with `%XX` as the byte that it stands for, where that gives text.
fn percent_decoded(text: &str) -> String {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let byte = match (first, tail) {
            (b'%', [high, low, ..]) => std::str::from_utf8(&[*high, *low])
                .ok()
                .and_then(|digits| u8::from_str_radix(digits, 16).ok()),
            _ => None,
        };
        decoded.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &tail[2..] } else { tail };
    }
    String::from_utf8(decoded).unwrap_or_else(|_| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn secrets(find: impl FnOnce(&mut Findings)) -> Vec<String> {
        let mut findings = Findings::default();
        find(&mut findings);
        findings
            .secrets
            .iter()
            .map(|secret| String::from_utf8_lossy(secret).into_owned())
            .collect()
    }

    #[test]
    fn a_variable_is_secret_by_its_name() {
        for name in [
            "NPM_TOKEN",
            "UV_INDEX_ACME_PASSWORD",
            "npm_config__auth",
            "client-secret",
            "X_API_KEY",
        ] {
            assert_eq!(
                secrets(|found| found.variable(name, "v4lue")),
                ["v4lue"],
                "{name}"
            );
        }
        for name in [
            "GOPROXY",
            "GOAUTH",
            "PIP_CERT",
            "UV_KEYRING_PROVIDER",
            "KEYBOARD",
        ] {
            assert!(
                secrets(|found| found.variable(name, "v4lue")).is_empty(),
                "{name}"
            );
        }
    }

    #[test]
    fn settings_and_short_values_are_not_secret() {
        for value in ["", "abc", "true", "Always", "${NPM_TOKEN}"] {
            assert!(
                secrets(|found| found.variable("npm_config_always_auth", value)).is_empty(),
                "{value}"
            );
        }
    }

    #[test]
    fn the_user_part_of_an_address_is_secret() {
        for (address, found) in [
            (
                "https://user:p%40ss@host/simple",
                &["p%40ss", "p@ss", "user:p%40ss", "user:p@ss"][..],
            ),
            ("http://t0ken@proxy:3128", &["t0ken"]),
            ("http://t0ken:@proxy:3128", &["t0ken"]),
            ("https://t0ken:x-oauth-basic@host", &["t0ken"]),
            (
                "direct,https://a:first@h,https://b:second@h",
                &["a:first", "b:second", "first", "second"],
            ),
            ("https://host/a@b", &[]),
            ("https://host:8080/", &[]),
            ("https://@host", &[]),
        ] {
            assert_eq!(
                secrets(|findings| findings.variable("PIP_INDEX_URL", address)),
                found,
                "{address}"
            );
        }
    }

    #[test]
    fn an_npmrc_gives_tokens_passwords_certificates_and_variables() {
        let mut findings = Findings::default();
        findings.settings(
            "registry=https://npm.example/\n//npm.example/:_authToken=npm_abc\n//b.example/:_password=\"aHVudGVyMg==\"\n\
             _auth = bWU6c2VzYW1l\n//c.example/:_authToken=${C_TOKEN}\ncafile=/etc/acme.pem\nkeyfile=relative.pem\n\
             always-auth=true\n",
        );
        let secrets: Vec<_> = findings
            .secrets
            .iter()
            .map(|secret| String::from_utf8_lossy(secret))
            .collect();
        assert_eq!(
            secrets,
            [
                "aHVudGVyMg==",
                "bWU6c2VzYW1l",
                "hunter2",
                "me:sesame",
                "npm_abc",
                "sesame"
            ]
        );
        assert_eq!(
            findings.certificates,
            [PathBuf::from("/etc/acme.pem")].into()
        );
        assert_eq!(findings.variables, ["C_TOKEN".to_owned()].into());
    }

    #[test]
    fn the_files_of_pip_uv_go_and_git_give_their_secrets() {
        let text = "[global]\nindex-url = https://me:pip-pass@pypi.example/simple\ncert = /ca/pip.pem\n\
            [[index]]\nurl = \"https://uv-token@uv.example\"\n\
            GOPROXY=https://go:go-pass@proxy.example,direct\n\
            [url \"https://oauth2:git-pass@git.example/\"]\n\tinsteadOf = https://git.example/\n\
            [http]\n\textraheader = AUTHORIZATION: basic eDpoZWFkZXItcGFzcw==\n\tsslCAInfo = /ca/git.pem\n";
        let mut findings = Findings::default();
        findings.settings(text);
        for secret in [
            "pip-pass",
            "uv-token",
            "go-pass",
            "git-pass",
            "eDpoZWFkZXItcGFzcw==",
            "header-pass",
        ] {
            assert!(findings.secrets.contains(secret.as_bytes()), "{secret}");
        }
        let paths: Vec<_> = findings.certificates.into_iter().collect();
        assert_eq!(paths, ["/ca/git.pem", "/ca/pip.pem"].map(PathBuf::from));
    }

    #[test]
    fn a_netrc_gives_its_passwords() {
        let text = "machine a.example login me password first\nmachine b.example\n  login you\n  password second\ndefault password third";
        assert_eq!(
            secrets(|found| found.netrc(text)),
            ["first", "me:first", "second", "third", "you:second"]
        );
    }

    proptest! {
        #[test]
        fn any_text_is_looked_at_without_a_panic(text in "(?s).{0,80}", parts in "[a:/@%0-9${}=\n]{0,40}") {
            for text in [text, parts] {
                let mut findings = Findings::default();
                findings.settings(&text);
                findings.netrc(&text);
                findings.variable("TOKEN", &text);
            }
        }

        #[test]
        fn an_encoded_password_is_found_as_it_was(password in "[a-z@:/%]{4,12}") {
            let encoded: String = password.bytes().map(|byte| format!("%{byte:02x}")).collect();
            let address = format!("https://user:{encoded}@host/");
            prop_assert!(secrets(|found| found.variable("X", &address)).contains(&password));
        }
    }
}
