//! `executor:` in `mikado.yaml`, `--executor`, `MIKADO_EXECUTOR`: which server
//! executes, how many cards at once, and what comes back of them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use schemars::JsonSchema;
use serde::Deserialize;

use super::address::Protocol;
use super::credentials::{CredentialsFrom, SecretFrom};
use super::said::{self, Said};
use super::settings::{CacheSettings, Mode};
use crate::error::Error;
use crate::runner::client::UserEnvironment;

/// The variable of the address.
const URL: &str = "MIKADO_EXECUTOR";

const SAID: Said = Said {
    key: "executor",
    option: "--executor",
    variable: URL,
};

/// A bearer token, unless `executor.token` names another variable or a file.
const TOKEN: &str = "MIKADO_EXECUTOR_TOKEN";

/// `user:password`, unless `executor.login` names another variable or a file.
const LOGIN: &str = "MIKADO_EXECUTOR_LOGIN";

/// How many cards are executed elsewhere at once, where nothing is said.
const JOBS: usize = 50;

/// What comes back of what is executed elsewhere.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Download {
    /// Every artifact.
    #[default]
    All,
    /// The artifacts of the cards that were asked for, and what is used here.
    Goal,
    /// What is used here.
    None,
}

/// A server that executes.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct ExecutorConfig {
    /// Where it is: `grpc://` or `grpcs://`.
    pub url: Option<String>,
    /// The name of the server's instance, where it is not the path of `url`.
    pub instance: Option<String>,
    /// A bearer token; MIKADO_EXECUTOR_TOKEN where nothing is said.
    pub token: Option<SecretFrom>,
    /// `user:password`; MIKADO_EXECUTOR_LOGIN where nothing is said.
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
    /// How many cards are executed there at once; 50 where nothing is said.
    pub jobs: Option<usize>,
    /// What comes back; `all` where nothing is said.
    pub download: Option<Download>,
    /// Whether to execute here what can't be executed there.
    pub local_fallback: bool,
}

/// What the command line says of it.
#[derive(Clone, Debug, Default)]
pub struct ExecutorGiven {
    /// `--executor`.
    pub url: Option<String>,
    /// `--remote-jobs`.
    pub jobs: Option<usize>,
    /// `--download`.
    pub download: Option<Download>,
    /// `--local-fallback`.
    pub local_fallback: bool,
}

/// A server that is used for executing.
#[derive(Clone, Debug)]
pub struct ExecutorSettings {
    /// How it is reached.
    pub server: CacheSettings,
    /// How many cards are executed there at once; at least 1.
    pub jobs: usize,
    /// What comes back.
    pub download: Download,
    /// Whether to execute here what can't be executed there.
    pub local_fallback: bool,
}

impl ExecutorConfig {
    /// The server that is used, if one is: what the command line says, then the
    /// environment, then these settings. Where it is the same server as the
    /// `cache` and has no credentials of its own, it gets those.
    ///
    /// # Errors
    ///
    /// Where what is said means nothing.
    pub fn settled(
        &self,
        given: &ExecutorGiven,
        cache: Option<&CacheSettings>,
        root: &Path,
        user: &UserEnvironment,
    ) -> Result<Option<ExecutorSettings>, Error> {
        let Some((url, source)) = SAID.url(given.url.as_ref(), self.url.as_ref(), user) else {
            return Ok(None);
        };
        let address = SAID.address(&url, &source, self.instance.as_ref())?;
        if address.protocol == Protocol::Http {
            return Err(Error::usage(
                format!(
                    "the address of the executor, from {source}, is that of an HTTP cache, which executes nothing"
                ),
                "write `grpc://` or `grpcs://`",
            ));
        }
        let stall = SAID.stall(self.stall.as_ref())?;
        let from = |said: &Option<SecretFrom>, name: &str| {
            let variable = SecretFrom {
                env: Some(name.to_owned()),
                file: None,
            };
            Some(said.clone().unwrap_or(variable))
        };
        let is_cache = |cache: &&CacheSettings| {
            let (one, other) = (&cache.address, &address);
            one.protocol == other.protocol && one.origin() == other.origin()
        };
        let credentials = match cache.filter(is_cache) {
            Some(cache) if !self.has_credentials(user) => cache.credentials.clone(),
            _ => CredentialsFrom {
                token: from(&self.token, TOKEN),
                login: from(&self.login, LOGIN),
                headers: self.headers.clone(),
                ca: self.ca.clone(),
                certificate: self.certificate.clone(),
                key: self.key.clone(),
            },
        };
        Ok(Some(ExecutorSettings {
            server: CacheSettings {
                address,
                mode: Mode::Read,
                stall,
                credentials,
                root: root.to_owned(),
                user: user.clone(),
            },
            jobs: given.jobs.or(self.jobs).unwrap_or(JOBS).max(1),
            download: given.download.or(self.download).unwrap_or_default(),
            local_fallback: given.local_fallback || self.local_fallback,
        }))
    }

    fn has_credentials(&self, user: &UserEnvironment) -> bool {
        let is_set = |name: &str| said::variable(user, name).is_some();
        self.token.is_some()
            || self.login.is_some()
            || !self.headers.is_empty()
            || self.certificate.is_some()
            || is_set(TOKEN)
            || is_set(LOGIN)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test stops at its first surprise")]
mod tests {
    use super::*;

    fn settled(yaml: &str, given: &ExecutorGiven) -> Result<Option<ExecutorSettings>, Error> {
        let config: ExecutorConfig = serde_yaml::from_str(yaml).unwrap();
        let user = UserEnvironment::of([("MIKADO_EXECUTOR_TOKEN", "s3cret")]);
        config.settled(given, None, Path::new("/"), &user)
    }

    #[test]
    fn command_line_comes_before_settings() {
        let yaml = "{url: 'grpc://yaml', instance: main, jobs: 7, download: goal}";
        let found = settled(yaml, &ExecutorGiven::default()).unwrap().unwrap();
        assert_eq!(found.server.address.to_string(), "grpc://yaml/main");
        assert_eq!((found.jobs, found.download), (7, Download::Goal));
        let given = ExecutorGiven {
            url: Some("grpc://given".into()),
            jobs: Some(3),
            download: Some(Download::None),
            local_fallback: true,
        };
        let found = settled(yaml, &given).unwrap().unwrap();
        assert_eq!(found.server.address.to_string(), "grpc://given/main");
        assert_eq!((found.jobs, found.download), (3, Download::None));
        assert!(found.local_fallback);
        assert!(settled("{}", &ExecutorGiven::default()).unwrap().is_none());
    }

    #[test]
    fn http_cache_executes_nothing() {
        assert!(settled("{url: 'http://cache'}", &ExecutorGiven::default()).is_err());
    }

    #[test]
    fn token_of_a_cache_does_not_go_to_another_server() {
        let user = UserEnvironment::of([("MIKADO_CACHE_TOKEN", "s3cret")]);
        let of_cache = super::super::CacheConfig {
            url: Some("grpc://cache:1/a".into()),
            ..Default::default()
        };
        let cache = of_cache.settled(&Default::default(), Path::new("/"), &user);
        let cache = cache.unwrap().unwrap();
        for (url, count) in [("grpc://cache:1/b", 1), ("grpc://cache:2", 0)] {
            let config = ExecutorConfig {
                url: Some(url.into()),
                ..ExecutorConfig::default()
            };
            let given = ExecutorGiven::default();
            let found = config.settled(&given, Some(&cache), Path::new("/"), &user);
            let credentials = found.unwrap().unwrap().server.credentials().unwrap();
            assert_eq!(credentials.headers.len(), count, "{url}");
        }
    }
}
