//! Codes: which job emits the bits of each counted ReLU, and where they go.
//!
//! The first combine in slot order that reads all of a ReLU's channels, pixel by pixel, emits them; where there
//! is none, a combine is added that has no other output. Parts of a concat that stand side by side in a job, without a
//! whole unit between them, and weigh the same share a region. Regions of one weight are adjacent: an `agreement` job covers up to 4096
//! words of them. This pass follows `schedule`, since "first" means slots.

use std::ops::Range;

use super::fuse::{JobId, Jobs, Pending};
use super::jobs::*;
use super::schedule::slot;
use crate::graph::Shape;

/// Words that one agreement job counts at most.
const AGREEMENT_WORDS: usize = 4096;
/// Sections of one weight start on so many words, and images on so many.
const SECTION_WORDS: usize = 8;
const IMAGE_WORDS: usize = 32;

/// Layout of a network's codes: what each of an image's code words holds.
pub(super) struct CodeLayout {
    pub(super) regions: Vec<Region>,
    pub(super) agreements: Vec<AgreementJob>,
    pub(super) words_per_image: usize,
}

/// Gives every pending ReLU an emitter, then lays out the code words.
pub(super) fn codes(jobs: &mut Jobs) -> CodeLayout {
    let readers = readers(jobs);
    // Weight of the bits that each term of each combine emits.
    let mut weights: Vec<Vec<u32>> = jobs.combines.iter().map(|job| vec![0; job.terms.len()]).collect();
    for pending in std::mem::take(&mut jobs.pending) {
        match emitter(jobs, &readers, &pending.term) {
            Some(reader) => weights[reader.combine][reader.term] += pending.weight,
            None => {
                add_bits_only(jobs, &pending);
                weights.push(vec![pending.weight]);
            }
        }
    }
    let mut regions = Vec::new();
    for (job, weights) in jobs.combines.iter_mut().zip(&weights) {
        assign_regions(job, weights, &mut regions);
    }
    lay_out(regions)
}

/// A term of a combine, ordered by the tensor that it reads and then by when.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Reader {
    tensor: TensorId,
    slot: Slot,
    /// Positions of the combine among the jobs of its kind, and of the term in it.
    combine: usize,
    term: usize,
}

/// All terms, in order.
fn readers(jobs: &Jobs) -> Vec<Reader> {
    let terms = jobs.combines.iter().enumerate().flat_map(|(combine, job)| {
        let reader = move |(term, reads): (usize, &Term)| Reader {
            tensor: reads.tensor,
            slot: job.slot,
            combine,
            term,
        };
        job.terms.iter().enumerate().map(reader)
    });
    let mut readers: Vec<Reader> = terms.collect();
    readers.sort_unstable();
    readers
}

/// The first reader of just the channels of a ReLU, each pixel at its own place.
fn emitter(jobs: &Jobs, readers: &[Reader], relu: &Term) -> Option<Reader> {
    let first = readers.partition_point(|reader| reader.tensor < relu.tensor);
    let mut same = readers[first..].iter().take_while(|reader| reader.tensor == relu.tensor);
    let reads = |reader: &&Reader| {
        let (job, place) =
            (&jobs.combines[reader.combine], |t: &Term| (t.tensor, t.channel, t.channels, t.norm));
        let term = &job.terms[reader.term];
        !term.average && place(term) == place(relu) && job.keeps_pixels()
    };
    same.find(reads).copied()
}

fn add_bits_only(jobs: &mut Jobs, pending: &Pending) {
    let from = jobs.tensors[pending.term.tensor].shape;
    let shape = Shape { channels: pending.term.channels, ..from };
    let id = jobs.combines.len();
    jobs.combines.push(CombineJob {
        slot: slot(jobs, &[pending.term.tensor], shape, 0, 0),
        name: pending.name.to_owned(),
        terms: vec![pending.term],
        output: None,
        shape,
        source: [from.height, from.width],
        window: None,
        weight: 0,
        code: None,
        statistics: Statistics::default(),
    });
    jobs.order.push(JobId::Combine(id));
}

/// Regions of one job: terms of one weight share one where each begins behind the last one's channels, in the next unit
/// at most.
fn assign_regions(job: &mut CombineJob, weights: &[u32], regions: &mut Vec<Region>) {
    let shape = job.shape;
    let open = |weight: u32, channels: Range<usize>, regions: &mut Vec<Region>| {
        regions.push(Region::new(weight, [shape.height, shape.width], channels));
        regions.len() - 1
    };
    // What the term before has.
    struct Last {
        region: usize,
        weight: u32,
        /// Behind its channels.
        end: usize,
    }
    let mut last: Option<Last> = None;
    for (term, &weight) in job.terms.iter_mut().zip(weights) {
        if weight == 0 {
            last = None;
            continue;
        }
        let channels = term.to..term.to + term.channels;
        let region = match last {
            Some(Last { region, weight: before, end })
                if before == weight && end <= term.to && regions[region].reaches(term.to) =>
            {
                regions[region].push(channels);
                region
            }
            _ => open(weight, channels, regions),
        };
        term.code = Some(region);
        last = Some(Last { region, weight, end: term.to + term.channels });
    }
    if job.weight > 0 {
        job.code = Some(open(job.weight, 0..shape.channels, regions));
    }
}

/// Gives regions their words, those of one weight side by side.
fn lay_out(mut regions: Vec<Region>) -> CodeLayout {
    let mut weights: Vec<u32> = regions.iter().map(|region| region.weight).collect();
    weights.sort_unstable();
    weights.dedup();
    let mut agreements = Vec::new();
    let mut word = 0;
    for weight in weights {
        let first = word;
        for region in regions.iter_mut().filter(|region| region.weight == weight) {
            region.word = word;
            word += region.words();
        }
        let pieces = (first..word).step_by(AGREEMENT_WORDS);
        agreements.extend(pieces.map(|piece| AgreementJob {
            word: piece,
            words: AGREEMENT_WORDS.min(word - piece),
            weight,
        }));
        word = word.next_multiple_of(SECTION_WORDS);
    }
    CodeLayout { regions, agreements, words_per_image: word.next_multiple_of(IMAGE_WORDS) }
}

#[cfg(test)]
mod tests {
    use super::Region;
    use crate::plan::Plan;
    use crate::{Conv, Convention, Graph, GraphBuilder, Multiplicity, NodeId, Window};

    fn plan(build: impl FnOnce(&mut GraphBuilder) -> NodeId) -> Plan {
        let mut g = Graph::builder(8).unwrap();
        let output = build(&mut g);
        Plan::new(&g.output(output).unwrap(), [2, 8, 4, 4], Convention::Original).unwrap()
    }

    /// First channel and end of each range.
    fn channels(region: &Region) -> Vec<(usize, usize)> {
        region.channels.iter().map(|range| (range.start, range.end)).collect()
    }

    fn conv_relu(g: &mut GraphBuilder, channels: usize, name: &str) -> NodeId {
        let x = g.conv(g.input(), Conv::new(channels, 1), name).unwrap();
        let x = g.batch_norm(x, &format!("{name}.norm")).unwrap();
        g.relu(x).unwrap()
    }

    #[test]
    fn parts_of_a_concat_share_a_region_and_a_term_over_them_has_its_own() {
        let plan = plan(|g| {
            let [a, b, c] =
                [("a", 6), ("b", 5), ("c", 11)].map(|(name, channels)| conv_relu(g, channels, name));
            let parts = g.concat(&[a, b]).unwrap();
            let sum = g.add(&[parts, c]).unwrap();
            g.relu(sum).unwrap()
        });
        let job = &plan.combines[0];
        let codes: Vec<Option<usize>> = job.terms.iter().map(|term| term.code).collect();
        assert_eq!(codes, [Some(0), Some(0), Some(1)]);
        assert_eq!(job.code, Some(2));
        // 16 pixels of three units, eleven channels of which have bits.
        for region in &plan.regions {
            assert_eq!((region.words(), region.size), (12, [4, 4]));
            assert_eq!((region.first_unit, region.units), (0, 3));
            assert_eq!(channels(region), [(0, 11)]);
        }
        assert_eq!(plan.constant_bits(), 0);
        assert_eq!(plan.agreements.len(), 1);
        assert_eq!(plan.words_per_image, 64);
    }

    #[test]
    fn parts_with_units_between_them_have_regions_of_their_own() {
        // Channels of zeros between two parts of a concat, and the first units and units of regions.
        for (zeros, expected) in [(5, vec![(0, 5)]), (6, vec![(0, 2), (3, 2)]), (7, vec![(0, 2), (3, 2)])] {
            let plan = plan(|g| {
                let [a, b, c] = [("a", 6), ("b", 6), ("c", 12 + zeros)]
                    .map(|(name, channels)| conv_relu(g, channels, name));
                let zero = g.conv(g.input(), Conv::new(zeros, 1), "zero").unwrap();
                let zero = g.zero(zero).unwrap();
                let parts = g.concat(&[a, zero, b]).unwrap();
                let sum = g.add(&[parts, c]).unwrap();
                g.relu(sum).unwrap()
            });
            let [parts @ .., _, _] = &plan.regions[..] else { panic!("c and the sum have regions, too") };
            let units: Vec<_> = parts.iter().map(|region| (region.first_unit, region.units)).collect();
            assert_eq!(units, expected, "{zeros}");
        }
    }

    #[test]
    fn a_pool_with_a_stride_cannot_emit_the_bits_of_what_it_reads() {
        let plan = plan(|g| {
            let a = conv_relu(g, 8, "a");
            let pool = g.max_pool(a, Window::new(2, 2, 0)).unwrap();
            g.relu(pool).unwrap()
        });
        let bits_only: Vec<_> = plan.combines.iter().filter(|job| job.output.is_none()).collect();
        assert_eq!(bits_only.len(), 1);
        assert_eq!(bits_only[0].slot.phase, 2);
        assert_eq!(bits_only[0].shape.pixels(), 16);
    }

    #[test]
    fn relus_of_zeros_have_no_bits_and_are_constant() {
        let plan = plan(|g| {
            let a = conv_relu(g, 6, "a");
            let zero = g.zero(g.input()).unwrap();
            let zero = g.relu(zero).unwrap();
            let parts = g.concat(&[a, zero]).unwrap();
            g.relu(parts).unwrap()
        });
        let channels: Vec<_> = plan.regions.iter().map(channels).collect();
        assert_eq!(channels, [[(0, 6)], [(0, 14)]]);
        // 16 pixels of the eight channels that are zero.
        assert_eq!(plan.constant_bits(), 128);
    }

    #[test]
    fn sections_of_different_weight_never_share_an_agreement_job() {
        let plan = plan(|g| {
            let twice = g.relu_counted(g.input(), Multiplicity::RELU_CONV_BN).unwrap();
            let once = conv_relu(g, 8, "a");
            g.add(&[twice, once]).unwrap()
        });
        let jobs: Vec<(usize, usize, u32)> =
            plan.agreements.iter().map(|job| (job.word, job.words, job.weight)).collect();
        assert_eq!(jobs, [(0, 8, 1), (8, 8, 2)]);
        assert_eq!(plan.activations(), 128 + 2 * 128);
    }
}
