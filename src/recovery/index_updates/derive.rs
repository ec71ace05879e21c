//! From events to what each index must have in the end.
//!
//! The states of an entity are gone through in the order of the transactions. What it had for an index at any moment and
//! not in the end is removed from the index, what it has in the end is put there, whatever the file has: it may be as of
//! any moment of the window. Specification: transaction log 8.15 rules 6 to 10.

use rustc_hash::FxHashMap;

use super::event::{Chunk, Entity, Form, Stored};
use super::finals::Finals;
use super::malformed_event;
use super::parts::WholeEvents;
use super::target::{Found, Target};
use super::token_ranges::TokenRanges;
use crate::io::sort::{ByNumber, Sorted};
use crate::recovery::RecoveryError;
use crate::store::error::Malformed;
use crate::store::id::SchemaId;
use crate::store::schema::EntityType;
use crate::store::stores::Stores;
use crate::store::value::block::{Block, Content};
use crate::store::value::{Value, array};

/// Most bytes of events of one entity that are looked at together. With more, the beginning is worked off without knowing
/// what follows.
pub(super) const MOST_EVENTS: usize = 4 << 20;

/// All indexes that are brought up to date.
pub(super) struct Derivation<'a> {
    nodes: Indexes<'a>,
    relationships: Indexes<'a>,
    stores: &'a Stores,
    most_events: usize,
}

/// The indexes of entities of one kind.
pub(super) struct Indexes<'a> {
    entity: EntityType,
    targets: Vec<Target<'a>>,
    by_property: FxHashMap<u32, Vec<usize>>,
    by_token: FxHashMap<u32, Vec<usize>>,
    pub tokens: Option<TokenRanges>,
}

impl<'a> Indexes<'a> {
    pub(super) fn new(entity: EntityType, targets: Vec<Target<'a>>, tokens: Option<TokenRanges>) -> Self {
        let (mut by_property, mut by_token) = (FxHashMap::default(), FxHashMap::default());
        for (number, target) in targets.iter().enumerate() {
            for property in &target.properties {
                by_property.entry(*property).or_insert_with(Vec::new).push(number);
            }
            for token in &target.rule.schema.entity_tokens {
                by_token.entry(*token).or_insert_with(Vec::new).push(number);
            }
        }
        Self { entity, targets, by_property, by_token, tokens }
    }

    fn is_empty(&self) -> bool {
        self.targets.is_empty() && self.tokens.is_none()
    }

    /// Takes the index of a rule out, when everything was derived.
    pub(super) fn take_target(&mut self, rule: SchemaId) -> Option<Target<'a>> {
        let place = self.targets.iter().position(|target| target.rule.id == rule)?;
        Some(self.targets.swap_remove(place))
    }
}

impl<'a> Derivation<'a> {
    pub(super) fn new(
        stores: &'a Stores,
        nodes: Indexes<'a>,
        relationships: Indexes<'a>,
        most_events: usize,
    ) -> Self {
        Self { nodes, relationships, stores, most_events }
    }

    /// The indexes of entities of a kind.
    pub(super) fn of(&mut self, entity: EntityType) -> &mut Indexes<'a> {
        match entity {
            EntityType::Node => &mut self.nodes,
            EntityType::Relationship => &mut self.relationships,
        }
    }

    /// Goes through all events.
    pub(super) fn run(&mut self, events: Sorted<ByNumber>) -> Result<(), RecoveryError> {
        let mut events = WholeEvents::new(events);
        let mut chunk = Chunk::default();
        let mut current = None;
        let mut nodes = Work::new(Finals::new(self.stores));
        let mut relationships = Work::new(Finals::new(self.stores));
        loop {
            let event = events.next()?;
            let next = event.and_then(Entity::of);
            let is_same = next == current;
            if !is_same || chunk.bytes.len() >= self.most_events {
                if let Some(entity) = current {
                    let (work, indexes) = match entity.kind() {
                        EntityType::Node => (&mut nodes, &mut self.nodes),
                        EntityType::Relationship => (&mut relationships, &mut self.relationships),
                    };
                    if !indexes.is_empty() {
                        work.chunk(indexes, entity.id(), &mut chunk, !is_same)?;
                    }
                }
                chunk.clear();
                current = next;
            }
            let Some(event) = event else { break };
            chunk.push(event).map_err(|error| malformed_event(event, error))?;
        }
        for indexes in [&mut self.nodes, &mut self.relationships] {
            if let Some(tokens) = &mut indexes.tokens {
                tokens.flush()?;
            }
        }
        Ok(())
    }
}

/// An entity whose events are gone through.
#[expect(clippy::struct_excessive_bools, reason = "they are independent of each other")]
struct Work<'a> {
    finals: Finals<'a>,
    /// `None`: the last one is done.
    entity: Option<(EntityType, u64)>,
    /// Counts entities.
    turn: u64,
    properties: Vec<Property>,
    tokens: Tokens,
    /// The tokens behind each step that tells something of them.
    following: Vec<Tokens>,
    carried_tokens: Vec<u32>,
    /// Tokens that the entity ever had.
    ever: Vec<u32>,
    tokens_changed: bool,
    end_tokens: Vec<u32>,
    /// Whether an event has all properties of the entity, so that all others are absent at all times.
    complete: bool,
    /// Whether the end of the replay was passed.
    ended: bool,
    /// Whether the tokens were not known there, and no event has told any since.
    end_untold: bool,
    candidates: Vec<usize>,
}

/// A property that an event touches.
struct Property {
    key: u32,
    stored: Stored,
    /// The value if it was decoded.
    value: Option<Value>,
    /// The step that changed it last.
    step: usize,
}

/// The tokens of the entity at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tokens {
    /// A range of [`Chunk::tokens_in`].
    Known((usize, usize)),
    /// Known from a chunk before.
    Carried,
    /// Those that it has in the end.
    Final,
    /// Not known: as if it had all, since a key too many that is removed does no harm.
    Any,
}

/// A moment at which an index is told what an entity has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Moment {
    /// The first one.
    First,
    /// A later one.
    Next,
    /// A later one at which, or before which, the tokens of the entity are not known.
    Uncertain,
}

impl<'a> Work<'a> {
    fn new(finals: Finals<'a>) -> Self {
        Self {
            finals,
            entity: None,
            turn: 0,
            properties: Vec::new(),
            tokens: Tokens::Final,
            following: Vec::new(),
            carried_tokens: Vec::new(),
            ever: Vec::new(),
            tokens_changed: false,
            end_tokens: Vec::new(),
            complete: false,
            ended: false,
            end_untold: false,
            candidates: Vec::new(),
        }
    }

    /// Works off events of the entity `id`. `last`: there are no more of it.
    fn chunk(
        &mut self,
        indexes: &mut Indexes<'_>,
        id: u64,
        chunk: &mut Chunk,
        last: bool,
    ) -> Result<(), RecoveryError> {
        if self.entity.is_none() {
            self.begin(indexes.entity, id);
        }
        settle_values(chunk, last);
        settle_tokens(chunk, last, &mut self.following);
        self.complete |= chunk.steps.iter().any(|step| step.complete);
        self.enter(chunk, last, indexes, id)?;
        self.note_tokens(chunk, indexes)?;

        let mut told = 0;
        for (number, step) in chunk.steps.iter().enumerate() {
            let number = number + 1;
            if step.cut {
                self.end(chunk, indexes)?;
            }
            for delta in chunk.deltas.get(step.deltas.clone()).unwrap_or_default() {
                if let Some(property) = self.properties.iter_mut().find(|property| property.key == delta.key)
                {
                    property.stored = delta.after;
                    property.value = None;
                    property.step = number;
                }
            }
            let mut new_tokens = false;
            let was_any = self.tokens == Tokens::Any;
            if step.tokens.is_some() {
                new_tokens = step.changes_tokens(chunk) || was_any;
                self.tokens = self.following.get(told).copied().unwrap_or(Tokens::Any);
                told += 1;
                self.end_untold = false;
            }
            for place in 0..self.candidates.len() {
                let Some(number_of_target) = self.candidates.get(place).copied() else { break };
                let Some(target) = indexes.targets.get_mut(number_of_target) else { continue };
                let touched = |key: &u32| {
                    self.properties.iter().any(|property| property.key == *key && property.step == number)
                };
                if was_any && step.tokens.is_some() {
                    target.give_up();
                }
                if new_tokens || target.properties.iter().any(touched) {
                    let certain = !was_any && self.tokens != Tokens::Any;
                    let moment = if certain { Moment::Next } else { Moment::Uncertain };
                    self.step_target(target, chunk, id, last, moment)?;
                }
            }
        }
        if last {
            self.end(chunk, indexes)?;
            for number in &self.candidates {
                if let Some(target) = indexes.targets.get_mut(*number) {
                    target.finish()?;
                }
            }
            self.finish_tokens(indexes, id)?;
            self.entity = None;
        } else {
            self.carry_over(chunk)?;
        }
        Ok(())
    }

    fn begin(&mut self, entity: EntityType, id: u64) {
        self.finals.turn_to(entity, id);
        self.entity = Some((entity, id));
        self.turn += 1;
        self.properties.clear();
        self.tokens = Tokens::Any;
        self.ever.clear();
        self.tokens_changed = false;
        self.complete = false;
        self.ended = false;
        self.end_untold = false;
        self.candidates.clear();
    }

    /// The state before the first event of the chunk: what the first event that touches something says of it before, and
    /// what the stores say of everything else. Specification: transaction log 8.15 rule 6.
    fn enter(
        &mut self,
        chunk: &Chunk,
        last: bool,
        indexes: &mut Indexes<'_>,
        id: u64,
    ) -> Result<(), RecoveryError> {
        self.properties.iter_mut().for_each(|property| property.step = 0);
        for delta in &chunk.deltas {
            if !self.properties.iter().any(|property| property.key == delta.key) {
                self.properties.push(Property { key: delta.key, stored: delta.before, value: None, step: 0 });
            }
        }
        let mut now_known = false;
        if self.tokens == Tokens::Any {
            // Of moments behind the end of the replay the stores say nothing, unless nothing was told since before it.
            self.tokens = match initial_tokens(chunk, last) {
                Tokens::Final if self.ended && !self.end_untold => Tokens::Any,
                tokens => tokens,
            };
            now_known = self.tokens != Tokens::Any;
        }

        let before = self.candidates.len();
        for property in &self.properties {
            for number in indexes.by_property.get(&property.key).into_iter().flatten() {
                add(&mut self.candidates, &mut indexes.targets, *number, self.turn);
            }
        }
        self.candidates_by_tokens(chunk, indexes);
        for place in 0..self.candidates.len() {
            let Some(number) = self.candidates.get(place).copied() else { break };
            let Some(target) = indexes.targets.get_mut(number) else { continue };
            if place >= before {
                self.step_target(target, chunk, id, last, Moment::First)?;
                if self.ended {
                    target.mark_end(self.tokens != Tokens::Any);
                }
            } else if now_known {
                // What was taken for granted up to here is true or never was.
                let matches = self.matches(target, chunk)?;
                target.settle(matches);
                self.step_target(target, chunk, id, last, Moment::Uncertain)?;
                target.settle(matches);
            }
        }
        Ok(())
    }

    /// Indexes of tokens that come or go.
    fn candidates_by_tokens(&mut self, chunk: &Chunk, indexes: &mut Indexes<'_>) {
        for step in chunk.steps.iter().filter(|step| step.changes_tokens(chunk)) {
            let Some((Some(before), Some(after))) = step.tokens else {
                // They may be any.
                for number in 0..indexes.targets.len() {
                    add(&mut self.candidates, &mut indexes.targets, number, self.turn);
                }
                return;
            };
            for token in chunk.tokens_in(before).iter().chain(chunk.tokens_in(after)) {
                for number in indexes.by_token.get(token).into_iter().flatten() {
                    add(&mut self.candidates, &mut indexes.targets, *number, self.turn);
                }
            }
        }
    }

    /// Tells an index what the entity has at the moment.
    fn step_target(
        &mut self,
        target: &mut Target<'_>,
        chunk: &Chunk,
        id: u64,
        last: bool,
        moment: Moment,
    ) -> Result<(), RecoveryError> {
        if target.is_lost() {
            target.turn = self.turn;
            return Ok(());
        }
        let matches = self.matches(target, chunk)?;
        if matches {
            for place in 0..target.properties.len() {
                let Some(key) = target.properties.get(place).copied() else { break };
                self.decode(key, chunk, last)?;
            }
        }
        let values = matches.then_some(|key| self.found(key));
        if moment == Moment::First {
            target.begin(self.turn, id, values);
            return Ok(());
        }
        target.step(id, values, moment == Moment::Next)
    }

    /// Whether the entity has a token of the index at the moment.
    fn matches(&mut self, target: &Target<'_>, chunk: &Chunk) -> Result<bool, RecoveryError> {
        Ok(match self.tokens {
            Tokens::Known(range) => target.matches(chunk.tokens_in(range)),
            Tokens::Carried => target.matches(&self.carried_tokens),
            Tokens::Final => {
                if !self.finals.exists()? {
                    let (entity, id) = self.entity.unwrap_or((target.rule.schema.entity, 0));
                    return Err(RecoveryError::EntityMissing { entity, id });
                }
                target.matches(self.finals.tokens()?)
            }
            Tokens::Any => true,
        })
    }

    /// Makes sure that the value of a property is known, if it can be.
    fn decode(&mut self, key: u32, chunk: &Chunk, last: bool) -> Result<(), RecoveryError> {
        let place = self.properties.iter().position(|property| property.key == key);
        let Some(property) = place.and_then(|place| self.properties.get_mut(place)) else {
            let absent = Stored::default();
            let property = if self.complete {
                Property { key, stored: absent, value: None, step: 0 }
            } else if last {
                let value = self.finals.value(key)?;
                let form = if value.is_some() { Form::Final } else { Form::Absent };
                Property { key, stored: Stored::new(form, 0..0), value, step: 0 }
            } else {
                // What follows may tell that it was another one: it is looked up for each state anew.
                return Ok(());
            };
            self.properties.push(property);
            return Ok(());
        };
        if property.value.is_some() {
            return Ok(());
        }
        property.value = match property.stored.form {
            Form::Final => self.finals.value(key)?,
            _ => decode(property.stored, &chunk.bytes).map_err(|error| malformed(self.entity, error))?,
        };
        Ok(())
    }

    fn found(&self, key: u32) -> Found<'_> {
        let Some(property) = self.properties.iter().find(|property| property.key == key) else {
            return Found::Unknown;
        };
        match (&property.value, property.stored.form) {
            (Some(value), _) => Found::Value(value),
            (None, Form::UntoldText | Form::LongText) => Found::SomeText,
            (None, Form::UntoldArray | Form::LongArray) => Found::SomeArray,
            (None, _) => Found::None,
        }
    }

    /// The end of the replay, if it was not passed before.
    fn end(&mut self, chunk: &Chunk, indexes: &mut Indexes<'_>) -> Result<(), RecoveryError> {
        if std::mem::replace(&mut self.ended, true) {
            return Ok(());
        }
        self.end_untold = self.tokens == Tokens::Any;
        for number in &self.candidates {
            if let Some(target) = indexes.targets.get_mut(*number) {
                target.mark_end(self.tokens != Tokens::Any);
            }
        }
        if let Some(ranges) = &mut indexes.tokens
            && self.tokens_changed
        {
            self.mark_end_tokens(chunk, ranges)?;
        }
        Ok(())
    }

    /// Notes the tokens of the moment as those of the end.
    fn mark_end_tokens(&mut self, chunk: &Chunk, ranges: &mut TokenRanges) -> Result<(), RecoveryError> {
        self.end_tokens.clear();
        match self.tokens {
            Tokens::Known(range) => self.end_tokens.extend_from_slice(chunk.tokens_in(range)),
            Tokens::Carried => self.end_tokens.extend_from_slice(&self.carried_tokens),
            Tokens::Final => self.end_tokens.extend_from_slice(self.finals.tokens()?),
            Tokens::Any => ranges.unknown = true,
        }
        Ok(())
    }

    /// Notes all tokens of the chunk, for the lookup index.
    fn note_tokens(&mut self, chunk: &Chunk, indexes: &mut Indexes<'_>) -> Result<(), RecoveryError> {
        let Some(ranges) = &mut indexes.tokens else { return Ok(()) };
        if !chunk.steps.iter().any(|step| step.changes_tokens(chunk)) {
            return Ok(());
        }
        if !self.tokens_changed && self.ended {
            // They did not change before, so these are those of the end.
            self.mark_end_tokens(chunk, ranges)?;
        }
        self.tokens_changed = true;
        for tokens in std::iter::once(&self.tokens).chain(&self.following) {
            let tokens = match *tokens {
                Tokens::Known(range) => chunk.tokens_in(range),
                Tokens::Carried => &self.carried_tokens,
                Tokens::Final => self.finals.tokens()?,
                Tokens::Any => {
                    ranges.unknown = true;
                    continue;
                }
            };
            for token in tokens {
                if !self.ever.contains(token) {
                    self.ever.push(*token);
                }
            }
        }
        Ok(())
    }

    fn finish_tokens(&mut self, indexes: &mut Indexes<'_>, id: u64) -> Result<(), RecoveryError> {
        let Some(ranges) = indexes.tokens.as_mut().filter(|_| self.tokens_changed) else { return Ok(()) };
        ranges.turn_to(id)?;
        for token in &self.ever {
            ranges.set(*token, id, self.end_tokens.contains(token));
        }
        Ok(())
    }

    /// Keeps what the next chunk goes on from.
    fn carry_over(&mut self, chunk: &Chunk) -> Result<(), RecoveryError> {
        for property in &mut self.properties {
            if property.value.is_none() && property.stored.form != Form::Final {
                let value = decode(property.stored, &chunk.bytes);
                property.value = value.map_err(|error| malformed(self.entity, error))?;
            }
            let form = property.stored.form;
            property.stored = Stored::new(form, 0..0);
        }
        if let Tokens::Known(range) = self.tokens {
            self.carried_tokens.clear();
            self.carried_tokens.extend_from_slice(chunk.tokens_in(range));
            self.tokens = Tokens::Carried;
        }
        Ok(())
    }
}

fn malformed(entity: Option<(EntityType, u64)>, source: Malformed) -> RecoveryError {
    let (entity, id) = entity.unwrap_or((EntityType::Node, 0));
    RecoveryError::IndexedValue { entity, id, source }
}

/// Takes an index among those that the entity matters for.
fn add(candidates: &mut Vec<usize>, targets: &mut [Target<'_>], number: usize, turn: u64) {
    if let Some(target) = targets.get_mut(number)
        && target.turn != turn
        && !target.is_lost()
    {
        target.turn = turn;
        candidates.push(number);
    }
}

/// A value of an event; `None`: there is none, or it is not in the event.
fn decode(stored: Stored, bytes: &[u8]) -> Result<Option<Value>, Malformed> {
    let content = stored.bytes(bytes);
    Ok(Some(match stored.form {
        Form::Words => {
            let (words, _) = content.as_chunks();
            let mut longs = [0; 4];
            longs.iter_mut().zip(words).for_each(|(long, word)| *long = u64::from_be_bytes(*word));
            let longs = longs.get(..words.len()).unwrap_or(&longs);
            let Some(split) = Block::split_first(longs) else { return Ok(None) };
            match split?.0.content()? {
                Content::Value(value) => value,
                Content::String(_) | Content::Array(_) => return Ok(None),
            }
        }
        Form::Text => Value::String(String::from_utf8_lossy(content).into_owned()),
        Form::Array => Value::Array(array::decode(content)?),
        _ => return Ok(None),
    }))
}

/// Finds values that the commands did not carry: what is behind one event is what is before the next that touches the
/// property, and behind the last one what the store has. `last`: no more events of the entity follow.
fn settle_values(chunk: &mut Chunk, last: bool) {
    if !chunk.deltas.iter().any(|delta| delta.before.form.is_untold() || delta.after.form.is_untold()) {
        return;
    }
    // For each property from behind: what is before the next event, and whether that one is replayed.
    let mut next: FxHashMap<u32, (Stored, bool)> = FxHashMap::default();
    for step in chunk.steps.iter().rev() {
        let deltas = chunk.deltas.get_mut(step.deltas.clone()).unwrap_or_default();
        for delta in deltas {
            let following = next.get(&delta.key).copied();
            if delta.after.form.is_untold() {
                match following {
                    Some((before, _)) if !before.form.is_untold() => delta.after = before,
                    // The end of the replay lies between the two.
                    Some((_, false)) if !step.cut => delta.after = Stored::new(Form::Final, 0..0),
                    None if last && !step.cut => delta.after = Stored::new(Form::Final, 0..0),
                    _ => {}
                }
            }
            next.insert(delta.key, (delta.before, !step.cut));
        }
    }
    // What is before the first event that touches a property is what the store has if no replayed one touches it.
    for delta in &mut chunk.deltas {
        if let Some((_, replayed)) = next.remove(&delta.key)
            && !replayed
            && last
            && delta.before.form.is_untold()
        {
            delta.before = Stored::new(Form::Final, 0..0);
        }
    }
}

/// Finds the tokens behind each step that tells something of them: what it tells, or what the next one tells of before,
/// or what the store has.
fn settle_tokens(chunk: &Chunk, last: bool, behind: &mut Vec<Tokens>) {
    behind.clear();
    let telling = || chunk.steps.iter().filter_map(|step| Some((step, step.tokens?)));
    let mut following = telling().skip(1);
    for (step, (_, after)) in telling() {
        behind.push(match (after, following.next()) {
            (Some(after), _) => Tokens::Known(after),
            (None, Some((_, (Some(before), _)))) => Tokens::Known(before),
            (None, Some((next, _))) if !step.cut && next.cut => Tokens::Final,
            (None, None) if last && !step.cut => Tokens::Final,
            (None, _) => Tokens::Any,
        });
    }
}

/// The tokens before the first event of the chunk, if nothing was known of them.
fn initial_tokens(chunk: &Chunk, last: bool) -> Tokens {
    let first = chunk.steps.iter().find_map(|step| Some((step, step.tokens?)));
    match first {
        Some((_, (Some(before), _))) => Tokens::Known(before),
        Some((step, _)) if step.cut => Tokens::Final,
        None if last => Tokens::Final,
        _ => Tokens::Any,
    }
}
