//! Pictures that are written to files.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use naswot::analysis::drawing;
#[cfg(feature = "pdf")]
use naswot::analysis::drawing::pdf;
#[cfg(feature = "png")]
use naswot::analysis::drawing::png;

use crate::exit::{Exit, Result};
use crate::output::Draft;

/// A file for a picture, its form known by its ending.
#[derive(Clone, Debug)]
pub(crate) struct PictureFile {
    path: PathBuf,
    form: PictureFormat,
}

#[derive(Clone, Copy, Debug)]
enum PictureFormat {
    Svg,
    Png,
    Pdf,
}

impl PictureFile {
    /// Reads the option.
    pub(crate) fn parse(path: PathBuf) -> Result<Self, String> {
        let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
        let form = match ending.to_ascii_lowercase().as_str() {
            "svg" => PictureFormat::Svg,
            "png" if cfg!(feature = "png") => PictureFormat::Png,
            "pdf" if cfg!(feature = "pdf") => PictureFormat::Pdf,
            feature @ ("png" | "pdf") => {
                let name = feature.to_ascii_uppercase();
                return Err(format!(
                    "this naswot is built without {name}: write .svg, or `cargo install` it with --features {feature}"
                ));
            }
            _ => return Err("the name must end in .svg, .png or .pdf, which says what is written".to_owned()),
        };
        Ok(PictureFile { path, form })
    }
}

/// The style of pictures.
#[derive(Args, Clone, Copy, Debug)]
#[command(next_help_heading = "Picture")]
pub(crate) struct PictureStyle {
    /// The ground: light for paper, or dark
    #[arg(long, value_name = "THEME", default_value = "light")]
    theme: Theme,
    /// Pixels of a PNG for each of the SVG's
    #[arg(long, value_name = "FACTOR", default_value_t = 3.0, value_parser = scale)]
    scale: f32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Theme {
    Light,
    Dark,
}

impl PictureStyle {
    pub(crate) fn theme(self) -> drawing::Theme {
        match self.theme {
            Theme::Light => drawing::Theme::Light,
            Theme::Dark => drawing::Theme::Dark,
        }
    }

    /// The picture as the bytes of its file.
    fn bytes(self, svg: String, form: PictureFormat) -> Result<Vec<u8>> {
        match form {
            PictureFormat::Svg => Ok(svg.into_bytes()),
            PictureFormat::Png => Ok(png(&svg, self.scale)?),
            PictureFormat::Pdf => Ok(pdf(&svg)?),
        }
    }
}

/// A picture that is to be written at the end, its file refused at the start where it is there already.
pub(crate) struct Picture<'a> {
    file: &'a PictureFile,
    draft: Draft,
}

impl<'a> Picture<'a> {
    /// A picture of some inputs, none of which may be its file.
    pub(crate) fn new<'b>(
        file: &'a PictureFile,
        force: bool,
        inputs: impl IntoIterator<Item = &'b Path>,
    ) -> Result<Self> {
        Ok(Picture { file, draft: Draft::new(&file.path, force, inputs)? })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.file.path
    }

    /// Writes the picture. No file comes of one that could not be drawn.
    pub(crate) fn finish(self, svg: Result<String>, look: PictureStyle) -> Result {
        let bytes = svg.and_then(|svg| look.bytes(svg, self.file.form));
        let written = bytes.and_then(|bytes| self.draft.write(&bytes));
        self.draft.settle(written.map(|()| Exit::Success))
    }
}

/// The stand-in for the feature; a name that asks for it has been refused.
#[cfg(not(feature = "png"))]
fn png(_: &str, _: f32) -> naswot::Result<Vec<u8>> {
    Err(naswot::Error::Picture { message: "this naswot is built without PNG".to_owned() })
}

/// The stand-in for the feature, likewise.
#[cfg(not(feature = "pdf"))]
fn pdf(_: &str) -> naswot::Result<Vec<u8>> {
    Err(naswot::Error::Picture { message: "this naswot is built without PDF".to_owned() })
}

fn scale(text: &str) -> Result<f32, String> {
    let factor = text.parse::<f32>().ok().filter(|factor| (0.1..=20.0).contains(factor));
    factor.ok_or_else(|| "must be a number from 0.1 to 20".to_owned())
}
