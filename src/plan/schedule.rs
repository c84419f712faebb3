//! The schedule: when each job runs. Convolutions that are wider than their tile are cut here.
//!
//! Jobs alternate between two phases, `combine` (even) and `conv` (odd). A job's *segment* is the largest, over
//! its producers, of their segment, plus one where its output resolution differs from theirs; its *phase* is
//! the first one of its kind after all producers in its segment. A slot is (segment, phase, height, width). All
//! jobs of a slot may run at once, and a group of networks runs the sorted union of their slots: so a group
//! costs the launches of its deepest network, whatever else is in it.

use super::fuse::{JobId, Jobs};
use super::jobs::*;
use crate::graph::Shape;

/// Sets the slot of every job.
pub(super) fn schedule(jobs: &mut Jobs) {
    for position in 0..jobs.order.len() {
        match jobs.order[position] {
            JobId::Combine(id) => {
                let job = &jobs.combines[id];
                let reads: Vec<TensorId> = job.terms.iter().map(|term| term.tensor).collect();
                let fill = jobs.fills.iter().find(|(fill, _)| *fill == id);
                let earliest = fill.map_or(0, |(_, segment)| *segment);
                jobs.combines[id].slot = slot(jobs, &reads, job.shape, 0, earliest);
            }
            JobId::Conv(id) => {
                let job = &jobs.convs[id];
                let shape = jobs.tensors[job.output].shape;
                jobs.convs[id].slot = slot(jobs, &[job.input], shape, 1, 0);
            }
        }
    }
    for position in 0..jobs.grams.len() {
        let tensor = jobs.grams[position].tensor;
        jobs.grams[position].slot = slot(jobs, &[tensor], jobs.tensors[tensor].shape, 0, 0);
    }
    cut_wide_convs(jobs);
}

/// How many jobs there are at most when those that do not fit a tile are cut.
pub(super) fn most_pieces(jobs: &Jobs) -> usize {
    let tile = TileClass::Narrow.channels() / OCTET;
    let convs = jobs.convs.iter().map(|job| job.octets().len().div_ceil(tile));
    jobs.combines.len() + convs.sum::<usize>()
}

/// The slot of a job whose kind has phases of this parity.
pub(super) fn slot(jobs: &Jobs, reads: &[TensorId], shape: Shape, parity: usize, earliest: usize) -> Slot {
    let mut segment = earliest;
    let mut phase = parity;
    for producer in reads.iter().filter_map(|&tensor| jobs.producers[tensor]) {
        let producer = match producer {
            JobId::Combine(id) => jobs.combines[id].slot,
            JobId::Conv(id) => jobs.convs[id].slot,
        };
        let same_size = (producer.height, producer.width) == (shape.height, shape.width);
        let through = producer.segment + usize::from(!same_size);
        if through > segment {
            segment = through;
            phase = parity;
        }
        if same_size && producer.segment == segment {
            let after = producer.phase + 1;
            phase = phase.max(after + (after + parity) % 2);
        }
    }
    Slot { segment, phase, height: shape.height, width: shape.width }
}

/// Chooses the tile class of every segment, and cuts jobs that do not fit one tile.
fn cut_wide_convs(jobs: &mut Jobs) {
    let segments = jobs.convs.iter().map(|job| job.slot.segment).max().map_or(0, |last| last + 1);
    let mut classes = vec![TileClass::Narrow; segments];
    for job in &jobs.convs {
        let widest = job.parts.iter().map(|part| jobs.parameters[part.parameter].shape.out_channels).max();
        if widest > Some(TileClass::Narrow.channels()) {
            classes[job.slot.segment] = TileClass::Wide;
        }
    }
    let whole = std::mem::take(&mut jobs.convs);
    let mut first_piece = Vec::with_capacity(whole.len());
    for mut job in whole {
        first_piece.push(jobs.convs.len());
        job.class = classes[job.slot.segment];
        jobs.convs.extend(cut(&job, job.class.channels() / OCTET));
    }
    for id in jobs.order.iter_mut().chain(jobs.producers.iter_mut().flatten()) {
        if let JobId::Conv(id) = id {
            *id = first_piece[*id];
        }
    }
}

/// Cuts a job into pieces of at most so many octets.
fn cut(job: &ConvJob, most: usize) -> Vec<ConvJob> {
    let whole = job.octets();
    let pieces = whole.clone().step_by(most).map(|first| first..(first + most).min(whole.end));
    pieces
        .map(|piece| {
            let parts = job.parts.iter().filter_map(|part| {
                let first = part.octet.max(piece.start);
                let end = (part.octet + part.octets).min(piece.end);
                (first < end).then(|| Part {
                    parameter: part.parameter,
                    row: part.row + first - part.octet,
                    octet: first,
                    octets: end - first,
                })
            });
            let norms = job.statistics.norms.iter().filter_map(|norm| {
                let first = norm.channel.max(piece.start * OCTET);
                let end = (norm.channel + norm.channels).min(piece.end * OCTET);
                (first < end).then(|| NormJob {
                    channel: first,
                    channels: end - first,
                    first: norm.first + first - norm.channel,
                    entry: norm.entry + first - norm.channel,
                    ..norm.clone()
                })
            });
            let (parts, norms) = (parts.collect(), norms.collect());
            ConvJob { parts, statistics: Statistics { norms, partials: 0 }, ..job.clone() }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Plan;
    use crate::{Conv, Convention, Graph, GraphBuilder, NodeId, Window};

    fn conv_relu(g: &mut GraphBuilder, x: NodeId, channels: usize, name: &str) -> NodeId {
        let x = g.conv(x, Conv::new(channels, 1), name).unwrap();
        let x = g.batch_norm(x, &format!("{name}.norm")).unwrap();
        g.relu(x).unwrap()
    }

    fn plan(build: impl FnOnce(&mut GraphBuilder) -> NodeId) -> Plan {
        let mut g = Graph::builder(8).unwrap();
        let output = build(&mut g);
        Plan::new(&g.output(output).unwrap(), [2, 8, 8, 8], Convention::Relu).unwrap()
    }

    fn phases(plan: &Plan) -> Vec<(usize, usize)> {
        plan.slots().map(|slot| (slot.segment, slot.phase)).collect()
    }

    #[test]
    fn phases_alternate_and_a_new_resolution_starts_anew() {
        let plan = plan(|g| {
            let a = conv_relu(g, g.input(), 8, "a");
            let b = conv_relu(g, a, 8, "b");
            let pool = g.max_pool(b, Window::new(2, 2, 0)).unwrap();
            conv_relu(g, pool, 8, "c")
        });
        assert_eq!(phases(&plan), [(0, 1), (0, 2), (0, 3), (0, 4), (1, 0), (1, 1), (1, 2)]);
    }

    #[test]
    fn a_zero_fill_runs_in_the_segment_where_the_graph_has_it() {
        let plan = plan(|g| {
            let pool = g.max_pool(g.input(), Window::new(2, 2, 0)).unwrap();
            let zero = g.zero(pool).unwrap();
            conv_relu(g, zero, 8, "a")
        });
        assert_eq!(phases(&plan), [(1, 0), (1, 2)]);
    }

    #[test]
    fn convs_wider_than_their_tile_become_jobs_of_one_slot() {
        let plan = plan(|g| {
            let parts = [("a", 60), ("b", 30), ("c", 64)]
                .map(|(name, channels)| conv_relu(g, g.input(), channels, name));
            g.concat(&parts).unwrap()
        });
        assert_eq!(plan.slots[0].convs, 0..3);
        assert!(plan.convs.iter().all(|job| job.class == TileClass::Narrow && job.octets().len() <= 8));
        let covered: Vec<usize> = plan.convs.iter().flat_map(|job| job.octets()).collect();
        assert_eq!(covered, (0..8 + 4 + 8).collect::<Vec<_>>());
        let rows: Vec<usize> =
            plan.convs.iter().flat_map(|job| job.parts.iter().map(|part| part.row)).collect();
        assert_eq!(rows, [0, 0, 0, 4]);
        let norms: usize =
            plan.convs.iter().flat_map(|job| &job.statistics.norms).map(|norm| norm.channels).sum();
        assert_eq!(norms, 60 + 30 + 64);
    }

    #[test]
    fn one_wide_conv_makes_its_whole_segment_wide() {
        let plan = plan(|g| {
            let wide = conv_relu(g, g.input(), 65, "wide");
            conv_relu(g, wide, 8, "narrow")
        });
        assert!(plan.convs.iter().all(|job| job.class == TileClass::Wide));
    }
}
