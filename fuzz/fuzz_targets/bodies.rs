//! See `dcm_fuzz::bodies`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| dcm_fuzz::bodies::run(data));
