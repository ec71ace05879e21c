//! All tests that need more than one room. One module per promise; fixtures in `support`.

mod configuration;
mod kernel;
mod support;
