//! The command `naswot`.

use std::process::{ExitCode, exit};

fn main() -> ExitCode {
    let heard = || naswot_cli::interrupt::signal().map_or((), |status| exit(status.into()));
    if let Err(error) = ctrlc::set_handler(heard) {
        eprintln!("error: cannot listen for Ctrl-C: {error}");
        return 2.into();
    }
    naswot_cli::run(std::env::args_os()).into()
}
