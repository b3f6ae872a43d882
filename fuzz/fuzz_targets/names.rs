//! See `dcm_fuzz::names`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| dcm_fuzz::names::run(data));
