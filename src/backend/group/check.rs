//! Looks whether every extent that a kernel touches lies inside its buffer: kernels check nothing.

use super::records::*;
use super::{Group, Launch, Step};
use crate::plan::jobs::octets;
use crate::{Error, Result};

impl Group {
    /// Checks the records of every launch, with so many octets in the weight pool.
    ///
    /// # Errors
    /// A place outside its buffer, which is a fault of this crate.
    pub(crate) fn check(&self, pool: usize) -> Result<()> {
        self.launches.iter().try_for_each(|launch| self.check_launch(launch, pool))
    }

    fn check_launch(&self, launch: &Launch, pool: usize) -> Result<()> {
        let LaunchRecord { images, height, width, blocks, .. } = launch.record;
        let range = launch.jobs();
        let (images, pixels) = (images as usize, (images * height * width) as usize);
        let inside = |what: &str, end: usize, size: usize| {
            if end <= size { Ok(()) } else { Err(outside(launch, what, end, size)) }
        };
        let sizes = self.sizes;
        let partials = |place: u32, octets: usize| match place {
            NONE => Ok(()),
            place => inside("partials", place as usize + blocks as usize * octets, sizes.partials),
        };
        match launch.step {
            Step::Combine | Step::StoredBatchNorm => {
                for job in &self.tables.combines[range] {
                    let octets = octets(job.channels as usize);
                    let region = (height as usize * width as usize * octets).div_ceil(4);
                    let code = |code: u32| match code {
                        NONE => Ok(()),
                        code => inside("codes", code as usize + region, job.words_per_image as usize),
                    };
                    inside("codes", job.codes as usize + images * job.words_per_image as usize, sizes.codes)?;
                    code(job.code)?;
                    partials(job.partials, octets)?;
                    if job.output != NONE {
                        inside("arena", job.output as usize + pixels * octets, sizes.arena)?;
                    }
                    let terms = job.first_term as usize..(job.first_term + job.terms) as usize;
                    for term in &self.tables.terms[terms] {
                        self.check_term(term, images, &inside)?;
                        code(term.code)?;
                        inside("channels", (term.to + term.channels) as usize, job.channels as usize)?;
                    }
                }
            }
            Step::ConvNarrow | Step::ConvWide => {
                for job in &self.tables.convs[range] {
                    let (octets, pitch) = halves(job.out_octets);
                    let ((kernel_height, kernel_width), in_octets) =
                        (halves(job.kernel), job.in_octets as usize);
                    inside("arena", last(job.output, pixels, pitch) + octets, sizes.arena)?;
                    inside("arena", job.input as usize + images * area(job.size) * in_octets, sizes.arena)?;
                    partials(job.partials, octets)?;
                    let rows = job.rows as usize..job.rows as usize + octets;
                    inside("rows", rows.end, self.tables.rows.len())?;
                    for &row in &self.tables.rows[rows] {
                        inside("pool", row as usize + 8 * kernel_height * kernel_width * in_octets, pool)?;
                    }
                }
            }
            Step::BatchNorm => {
                for job in &self.tables.norms[range] {
                    let octets = octets(job.channels as usize);
                    let last = job.partials as usize + (blocks as usize - 1) * job.pitch as usize;
                    inside("partials", last + octets, sizes.partials)?;
                    inside("norms", job.norm as usize + octets, sizes.norms)?;
                    if job.affine != NONE {
                        inside("pool", job.affine as usize + 2 * octets, pool)?;
                    }
                }
            }
            Step::Agreement => {
                for job in &self.tables.agreements[range] {
                    let last = job.codes as usize + (images - 1) * job.words_per_image as usize;
                    inside("codes", last + job.words as usize, sizes.codes)?;
                    inside("kernels", job.kernel as usize + images * images, sizes.kernels)?;
                }
            }
            Step::Start | Step::Cholesky => {
                for job in &self.tables.choleskys[range] {
                    inside("kernels", job.kernel as usize + images * images, sizes.kernels)?;
                    inside("pivots", job.pivots as usize + images, sizes.pivots)?;
                    inside("statuses", job.status as usize + 1, sizes.statuses)?;
                }
            }
            Step::Weights => {}
        }
        Ok(())
    }

    fn check_term(
        &self,
        term: &TermRecord,
        images: usize,
        inside: &impl Fn(&str, usize, usize) -> Result<()>,
    ) -> Result<()> {
        let octets = octets(term.channels as usize);
        let end = last(term.source, images * area(term.size), term.pitch as usize) + octets;
        inside("arena", end, self.sizes.arena)?;
        match term.norm {
            NONE => Ok(()),
            norm => inside("norms", norm as usize + octets, self.sizes.norms),
        }
    }
}

/// The last pixel's place.
fn last(first: u32, pixels: usize, pitch: usize) -> usize {
    first as usize + (pixels - 1) * pitch
}

fn halves(pair: u32) -> (usize, usize) {
    ((pair & 0xffff) as usize, (pair >> 16) as usize)
}

fn area(size: u32) -> usize {
    let (height, width) = halves(size);
    height * width
}

fn outside(launch: &Launch, what: &str, end: usize, size: usize) -> Error {
    let reason = format!(
        "a place of {:?} ends at {end} of {size} {what}: this is a fault of naswot, please report it",
        launch.step
    );
    Error::Backend { backend: "gpu".to_owned(), reason }
}
