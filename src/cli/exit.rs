//! Exit codes.

use std::process::ExitCode;

use crate::backup::stop::Signal;

/// How a run ended. Specification: command line 3.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// All is done.
    Success,
    /// Something failed.
    Failed,
    /// The command line or the environment can't be used.
    Usage,
    /// The copy is there, but its consistency could not be checked.
    CheckIncomplete,
    /// The copy is there and has inconsistencies.
    Inconsistent,
    /// A signal ended the run.
    Interrupted(Signal),
}

impl Exit {
    /// The number that the shell sees. Two ends share the 2, as in Neo4j's tool.
    pub fn code(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::Failed => 1,
            Self::Usage | Self::CheckIncomplete => 2,
            Self::Inconsistent => 3,
            Self::Interrupted(signal) => signal.exit_code(),
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}
