//! Fusion of values into jobs. Batch norm, ReLU, truncation, concat and add become *terms* of the job that reads
//! them, so they never have a pass over memory of their own.
//!
//! A convolution reads one whole plain tensor, with or without ReLU. A sum or concat is inlined only into one
//! single reader that is itself a sum, a concat or a window; in every other case one combine stores it.
//! ReLUs whose bits a reader will emit are left as [`Pending`] for the pass `codes`. What would be read through very many
//! values, as no network of the field asks for, is stored on the way: so the terms of a job, and the calls that find
//! them, are bounded.

use super::jobs::*;
use super::merge::{ConvGroup, ConvValue};
use super::value::{AVERAGE_3X3, Readers, Value};
use crate::graph::{Eps, Op, Shape, Window};
use crate::weights::RowShape;

/// Most values that a term is read through, and most terms that a value is inlined as.
const DEEPEST: usize = 200;
const MOST_TERMS: usize = 4096;

/// A job: its kind, and its position among the jobs of its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum JobId {
    Combine(usize),
    Conv(usize),
}

/// Jobs in the order in which they were found, producers first.
#[derive(Default)]
pub(super) struct Jobs<'a> {
    pub(super) order: Vec<JobId>,
    pub(super) tensors: Vec<Tensor>,
    /// The job that writes each tensor; none for the image.
    pub(super) producers: Vec<Option<JobId>>,
    pub(super) convs: Vec<ConvJob>,
    pub(super) combines: Vec<CombineJob>,
    pub(super) grams: Vec<GramJob>,
    pub(super) parameters: Vec<Parameter>,
    pub(super) norm_entries: usize,
    pub(super) pending: Vec<Pending<'a>>,
    /// Zero fills and their segments: no producer says when they run, so the graph does.
    pub(super) fills: Vec<(usize, usize)>,
}

/// Bits of a ReLU that some reader of these channels is to emit.
#[derive(Clone, Debug)]
pub(super) struct Pending<'a> {
    pub(super) name: &'a str,
    /// How a reader without ReLU would read the value.
    pub(super) term: Term,
    pub(super) weight: u32,
}

/// A value that its readers make of raw numbers.
#[derive(Clone, Copy)]
struct RawValue {
    tensor: TensorId,
    /// First channel.
    channel: usize,
    /// Entry of the norm arena for that channel, where readers normalize.
    norm: Option<usize>,
}

struct Fuse<'a> {
    values: &'a [Value<'a>],
    readers: Readers,
    /// Values that are stored although they could be read through.
    stored: Vec<bool>,
    /// The raw numbers of each value that is a convolution or a batch norm.
    raw: Vec<Option<RawValue>>,
    /// The tensor of each value that a combine stores.
    plain: Vec<Option<TensorId>>,
    jobs: Jobs<'a>,
}

pub(super) fn fuse<'a>(values: &'a [Value<'a>], groups: &[ConvGroup], image: Shape) -> Jobs<'a> {
    let readers = Readers::new(values);
    let stored = stored(values, &readers);
    let mut fuse = Fuse {
        values,
        readers,
        stored,
        raw: vec![None; values.len()],
        plain: vec![None; values.len()],
        jobs: Jobs::default(),
    };
    fuse.tensor(image, octets(image.channels), false, None);
    // In the order of their first members.
    let mut groups = groups.iter().peekable();
    for (i, value) in values.iter().enumerate() {
        match &value.op {
            Op::Conv(_) => {
                if let Some(group) = groups.next_if(|group| group.members[0].value == i) {
                    fuse.conv(group);
                }
            }
            Op::BatchNorm { eps } => fuse.batch_norm(i, *eps),
            _ if fuse.stored[i] => {
                fuse.plain(i);
            }
            _ => {}
        }
        if value.weight > 0 {
            fuse.relu_bits(i);
        }
        if value.feature.is_wanted() {
            fuse.gram(i);
        }
    }
    fuse.jobs
}

/// Which values are stored since they would be read through too many others, or as too many terms.
fn stored(values: &[Value], readers: &Readers) -> Vec<bool> {
    let mut stored = vec![false; values.len()];
    // Values that each is read through, and the terms of each.
    let mut depths = vec![0; values.len()];
    let mut terms = vec![1; values.len()];
    for (i, value) in values.iter().enumerate() {
        let deepest = value.inputs.iter().map(|&input| depths[input]).max();
        match (&value.op, deepest) {
            (Op::Input | Op::Zero | Op::Conv(_) | Op::BatchNorm { .. }, _) | (_, None) => continue,
            (_, Some(deepest)) => depths[i] = deepest + 1,
        }
        if is_sum(value) && readers.of(i).len() == 1 {
            terms[i] = value.inputs.iter().map(|&input| terms[input]).sum();
        }
        if depths[i] > DEEPEST || terms[i] > MOST_TERMS {
            (stored[i], depths[i], terms[i]) = (true, 0, 1);
        }
    }
    stored
}

fn is_sum(value: &Value) -> bool {
    matches!(value.op, Op::Add | Op::Concat)
}

impl Fuse<'_> {
    fn tensor(&mut self, shape: Shape, pitch: usize, raw: bool, producer: Option<JobId>) -> TensorId {
        self.jobs.tensors.push(Tensor { shape, pitch, raw, offset: 0 });
        self.jobs.producers.push(producer);
        self.jobs.tensors.len() - 1
    }

    /// The terms of a value that is read within a sum.
    fn terms(&mut self, v: usize) -> Vec<Term> {
        match self.values[v].op {
            Op::Zero => Vec::new(),
            _ if is_sum(&self.values[v]) && self.is_inlined(v) => self.inner_terms(v),
            _ => vec![self.term(v)],
        }
    }

    /// The terms of a sum's or concat's inputs.
    fn inner_terms(&mut self, v: usize) -> Vec<Term> {
        let value = &self.values[v];
        let mut terms = Vec::new();
        let mut to = 0;
        for &input in &value.inputs {
            terms.extend(self.terms(input).into_iter().map(|term| Term { to: term.to + to, ..term }));
            if value.op == Op::Concat {
                to += self.values[input].shape.channels;
            }
        }
        terms
    }

    /// The terms of a value that stands under a window. A job has one window, so averages are stored first.
    fn pooled_terms(&mut self, v: usize) -> Vec<Term> {
        let terms = self.terms(v);
        if terms.iter().all(|term| !term.average) {
            return terms;
        }
        let (tensor, channels) = (self.plain(v), self.values[v].shape.channels);
        let (norm, code) = (None, None);
        vec![Term { tensor, channel: 0, to: 0, channels, norm, relu: false, average: false, code }]
    }

    fn is_inlined(&self, v: usize) -> bool {
        match *self.readers.of(v) {
            _ if self.stored[v] => false,
            [reader] => match &self.values[reader].op {
                Op::Add | Op::Concat | Op::MaxPool(_) => true,
                op @ Op::AvgPool(_) => *op != AVERAGE_3X3,
                _ => false,
            },
            _ => false,
        }
    }

    /// A value as one term.
    fn term(&mut self, v: usize) -> Term {
        let channels = self.values[v].shape.channels;
        let at = |tensor, channel, norm| Term {
            tensor,
            channel,
            to: 0,
            channels,
            norm,
            relu: false,
            average: false,
            code: None,
        };
        if let Some(RawValue { tensor, channel, norm }) = self.raw[v] {
            return at(tensor, channel, norm);
        }
        if let (true, Some(tensor)) = (self.stored[v], self.plain[v]) {
            return at(tensor, 0, None);
        }
        let values = self.values;
        match &values[v].op {
            Op::Relu(_) => Term { relu: true, ..self.bare_term(values[v].inputs[0]) },
            Op::Slice { .. } => Term { channels, ..self.term(values[v].inputs[0]) },
            op if *op == AVERAGE_3X3 => {
                let input = values[v].inputs[0];
                let term = self.term(input);
                let term = if term.average { at(self.plain(input), 0, None) } else { term };
                Term { average: true, ..term }
            }
            _ => at(self.plain(v), 0, None),
        }
    }

    /// A value as one term to which a ReLU can be added.
    fn bare_term(&mut self, v: usize) -> Term {
        let term = self.term(v);
        if !term.relu && !term.average {
            return term;
        }
        Term { tensor: self.plain(v), channel: 0, norm: None, relu: false, average: false, ..term }
    }

    /// The tensor in which a combine stores a value.
    fn plain(&mut self, v: usize) -> TensorId {
        let value = &self.values[v];
        if value.op == Op::Input {
            return IMAGE;
        }
        if let Some(tensor) = self.plain[v] {
            return tensor;
        }
        let (terms, window) = match &value.op {
            Op::Add | Op::Concat => (self.inner_terms(v), None),
            Op::Zero => (Vec::new(), None),
            Op::MaxPool(window) => (self.pooled_terms(value.inputs[0]), Some((Pool::Max, *window))),
            op @ Op::AvgPool(window) if *op != AVERAGE_3X3 => {
                (self.pooled_terms(value.inputs[0]), Some((Pool::Average, *window)))
            }
            _ => (vec![self.term(v)], None),
        };
        let tensor = self.combine(v, terms, window);
        self.plain[v] = Some(tensor);
        tensor
    }

    fn combine(&mut self, v: usize, terms: Vec<Term>, window: Option<(Pool, Window)>) -> TensorId {
        let value = &self.values[v];
        let from = window.map_or(value.shape, |_| self.values[value.inputs[0]].shape);
        let id = self.jobs.combines.len();
        let output = self.tensor(value.shape, octets(value.shape.channels), false, Some(JobId::Combine(id)));
        if terms.is_empty() {
            self.jobs.fills.push((id, value.segment));
        }
        self.jobs.combines.push(CombineJob {
            slot: Slot::default(),
            name: value.name.to_owned(),
            terms,
            output: Some(output),
            shape: value.shape,
            source: [from.height, from.width],
            window,
            weight: 0,
            code: None,
            statistics: Statistics::default(),
        });
        self.jobs.order.push(JobId::Combine(id));
        output
    }

    fn conv(&mut self, group: &ConvGroup) {
        let ConvValue { value: first, conv } = group.members[0];
        let (input, relu) = self.conv_input(self.values[first].inputs[0]);
        let id = self.jobs.convs.len();
        let shape = self.values[first].shape;
        let output = self.tensor(shape, 0, true, Some(JobId::Conv(id)));
        let mut parts = Vec::new();
        let mut octet = 0;
        for &member in &group.members {
            let parameter = self.parameter(member);
            let channels = member.conv.out_channels;
            parts.push(Part { parameter, row: 0, octet, octets: octets(channels) });
            self.raw[member.value] = Some(RawValue { tensor: output, channel: octet * OCTET, norm: None });
            octet += octets(channels);
        }
        self.jobs.tensors[output].pitch = octet;
        self.jobs.tensors[output].shape.channels = octet * OCTET;
        self.jobs.convs.push(ConvJob {
            slot: Slot::default(),
            class: TileClass::Narrow,
            input,
            relu,
            kernel: conv.kernel,
            stride: conv.stride,
            padding: conv.padding,
            dilation: conv.dilation,
            groups: conv.groups,
            output,
            parts,
            scaled: group.scaled,
            statistics: Statistics::default(),
        });
        self.jobs.order.push(JobId::Conv(id));
    }

    /// The plain tensor that a convolution of a value reads, and whether through a ReLU.
    fn conv_input(&mut self, v: usize) -> (TensorId, bool) {
        let term = self.term(v);
        let tensor = &self.jobs.tensors[term.tensor];
        let whole =
            !tensor.raw && term.norm.is_none() && !term.average && term.channels == tensor.shape.channels;
        if whole { (term.tensor, term.relu) } else { (self.plain(v), false) }
    }

    fn parameter(&mut self, ConvValue { value, conv }: ConvValue) -> usize {
        let value = &self.values[value];
        let in_channels = self.values[value.inputs[0]].shape.channels;
        self.jobs.parameters.push(Parameter {
            name: value.name.to_owned(),
            shape: RowShape {
                out_channels: conv.out_channels,
                in_channels: in_channels / conv.groups,
                kernel: conv.kernel,
            },
            distribution: conv.initializer.distribution(),
            standard_deviation: conv.standard_deviation(in_channels),
        });
        self.jobs.parameters.len() - 1
    }

    /// Asks the producer of a batch norm's input for statistics.
    fn batch_norm(&mut self, v: usize, eps: Eps) {
        let value = &self.values[v];
        let input = value.inputs[0];
        let (tensor, channel) = match (self.raw[input], &self.values[input].op) {
            (Some(RawValue { tensor, channel, norm: None }), _) => (tensor, channel),
            // The image has no producer that could leave statistics: a combine copies it.
            (_, Op::Input) => {
                let terms = vec![self.term(input)];
                (self.combine(v, terms, None), 0)
            }
            _ => (self.plain(input), 0),
        };
        let entry = self.jobs.norm_entries;
        self.jobs.norm_entries += octets(value.shape.channels) * OCTET;
        self.raw[v] = Some(RawValue { tensor, channel, norm: Some(entry) });
        let mut norm = NormJob {
            name: value.name.to_owned(),
            eps,
            scale: None,
            channel,
            channels: value.shape.channels,
            all_channels: value.shape.channels,
            first: 0,
            entry,
        };
        match self.jobs.producers[tensor] {
            Some(JobId::Conv(id)) => {
                let job = &mut self.jobs.convs[id];
                let part = job.parts.iter().find(|part| part.octet * OCTET == channel);
                norm.scale = part.filter(|_| !job.scaled).map(|part| part.parameter);
                job.statistics.norms.push(norm);
            }
            Some(JobId::Combine(id)) => self.jobs.combines[id].statistics.norms.push(norm),
            None => unreachable!("batch norms of the image are those of a copy"),
        }
    }

    /// Asks for the scatter matrix of a value's channels: those of a convolution as they are before batch norm, which changes
    /// no correlation, all others where a combine stores them.
    fn gram(&mut self, v: usize) {
        let term = self.term(v);
        let is_stored = !self.jobs.tensors[term.tensor].raw && term.norm.is_none() && !term.average;
        let (tensor, channel, relu) = match self.raw[v] {
            Some(RawValue { tensor, channel, norm: None }) => (tensor, channel, false),
            _ if is_stored => (term.tensor, term.channel, term.relu),
            _ => (self.plain(v), 0, false),
        };
        let value = &self.values[v];
        self.jobs.grams.push(GramJob {
            slot: Slot::default(),
            name: value.name.to_owned(),
            tensor,
            channel,
            channels: value.shape.channels,
            relu,
            least: value.feature.least,
            marks: value.feature.marks.clone(),
        });
    }

    /// Has the bits of a counted ReLU emitted: by the combine that stores its input, or by a reader.
    fn relu_bits(&mut self, v: usize) {
        let Value { name, weight, .. } = self.values[v];
        let term = Term { relu: false, ..self.term(v) };
        let tensor = &self.jobs.tensors[term.tensor];
        let stored = !tensor.raw && term.norm.is_none() && term.channels == tensor.shape.channels;
        match self.jobs.producers[term.tensor] {
            Some(JobId::Combine(id)) if stored => self.jobs.combines[id].weight += weight,
            _ => self.jobs.pending.push(Pending { name, term, weight }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{features::FeatureUse, merge::merge, simplify::simplify};
    use crate::{Conv, Convention, Graph, GraphBuilder, NodeId};

    fn fused(build: impl FnOnce(&mut GraphBuilder) -> NodeId) -> Jobs<'static> {
        let mut g = Graph::builder(8).unwrap();
        let output = build(&mut g);
        let graph = g.output(output).unwrap();
        let shapes = graph.shapes(4, 4).unwrap();
        let features = vec![FeatureUse::default(); shapes.len()];
        let (values, groups) =
            merge(simplify(&graph, &shapes, &graph.reached(), Convention::Relu, &features));
        let jobs = fuse(&values, &groups, shapes[0]);
        let pending = jobs.pending.iter().map(|pending| Pending { name: "", ..*pending }).collect();
        Jobs { pending, ..jobs }
    }

    fn conv_norm(g: &mut GraphBuilder, x: NodeId, channels: usize, name: &str) -> NodeId {
        let x = g.conv(x, Conv::new(channels, 1), name).unwrap();
        g.batch_norm(x, &format!("{name}.norm")).unwrap()
    }

    #[test]
    fn a_sum_inside_a_concat_inside_a_pool_is_one_combine() {
        let jobs = fused(|g| {
            let a = conv_norm(g, g.input(), 8, "a");
            let b = conv_norm(g, g.input(), 8, "b");
            let sum = g.add(&[a, b]).unwrap();
            let both = g.concat(&[g.input(), sum]).unwrap();
            let pool = g.max_pool(both, Window::new(2, 2, 0)).unwrap();
            g.relu(pool).unwrap()
        });
        assert_eq!((jobs.convs.len(), jobs.combines.len()), (1, 1));
        let job = &jobs.combines[0];
        let places: Vec<(usize, usize)> = job.terms.iter().map(|term| (term.channel, term.to)).collect();
        assert_eq!(places, [(0, 0), (0, 8), (8, 8)]);
        assert_eq!((job.weight, job.window.is_some(), jobs.pending.len()), (1, true, 0));
    }

    #[test]
    fn a_sum_with_two_readers_is_stored_and_read_through_the_relu() {
        let jobs = fused(|g| {
            let a = conv_norm(g, g.input(), 8, "a");
            let sum = g.add(&[a, g.input()]).unwrap();
            let relu = g.relu(sum).unwrap();
            let b = conv_norm(g, relu, 8, "b");
            let total = g.add(&[sum, b]).unwrap();
            g.relu(total).unwrap()
        });
        assert_eq!(jobs.combines.len(), 2);
        let conv = &jobs.convs[1];
        assert!(conv.relu && jobs.producers[conv.input] == Some(JobId::Combine(0)));
        assert_eq!((jobs.combines[0].weight, jobs.combines[1].weight), (1, 1));
    }

    #[test]
    fn a_truncated_slice_is_copied_before_a_conv_reads_it() {
        let jobs = fused(|g| {
            let slice = g.slice(g.input(), 5).unwrap();
            let x = conv_norm(g, slice, 8, "a");
            g.relu(x).unwrap()
        });
        let copy = &jobs.combines[0];
        assert_eq!((copy.terms[0].tensor, copy.terms[0].channels, copy.shape.channels), (IMAGE, 5, 5));
        assert_eq!(Some(jobs.convs[0].input), copy.output);
        assert_eq!(jobs.pending.len(), 1);
    }

    #[test]
    fn a_conv_that_a_sum_reads_without_batch_norm_keeps_its_scale() {
        let jobs = fused(|g| {
            let a = g.conv(g.input(), Conv::new(8, 1), "a").unwrap();
            let sum = g.add(&[a, g.input()]).unwrap();
            let norm = g.batch_norm(sum, "norm").unwrap();
            g.relu(norm).unwrap()
        });
        assert!(jobs.convs[0].scaled && jobs.convs[0].statistics.norms.is_empty());
        let norms = &jobs.combines[0].statistics.norms;
        assert_eq!((norms.len(), norms[0].scale), (1, None));
    }
}
