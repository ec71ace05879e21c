//! Process entry.

use std::process::ExitCode;

use neo4j_admin::cli::{self, environment::Environment, streams::Streams};

fn main() -> ExitCode {
    cli::run(std::env::args_os().skip(1), &Environment::of_process(), &Streams::of_process()).into()
}
