//! Random histories of a small graph, recovered from files as of random moments.

#![expect(clippy::cast_possible_truncation, reason = "tests know how small their numbers are")]

use std::collections::BTreeSet;

use super::graph::{Graph, Omit};
use super::world::{World, index_of, key_of, of_relationships, rule, tokens_of};
use crate::store::schema::{EntityType, IndexProvider, SchemaRule};
use crate::store::value::{Array, Crs, Point, Value};

/// Numbers that look random: splitmix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    fn value(&mut self) -> Value {
        let small = self.below(3);
        match self.below(12) {
            0 => Value::Int(small as i32),
            1 => Value::Long(small as i64),
            2 => Value::Double(small as f64),
            3 => Value::Byte(small as i8),
            4 => Value::Char(u16::from(b'a') + small as u16),
            5 => Value::String(["a", "b", "c"][small as usize].to_owned()),
            6 => Value::String(format!("a long text that needs records {small}")),
            7 => Value::Array(Array::Long(vec![small as i64; 1 + self.below(5) as usize])),
            8 => Value::Array(Array::String(vec!["x".repeat(30 * small as usize), "y".to_owned()])),
            9 => Value::Point(Point::new(Crs::Cartesian, [small as f64, 1.0]).unwrap()),
            10 => Value::Bool(small == 0),
            _ => Value::Short(small as i16),
        }
    }
}

const KEYS: u64 = 4;

fn rules() -> Vec<SchemaRule> {
    let mut rules = vec![
        rule(1, IndexProvider::TokenLookup, &[]),
        of_relationships(rule(2, IndexProvider::TokenLookup, &[])),
        rule(3, IndexProvider::NativeBtree, &[0]),
        rule(4, IndexProvider::Range, &[0, 1]),
        rule(5, IndexProvider::Point, &[1]),
        rule(6, IndexProvider::NativeBtree, &[2, 0, 1]),
        of_relationships(rule(7, IndexProvider::NativeBtree, &[1])),
        of_relationships(rule(8, IndexProvider::Range, &[1, 2])),
        rule(9, IndexProvider::Text, &[1]),
        rule(10, IndexProvider::Fulltext, &[0, 1, 2]),
        rule(11, IndexProvider::LuceneNative, &[0]),
        rule(12, IndexProvider::LuceneNative, &[1, 0]),
        rule(13, IndexProvider::NativeBtree, &[3]),
    ];
    rules[9].schema.entity_tokens = vec![0, 1];
    rules[12].schema.entity_tokens = vec![1];
    rules
}

/// One transaction of a few changes.
fn change(graph: &mut Graph, random: &mut Random, id: i64, omit: Omit) -> Vec<u8> {
    let mut transaction = graph.begin();
    transaction.omit = omit;
    let mut changed = BTreeSet::new();
    for _ in 0..=random.below(4) {
        let kind = if random.below(3) == 0 { EntityType::Relationship } else { EntityType::Node };
        let key = (kind, 60 + random.below(8));
        let is_relationship = kind == EntityType::Relationship;
        let exists = transaction.graph.entities(kind).contains_key(&key.1);
        let first = changed.insert((is_relationship, key.1));
        let tokens: Vec<u32> = if is_relationship {
            vec![random.below(2) as u32]
        } else {
            (0..5).filter(|_| random.below(2) == 0).collect()
        };
        if !exists {
            // An id is not given away again within the transaction that freed it.
            if first {
                transaction.create(key, &tokens);
                for property in 0..KEYS as u32 {
                    if random.below(3) > 0 {
                        transaction.set(key, property, random.value());
                    }
                }
            }
            continue;
        }
        match random.below(8) {
            0 => transaction.delete(key),
            1 | 2 if !is_relationship => transaction.set_tokens(key, &tokens),
            3 => transaction.unset(key, random.below(KEYS) as u32),
            _ => {
                let value = random.value();
                transaction.set(key, random.below(KEYS) as u32, value);
            }
        }
    }
    transaction.commit(id)
}

/// Recovers a random history; `moments` are the graphs before the window and behind each of its transactions.
fn recover(seed: u64, omit: bool) {
    let random = &mut Random(seed);
    let mut graph = Graph::default();
    for id in 0..random.below(20) {
        change(&mut graph, random, id as i64, Omit::default());
    }
    let mut moments = vec![graph.clone()];
    let (replayed, cut) = (random.below(12) as usize, random.below(6) as usize);
    let mut transactions = Vec::new();
    for number in 0..replayed + cut {
        let omit = if omit {
            Omit { values: 1 + random.below(6) as usize, labels: random.below(4) == 0 }
        } else {
            Omit::default()
        };
        transactions.push((number < replayed, change(&mut graph, random, 100 + number as i64, omit)));
        moments.push(graph.clone());
    }
    let end = &moments[replayed];

    let mut world = World::new(rules());
    let in_chunks = random.below(2) == 0;
    if in_chunks {
        world.most_events = 64;
    }
    // An index may be renewed without need if something is not known; it is never kept wrongly.
    let exact = !omit && !in_chunks;
    if random.below(2) == 0 {
        // Transactions whose parts are sorted before they are put together.
        world.most_parts = random.below(300) as usize;
    }
    if random.below(4) == 0 {
        // Sorters that spill.
        world.memory = 40 << 10;
    }
    // Each entity as of a moment of its own: a file may be of any moment.
    for rule in &world.rules {
        let ids = 60..68;
        let entity = rule.schema.entity;
        let mut at = || &moments[random.below(moments.len() as u64) as usize];
        match index_of(rule).provider {
            IndexProvider::TokenLookup => {
                let tokens = ids.flat_map(|id| {
                    let tokens = tokens_of(at(), entity);
                    tokens.into_iter().filter(move |(_, other)| *other == id)
                });
                world.write_tokens(entity, tokens.collect::<Vec<_>>());
            }
            IndexProvider::Text | IndexProvider::Fulltext => world.write_lucene(rule),
            _ => world.write_keys(rule, ids.filter_map(|id| key_of(at(), rule, id)).collect::<Vec<_>>()),
        }
    }
    let outcome = world.recover(end, &transactions);
    world.assert_holds(end);

    for rule in &world.rules {
        let removed = outcome.removed.iter().any(|removed| removed.id == rule.id);
        let touched = moments.windows(2).any(|pair| texts(&pair[0], rule) != texts(&pair[1], rule));
        match index_of(rule).provider {
            IndexProvider::LuceneNative if rule.schema.property_keys.len() == 2 => {
                assert!(!exact || !removed);
            }
            IndexProvider::Text | IndexProvider::Fulltext | IndexProvider::LuceneNative => {
                assert!(removed >= touched, "seed {seed}: {rule:?} misses a change");
                assert!(!exact || removed == touched, "seed {seed}: {rule:?} was removed and needs not");
                assert_eq!(world.has_files(rule), !removed);
            }
            _ => assert!(!removed),
        }
    }
    let all = outcome.updated.len() + outcome.built.len() + outcome.removed.len() + outcome.untouched.len();
    assert_eq!(all, world.rules.len());
    assert!(!exact || outcome.built.is_empty(), "seed {seed}: {outcome:?}");
}

/// What Lucene keeps of an index: for each entity its texts with the properties that have them.
fn texts(graph: &Graph, rule: &SchemaRule) -> Vec<(u64, Vec<(u32, Value)>)> {
    let matching = graph
        .entities(rule.schema.entity)
        .iter()
        .filter(|(_, entity)| rule.schema.entity_tokens.iter().any(|token| entity.tokens.contains(token)));
    let documents = matching.map(|(id, entity)| {
        let texts = rule.schema.property_keys.iter().filter_map(|key| {
            let value = entity.properties.get(&key.0)?;
            matches!(value, Value::String(_) | Value::Char(_)).then(|| (key.0, value.clone()))
        });
        (*id, texts.collect::<Vec<_>>())
    });
    documents.filter(|(_, texts)| !texts.is_empty()).collect()
}

#[test]
fn random_histories_end_in_what_the_stores_say() {
    for seed in 0..rounds(40) {
        recover(seed, false);
    }
}

#[test]
fn values_that_the_logs_do_not_carry_are_found_or_the_index_is_built() {
    for seed in 0..rounds(40) {
        recover(1 << 32 | seed, true);
    }
}

fn rounds(default: u64) -> u64 {
    std::env::var("NEO4J_ADMIN_TEST_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}
