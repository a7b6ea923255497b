//! Any bytes, read as a folder of cards.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mikado_fuzz::read(data));
