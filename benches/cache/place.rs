//! The servers that are measured, one after the other.

use std::net::SocketAddr;

use crate::servers::{self, Server};

/// A server, in one of the ways in which it is talked to.
pub struct Place {
    pub name: &'static str,
    pub is_http: bool,
    pub server: Server,
}

impl Place {
    /// Each of them, started when it is its turn; bazel-remote with further options.
    pub fn each(bazel_remote: &'static [&'static str]) -> impl Iterator<Item = Place> {
        let names = ["buildbox-casd", "bazel-remote", "bazel-remote, HTTP"];
        names.into_iter().map(move |name| Place {
            name,
            is_http: name.ends_with("HTTP"),
            server: match name {
                "buildbox-casd" => servers::casd(&[]),
                _ => servers::bazel_remote(bazel_remote),
            },
        })
    }

    /// Its address, as settings have it.
    pub fn url(&self) -> String {
        match self.is_http {
            true => self.server.http_url(),
            false => self.server.url(),
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        match self.is_http {
            true => self.server.http,
            false => self.server.grpc,
        }
    }
}
