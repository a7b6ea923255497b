//! The thin binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    // The keeper of processes is this program again, and has to stay small.
    if arguments
        .next()
        .is_some_and(|argument| argument == mikado::process::keeper::ARGUMENT)
    {
        return mikado::process::keeper::main(arguments).into();
    }
    mikado::cli::main(std::env::args_os()).into()
}
