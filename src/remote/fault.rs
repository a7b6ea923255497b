//! What can go wrong with a server, as far as a run cares.
//!
//! None of it is a failure of a card: whoever asks goes on without the server.

use crate::digest::Digest;
use crate::store::StoreError;

/// What servers say of a client's certificate, as rustls names it
/// (RFC 8446, section 6.2).
const OF_CERTIFICATES: [&str; 7] = [
    "AccessDenied",
    "BadCertificate",
    "CertificateExpired",
    "CertificateRequired",
    "CertificateUnknown",
    "UnknownCA",
    "UnsupportedCertificate",
];

/// What went wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Nobody answers there.
    #[error("it can't be reached: {0}")]
    Unreachable(String),
    /// The credential is missing, wrong, expired, or may not do this.
    #[error("it refuses: {0}")]
    Refused(String),
    /// Nothing moved for too long.
    #[error("nothing moved for {0}")]
    Stalled(String),
    /// It answered that it can't.
    #[error("it answered {0}")]
    Answer(String),
    /// What it sent is not what was asked for.
    #[error("it sent something else than `{}`", .0.short())]
    Wrong(Digest),
    /// It does not have a blob that it should have.
    #[error("it no longer has the blob {}", .0.short())]
    Gone(Digest),
    /// What it sent can't be an artifact, or names what it should not.
    #[error("it sent a result that is none: {0}")]
    Malformed(String),
    /// The user's settings can't be used.
    #[error("{0}")]
    Settings(String),
    /// The own disk or store.
    #[error("{0}")]
    Here(String),
}

impl Fault {
    /// A server that could not be talked to, for this reason; where that is a
    /// certificate, what settles it.
    pub(super) fn of_line(reason: String) -> Fault {
        // As rustls words it (`rustls::Error`).
        if let Some(why) = reason.strip_prefix("invalid peer certificate: ") {
            return Fault::Settings(format!(
                "its certificate is not believed here ({why}): `ca` in `mikado.yaml` names the authorities that are"
            ));
        }
        match reason.strip_prefix("received fatal alert: ") {
            Some(alert) if OF_CERTIFICATES.contains(&alert) => Fault::Settings(format!(
                "it wants another certificate of this client ({alert}): `certificate` and `key` in `mikado.yaml` name it"
            )),
            _ => Fault::Unreachable(reason),
        }
    }

    /// Whether trying again at once may help.
    pub fn may_pass(&self) -> bool {
        matches!(self, Fault::Unreachable(_) | Fault::Stalled(_))
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Fault {
        Fault::Here(error.to_string())
    }
}

impl From<std::io::Error> for Fault {
    fn from(error: std::io::Error) -> Fault {
        Fault::Here(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificate_that_is_not_believed_is_a_matter_of_settings() {
        for (reason, says) in [
            ("invalid peer certificate: UnknownIssuer", "`ca`"),
            ("received fatal alert: CertificateRequired", "`certificate`"),
        ] {
            let fault = Fault::of_line(reason.to_owned());
            assert!(!fault.may_pass() && fault.to_string().contains(says));
        }
        for reason in ["connection refused", "received fatal alert: InternalError"] {
            assert!(Fault::of_line(reason.to_owned()).may_pass());
        }
    }
}
