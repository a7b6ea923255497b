//! Any bytes, read as a card that is edited.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mikado_fuzz::edit(data));
