//! `cache:` in `mikado.yaml`, `--cache`, `MIKADO_CACHE`: which server, and what it
//! is used for.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::ValueEnum;
use schemars::JsonSchema;
use serde::Deserialize;

use super::address::Address;
use super::credentials::{Credentials, CredentialsFrom, SecretFrom};
use super::fault::Fault;
use super::said::{self, Said};
use crate::error::Error;
use crate::runner::client::UserEnvironment;

/// The variable of the address.
const URL: &str = "MIKADO_CACHE";

const SAID: Said = Said {
    key: "cache",
    option: "--cache",
    variable: URL,
};

/// The variable of what it is used for.
const MODE: &str = "MIKADO_CACHE_MODE";

/// The variable of the namespace: whoever may change `mikado.yaml` does not choose
/// another than this one.
pub const NAMESPACE: &str = "MIKADO_CACHE_NAMESPACE";

/// How long nothing may move.
pub(super) const STALL: Duration = Duration::from_secs(60);

/// The longest name of a namespace.
const LONGEST: usize = 64;

/// What a cache is used for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Nothing.
    Off,
    /// Results are looked for.
    #[default]
    Read,
    /// And what is executed here is uploaded, if there is a credential.
    ReadWrite,
}

/// A cache that machines share.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct CacheConfig {
    /// Where it is: `grpc://`, `grpcs://`, `http://` or `https://`.
    pub url: Option<String>,
    /// What it is used for; `read` where nothing is said.
    pub mode: Option<Mode>,
    /// The name of the server's instance, where it is not the path of `url`.
    pub instance: Option<String>,
    /// What keeps results apart from those of others: one for each level of trust.
    pub namespace: Option<String>,
    /// A bearer token; MIKADO_CACHE_TOKEN where nothing is said.
    pub token: Option<SecretFrom>,
    /// `user:password`; MIKADO_CACHE_LOGIN where nothing is said.
    pub login: Option<SecretFrom>,
    /// Further headers, by name.
    pub headers: BTreeMap<String, SecretFrom>,
    /// A file of certificates of authorities; the system's where nothing is said.
    pub ca: Option<PathBuf>,
    /// A file of the client's own certificate.
    pub certificate: Option<PathBuf>,
    /// A file of the key to it.
    pub key: Option<PathBuf>,
    /// How long nothing may move before a call is given up, such as `60s`.
    pub stall: Option<String>,
}

/// What the command line says of it.
#[derive(Clone, Debug, Default)]
pub struct CacheGiven {
    /// `--cache`.
    pub url: Option<String>,
    /// `--cache-mode`.
    pub mode: Option<Mode>,
}

/// A cache that is used.
#[derive(Clone, Debug)]
pub struct CacheSettings {
    /// Where it is.
    pub address: Address,
    /// What it is used for; never [`Mode::Off`].
    pub mode: Mode,
    /// How long nothing may move.
    pub stall: Duration,
    pub(super) credentials: CredentialsFrom,
    pub(super) root: PathBuf,
    pub(super) user: UserEnvironment,
}

impl CacheConfig {
    /// The cache that is used, if one is: what the command line says, then the
    /// environment, then these settings. Relative paths are below `root`.
    ///
    /// # Errors
    ///
    /// Where what is said means nothing.
    pub fn settled(
        &self,
        given: &CacheGiven,
        root: &Path,
        user: &UserEnvironment,
    ) -> Result<Option<CacheSettings>, Error> {
        let mode = match (given.mode, said::variable(user, MODE)) {
            (Some(mode), _) => mode,
            (None, Some(text)) => Mode::from_str(&text, false).map_err(|_| {
                let message = format!("`{text}` in {MODE} is no way to use a cache");
                Error::usage(message, "expected `off`, `read` or `read-write`")
            })?,
            (None, None) => self.mode.unwrap_or_default(),
        };
        let stall = SAID.stall(self.stall.as_ref())?;
        let Some((url, source)) = SAID.url(given.url.as_ref(), self.url.as_ref(), user) else {
            return Ok(None);
        };
        if mode == Mode::Off {
            return Ok(None);
        }
        Ok(Some(CacheSettings {
            address: SAID.address(&url, &source, self.instance.as_ref())?,
            mode,
            stall,
            credentials: CredentialsFrom {
                token: self.token.clone(),
                login: self.login.clone(),
                headers: self.headers.clone(),
                ca: self.ca.clone(),
                certificate: self.certificate.clone(),
                key: self.key.clone(),
            },
            root: root.to_owned(),
            user: user.clone(),
        }))
    }

    /// The namespace of keys; empty where there is none.
    ///
    /// # Errors
    ///
    /// Where it is no name.
    pub fn namespace(&self, user: &UserEnvironment) -> Result<String, Error> {
        let name = said::variable(user, NAMESPACE).or_else(|| self.namespace.clone());
        let name = name.unwrap_or_default();
        let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        match name.chars().all(is_part) && name.len() <= LONGEST {
            true => Ok(name),
            false => Err(Error::usage(
                format!("`{name}` is no name of a namespace of a cache"),
                format!("use up to {LONGEST} letters, digits, `-`, `_` and `.`"),
            )),
        }
    }
}

impl CacheSettings {
    /// The credentials, read now.
    ///
    /// # Errors
    ///
    /// Where a file of certificates can't be read.
    pub(super) fn credentials(&self) -> Result<Credentials, Fault> {
        let read = self.credentials.read(&self.root, &self.user);
        read.map_err(Fault::Settings)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test stops at its first surprise")]
mod tests {
    use super::*;

    fn settled(
        config: &CacheConfig,
        given: &CacheGiven,
        variables: &[(&str, &str)],
    ) -> Result<Option<CacheSettings>, Error> {
        let user = UserEnvironment::of(variables.iter().copied());
        config.settled(given, Path::new("/"), &user)
    }

    #[test]
    fn command_line_comes_before_environment_and_settings() {
        let config: CacheConfig =
            serde_yaml::from_str("{url: 'grpc://yaml', mode: off, instance: main}").unwrap();
        let none = CacheGiven::default();
        assert!(settled(&config, &none, &[]).unwrap().is_none());
        let on = [(MODE, "read-write")];
        let found = settled(&config, &none, &on).unwrap().unwrap();
        assert_eq!(found.address.to_string(), "grpc://yaml/main");
        assert_eq!(found.mode, Mode::ReadWrite);
        let variables = [(MODE, "read"), (URL, "grpc://variable/own")];
        let found = settled(&config, &none, &variables).unwrap().unwrap();
        assert_eq!(found.address.to_string(), "grpc://variable/own");
        let given = CacheGiven {
            url: Some("http://given".into()),
            mode: Some(Mode::ReadWrite),
        };
        let found = settled(&config, &given, &variables).unwrap().unwrap();
        assert_eq!(found.address.to_string(), "http://given/main");
        assert_eq!(found.mode, Mode::ReadWrite);
    }

    #[test]
    fn address_with_a_password_is_not_repeated() {
        let config = CacheConfig::default();
        let variables = [(URL, "grpc://me:s3cret@cache")];
        let error = settled(&config, &CacheGiven::default(), &variables).unwrap_err();
        assert!(!format!("{error}{error:?}").contains("s3cret"), "{error:?}");
    }

    #[test]
    fn environment_decides_the_namespace() {
        let config = CacheConfig {
            namespace: Some("main".into()),
            ..CacheConfig::default()
        };
        let of = |value: &str| config.namespace(&UserEnvironment::of([(NAMESPACE, value)]));
        assert_eq!(of("").unwrap(), "main");
        assert_eq!(of("pull-requests").unwrap(), "pull-requests");
        assert!(of("a b").is_err());
    }
}
