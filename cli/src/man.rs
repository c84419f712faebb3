//! `naswot man`: pages for `man`, made of the help.

use std::fs;
use std::path::{Path, PathBuf};

use clap::{Args, Command};
use clap_mangen::Man;

use crate::exit::{Exit, Failure, Result};
use crate::output::Draft;
use crate::stdout_lines::StdoutLines;

const EXAMPLES: &str = "\
Examples:
  naswot man > naswot.1
  naswot man ~/.local/share/man/man1";

/// Write pages for `man`
///
/// Without a folder it prints the page of `naswot` itself; into one go the pages of all commands, `naswot-score.1` and the like.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ManPages {
    /// Folder, which is made if need be
    #[arg(value_name = "DIR")]
    folder: Option<PathBuf>,
    /// Replace pages that exist already
    #[arg(long, requires = "folder")]
    force: bool,
}

impl ManPages {
    /// Runs the command.
    pub(crate) fn run(&self, naswot: Command) -> Result {
        if let Some(folder) = &self.folder {
            return self.write(naswot, folder);
        }
        let page = page(&Man::new(naswot))?;
        let mut lines = StdoutLines::new();
        lines.print_data(String::from_utf8_lossy(&page).trim_end())?;
        lines.finish()
    }

    /// Writes the pages of all commands, none where one may not be.
    fn write(&self, naswot: Command, folder: &Path) -> Result {
        fs::create_dir_all(folder)
            .map_err(|error| Failure::unusable(format_args!("{}: {error}", folder.display())))?;
        // There is no page of `help`.
        let mut naswot = naswot.disable_help_subcommand(true);
        naswot.build();
        let mut drafts = Vec::new();
        for man in commands(&naswot).map(Man::new) {
            let draft = Draft::new(&folder.join(man.get_filename()), self.force, [])?;
            draft.write(&page(&man)?)?;
            drafts.push(draft);
        }
        drafts.into_iter().try_for_each(Draft::finish)?;
        Ok(Exit::Success)
    }
}

/// A command behind those within it, but for hidden ones.
fn commands(command: &Command) -> Box<dyn Iterator<Item = Command> + '_> {
    let shown = command.get_subcommands().filter(|command| !command.is_hide_set());
    Box::new(shown.flat_map(commands).chain([command.clone()]))
}

/// The text of a page.
fn page(man: &Man) -> Result<Vec<u8>> {
    let mut page = Vec::new();
    man.render(&mut page).map_err(Failure::stopped)?;
    Ok(page)
}
