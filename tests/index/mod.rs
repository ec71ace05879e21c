//! What this program makes of ids, counts and lookup indexes, against what the kernel wrote.

mod real_stores;
mod recount;
