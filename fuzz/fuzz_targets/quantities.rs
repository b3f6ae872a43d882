//! See `dcm_fuzz::quantities`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| dcm_fuzz::quantities::run(data));
