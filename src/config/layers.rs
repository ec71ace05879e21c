//! Configuration files: reading them, one upon the other.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::ConfigError;
use super::command::{self, Expansion};
use super::policy;
use super::properties;
use super::setting::{self, DESCRIPTIONS, Setting};

/// Size of the largest configuration file that is read, in bytes.
const FILE_LIMIT: u64 = 16 << 20;

/// Where a setting stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The file.
    pub file: PathBuf,
    /// The line, from 1 on; none in a file that is a single value.
    pub line: Option<usize>,
}

/// Where a reader finds it: ` (line 7)`, or nothing where the file says all.
impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.line.map_or(Ok(()), |line| write!(f, " (line {line})"))
    }
}

/// A setting as it was written.
#[derive(Clone, Debug)]
struct Raw {
    value: String,
    origin: Origin,
}

/// Why a configuration cannot be used; [`ConfigError`] adds where.
#[derive(Debug, thiserror::Error)]
pub enum Reason {
    /// A file cannot be read.
    #[error("cannot read {what}: {source}")]
    Unreadable {
        /// The file, or what of it.
        what: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A file is far too large.
    #[error("the file has more than 16 MiB")]
    TooLarge,
    /// Wrong escape.
    #[error(transparent)]
    Syntax(#[from] properties::MalformedEscape),
    /// Commands are to be expanded, and others may change or read the file.
    #[error(transparent)]
    Permissions(#[from] command::PermissionError),
    /// There is no such setting, and that is an error by `dbms.config.strict_validation`.
    #[error("Unrecognized setting. No declared setting with name: {0}")]
    Unrecognized(String),
    /// A name that ends where the name of a policy should be; an error by `dbms.config.strict_validation`.
    #[error("Malformed group setting name: '{0}', does not match any setting in its group.")]
    Malformed(String),
    /// Not a value of the setting's type.
    #[error("Error evaluating value for setting '{setting}'. {source}")]
    Value {
        /// Name of the setting.
        setting: &'static str,
        /// What is wrong.
        #[source]
        source: super::value::ValueError,
    },
    /// A command gave no value.
    #[error("Error evaluating value for setting '{setting}'. {source}")]
    Command {
        /// Name of the setting.
        setting: &'static str,
        /// What is wrong.
        #[source]
        source: command::CommandError,
    },
}

/// All settings of all files, later ones in place of earlier ones.
#[derive(Debug, Default)]
pub(super) struct Layers {
    values: BTreeMap<String, Raw>,
    /// What the original writes to a log that nobody sees.
    pub(super) warnings: Vec<String>,
}

impl Layers {
    /// Adds a file, or a directory with one file per setting. Returns whether there is one.
    ///
    /// `expand`: commands will be run, so that others must not be able to write to the files.
    pub(super) fn add(&mut self, path: &Path, expand: bool) -> Result<bool, ConfigError> {
        let unreadable = |source| ConfigError {
            origin: Origin { file: path.to_owned(), line: None },
            reason: Reason::Unreadable { what: "it".to_owned(), source },
        };
        match path.metadata() {
            Ok(metadata) if metadata.is_dir() => {
                self.add_directory(path, expand, &unreadable)?;
                Ok(true)
            }
            Ok(_) => {
                self.add_file(path, expand)?;
                Ok(true)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(unreadable(error)),
        }
    }

    fn add_file(&mut self, path: &Path, expand: bool) -> Result<(), ConfigError> {
        let bytes = read(path, expand)?;
        let entries = properties::parse(&bytes).map_err(|error| ConfigError {
            origin: Origin { file: path.to_owned(), line: Some(error.line) },
            reason: error.into(),
        })?;
        for entry in entries {
            let origin = Origin { file: path.to_owned(), line: Some(entry.line) };
            self.set(entry.key, entry.value, origin);
        }
        Ok(())
    }

    /// Visible regular files; their names are keys, their whole contents values, but for a last line end.
    fn add_directory(
        &mut self,
        path: &Path,
        expand: bool,
        unreadable: &dyn Fn(io::Error) -> ConfigError,
    ) -> Result<(), ConfigError> {
        let mut files = Vec::new();
        for entry in path.read_dir().map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            // Through links: mounted secrets are links into a hidden directory.
            if !name.starts_with('.') && entry.path().is_file() {
                files.push((name, entry.path()));
            }
        }
        files.sort();
        for (name, file) in files {
            let bytes = read(&file, expand)?;
            let text = String::from_utf8(bytes).map_err(|error| ConfigError {
                origin: Origin { file: file.clone(), line: None },
                reason: Reason::Unreadable {
                    what: "it as UTF-8".to_owned(),
                    source: io::Error::new(io::ErrorKind::InvalidData, error.utf8_error()),
                },
            })?;
            let text = text.strip_suffix('\n').map_or(text.as_str(), |t| t.strip_suffix('\r').unwrap_or(t));
            self.set(name, text.to_owned(), Origin { file, line: None });
        }
        Ok(())
    }

    fn set(&mut self, key: String, value: String, origin: Origin) {
        if let Some(old) = self.values.get_mut(&key) {
            if key == "dbms.jvm.additional" {
                old.value.push('\n');
                old.value.push_str(&value);
                return;
            }
            let shown =
                |value: &str| if is_secret(&key) { "################".to_owned() } else { value.to_owned() };
            self.warnings.push(format!(
                "The '{key}' setting is overridden. Setting value changed from '{}' to '{}'.",
                shown(&old.value),
                shown(&value)
            ));
        }
        self.values.insert(key, Raw { value, origin });
    }

    /// The value of a setting, if a file has it.
    pub(super) fn get<T>(
        &self,
        setting: &Setting<T>,
        expansion: &Expansion,
    ) -> Result<Option<T>, ConfigError> {
        let description = setting.description;
        let Some(raw) = self.values.get(description.name) else {
            return Ok(None);
        };
        let failed = |reason| ConfigError { origin: raw.origin.clone(), reason };
        let text = expansion
            .expand(&raw.value, description.secret)
            .map_err(|source| failed(Reason::Command { setting: description.name, source }))?;
        let value = setting
            .read(&text)
            .map_err(|source| failed(Reason::Value { setting: description.name, source }))?;
        Ok(Some(value))
    }

    /// The value of a setting, or its default.
    pub(super) fn get_or_default<T>(
        &self,
        setting: &Setting<T>,
        expansion: &Expansion,
    ) -> Result<T, ConfigError> {
        let description = setting.description;
        match self.get(setting, expansion)? {
            Some(value) => Ok(value),
            None => setting.read(description.default).map_err(|source| ConfigError {
                origin: Origin { file: PathBuf::from("built-in defaults"), line: None },
                reason: Reason::Value { setting: description.name, source },
            }),
        }
    }

    /// Looks for settings that Neo4j does not have: an error if `strict`, else a warning.
    pub(super) fn check_names(&mut self, strict: bool) -> Result<(), ConfigError> {
        for (name, raw) in &self.values {
            let Some(reason) = wrong_name(name) else {
                continue;
            };
            if strict {
                return Err(ConfigError { origin: raw.origin.clone(), reason });
            }
            self.warnings.push(reason.to_string());
        }
        Ok(())
    }

    /// Names in the group of the policy `backup` that are not in lower case. Neo4j knows such a policy, and takes none
    /// of its values.
    pub(super) fn misspelt_policies(&self) -> impl Iterator<Item = (&str, &Origin)> {
        self.values.iter().filter_map(|(name, raw)| {
            let (policy, _) = name.strip_prefix(policy::GROUP)?.split_once('.')?;
            let is_misspelt = policy != "backup" && policy.eq_ignore_ascii_case("backup");
            is_misspelt.then_some((name.as_str(), &raw.origin))
        })
    }
}

fn wrong_name(name: &str) -> Option<Reason> {
    if let Some(rest) = name.strip_prefix(policy::GROUP) {
        let policy = rest.split('.').next().unwrap_or_default();
        return if policy.is_empty() {
            Some(Reason::Malformed(name.to_owned()))
        } else if policy::POLICIES.iter().any(|known| known.eq_ignore_ascii_case(policy)) {
            None
        } else {
            Some(Reason::Unrecognized(name.to_owned()))
        };
    }
    (!setting::is_known(name)).then(|| Reason::Unrecognized(name.to_owned()))
}

fn is_secret(key: &str) -> bool {
    key.contains("password") || DESCRIPTIONS.iter().any(|known| known.secret && known.name == key)
}

/// A file's bytes.
fn read(path: &Path, expand: bool) -> Result<Vec<u8>, ConfigError> {
    let failed = |reason| ConfigError { origin: Origin { file: path.to_owned(), line: None }, reason };
    let unreadable = |source| failed(Reason::Unreadable { what: "it".to_owned(), source });
    let file = File::open(path).map_err(unreadable)?;
    if expand {
        command::check_permissions(path, &file).map_err(|error| failed(error.into()))?;
    }
    let mut bytes = Vec::new();
    file.take(FILE_LIMIT + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > FILE_LIMIT {
        return Err(failed(Reason::TooLarge));
    }
    Ok(bytes)
}
