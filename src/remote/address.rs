//! Where a server is: `grpc://`, `grpcs://`, `http://` or `https://`, a host, a
//! port, and the instance's name as the path.
//!
//! An address holds no credentials: those in one are refused, since an address
//! is shown.

use std::fmt;
use std::str::FromStr;

/// What is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// The Remote Execution API.
    Grpc,
    /// `/ac/` and `/cas/`, with the same bytes: a cache alone.
    Http,
}

/// Where a server is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// What is spoken.
    pub protocol: Protocol,
    /// Whether by TLS.
    pub encrypted: bool,
    /// The host, and a port where one was given.
    pub authority: String,
    /// The instance's name, or the folder of an HTTP cache; no slash at either end.
    pub instance: String,
}

/// What is wrong with an address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoAddress {
    /// It begins with something else.
    #[error("it begins with none of `grpc://`, `grpcs://`, `http://` and `https://`")]
    Protocol,
    /// There is no host.
    #[error("it names no host, or what follows the host is no port")]
    Host,
    /// A user or a password stands in it; it is not repeated.
    #[error("a user or a password stands in it, which would be shown")]
    Credentials,
    /// A query or a fragment.
    #[error("it has a query or a fragment, which mean nothing here")]
    Query,
}

impl NoAddress {
    /// What to do.
    pub fn help(&self) -> &'static str {
        match self {
            NoAddress::Credentials => {
                "set MIKADO_CACHE_LOGIN to `user:password`, or name a variable in `cache.login`"
            }
            _ => "write something like `grpcs://cache.example.com/main`",
        }
    }
}

impl FromStr for Address {
    type Err = NoAddress;

    fn from_str(text: &str) -> Result<Address, NoAddress> {
        let (scheme, rest) = text.split_once("://").ok_or(NoAddress::Protocol)?;
        let (protocol, encrypted) = match scheme {
            "grpc" => (Protocol::Grpc, false),
            "grpcs" => (Protocol::Grpc, true),
            "http" => (Protocol::Http, false),
            "https" => (Protocol::Http, true),
            _ => return Err(NoAddress::Protocol),
        };
        let (authority, instance) = rest.split_once('/').unwrap_or((rest, ""));
        if authority.contains('@') {
            return Err(NoAddress::Credentials);
        }
        if rest.contains(['?', '#']) {
            return Err(NoAddress::Query);
        }
        let is_odd = |c: char| c.is_whitespace() || c.is_control();
        let parsed: Result<http::uri::Authority, _> = authority.parse();
        let has_host = parsed.is_ok_and(|parsed| !parsed.host().is_empty());
        // `host:` and a port above 65535 are no authority with a port.
        let colon = authority
            .rfind(':')
            .filter(|at| !authority[*at..].contains(']'));
        let is_port = |text: &str| text.parse::<u16>().is_ok();
        let ends = colon.is_none_or(|at| is_port(&authority[at + 1..]));
        if !has_host || !ends || instance.contains(is_odd) {
            return Err(NoAddress::Host);
        }
        Ok(Address {
            protocol,
            encrypted,
            authority: authority.to_owned(),
            instance: instance.trim_matches('/').to_owned(),
        })
    }
}

impl Address {
    /// The place without the instance, for a client of HTTP or HTTP/2.
    pub fn origin(&self) -> String {
        let scheme = match self.encrypted {
            true => "https",
            false => "http",
        };
        format!("{scheme}://{}", self.authority)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match (self.protocol, self.encrypted) {
            (Protocol::Grpc, false) => "grpc",
            (Protocol::Grpc, true) => "grpcs",
            (Protocol::Http, false) => "http",
            (Protocol::Http, true) => "https",
        };
        write!(f, "{scheme}://{}", self.authority)?;
        match self.instance.is_empty() {
            true => Ok(()),
            false => write!(f, "/{}", self.instance),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn address_is_read_and_written_again() {
        for text in [
            "grpc://127.0.0.1:9092",
            "grpcs://cache.example.com",
            "grpcs://cache.example.com:443/main/ci",
            "http://[::1]:8080/prefix",
            "https://cache",
        ] {
            let address: Result<Address, _> = text.parse();
            assert_eq!(address.map(|a| a.to_string()), Ok(text.to_owned()));
        }
        let origin = |text: &str| text.parse::<Address>().map(|a| a.origin());
        assert_eq!(origin("grpcs://a/b/"), Ok("https://a".to_owned()));
    }

    #[test]
    fn what_is_no_address_says_why() {
        let why = |text: &str| text.parse::<Address>().err();
        assert_eq!(why("cache:9092"), Some(NoAddress::Protocol));
        assert_eq!(why("ftp://cache"), Some(NoAddress::Protocol));
        assert_eq!(why("grpc:///main"), Some(NoAddress::Host));
        assert_eq!(why("grpc://cache:port"), Some(NoAddress::Host));
        assert_eq!(why("grpc://cache:"), Some(NoAddress::Host));
        assert_eq!(why("grpc://cache:70000"), Some(NoAddress::Host));
        assert_eq!(why("grpc://u:p@cache"), Some(NoAddress::Credentials));
        assert_eq!(why("http://cache/a?b=c"), Some(NoAddress::Query));
    }
}
