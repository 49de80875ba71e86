#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| seaway_xds::fuzzing::requests(data));
