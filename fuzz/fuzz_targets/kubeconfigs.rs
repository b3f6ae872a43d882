//! See `dcm_fuzz::kubeconfigs`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| dcm_fuzz::kubeconfigs::run(data));
