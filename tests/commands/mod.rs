//! The commands beside `backup`, as an operator runs them.

mod inspect;
mod restore;
mod store_info;
mod verify;
