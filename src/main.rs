//! The thin binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    if arguments
        .next()
        .is_some_and(|argument| argument == mikado::process::keeper::ARGUMENT)
    {
        return mikado::process::keeper::main(arguments).into();
    }
    ExitCode::SUCCESS
}
