//! Values that a program prints: `$(...)`.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

/// What a command may print, in bytes.
const OUTPUT_LIMIT: u64 = 1 << 20;

/// A `$(...)` gave no value. The texts are Neo4j's own, except where a variant says otherwise.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// Commands are not allowed in this run.
    #[error(
        "{0} is a command, but config is not explicitly told to expand it. (Missing --expand-commands argument?)"
    )]
    NotAllowed(String),
    /// Nothing but blanks between the parentheses (our text).
    #[error("{0} names no command")]
    Empty(String),
    /// The program cannot be started.
    #[error("Cannot run program \"{program}\": {source}")]
    Start {
        /// The first word.
        program: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The program ended in failure.
    #[error("Command `{command}` failed with exit code {code}.\n{output}")]
    Failed {
        /// The text between the parentheses.
        command: String,
        /// Its exit code; 128 + signal if a signal ended it.
        code: i32,
        /// Its standard output, a line break, and its standard error; the latter alone if the value is a secret.
        output: String,
    },
    /// The program took too long.
    #[error("Timed out executing command `{0}`")]
    TimedOut(String),
    /// The program printed more than 1 MiB (our text).
    #[error("Command `{0}` printed more than 1 MiB")]
    TooMuchOutput(String),
}

/// A file may not be used while commands are expanded. The texts are Neo4j's own.
#[derive(Debug, thiserror::Error)]
pub enum PermissionError {
    /// Others could change or read the file.
    #[error(
        "{} does not have the correct file permissions to evaluate commands. Has [{has}], requires at most \
         [OWNER_READ, OWNER_WRITE, GROUP_READ].",
        file.display()
    )]
    TooWide {
        /// The file.
        file: PathBuf,
        /// The permissions that it has, in Java's words.
        has: String,
    },
    /// The permissions cannot be seen.
    #[error("Unable to access file permissions for {}", file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

/// Java's names of the nine permission bits, from the highest on.
const PERMISSIONS: [(u32, &str); 9] = [
    (0o400, "OWNER_READ"),
    (0o200, "OWNER_WRITE"),
    (0o100, "OWNER_EXECUTE"),
    (0o040, "GROUP_READ"),
    (0o020, "GROUP_WRITE"),
    (0o010, "GROUP_EXECUTE"),
    (0o004, "OTHERS_READ"),
    (0o002, "OTHERS_WRITE"),
    (0o001, "OTHERS_EXECUTE"),
];

/// Refuses a file whose permission bits are not a subset of `rw-r-----`.
pub fn check_permissions(path: &Path, file: &File) -> Result<(), PermissionError> {
    let metadata =
        file.metadata().map_err(|source| PermissionError::Unreadable { file: path.to_owned(), source })?;
    let mode = metadata.permissions().mode() & 0o777;
    if mode & !0o640 == 0 {
        return Ok(());
    }
    let has: Vec<&str> =
        PERMISSIONS.iter().filter(|(bit, _)| mode & bit != 0).map(|(_, name)| *name).collect();
    Err(PermissionError::TooWide { file: path.to_owned(), has: has.join(", ") })
}

/// The text between the parentheses, if the whole value is a command.
pub fn command_of(value: &str) -> Option<&str> {
    let value = super::value::trim(value);
    value.strip_prefix("$(")?.strip_suffix(')').filter(|command| !command.is_empty())
}

/// What commands may do.
#[derive(Clone, Copy, Debug)]
pub struct Expansion {
    /// Whether they are run at all.
    pub allowed: bool,
    /// How long each of them may take.
    pub timeout: Duration,
}

impl Expansion {
    /// The value itself, or what its command prints, without the last line end. `secret`: what the command prints is
    /// kept out of errors.
    ///
    /// Specification: command line 5.6.
    pub fn expand<'a>(&self, value: &'a str, secret: bool) -> Result<Cow<'a, str>, CommandError> {
        match command_of(value) {
            None => Ok(Cow::Borrowed(value)),
            Some(_) if !self.allowed => Err(CommandError::NotAllowed(value.to_owned())),
            Some(command) => run(command, self.timeout, secret).map(Cow::Owned),
        }
    }
}

/// Runs a command directly, without a shell and without input.
fn run(command: &str, timeout: Duration, secret: bool) -> Result<String, CommandError> {
    let deadline = Instant::now() + timeout;
    let words = split(command);
    let (program, arguments) =
        words.split_first().ok_or_else(|| CommandError::Empty(format!("$({command})")))?;
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|source| CommandError::Start { program: program.clone(), source })?;
    let result = finish(&mut child, command, deadline, secret);
    if result.is_err() {
        // It may have ended already; what it failed with is the result either way.
        let _ = child.kill();
        let _ = child.wait();
    }
    result
}

fn finish(child: &mut Child, command: &str, deadline: Instant, secret: bool) -> Result<String, CommandError> {
    let stdout = collect(child.stdout.take());
    let stderr = collect(child.stderr.take());
    let timed_out = || CommandError::TimedOut(command.to_owned());
    let mut streams = [String::new(), String::new()];
    for (stream, text) in [stdout, stderr].iter().zip(&mut streams) {
        let bytes = match stream.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(bytes) => bytes,
            Err(RecvTimeoutError::Timeout) => return Err(timed_out()),
            Err(RecvTimeoutError::Disconnected) => Vec::new(),
        };
        if bytes.len() as u64 > OUTPUT_LIMIT {
            return Err(CommandError::TooMuchOutput(command.to_owned()));
        }
        *text = String::from_utf8_lossy(&bytes).lines().collect::<Vec<_>>().join("\n");
    }
    let [output, errors] = streams;
    // Both streams are closed, so in all likelihood it has ended.
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if Instant::now() < deadline => thread::sleep(Duration::from_millis(2)),
            Ok(None) => return Err(timed_out()),
            Err(source) => return Err(CommandError::Start { program: command.to_owned(), source }),
        }
    };
    if status.success() {
        return Ok(output);
    }
    let code = status.code().or(status.signal().map(|signal| 128 + signal)).unwrap_or(-1);
    let output = if secret { errors } else { format!("{output}\n{errors}") };
    Err(CommandError::Failed { command: command.to_owned(), code, output })
}

/// Reads a stream to its end, or to the limit, in the background.
fn collect(stream: Option<impl Read + Send + 'static>) -> Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel();
    if let Some(stream) = stream {
        thread::spawn(move || {
            let mut bytes = Vec::new();
            // A stream that breaks has ended; the exit code tells the rest.
            let _ = stream.take(OUTPUT_LIMIT + 1).read_to_end(&mut bytes);
            let _ = sender.send(bytes);
        });
    }
    receiver
}

/// Words between blanks. A word that begins with `'` or `"` goes on to the next such quote, blanks included; a doubled
/// quote inside stands for one. Quotes elsewhere, backslashes and `$` mean nothing; empty words are dropped.
fn split(command: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut characters = command.chars().peekable();
    while let Some(first) = characters.next() {
        if first.is_ascii_whitespace() {
            continue;
        }
        let mut word = String::new();
        let quote = Some(first).filter(|first| matches!(first, '\'' | '"'));
        let mut quoted = quote.is_some();
        if !quoted {
            word.push(first);
        }
        while let Some(c) = characters.next_if(|c| quoted || !c.is_ascii_whitespace()) {
            let is_doubled = quoted && Some(c) == quote && characters.next_if_eq(&c).is_some();
            if Some(c) != quote || is_doubled {
                word.push(c);
            } else {
                quoted = !quoted;
            }
        }
        if !word.is_empty() {
            words.push(word);
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALLOWED: Expansion = Expansion { allowed: true, timeout: Duration::from_secs(30) };

    fn error(value: &str) -> String {
        ALLOWED.expand(value, false).unwrap_err().to_string()
    }

    #[test]
    fn only_a_whole_value_is_a_command() {
        assert_eq!(command_of(" $(echo 1) "), Some("echo 1"));
        for value in ["$()", "$(a", "$(echo 1)G", "x$(echo)", "", "$"] {
            assert_eq!(command_of(value), None, "{value:?}");
            assert_eq!(ALLOWED.expand(value, false).unwrap(), value);
        }
    }

    #[test]
    fn a_command_needs_the_permission_of_the_caller() {
        let expansion = Expansion { allowed: false, ..ALLOWED };
        assert_eq!(
            expansion.expand("$(echo 1G)", false).unwrap_err().to_string(),
            "$(echo 1G) is a command, but config is not explicitly told to expand it. (Missing --expand-commands \
             argument?)"
        );
    }

    #[test]
    fn words_are_those_of_the_original() {
        for (command, words) in [
            ("a'b c'd", vec!["a'b", "c'd"]),
            ("\"a 'b' c\"", vec!["a 'b' c"]),
            ("'a''b'", vec!["a'b"]),
            ("\"a\"\"b\"", vec!["a\"b"]),
            ("a\\ b", vec!["a\\", "b"]),
            ("'a\\'b'", vec!["a\\b"]),
            ("'' x", vec!["x"]),
            (" a\t b ", vec!["a", "b"]),
            ("a\"b", vec!["a\"b"]),
            ("'a b' c", vec!["a b", "c"]),
            ("\"a b", vec!["a b"]),
            ("$HOME * a|b ;x", vec!["$HOME", "*", "a|b", ";x"]),
            (" ", vec![]),
        ] {
            assert_eq!(split(command), words, "{command:?}");
        }
    }

    #[test]
    fn lines_are_joined_and_the_last_line_end_goes() {
        for (command, value) in [
            ("$(echo 1G)", "1G"),
            ("$(printf '1G\\n\\n')", "1G\n"),
            ("$(printf 'a\\r\\nb')", "a\nb"),
            ("$(echo '$(echo 2G)')", "$(echo 2G)"),
            ("$(sh -c 'echo a; echo warning >&2')", "a"),
            ("$(cat)", ""),
        ] {
            assert_eq!(ALLOWED.expand(command, false).unwrap(), value, "{command}");
        }
    }

    #[test]
    fn a_failing_command_tells_what_it_printed() {
        assert_eq!(error("$(false)"), "Command `false` failed with exit code 1.\n\n");
        assert_eq!(
            error("$(sh -c 'echo out; echo err >&2; exit 3')"),
            "Command `sh -c 'echo out; echo err >&2; exit 3'` failed with exit code 3.\nout\nerr"
        );
        assert_eq!(
            error("$(sh -c 'kill -9 $$')"),
            "Command `sh -c 'kill -9 $$'` failed with exit code 137.\n\n"
        );
        assert_eq!(error("$( )"), "$( ) names no command");
        assert!(error("$(no-such-program x)").starts_with("Cannot run program \"no-such-program\": "));
    }

    #[test]
    fn a_failing_command_does_not_tell_a_secret() {
        let secret = ALLOWED.expand("$(sh -c 'echo geheim; echo reason >&2; exit 3')", true).unwrap_err();
        assert!(matches!(&secret, CommandError::Failed { output, .. } if output == "reason"), "{secret}");
    }

    #[test]
    fn a_command_that_hangs_is_ended() {
        let expansion = Expansion { timeout: Duration::from_millis(50), ..ALLOWED };
        let start = Instant::now();
        for command in ["$(sleep 5)", "$(sh -c 'exec >&- 2>&-; sleep 5')", "$(sh -c 'sleep 5 & exit 0')"] {
            let message = expansion.expand(command, false).unwrap_err().to_string();
            assert_eq!(message, format!("Timed out executing command `{}`", command_of(command).unwrap()));
        }
        assert!(start.elapsed() < Duration::from_secs(5));
    }

    #[test]
    fn endless_output_is_cut_off() {
        assert_eq!(error("$(yes)"), "Command `yes` printed more than 1 MiB");
    }

    #[test]
    fn files_that_others_may_read_or_change_are_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("neo4j.conf");
        let file = File::create(&path).unwrap();
        for (mode, has) in [
            (0o640, None),
            (0o600, None),
            (0o400, None),
            (0o644, Some("OWNER_READ, OWNER_WRITE, GROUP_READ, OTHERS_READ")),
            (0o660, Some("OWNER_READ, OWNER_WRITE, GROUP_READ, GROUP_WRITE")),
            (0o700, Some("OWNER_READ, OWNER_WRITE, OWNER_EXECUTE")),
        ] {
            file.set_permissions(std::fs::Permissions::from_mode(mode)).unwrap();
            let expected = has.map(|has| {
                format!(
                    "{} does not have the correct file permissions to evaluate commands. Has [{has}], requires at \
                     most [OWNER_READ, OWNER_WRITE, GROUP_READ].",
                    path.display()
                )
            });
            assert_eq!(check_permissions(&path, &file).err().map(|error| error.to_string()), expected);
        }
    }
}
