//! Options that several pictures have.

use std::path::{Path, PathBuf};

use clap::Args;
use naswot::Agreement;
use naswot::analysis::drawing::{AxisLimits, Shades};

use crate::exit::{Failure, Result};
use crate::options::file;
use crate::picture::{Picture, PictureFile, PictureStyle};

/// The options of every picture.
#[derive(Args, Debug)]
#[command(next_help_heading = "Picture")]
pub(super) struct PictureOptions {
    /// Write the picture to a .svg, .png or .pdf file
    #[arg(short, long, value_name = "FILE", value_parser = file(PictureFile::parse))]
    out: PictureFile,
    #[command(flatten)]
    pub(super) look: PictureStyle,
    /// Replace a picture that exists already
    #[arg(long)]
    force: bool,
}

impl PictureOptions {
    /// Makes the picture of some inputs and writes it.
    pub(super) fn write<'a>(
        &self,
        inputs: impl IntoIterator<Item = &'a PathBuf>,
        draw: impl FnOnce() -> Result<String>,
    ) -> Result {
        let inputs = inputs.into_iter().map(PathBuf::as_path);
        let picture = Picture::new(&self.out, self.force, inputs)?;
        picture.finish(draw(), self.look)
    }
}

/// The options of a chart's horizontal axis.
#[derive(Args, Clone, Copy, Debug)]
#[command(next_help_heading = "Picture")]
pub(super) struct AxisOptions {
    /// Where the horizontal axis begins; what is below is not drawn, but counted in a note [default: the smallest value]
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    x_from: Option<f64>,
    /// Where the horizontal axis ends
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    x_to: Option<f64>,
}

impl AxisOptions {
    pub(super) fn limits(self) -> AxisLimits {
        AxisLimits { from: self.x_from, to: self.x_to }
    }
}

/// The options of the colors of kernels.
#[derive(Args, Clone, Copy, Debug)]
#[command(next_help_heading = "Picture")]
pub(super) struct ShadeOptions {
    /// Share of N_A, 0 to 1, that is darkest, for pictures that are to be compared [default: that of the smallest entry]
    #[arg(long, value_name = "SHARE", value_parser = share)]
    low: Option<f64>,
    /// Share of N_A that is brightest
    #[arg(long, value_name = "SHARE", default_value_t = 1.0, value_parser = share)]
    high: f64,
}

impl ShadeOptions {
    /// The colors of some kernels.
    pub(super) fn shades<'a>(self, kernels: impl Iterator<Item = &'a Agreement>) -> Result<Shades> {
        let least = || kernels.map(|kernel| Shades::of(kernel).low).fold(1.0, f64::min);
        let (low, high) = (self.low.unwrap_or_else(least), self.high);
        if low >= high && (self.low.is_some() || high < 1.0) {
            return Err(Failure::unusable(format_args!("--low, {low}, must be below --high, {high}")));
        }
        Ok(Shades { low, high })
    }
}

/// A picture of a file, which is what a failure names.
pub(super) fn drawn(file: &Path, svg: naswot::Result<String>) -> Result<String> {
    svg.map_err(|error| Failure::unusable(format_args!("{}: {error}", file.display())))
}

fn share(text: &str) -> Result<f64, String> {
    let share = text.parse::<f64>().ok().filter(|share| (0.0..=1.0).contains(share));
    share.ok_or_else(|| "must be a number from 0 to 1".to_owned())
}
