//! SVG read back, for what makes other formats of it.

use std::sync::Arc;

use resvg::usvg::{Options, Tree, fontdb::Database};

use crate::{Error, Result};

/// The tree of a picture, its text in Noto Sans, which is built in by its license, the file `LICENSE-OFL`.
pub(super) fn tree(svg: &str) -> Result<Tree> {
    let mut fonts = Database::new();
    fonts.load_font_data(notosans::REGULAR_TTF.to_vec());
    fonts.set_sans_serif_family("Noto Sans");
    let options = Options { fontdb: Arc::new(fonts), ..Options::default() };
    let wrong = |error| Error::Picture { message: format!("is no SVG: {error}") };
    Tree::from_str(svg, &options).map_err(wrong)
}
