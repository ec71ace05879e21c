//! All tests that need more than one room. One module per promise; fixtures in `support`.

mod kernel;
mod support;
