//! See `dcm_fuzz::keys`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| dcm_fuzz::keys::run(data));
