//! The command `naswot`.

fn main() -> std::process::ExitCode {
    naswot_cli::run(std::env::args_os()).into()
}
