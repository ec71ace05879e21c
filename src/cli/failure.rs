//! Errors as an operator sees them.

use std::error::Error;
use std::iter;

use super::streams::Stream;

/// What stands behind a short message about the configuration.
pub(super) const ASK_FOR_MORE: &str = "Run with '--verbose' for a more detailed error message.";

/// Writes an error: one line with its root cause, or with `verbose` the whole chain, one line each.
pub fn report(err: &Stream, prefix: &str, error: &(dyn Error + 'static), verbose: bool) {
    if verbose {
        let mut lead = "";
        for cause in chain(error) {
            err.line(format_args!(
                "{lead}{}",
                if lead.is_empty() { format!("{prefix}{cause}") } else { cause.to_string() }
            ));
            lead = "Caused by: ";
        }
    } else {
        err.line(format_args!("{prefix}{}", root_cause(error)));
    }
}

/// Writes why a command ended. Of the configuration the outermost text says enough, with a word where there is more.
pub(super) fn report_of_command(
    err: &Stream,
    error: &(dyn Error + 'static),
    of_configuration: bool,
    verbose: bool,
) {
    if of_configuration && !verbose {
        err.line(error);
        err.line(ASK_FOR_MORE);
    } else {
        report(err, "", error, verbose);
    }
}

/// The text of the innermost cause that is ours, and what the system or a library said below it.
///
/// Neo4j's tool shows the innermost cause of all, which for a system error names neither peer nor step, and for
/// some is the word `null`. Specification: command line 3.1, 3.5.
pub fn root_cause(error: &(dyn Error + 'static)) -> String {
    let causes: Vec<_> = chain(error).collect();
    let ours = causes
        .iter()
        .rposition(|cause| !is_foreign(*cause) && !cause.to_string().trim().is_empty())
        .unwrap_or(0);
    let mut text = String::new();
    for cause in causes.iter().skip(ours) {
        let cause = cause.to_string();
        // Many errors repeat their source in their own text.
        if text.contains(cause.trim()) {
            continue;
        }
        if !text.is_empty() {
            text.push_str(": ");
        }
        text.push_str(&cause);
    }
    text
}

fn chain<'e>(error: &'e (dyn Error + 'static)) -> impl Iterator<Item = &'e (dyn Error + 'static)> {
    iter::successors(Some(error), |error: &&'e (dyn Error + 'static)| (*error).source())
}

fn is_foreign(error: &(dyn Error + 'static)) -> bool {
    error.is::<std::io::Error>() || error.is::<rustls::Error>()
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;
    use crate::cli::testing::captured;

    #[derive(Debug, thiserror::Error)]
    enum Story {
        #[error("backup of neo4j")]
        Outer(#[source] Box<Story>),
        #[error("db1:6362 closed the connection during the handshake")]
        Closed(#[source] io::Error),
        #[error("db1:6362 answered: {0}")]
        Repeating(#[source] io::Error),
        #[error("")]
        Mute,
    }

    fn refused() -> io::Error {
        io::Error::new(io::ErrorKind::ConnectionRefused, "Connection refused")
    }

    #[test]
    fn the_line_names_the_step_and_what_the_system_said() {
        for (error, text) in [
            (
                Story::Outer(Box::new(Story::Closed(refused()))),
                "db1:6362 closed the connection during the handshake: Connection refused",
            ),
            (Story::Outer(Box::new(Story::Repeating(refused()))), "db1:6362 answered: Connection refused"),
            (Story::Outer(Box::new(Story::Mute)), "backup of neo4j"),
        ] {
            assert_eq!(root_cause(&error), text);
        }
        assert_eq!(root_cause(&refused()), "Connection refused");
    }

    #[test]
    fn verbose_shows_the_whole_chain() {
        let (streams, output) = captured();
        let error = Story::Outer(Box::new(Story::Closed(refused())));
        report(&streams.err, "Failed. ", &error, true);
        assert_eq!(
            output.err(),
            "Failed. backup of neo4j\n\
             Caused by: db1:6362 closed the connection during the handshake\n\
             Caused by: Connection refused\n"
        );
    }
}
