//! What `cache:` and `executor:` have in common: where a server is said, and how
//! long nothing may move.

use std::time::Duration;

use super::address::{Address, NoAddress};
use super::settings::STALL;
use crate::error::Error;
use crate::runner::client::UserEnvironment;
use crate::runner::units;

/// The places where a server is said, as messages name them.
pub(super) struct Said {
    /// The key of `mikado.yaml`.
    pub key: &'static str,
    /// The option of the command line.
    pub option: &'static str,
    /// The variable.
    pub variable: &'static str,
}

impl Said {
    /// The address and where it was said: the command line comes before the
    /// environment, and that before the settings.
    pub(super) fn url(
        &self,
        given: Option<&String>,
        setting: Option<&String>,
        user: &UserEnvironment,
    ) -> Option<(String, String)> {
        let given = given.map(|url| (url.clone(), self.option.to_owned()));
        let by_variable = || Some((variable(user, self.variable)?, self.variable.to_owned()));
        let by_setting = || Some((setting?.clone(), format!("`{}.url`", self.key)));
        given.or_else(by_variable).or_else(by_setting)
    }

    /// The address that `url`, said by `source`, is, at an instance where it names
    /// none itself.
    ///
    /// # Errors
    ///
    /// Where it is none.
    pub(super) fn address(
        &self,
        url: &str,
        source: &str,
        instance: Option<&String>,
    ) -> Result<Address, Error> {
        // The address itself is not repeated: a password may stand in it.
        let mut address: Address = url.parse().map_err(|error: NoAddress| {
            Error::usage(
                format!(
                    "the address of the {}, from {source}, is none: {error}",
                    self.key
                ),
                error.help(),
            )
        })?;
        if let Some(instance) = instance
            && address.instance.is_empty()
        {
            address.instance = instance.trim_matches('/').to_owned();
        }
        Ok(address)
    }

    /// How long nothing may move.
    ///
    /// # Errors
    ///
    /// Where what is said is no time.
    pub(super) fn stall(&self, setting: Option<&String>) -> Result<Duration, Error> {
        let Some(text) = setting else {
            return Ok(STALL);
        };
        units::duration(text).ok_or_else(|| {
            let message = format!(
                "`{}.stall: {text}` in `mikado.yaml` can't be read",
                self.key
            );
            Error::usage(message, "write something like `60s`")
        })
    }
}

/// The value of a variable that is not empty.
pub(super) fn variable(user: &UserEnvironment, name: &str) -> Option<String> {
    let value = user.value(name).filter(|value| !value.is_empty())?;
    Some(value.to_string_lossy().into_owned())
}
