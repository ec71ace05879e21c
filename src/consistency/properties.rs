//! Walks along the properties of one entity, with all reports that Neo4j makes of them.
//!
//! Specification: consistency check 2.5, 2.6.

use std::fmt::Display;

use super::blocks::Words;
use super::catalogue as c;
use super::chain_walk::{Step, Visited, walk};
use super::context::Context;
use super::error::CheckError;
use super::raw::{NONE, RawDynamic, RawProperty, RawReader, WORDS};
use super::report::Finding;
use super::text::{BlockText, TokenKind, WithBlocks};
use crate::store::value::block::{Block, Content};
use crate::store::value::{Value, array};

/// Whose properties they are.
#[derive(Clone, Copy)]
pub(super) struct Owner<'a> {
    pub text: &'a dyn Display,
    pub findings: &'static OwnerFindings,
}

/// What is said of an owner of properties.
pub(super) struct OwnerFindings {
    not_in_use: Finding,
    not_first: Finding,
    circular: Finding,
    key_not_unique: Finding,
    pub missing_mandatory: Finding,
}

/// Of nodes.
pub(super) const NODE: OwnerFindings = OwnerFindings {
    not_in_use: c::NODE_PROPERTY_NOT_IN_USE,
    not_first: c::NODE_PROPERTY_NOT_FIRST,
    circular: c::NODE_PROPERTY_CIRCULAR,
    key_not_unique: c::NODE_PROPERTY_KEY_NOT_UNIQUE,
    missing_mandatory: c::NODE_MISSING_MANDATORY_PROPERTY,
};

/// Of relationships.
pub(super) const RELATIONSHIP: OwnerFindings = OwnerFindings {
    not_in_use: c::RELATIONSHIP_PROPERTY_NOT_IN_USE,
    not_first: c::RELATIONSHIP_PROPERTY_NOT_FIRST,
    circular: c::RELATIONSHIP_PROPERTY_CIRCULAR,
    key_not_unique: c::RELATIONSHIP_PROPERTY_KEY_NOT_UNIQUE,
    missing_mandatory: c::RELATIONSHIP_MISSING_MANDATORY_PROPERTY,
};

/// What a property holds.
enum Found {
    Value(Value),
    /// Nobody asked for its value.
    Readable,
    Unreadable,
}

/// The properties of an entity as far as they can be read.
#[derive(Debug, Default)]
pub(super) struct Properties {
    /// Whether all of them can be.
    pub sound: bool,
    /// Keys, in the order of the chain.
    pub keys: Vec<u32>,
    /// Values of the keys that were asked for.
    pub values: Vec<(u32, Value)>,
}

/// Walks along chains of properties.
pub(super) struct PropertyWalk<'a> {
    context: &'a Context<'a>,
    records: RawReader<'a, RawProperty>,
    strings: RawReader<'a, RawDynamic>,
    arrays: RawReader<'a, RawDynamic>,
    visited: Visited,
    bytes: Vec<u8>,
    /// What was last read into each place of a record.
    words: [u64; WORDS],
}

impl<'a> PropertyWalk<'a> {
    pub fn new(context: &'a Context<'a>) -> Self {
        Self {
            context,
            records: context.properties(),
            strings: context.strings(),
            arrays: context.arrays(),
            visited: Visited::default(),
            bytes: Vec::new(),
            words: [0; WORDS],
        }
    }

    /// Walks the chain that begins with `first`; `wants`: whether the value of a key is needed. `reports`: whether
    /// what is wrong is reported, too.
    pub fn walk(
        &mut self,
        owner: Owner<'_>,
        first: i64,
        wants: &dyn Fn(u32) -> bool,
        reports: bool,
    ) -> Result<Properties, CheckError> {
        let mut found = Properties { sound: true, ..Properties::default() };
        self.visited.clear();
        let mut previous: Option<RawProperty> = None;
        let mut id = first;
        while id != NONE {
            if self.visited.closes(id) {
                found.sound = false;
                if reports && let Some(last) = &previous {
                    self.report_circular(owner, last);
                }
                break;
            }
            let record = self.records.get(id)?;
            if record.used {
                self.check_links(owner, previous.as_ref(), &record, &mut found, reports);
                let words = Words::of(&record, &mut self.words);
                self.check_blocks(owner, &record, &words, wants, &mut found, reports)?;
            } else {
                found.sound = false;
                if reports {
                    let before = match previous {
                        Some(previous) => previous,
                        None => self.records.get(NONE)?,
                    };
                    let report = self.context.report;
                    report.record(owner.findings.not_in_use, owner.text, &[&record]);
                    report.record(c::PROPERTY_NEXT_NOT_IN_USE, &before, &[&record]);
                }
            }
            id = record.next;
            previous = Some(record);
        }
        Ok(found)
    }

    fn report_circular(&mut self, owner: Owner<'_>, last: &RawProperty) {
        let words = Words::of(last, &mut self.words);
        let loaded = WithBlocks(last, &words);
        let argument: &dyn Display = if last.used { &loaded } else { last };
        self.context.report.record(owner.findings.circular, owner.text, &[argument]);
    }

    fn check_links(
        &self,
        owner: Owner<'_>,
        previous: Option<&RawProperty>,
        record: &RawProperty,
        found: &mut Properties,
        reports: bool,
    ) {
        let expected = previous.map_or(NONE, |previous| previous.id);
        if record.previous == expected {
            return;
        }
        found.sound = false;
        if reports {
            let report = self.context.report;
            match previous {
                None => report.record(owner.findings.not_first, owner.text, &[record]),
                Some(previous) => report.record(c::PROPERTY_NEXT_NO_BACK_REFERENCE, previous, &[record]),
            }
        }
    }

    fn check_blocks(
        &mut self,
        owner: Owner<'_>,
        record: &RawProperty,
        words: &Words,
        wants: &dyn Fn(u32) -> bool,
        found: &mut Properties,
        reports: bool,
    ) -> Result<(), CheckError> {
        let context = self.context;
        let loaded = WithBlocks(record, words);
        for block in words.blocks() {
            let Ok(block) = block else {
                found.sound = false;
                if reports {
                    context.report.record(c::PROPERTY_UNKNOWN_LENGTH, record, &[]);
                }
                return Ok(());
            };
            let key = block.key.0;
            if !context.keys.is_public(key.into()) {
                found.sound = false;
                if reports {
                    let token = context.token(TokenKind::PropertyKey, key.into())?;
                    let arguments: [&dyn Display; 2] = [&BlockText(&block), &token];
                    context.report.record(c::PROPERTY_KEY_NOT_IN_USE, &loaded, &arguments);
                }
            }
            let value = self.value(&loaded, &block, wants(key), reports)?;
            if matches!(value, Found::Unreadable) {
                found.sound = false;
                continue;
            }
            if found.keys.contains(&key) {
                found.sound = false;
                if reports {
                    context.report.record(owner.findings.key_not_unique, owner.text, &[]);
                }
            } else {
                found.keys.push(key);
                if let Found::Value(value) = value {
                    found.values.push((key, value));
                }
            }
        }
        Ok(())
    }

    /// The value of a property, if it can be read.
    fn value(
        &mut self,
        record: &WithBlocks<'_>,
        block: &Block<'_>,
        wanted: bool,
        reports: bool,
    ) -> Result<Found, CheckError> {
        let context = self.context;
        let invalid = || {
            if reports {
                context.report.record(c::PROPERTY_INVALID_VALUE, record, &[&record.0.id, &block.key.0]);
            }
            Ok(Found::Unreadable)
        };
        match block.content() {
            Err(_) => invalid(),
            Ok(Content::Value(value)) => Ok(if wanted { Found::Value(value) } else { Found::Readable }),
            Ok(Content::String(first)) => {
                if !self.long_value(record, block, first.0 as i64, &STRING, wanted, reports)? {
                    return Ok(Found::Unreadable);
                }
                Ok(if wanted {
                    Found::Value(Value::String(String::from_utf8_lossy(&self.bytes).into_owned()))
                } else {
                    Found::Readable
                })
            }
            Ok(Content::Array(first)) => {
                if !self.long_value(record, block, first.0 as i64, &ARRAY, true, reports)? {
                    return Ok(Found::Unreadable);
                }
                match array::decode(&self.bytes) {
                    Ok(value) if wanted => Ok(Found::Value(Value::Array(value))),
                    Ok(_) => Ok(Found::Readable),
                    Err(_) => invalid(),
                }
            }
        }
    }

    /// Reads the records of a long value; whether they are all right.
    fn long_value(
        &mut self,
        record: &WithBlocks<'_>,
        block: &Block<'_>,
        first: i64,
        findings: &LongValueFindings,
        wanted: bool,
        reports: bool,
    ) -> Result<bool, CheckError> {
        let reader = if findings.array { &mut self.arrays } else { &mut self.strings };
        let report = self.context.report;
        let mut sound = true;
        let bytes = wanted.then_some(&mut self.bytes);
        walk(reader, first, bytes, |step| {
            sound = false;
            if !reports {
                return Ok(());
            }
            let of_property = |finding, dynamic: &RawDynamic| {
                let arguments: [&dyn Display; 2] = [&BlockText(block), dynamic];
                report.record(finding, record, &arguments);
            };
            match step {
                Step::FirstNotInUse(dynamic) => of_property(findings.not_in_use, dynamic),
                Step::Empty(dynamic) => of_property(findings.empty, dynamic),
                Step::NextNotInUse(dynamic) => report.record(findings.next_not_in_use, dynamic, &[dynamic]),
                Step::NotFull(dynamic) => report.record(findings.not_full, dynamic, &[]),
                Step::Cycle(_) => {}
            }
            Ok(())
        })?;
        Ok(sound)
    }
}

struct LongValueFindings {
    array: bool,
    not_in_use: Finding,
    empty: Finding,
    next_not_in_use: Finding,
    not_full: Finding,
}

const STRING: LongValueFindings = LongValueFindings {
    array: false,
    not_in_use: c::PROPERTY_STRING_NOT_IN_USE,
    empty: c::PROPERTY_STRING_EMPTY,
    next_not_in_use: c::STRING_NEXT_NOT_IN_USE,
    not_full: c::STRING_NOT_FULL,
};

const ARRAY: LongValueFindings = LongValueFindings {
    array: true,
    not_in_use: c::PROPERTY_ARRAY_NOT_IN_USE,
    empty: c::PROPERTY_ARRAY_EMPTY,
    next_not_in_use: c::ARRAY_NEXT_NOT_IN_USE,
    not_full: c::ARRAY_NOT_FULL,
};
