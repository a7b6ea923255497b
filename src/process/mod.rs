//! Starting, watching and ending processes.
//!
//! `Keeper` is all that the engine sees: it asks for an `Execution` and gets
//! an `Outcome` when no process of it is left. Three kinds of processes carry
//! it: the engine (`client`), which never forks; the keeper (`keeper`), which
//! forks reapers; and the reapers (`reaper`), which start one execution at a
//! time and own everything below themselves. They speak in frames (`wire`,
//! `pass`). `enter` is for a shell, which no keeper stands above,
//! `tracer` records what an execution touches. What an execution may touch is `isolation`, what this kernel can
//! do about it `kernel`. Nothing here knows of cards, runners or the store.

pub mod capture;
mod client;
mod deed;
mod enter;
mod family;
mod isolation;
pub mod keeper;
mod kernel;
mod mask;
mod outcome;
mod output;
mod pass;
mod reaper;
#[cfg_attr(not(target_os = "linux"), path = "no_rules.rs")]
mod rules;
mod secrets;
mod spaces;
mod sys;
#[cfg_attr(
    not(all(
        target_os = "linux",
        any(target_arch = "x86_64", target_arch = "aarch64")
    )),
    path = "no_tracer.rs"
)]
mod tracer;
mod user_settings;
mod wire;

pub use client::{Execution, GRACE, Keeper, Running, Stopper};
pub use deed::{Deed, recorded, traced};
pub use enter::become_program;
pub use isolation::{ActionPaths, Isolation, Spaces};
pub use kernel::Kernel;
pub use mask::SHORTEST_SECRET;
pub use outcome::{Exit, NotStarted, Outcome, Stage};
pub use user_settings::FetchEnvironment;
