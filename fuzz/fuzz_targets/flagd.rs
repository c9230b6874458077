#![no_main]

#[path = "../../tests/it/fuzz/targets/mod.rs"]
mod targets;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| targets::flagd::check(bytes));
