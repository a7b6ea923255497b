//! Credentials: what a server is shown, and nobody else.
//!
//! They are read from variables and files when a connection is made. No key,
//! log, record, event, error or `Debug` text holds one; what a server says is
//! searched for them before it is repeated.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::runner::client::UserEnvironment;

/// A bearer token, unless `cache.token` names another variable or a file.
pub(super) const TOKEN: &str = "MIKADO_CACHE_TOKEN";

/// `user:password`, unless `cache.login` names another variable or a file.
pub(super) const LOGIN: &str = "MIKADO_CACHE_LOGIN";

/// Shorter parts of what a server says are not taken for a secret.
const SHORTEST: usize = 4;

/// Where a secret is: one of the two.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SecretFrom {
    /// The variable that holds it.
    pub env: Option<String>,
    /// The file that holds it.
    pub file: Option<PathBuf>,
}

/// Text that is not shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The text, for the server.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Secret {
        Secret(text)
    }
}

/// What a server is shown.
#[derive(Clone, Debug, Default)]
pub struct Credentials {
    /// Headers, by name in lower case.
    pub headers: BTreeMap<String, Secret>,
    /// The certificates of authorities that are believed, as PEM; those of the
    /// system where there are none.
    pub authorities: Option<Vec<u8>>,
    /// The client's own certificates and key, as PEM.
    pub identity: Option<(Vec<u8>, Secret)>,
}

/// Where credentials are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct CredentialsFrom {
    /// A bearer token.
    pub token: Option<SecretFrom>,
    /// `user:password`.
    pub login: Option<SecretFrom>,
    /// Headers.
    pub headers: BTreeMap<String, SecretFrom>,
    /// A file of certificates of authorities.
    pub ca: Option<PathBuf>,
    /// A file of the client's own certificates.
    pub certificate: Option<PathBuf>,
    /// A file of the key to them.
    pub key: Option<PathBuf>,
}

impl CredentialsFrom {
    /// Reads them; relative paths are below `root`. What is not set is no fault:
    /// the server says what it thinks of it.
    ///
    /// # Errors
    ///
    /// Where a file of certificates can't be read, or a header has no form.
    pub(super) fn read(&self, root: &Path, user: &UserEnvironment) -> Result<Credentials, String> {
        let mut credentials = Credentials::default();
        let secret = |from: &SecretFrom| secret(from, root, user);
        let variable = |name: &str| SecretFrom {
            env: Some(name.to_owned()),
            file: None,
        };
        let token = self.token.clone().unwrap_or_else(|| variable(TOKEN));
        let login = self.login.clone().unwrap_or_else(|| variable(LOGIN));
        let mut add = |name: &str, value: String| {
            let name = name.to_ascii_lowercase();
            let is_header = http::HeaderName::try_from(name.as_str()).is_ok()
                && http::HeaderValue::try_from(value.as_str()).is_ok();
            if !is_header {
                return Err(format!(
                    "the header `{name}` has a name or a value that no header can have"
                ));
            }
            credentials.headers.insert(name, Secret(value));
            Ok(())
        };
        if let Some(login) = secret(&login) {
            add("authorization", format!("Basic {}", STANDARD.encode(login)))?;
        }
        if let Some(token) = secret(&token) {
            add("authorization", format!("Bearer {token}"))?;
        }
        for (name, from) in &self.headers {
            if let Some(value) = secret(from) {
                add(name, value)?;
            }
        }
        let file = |path: &PathBuf| {
            let path = root.join(path);
            std::fs::read(&path).map_err(|e| format!("could not read `{}`: {e}", path.display()))
        };
        credentials.authorities = self.ca.as_ref().map(file).transpose()?;
        credentials.identity = match (&self.certificate, &self.key) {
            (Some(certificate), Some(key)) => {
                let key = String::from_utf8(file(key)?);
                let key = key.map_err(|_| "the key of the client's certificate is not PEM")?;
                Some((file(certificate)?, Secret(key)))
            }
            (None, None) => None,
            _ => return Err("`cache.certificate` and `cache.key` go together".into()),
        };
        Ok(credentials)
    }
}

/// The text of a secret; `None` where it is not set, empty or not to be read.
fn secret(from: &SecretFrom, root: &Path, user: &UserEnvironment) -> Option<String> {
    let text = match (&from.env, &from.file) {
        (Some(name), _) => user.value(name)?.to_str()?.to_owned(),
        (None, Some(path)) => std::fs::read_to_string(root.join(path)).ok()?,
        (None, None) => return None,
    };
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

impl Credentials {
    /// Whether there is something that a server may know its client by.
    pub fn are_there(&self) -> bool {
        !self.headers.is_empty() || self.identity.is_some()
    }

    /// `text` without any credential that stands in it.
    pub fn masked(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for value in self.headers.values() {
            let whole = value.reveal();
            let bare = whole.rsplit(' ').next().unwrap_or(whole);
            for secret in [whole, bare] {
                if secret.len() >= SHORTEST {
                    text = text.replace(secret, "***");
                }
            }
        }
        text
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test stops at its first surprise")]
mod tests {
    use super::*;

    fn read(from: &CredentialsFrom, variables: &[(&str, &str)]) -> Credentials {
        let user = UserEnvironment::of(variables.iter().copied());
        from.read(Path::new("/nowhere"), &user).unwrap()
    }

    #[test]
    fn credentials_come_from_variables_and_are_not_shown() {
        let from = CredentialsFrom::default();
        assert!(!read(&from, &[(TOKEN, "")]).are_there());
        let token = read(&from, &[(TOKEN, "s3cret\n"), (LOGIN, "a:b")]);
        assert_eq!(token.headers["authorization"].reveal(), "Bearer s3cret");
        let login = read(&from, &[(LOGIN, "user:password")]);
        let shown = format!("{login:?}{token:?}");
        assert!(
            !shown.contains("s3cret") && !shown.contains("dXNlcj"),
            "{shown}"
        );
        assert_eq!(login.masked("no dXNlcjpwYXNzd29yZA== here"), "no *** here");
        assert_eq!(token.masked("token s3cret expired"), "token *** expired");
    }

    #[test]
    fn what_is_no_header_is_said_without_its_value() {
        let mut from = CredentialsFrom::default();
        let variable = SecretFrom {
            env: Some("KEY".into()),
            file: None,
        };
        from.headers.insert("x key".into(), variable);
        let user = UserEnvironment::of([("KEY", "hidden")]);
        let error = from.read(Path::new("/"), &user).unwrap_err();
        assert!(
            error.contains("x key") && !error.contains("hidden"),
            "{error}"
        );
    }
}
