//! All tests that need more than one room. One module per promise; fixtures in `support`.
#![expect(clippy::cast_possible_truncation, reason = "tests know how small their numbers are")]

mod arguments;
mod backup;
mod catchup;
mod commands;
mod configuration;
mod consistency;
mod console;
mod fuzz_messages;
mod gbptree;
mod index;
mod kernel;
mod records;
mod replay;
mod serve;
mod support;
mod tls;
mod txlog;
mod value_indexes;
