//! Outputs of commands, all of which are written here. Rows grow in place, in a file that one process at a time writes. What is
//! whole or nothing, such as a page, a picture or a table, is a draft until it takes its place. No file is touched that is the
//! command's own input, that another process writes, or that came into being while the command ran, unless it is to be
//! replaced.

mod draft;
mod identity;
mod leftovers;
mod lock;
mod new_file;
mod out_file;
mod rows;

pub(crate) use draft::Draft;
pub(crate) use identity::{is_at, is_same_file, is_stdout, refuse_inputs};
pub(crate) use leftovers::remove_leftovers;
pub(crate) use lock::{open, remove};
pub(crate) use new_file::NewFile;
pub(crate) use out_file::{Existing, OutFile};
pub(crate) use rows::{Output, check_unchanged};
