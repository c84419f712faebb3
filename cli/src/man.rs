//! `naswot man`: pages for `man`, made of the help.

use std::fs;
use std::path::PathBuf;

use clap::{Args, Command};
use clap_mangen::Man;

use crate::exit::{Failure, Result};
use crate::stdout_lines::StdoutLines;

const EXAMPLES: &str = "\
Examples:
  naswot man > naswot.1
  naswot man ~/.local/share/man/man1";

/// Write pages for `man`
///
/// Without a folder it prints the page of `naswot` itself; into one go the pages of all commands, `naswot-score.1` and the like,
/// in place of those that are there.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ManPages {
    /// Folder, which is made if need be
    #[arg(value_name = "DIR")]
    folder: Option<PathBuf>,
}

impl ManPages {
    /// Runs the command.
    pub(crate) fn run(&self, naswot: Command) -> Result {
        let mut lines = StdoutLines::new();
        match &self.folder {
            Some(folder) => {
                let written =
                    fs::create_dir_all(folder).and_then(|()| clap_mangen::generate_to(naswot, folder));
                written.map_err(|error| Failure::unusable(format_args!("{}: {error}", folder.display())))?;
            }
            None => {
                let mut page = Vec::new();
                Man::new(naswot).render(&mut page).map_err(Failure::stopped)?;
                lines.print_data(String::from_utf8_lossy(&page).trim_end())?;
            }
        }
        lines.finish()
    }
}
