//! What is told about a migration: one model, several renderings, and the words they share.
//!
//! - [`page`], [`words`], [`sentence`]: text that fits, quantities, and every fact in words.
//! - [`place`]: where one run stands.

pub mod page;
pub mod place;
pub mod sentence;
pub mod words;
