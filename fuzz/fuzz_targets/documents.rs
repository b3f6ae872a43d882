//! See `dcm_fuzz::documents`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| dcm_fuzz::documents::run(data));
