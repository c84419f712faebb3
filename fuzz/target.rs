//! The reader whose name the program has.
#![no_main]

use std::env;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;

static NAME: LazyLock<String> = LazyLock::new(|| {
    let program = env::current_exe().expect("the program has a path");
    program.file_stem().and_then(|name| name.to_str()).expect("the program has a name").to_owned()
});

// A panic that is caught, of the library that reads Parquet, is no crash.
fuzz_target!(init: naswot_cli::panics::quiet(), |input: &[u8]| {
    naswot_cli::fuzzing::read(&NAME, input);
});
