//! All tests that need more than one room. One module per promise; fixtures in `support`.

mod catchup;
mod configuration;
mod fuzz_messages;
mod kernel;
mod records;
mod support;
