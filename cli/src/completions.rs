//! `naswot completions`: completion of commands and options in a shell.

use clap::{Args, Command};
use clap_complete::Shell;

use crate::exit::Result;
use crate::stdout_lines::StdoutLines;

const EXAMPLES: &str = "\
Examples:
  naswot completions bash > ~/.local/share/bash-completion/completions/naswot
  naswot completions zsh > ~/.zfunc/_naswot";

/// Print a script that completes commands and options in a shell
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Completions {
    /// Shell
    shell: Shell,
}

impl Completions {
    /// Runs the command.
    pub(crate) fn run(&self, mut naswot: Command) -> Result {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut naswot, "naswot", &mut script);
        let mut lines = StdoutLines::new();
        lines.print_data(String::from_utf8_lossy(&script).trim_end())?;
        lines.finish()
    }
}
