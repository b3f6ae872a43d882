//! See `dcm_fuzz::queries`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| dcm_fuzz::queries::run(data));
