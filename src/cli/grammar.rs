//! The grammar of command lines, which is that of Neo4j's tool and not the one that programs commonly have.
//!
//! A first pass takes the words apart by the definitions and notes what can't be understood; what it understood goes on
//! to `clap`, which makes typed values and defaults of it. Of two mistakes the one that stands first is reported,
//! except that words that belong to nothing come last, after options that are missing.
//! Specification: command line 1.1, 2.3, 2.4.

use std::error::Error;

use clap::parser::ValueSource;
use clap::{Arg, ArgGroup, ArgMatches, Command};

use super::argument_file;
use super::definition::{self, Kind};
use super::similar;
use super::usage::{InvalidValue, UsageError};

/// What a command line asks for.
#[derive(Debug)]
pub(super) enum Request {
    /// Nothing: only the two options that may stand anywhere, if at all.
    Nothing,
    /// The help of the program, or of one of its commands.
    Help(Option<String>),
    /// The version.
    Version,
    /// A command.
    Run(Call),
}

/// A command with its values.
#[derive(Debug)]
pub(super) struct Call {
    /// Which command.
    pub command: String,
    /// Typed values.
    pub matches: ArgMatches,
    /// Options that are on by default, stand without a value, and are off by that.
    pub switched_off: Vec<String>,
}

impl Call {
    /// The value of an option that is required or has a default.
    pub fn value<T: Clone + Send + Sync + 'static>(&self, option: &str) -> Result<T, UsageError> {
        self.optional(option).ok_or_else(|| UsageError::MissingOptions(vec![format!("--{option}")]))
    }

    /// The value of an option that may be absent.
    pub fn optional<T: Clone + Send + Sync + 'static>(&self, option: &str) -> Option<T> {
        self.matches.try_get_one(option).ok().flatten().cloned()
    }

    /// All values of an option or parameter that may have several, in their order.
    pub fn all<T: Clone + Send + Sync + 'static>(&self, option: &str) -> Vec<T> {
        self.matches
            .try_get_many(option)
            .ok()
            .flatten()
            .map(|values| values.cloned().collect())
            .unwrap_or_default()
    }

    /// Whether the command line has the option, and it is not there by default.
    pub fn is_given(&self, option: &str) -> bool {
        self.matches.value_source(option) == Some(ValueSource::CommandLine)
    }
}

/// A command line that can't be run, and the command that it was about.
#[derive(Debug)]
pub(super) struct Misuse {
    /// What is wrong.
    pub error: UsageError,
    /// The command, if there is one.
    pub command: Option<String>,
}

impl From<UsageError> for Misuse {
    fn from(error: UsageError) -> Self {
        Self { error, command: None }
    }
}

/// Understands a command line without the name of the program.
pub(super) fn understand(root: &Command, words: Vec<String>) -> Result<Request, Misuse> {
    let (words, flags) = take_flags(words)?;
    if words.is_empty() {
        return Ok(Request::Nothing);
    }
    // The flags join the end, where they must not hide what is wrong with the rest.
    let words = argument_file::expand(words)?;
    let request = understand_command(root, &words)?;
    match request {
        Request::Run(_) if !flags.is_empty() => understand_command(root, &[words, flags].concat()),
        other => Ok(other),
    }
}

/// Takes the two options that may stand anywhere, and the first `--`, after which they may not.
fn take_flags(words: Vec<String>) -> Result<(Vec<String>, Vec<String>), UsageError> {
    let (mut expand_commands, mut verbose) = (None, None);
    let mut rest = Vec::with_capacity(words.len());
    let mut words = words.into_iter();
    for word in words.by_ref() {
        let (name, value) =
            word.split_once('=').map_or((word.as_str(), None), |(name, value)| (name, Some(value)));
        let (given, label) = match name {
            "--expand-commands" => (&mut expand_commands, "<expandCommands>"),
            "--verbose" => (&mut verbose, "<verbose>"),
            "--" if value.is_none() => break,
            _ => {
                rest.push(word);
                continue;
            }
        };
        let on = value.is_none_or(|value| value.eq_ignore_ascii_case("true"));
        if let Some(value) = value.filter(|value| !on && !value.eq_ignore_ascii_case("false")) {
            let reason = format!("'{value}' is not a boolean");
            return Err(InvalidValue { option: name.to_owned(), reason }.into());
        }
        if given.replace(on).is_some() {
            return Err(UsageError::Repeated { option: name.to_owned(), label: label.to_owned() });
        }
    }
    rest.extend(words);
    let flags = [(expand_commands, "--expand-commands"), (verbose, "--verbose")];
    Ok((
        rest,
        flags
            .into_iter()
            .filter(|(given, _)| *given == Some(true))
            .map(|(_, name)| name.to_owned())
            .collect(),
    ))
}

fn understand_command(root: &Command, words: &[String]) -> Result<Request, Misuse> {
    let mut top = Level::read(root, words, 0);
    let Some((command, rest)) = top.command else {
        top.values()?;
        if let Some(request) = top.help_or_version(None) {
            return Ok(request);
        }
        top.check_unmatched()?;
        return Err(UsageError::MissingCommand.into());
    };
    let name = command.get_name();
    let misuse = |error| Misuse { error, command: Some(name.to_owned()) };
    let mut level = Level::read(command, words, rest);
    top.values()?;
    let matches = level.values().map_err(misuse)?;
    if let Some(request) = top.help_or_version(None).or_else(|| level.help_or_version(Some(name))) {
        return Ok(request);
    }
    if name == "help" {
        return help_about(root, &level);
    }
    level.check_required().map_err(misuse)?;
    level.check_unmatched().map_err(misuse)?;
    top.check_unmatched()?;
    level.check_choices().map_err(misuse)?;
    let switched_off = level.given.iter().filter(|given| given.switches_off());
    let switched_off = switched_off.map(|given| definition::name(given.option)).collect();
    Ok(Request::Run(Call { command: name.to_owned(), matches, switched_off }))
}

/// `help <command>`: words that look like options and words after the first one mean nothing.
fn help_about(root: &Command, level: &Level) -> Result<Request, Misuse> {
    let about = level.unmatched.iter().map(|(_, word)| word).find(|word| !resembles_option(word));
    match about {
        None => Ok(Request::Help(None)),
        Some(about) if root.find_subcommand(about).is_some() => Ok(Request::Help(Some(about.clone()))),
        Some(about) => Err(UsageError::UnknownCommand(about.clone()).into()),
    }
}

/// The words of one command, up to the name of a command below it.
struct Level<'d> {
    definition: &'d Command,
    given: Vec<Given<'d>>,
    unmatched: Vec<(usize, String)>,
    command: Option<(&'d Command, usize)>,
    /// Where understanding ended.
    failure: Option<UsageError>,
}

struct Given<'d> {
    option: &'d Arg,
    value: Option<String>,
}

impl Given<'_> {
    fn switches_off(&self) -> bool {
        definition::kind(self.option) == Kind::Switch
            && self.value.is_none()
            && definition::default(self.option) == Some("true")
    }
}

impl<'d> Level<'d> {
    fn read(definition: &'d Command, words: &[String], start: usize) -> Self {
        let mut level =
            Self { definition, given: Vec::new(), unmatched: Vec::new(), command: None, failure: None };
        let mut rest = words.iter().enumerate().skip(start).peekable();
        while let Some((position, word)) = rest.next() {
            if word == "--" {
                rest.for_each(|(position, word)| level.take_parameter(position, word));
                break;
            }
            if let Some(command) = definition.find_subcommand(word) {
                level.command = Some((command, position + 1));
                break;
            }
            let taken = match level.find(word) {
                Some((option, attached)) => {
                    let taken = level.take(option, attached, || rest.next().map(|(_, word)| word.as_str()));
                    if taken.is_ok() && definition::kind(option) == Kind::Words {
                        while let Some((_, word)) = rest.next_if(|(_, word)| level.continues(word)) {
                            level.given.push(Given { option, value: Some(word.clone()) });
                        }
                    }
                    taken
                }
                None => level.take_cluster(position, word),
            };
            if let Err(failure) = taken {
                level.failure = Some(failure);
                break;
            }
        }
        level
    }

    /// The option that a word names, and the value that is attached to it.
    fn find<'w>(&self, word: &'w str) -> Option<(&'d Arg, Option<&'w str>)> {
        let named = |name: &str| {
            self.definition.get_arguments().find(|option| match name.strip_prefix("--") {
                Some(long) => option.get_long() == Some(long),
                None => name.strip_prefix('-').is_some_and(|short| is_short(option, short)),
            })
        };
        let attached = || word.split_once('=').and_then(|(name, value)| Some((named(name)?, Some(value))));
        named(word).map(|option| (option, None)).or_else(attached)
    }

    fn take<'w>(
        &mut self,
        option: &'d Arg,
        attached: Option<&'w str>,
        next: impl FnOnce() -> Option<&'w str>,
    ) -> Result<(), UsageError> {
        let name = || definition::name(option);
        let label = || definition::label(option);
        let value = match definition::kind(option) {
            Kind::Flag => match attached {
                Some(value) => {
                    let value = value.to_owned();
                    return Err(UsageError::UnwantedParameter { option: name(), label: label(), value });
                }
                None => None,
            },
            Kind::Switch => attached,
            Kind::Value | Kind::Words => Some(
                attached
                    .or_else(next)
                    .ok_or_else(|| UsageError::MissingParameter { option: name(), label: label() })?,
            ),
        };
        if let Some(found) = value.filter(|value| self.is_option(value)) {
            return Err(UsageError::ExpectedParameter { option: name(), found: found.to_owned() });
        }
        let may_repeat =
            definition::kind(option) == Kind::Words || definition::is_choice(self.definition, option);
        let repeated = !may_repeat && self.gives(option.get_id().as_str());
        // The value counts, too: if it is wrong, that is reported and not the repetition.
        self.given.push(Given { option, value: value.map(str::to_owned) });
        if repeated { Err(UsageError::Repeated { option: name(), label: label() }) } else { Ok(()) }
    }

    /// Whether a word behind a value is a further one.
    fn continues(&self, word: &str) -> bool {
        !self.is_option(word) && self.definition.find_subcommand(word).is_none()
    }

    /// Gives a word to the first parameter that has room for it.
    fn take_parameter(&mut self, position: usize, word: &str) {
        let parameter = self
            .definition
            .get_positionals()
            .find(|parameter| definition::takes_all(parameter) || !self.gives(parameter.get_id().as_str()));
        match parameter {
            Some(option) => self.given.push(Given { option, value: Some(word.to_owned()) }),
            None => self.unmatched.push((position, word.to_owned())),
        }
    }

    /// `-hV` is `-h -V`. What is no option, or is none any more, is not understood.
    fn take_cluster(&mut self, position: usize, word: &str) -> Result<(), UsageError> {
        let mut cluster = word.strip_prefix('-').unwrap_or_default();
        let mut understood = false;
        while let Some(letter) = cluster.chars().next() {
            let (short, rest) = cluster.split_at(letter.len_utf8());
            let Some(option) = self.definition.get_arguments().find(|option| is_short(option, short)) else {
                break;
            };
            understood = true;
            cluster = rest;
            let attached = rest.strip_prefix('=');
            self.take(option, attached, || None)?;
            if attached.is_some() {
                cluster = "";
            }
        }
        if !understood && !resembles_option(word) {
            self.take_parameter(position, word);
        } else if !understood {
            self.unmatched.push((position, word.to_owned()));
        } else if !cluster.is_empty() {
            self.unmatched.push((position, format!("-{cluster}")));
        }
        Ok(())
    }

    /// Whether a word can't be a value because it is an option of Neo4j's tool, or ends the options.
    fn is_option(&self, word: &str) -> bool {
        word == "--" || self.find(word).is_some_and(|(option, _)| !definition::is_additional(option))
    }

    /// The typed values, or the first mistake.
    fn values(&mut self) -> Result<ArgMatches, UsageError> {
        let (parameters, options): (Vec<_>, Vec<_>) =
            self.given.iter().partition(|given| given.option.is_positional());
        let options = options.into_iter().map(|given| match &given.value {
            Some(value) => format!("{}={value}", definition::name(given.option)),
            None => definition::name(given.option),
        });
        let parameters = parameters.into_iter().filter_map(|given| given.value.clone());
        let words = options.chain(["--".to_owned()]).chain(parameters);
        // What is required is checked here, after all that was given.
        let mut definition =
            self.definition.clone().args_override_self(true).mut_args(|option| option.required(false));
        for choice in self.definition.get_groups() {
            definition =
                definition.mut_group(choice.get_id(), |choice| choice.required(false).multiple(true));
        }
        let matches = definition.try_get_matches_from(words).map_err(|error| {
            match error.source().and_then(|source| source.downcast_ref::<InvalidValue>()) {
                Some(invalid) => UsageError::InvalidValue(invalid.clone()),
                None => UsageError::Refused(error),
            }
        })?;
        self.failure.take().map_or(Ok(matches), Err)
    }

    fn gives(&self, id: &str) -> bool {
        self.given.iter().any(|given| given.option.get_id() == id)
    }

    fn help_or_version(&self, command: Option<&str>) -> Option<Request> {
        if self.gives("help") {
            Some(Request::Help(command.map(str::to_owned)))
        } else if self.gives("version") {
            Some(Request::Version)
        } else {
            None
        }
    }

    fn check_required(&self) -> Result<(), UsageError> {
        let is_missing = |option: &&Arg| option.is_required_set() && !self.gives(option.get_id().as_str());
        let missing: Vec<String> = self
            .definition
            .get_opts()
            .filter(is_missing)
            .map(|option| format!("{}={}", definition::name(option), definition::label(option)))
            .collect();
        if !missing.is_empty() {
            return Err(UsageError::MissingOptions(missing));
        }
        match self.definition.get_positionals().find(is_missing) {
            Some(parameter) => Err(UsageError::MissingPositional(definition::label(parameter))),
            None => Ok(()),
        }
    }

    /// Of options that exclude each other there must be one, once.
    fn check_choices(&self) -> Result<(), UsageError> {
        self.definition.get_groups().try_for_each(|choice| self.check_choice(choice))
    }

    fn check_choice(&self, choice: &ArgGroup) -> Result<(), UsageError> {
        let options: Vec<&Arg> = definition::choices(self.definition, choice).collect();
        let labels = |options: &[&Arg]| {
            let labels = options
                .iter()
                .map(|option| format!("{}={}", definition::name(option), definition::label(option)));
            labels.collect()
        };
        let there: Vec<&Arg> =
            options.iter().copied().filter(|option| self.gives(option.get_id().as_str())).collect();
        match there.as_slice() {
            [] if choice.is_required_set() => Err(UsageError::MissingChoice(labels(&options))),
            [] => Ok(()),
            [option] => {
                let given = self.given.iter().filter(|given| given.option.get_id() == option.get_id());
                let given: Vec<_> = given
                    .map(|given| {
                        format!("{}={}", definition::name(option), given.value.as_deref().unwrap_or_default())
                    })
                    .collect();
                if given.len() == 1 {
                    return Ok(());
                }
                Err(UsageError::RepeatedChoice { choice: labels(&options), given })
            }
            several => Err(UsageError::Exclusive(labels(several))),
        }
    }

    fn check_unmatched(&self) -> Result<(), UsageError> {
        let Some((index, first)) = self.unmatched.first() else { return Ok(()) };
        let words = self.unmatched.iter().map(|(_, word)| word.clone()).collect();
        if resembles_option(first) {
            return Err(UsageError::UnknownOptions { words, solutions: self.solutions(first) });
        }
        let commands = similar::most_similar(first, self.definition.get_subcommands().map(Command::get_name));
        let commands = commands.into_iter().map(str::to_owned).collect();
        Err(UsageError::Unmatched { words, index: *index, commands })
    }

    /// Options that begin with the same two letters.
    fn solutions(&self, word: &str) -> Vec<String> {
        let begin: String = word.trim_start_matches(|c: char| !is_identifier(c)).chars().take(2).collect();
        let options = self
            .definition
            .get_arguments()
            .filter(|option| !definition::is_additional(option) && !option.is_positional());
        let names = options.flat_map(|option| {
            let short = option.get_short().map(|short| format!("-{short}"));
            short.into_iter().chain([definition::name(option)])
        });
        names.filter(|name| !begin.is_empty() && name.trim_start_matches('-').starts_with(&begin)).collect()
    }
}

fn is_short(option: &Arg, name: &str) -> bool {
    option.get_short().is_some_and(|short| name.strip_prefix(short) == Some(""))
}

fn is_identifier(character: char) -> bool {
    character.is_alphanumeric() || matches!(character, '_' | '$')
}

/// Whether a word that is no option was meant to be one: it begins with a dash and is no number.
fn resembles_option(word: &str) -> bool {
    word.len() > 1 && word.starts_with('-') && !is_number(word)
}

/// Whether Java reads a number in the word: an integer with its prefix, or a floating point number.
fn is_number(word: &str) -> bool {
    let digits = word.strip_prefix('-').unwrap_or(word);
    let hexadecimal = ["0x", "0X", "#"].into_iter().find_map(|prefix| digits.strip_prefix(prefix));
    if hexadecimal.is_some_and(|digits| i64::from_str_radix(digits, 16).is_ok_and(|number| number >= 0)) {
        return true;
    }
    let number = digits.trim_end_matches(|c: char| c <= ' ');
    if matches!(number, "NaN" | "Infinity") {
        return true;
    }
    let number = number.strip_suffix(['d', 'D', 'f', 'F']).unwrap_or(number);
    number.starts_with(|c: char| c.is_ascii_digit() || c == '.') && number.parse::<f64>().is_ok()
}
