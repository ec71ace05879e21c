//! What two checkers say of the same store.

use std::collections::BTreeMap;
use std::fmt::Write;

/// An entry of a report: level and text, without its time.
pub type Entry = (String, String);

/// Entries that are shown of those that differ.
const SHOWN: usize = 8;

/// The entries of a report as it is in the file, without the stack traces of Java.
pub fn entries(report: &str) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    // Behind a stack trace, which has lines with a tab too, goes on nothing.
    let mut in_entry = false;
    for line in report.lines() {
        if is_first_line(line) {
            let (level, text) = line[29..].split_once(' ').expect("a level");
            entries.push((level.to_owned(), text.trim_start().to_owned()));
            in_entry = true;
        } else if in_entry
            && line.starts_with('\t')
            && !line.starts_with("\tat ")
            && !line.starts_with("\t... ")
        {
            let (_, text) = entries.last_mut().expect("an entry");
            text.push('\n');
            text.push_str(line);
        } else {
            in_entry = false;
        }
    }
    entries
}

/// `2024-05-01 10:00:00.123+0000 ERROR …`
fn is_first_line(line: &str) -> bool {
    let bytes = line.as_bytes();
    bytes.len() > 34 && bytes[4] == b'-' && bytes[7] == b'-' && &bytes[23..29] == b"+0000 "
}

/// How the entries of two reports differ; empty if they don't. `whole`: also what is in `found` and not in `expected`. The
/// summary is not compared, nor what is beyond Neo4j's checks, nor what can't be (see [`comparable`]).
pub fn differences(expected: &[Entry], found: &[Entry], whole: bool) -> String {
    let mut counts: BTreeMap<(&str, String), i64> = BTreeMap::new();
    for (entries, count) in [(expected, 1), (found, -1)] {
        for (level, entry) in entries {
            if level != "EXTRA" && !entry.starts_with("Inconsistencies found") {
                *counts.entry((level, entry.clone())).or_default() += count;
            }
        }
    }
    // Only of entries that are not the same in every letter something is left out.
    let mut rest: BTreeMap<(&str, String), i64> = BTreeMap::new();
    for ((level, entry), count) in counts.into_iter().filter(|(_, count)| *count != 0) {
        *rest.entry((level, comparable(&entry))).or_default() += count;
    }
    let mut different: Vec<_> = rest.iter().filter(|&(_, &count)| count > 0 || whole && count < 0).collect();
    different.sort_by_key(|(_, count)| **count < 0);
    let mut text = String::new();
    for ((level, entry), count) in different.iter().take(SHOWN) {
        let what = if **count > 0 { "missing" } else { "too many" };
        let entry: String = entry.chars().take(600).collect();
        let _ = writeln!(text, "  {what} ×{}: {level} {entry}", count.abs());
    }
    if different.len() > SHOWN {
        let _ = writeln!(text, "  … {} different entries", different.len());
    }
    text
}

/// An entry without what can't be compared: texts of Java exceptions, and what Neo4j's reader had read before it met a dynamic
/// record whose length is too great.
fn comparable(entry: &str) -> String {
    let mut entry = entry.to_owned();
    for (from, to) in [
        // Until the end of the line: such a text may have brackets of its own.
        ("Error generating toString: ", "\n"),
        ("Caught exception during consistency check: ", "\n"),
        ("MalformedSchemaRuleException: ", "\n"),
        ("used=false,(", "\n"),
    ] {
        entry = cut(&entry, from, to);
    }
    entry
}

/// A text without what stands between two others.
fn cut(text: &str, from: &str, to: &str) -> String {
    let mut parts = text.split(from);
    let mut short = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        short.push_str(from);
        short.push_str(part.find(to).map_or("", |end| &part[end..]));
    }
    short
}
