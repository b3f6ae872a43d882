//! See `dcm_fuzz::credentials`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| dcm_fuzz::credentials::run(data));
