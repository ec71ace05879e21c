//! Home and configuration directory.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use super::exit::Exit;
use super::streams::Streams;
use crate::config::{ConfigError, Configuration, Sources};

/// What a run takes from its environment. `HEAP_SIZE`, `JAVA_OPTS`, `JAVA_HOME` and `NEO4J_DEBUG` have no effect here:
/// there is no Java Virtual Machine.
#[derive(Clone, Debug)]
pub struct Environment {
    /// `NEO4J_HOME`. Empty means unset.
    pub home: Option<OsString>,
    /// `NEO4J_CONF`. Empty means unset.
    pub conf: Option<OsString>,
    /// The running program, symbolic links resolved.
    pub executable: Option<PathBuf>,
    /// Where packages of Neo4j keep the configuration.
    pub packaged_conf: PathBuf,
}

/// Directories that exist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directories {
    /// The home directory, absolute.
    pub home: PathBuf,
    /// The directory of `neo4j.conf`, absolute. It exists if it was named; the file in it may be missing.
    pub conf: PathBuf,
}

impl Directories {
    /// What `neo4j.conf` says, and `additional`, which wins.
    pub(super) fn configuration(
        &self,
        additional: Option<&Path>,
        expand_commands: bool,
    ) -> Result<Configuration, ConfigError> {
        Configuration::load(&Sources {
            conf: &self.conf,
            home: &self.home,
            policy_home: &self.home,
            additional,
            expand_commands,
        })
    }
}

/// A variable names something that is no directory. Exit code 2.
#[derive(Debug, thiserror::Error)]
pub enum EnvironmentError {
    /// A variable is set and wrong.
    #[error("{variable} path doesn't exist or not a directory: {}", .path.display())]
    NotADirectory {
        /// `NEO4J_HOME` or `NEO4J_CONF`.
        variable: &'static str,
        /// Its value, made absolute.
        path: PathBuf,
    },
    /// There is nothing to take the home directory from.
    #[error("Required environment variable 'NEO4J_HOME' is not set")]
    NoHome,
    /// The working directory is gone.
    #[error("{variable} is relative, and the working directory can't be read: {source}")]
    NoWorkingDirectory {
        /// `NEO4J_HOME` or `NEO4J_CONF`.
        variable: &'static str,
        /// Why not.
        source: io::Error,
    },
}

impl Environment {
    /// That of the process.
    pub fn of_process() -> Self {
        Self {
            home: std::env::var_os("NEO4J_HOME"),
            conf: std::env::var_os("NEO4J_CONF"),
            executable: std::env::current_exe().ok(),
            packaged_conf: PathBuf::from("/etc/neo4j"),
        }
    }

    /// Finds the directories of a run.
    ///
    /// The home directory is `NEO4J_HOME`, else the parent of the directory that holds the program. The configuration
    /// directory is `NEO4J_CONF`, else `conf` in the home directory, else, if that is missing, the one of the packages.
    /// Neo4j's tool is started by a script that knows the latter; a program put in place of the script must find it.
    /// Only what a variable names must exist, so that a backup runs without any configuration.
    /// Specification: command line 1.2.
    pub fn directories(&self) -> Result<Directories, EnvironmentError> {
        let home = match named("NEO4J_HOME", self.home.as_ref())? {
            Some(home) => home,
            None => match self.executable.as_deref().and_then(Path::parent) {
                Some(bin) => bin.parent().unwrap_or(bin).to_owned(),
                None => return Err(EnvironmentError::NoHome),
            },
        };
        let conf = if let Some(conf) = named("NEO4J_CONF", self.conf.as_ref())? {
            conf
        } else {
            let conf = home.join("conf");
            if !conf.is_dir() && self.packaged_conf.is_dir() { self.packaged_conf.clone() } else { conf }
        };
        Ok(Directories { home, conf })
    }

    /// The same; what is wrong with them is said, and how the program ends because of it.
    pub(super) fn directories_or_say(&self, streams: &Streams) -> Result<Directories, Exit> {
        self.directories().map_err(|error| {
            streams.err.line(error);
            Exit::Usage
        })
    }
}

fn named(variable: &'static str, value: Option<&OsString>) -> Result<Option<PathBuf>, EnvironmentError> {
    let Some(value) = value.filter(|value| !value.is_empty()) else { return Ok(None) };
    let path = std::path::absolute(value)
        .map_err(|source| EnvironmentError::NoWorkingDirectory { variable, source })?;
    if path.is_dir() { Ok(Some(path)) } else { Err(EnvironmentError::NotADirectory { variable, path }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(directory: &Path) -> Environment {
        Environment {
            home: None,
            conf: None,
            executable: Some(directory.join("bin/neo4j-admin")),
            packaged_conf: directory.join("etc"),
        }
    }

    #[test]
    fn a_cron_job_without_variables_and_without_a_configuration_runs() {
        let directory = tempfile::tempdir().unwrap();
        let found = environment(directory.path()).directories().unwrap();
        assert_eq!(found.home, directory.path());
        assert_eq!(found.conf, directory.path().join("conf"));
    }

    #[test]
    fn variables_that_are_empty_count_as_unset() {
        let directory = tempfile::tempdir().unwrap();
        let empty = Some(OsString::new());
        let environment = Environment { home: empty.clone(), conf: empty, ..environment(directory.path()) };
        assert_eq!(environment.directories().unwrap().home, directory.path());
    }

    #[test]
    fn the_configuration_of_a_package_is_found() {
        let directory = tempfile::tempdir().unwrap();
        let environment = environment(directory.path());
        std::fs::create_dir(&environment.packaged_conf).unwrap();
        assert_eq!(environment.directories().unwrap().conf, environment.packaged_conf);
        std::fs::create_dir(directory.path().join("conf")).unwrap();
        assert_eq!(environment.directories().unwrap().conf, directory.path().join("conf"));
    }

    #[test]
    fn a_named_directory_must_exist() {
        let directory = tempfile::tempdir().unwrap();
        let missing = directory.path().join("missing");
        let named = Some(missing.clone().into_os_string());
        for (environment, variable) in [
            (Environment { home: named.clone(), ..environment(directory.path()) }, "NEO4J_HOME"),
            (Environment { conf: named.clone(), ..environment(directory.path()) }, "NEO4J_CONF"),
        ] {
            assert_eq!(
                environment.directories().unwrap_err().to_string(),
                format!("{variable} path doesn't exist or not a directory: {}", missing.display())
            );
        }
    }
}
