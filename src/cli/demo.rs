//! `demo`: one command that shows a backup from end to end.

use clap::Command;

use super::definition::{command, help_flag};
use super::environment::Environment;
use super::exit::Exit;
use super::streams::Streams;

/// The command and its options.
pub(super) fn definition() -> Command {
    command("demo")
        .about("Back up a small database that comes with the program.")
        .long_about(
            "Serve a small Neo4j database that comes with the program on a free port of this machine, back it up into \
             a new directory, and tell where the result lies. The exit code is that of the backup.",
        )
        .arg(help_flag())
}

/// Runs the command.
pub(super) fn run(environment: &Environment, streams: &Streams) -> Exit {
    streams.err.line(format_args!("This version has no demo yet: {environment:?}"));
    Exit::Failed
}
