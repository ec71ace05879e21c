//! All tests that need more than one room. One module per promise; fixtures in `support`.
#![expect(clippy::cast_possible_truncation, reason = "tests know how small their numbers are")]

mod configuration;
mod gbptree;
mod kernel;
mod support;
